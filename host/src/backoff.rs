//! How long to wait before the next try.
//!
//! Owns the schedule: a first time, doubled after each try, half an hour at most. A random part of
//! it, between a half and the whole, is waited for, so that many queues do not come back at once.

use std::time::Duration;

use sha2::{Digest, Sha256};

const LONGEST: Duration = Duration::from_secs(30 * 60);

/// The time between this attempt and the next; after the first it is about `first`. The key gives
/// the jitter, so each thing that is tried should have its own.
pub(crate) fn backoff(first: Duration, key: &str, attempt: u32) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
    let digest = Sha256::digest(format!("{key} {attempt}"));
    let random = digest.first().copied().unwrap_or_default();
    doubled
        .min(LONGEST)
        .mul_f64(0.5 + 0.5 * f64::from(random) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(5);

    #[test]
    fn the_wait_grows_to_half_an_hour_and_is_never_less_than_half_of_its_step() {
        for (attempt, seconds) in [
            (1, 5),
            (2, 10),
            (5, 80),
            (9, 1_280),
            (10, 1_800),
            (99, 1_800),
        ] {
            for key in ["a", "b", "c"] {
                let wait = backoff(FIRST, key, attempt);
                let whole = Duration::from_secs(seconds);
                assert!(whole / 2 <= wait && wait <= whole, "{attempt}: {wait:?}");
            }
        }
    }

    #[test]
    fn two_that_failed_together_do_not_come_back_at_the_same_time() {
        assert_ne!(backoff(FIRST, "a", 9), backoff(FIRST, "b", 9));
    }
}
