//! Answers that are kept for a while, because they take long to read and grow old slowly.
//!
//! Callers rely on this: no more than a few are kept, and none for longer than was said.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many answers are kept, the newest ones.
const MOST: usize = 20;

pub struct Kept<K, V> {
    good_for: Duration,
    /// The oldest first.
    entries: Vec<(K, Instant, Arc<V>)>,
}

impl<K: PartialEq, V> Kept<K, V> {
    pub fn new(good_for: Duration) -> Kept<K, V> {
        Kept {
            good_for,
            entries: Vec::new(),
        }
    }

    /// The answer to a question, if it is kept.
    pub fn get(&mut self, key: &K) -> Option<Arc<V>> {
        self.drop_old();
        let found = self.entries.iter().find(|(kept, _, _)| kept == key);
        found.map(|(_, _, answer)| Arc::clone(answer))
    }

    /// Keeps an answer from now on.
    pub fn keep(&mut self, key: K, answer: V) -> Arc<V> {
        let answer = Arc::new(answer);
        self.entries.retain(|(kept, _, _)| *kept != key);
        if self.entries.len() == MOST {
            self.entries.remove(0);
        }
        self.entries
            .push((key, Instant::now(), Arc::clone(&answer)));
        answer
    }

    /// Forgets what is too old.
    pub fn drop_old(&mut self) {
        let good_for = self.good_for;
        self.entries.retain(|(_, at, _)| at.elapsed() < good_for);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_for_its_time_and_the_newest_ones_only() {
        let mut kept = Kept::new(Duration::MAX);
        for number in 0..30 {
            kept.keep(number, number);
        }
        kept.keep(25, 99);
        assert_eq!(kept.get(&9), None);
        assert_eq!(kept.get(&12).as_deref(), Some(&12));
        assert_eq!(kept.get(&25).as_deref(), Some(&99));
        let mut old = Kept::new(Duration::ZERO);
        old.keep(1, 1);
        assert_eq!(old.get(&1), None);
    }
}
