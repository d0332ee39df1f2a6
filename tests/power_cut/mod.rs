//! What is there after a power cut: everything that was acknowledged.
//!
//! `disk.c` is loaded into the real binary and keeps what was flushed, which is all that a power cut leaves; `disk` makes
//! queues of it. `cuts` has the random runs, `order` what comes before an answer, `faults` a disk that is full or broken.

mod cuts;
mod disk;
mod faults;
mod order;
mod user;

/// Numbers that only look random: the same for the same seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Less than this.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % end
    }
}
