//! Random numbers that are the same in every run.
//!
//! Owns the sequence, so that a policy that was refused is refused again for the same state. It
//! need not be good.

/// A sequence of numbers, by xorshift.
pub(super) struct Dice(u64);

impl Dice {
    /// A sequence that begins at a number other than 0.
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed.max(1))
    }

    /// The next number below `end`, which is at least 1.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % end.max(1)
    }

    /// One of some values; none of none.
    pub(super) fn one_of<'a, T>(&mut self, values: &'a [T]) -> Option<&'a T> {
        let index = self.below(values.len());
        values.get(index)
    }

    /// True in this many cases of a hundred.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}
