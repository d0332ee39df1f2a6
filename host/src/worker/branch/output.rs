//! The output of git, up to a limit.
//!
//! Owns the limit. A remote may make git print without end: the excess is read and discarded.
//! Callers rely on this: the output takes no room on a disk and little memory, and after git has
//! ended, reading does not wait for a program that git has left behind with the pipe open.

use std::io::{self, PipeReader, PipeWriter, Read};

use rustix::fs::{OFlags, fcntl_setfl};

/// The size of one read.
const PIECE: usize = 64 << 10;

/// How many reads are made before the other pipe has its turn.
const PIECES: usize = 64;

pub(super) struct Output {
    from: PipeReader,
    kept: Vec<u8>,
    most: usize,
    is_cut: bool,
}

impl Output {
    /// An output that keeps up to `most` bytes, and the end to write to.
    pub fn new(most: usize) -> io::Result<(Output, PipeWriter)> {
        let (from, to) = io::pipe()?;
        fcntl_setfl(&from, OFlags::NONBLOCK)?;
        let output = Output {
            from,
            kept: Vec::new(),
            most,
            is_cut: false,
        };
        Ok((output, to))
    }

    /// Reads what is there.
    pub fn take_in(&mut self) {
        let mut piece = vec![0; PIECE];
        for _ in 0..PIECES {
            // Nothing there yet, at the end, or broken: git's exit shows which.
            let Ok(read @ 1..) = self.from.read(&mut piece) else {
                return;
            };
            let room = self.most.saturating_sub(self.kept.len());
            self.is_cut |= read > room;
            self.kept
                .extend(piece.get(..read.min(room)).unwrap_or_default());
        }
    }

    /// The kept bytes, and whether there were more.
    pub fn end(mut self) -> (Vec<u8>, bool) {
        self.take_in();
        (self.kept, self.is_cut)
    }
}
