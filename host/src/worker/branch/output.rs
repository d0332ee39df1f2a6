//! What a call of git prints, as much of it as is kept.
//!
//! Owns the limit. A remote may have git print without an end: what is over the limit is read and
//! thrown away. Callers rely on this: it takes no room on a disk and little in memory, and nothing
//! is waited for once git has ended, though a program that it has left behind may have the other
//! end open still.

use std::io::{self, PipeReader, PipeWriter, Read};

use rustix::fs::{OFlags, fcntl_setfl};

/// How much is read at a time.
const PIECE: usize = 64 << 10;

/// How many pieces are read before another reader has a turn.
const PIECES: usize = 64;

pub(super) struct Output {
    from: PipeReader,
    kept: Vec<u8>,
    most: usize,
    is_cut: bool,
}

impl Output {
    /// Of which so many bytes are kept, and the end that is to be written to.
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
            // Nothing there, at its end, or broken: that is told by how git ends.
            let Ok(read @ 1..) = self.from.read(&mut piece) else {
                return;
            };
            let room = self.most.saturating_sub(self.kept.len());
            self.is_cut |= read > room;
            self.kept
                .extend(piece.get(..read.min(room)).unwrap_or_default());
        }
    }

    /// All that is kept, and whether there was more.
    pub fn end(mut self) -> (Vec<u8>, bool) {
        self.take_in();
        (self.kept, self.is_cut)
    }
}
