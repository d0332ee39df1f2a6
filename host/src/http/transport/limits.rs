//! How many connections this process can hold: its limit on open files, less its own files.
//!
//! Owns that limit. Leaves to `connections` what happens when the places run short. Callers rely on
//! this: connections never use up the descriptors that a database or an alert needs.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The most connections at once. Each may be a waiting worker.
const MOST: usize = 4_096;
/// With fewer places, the service logs a warning at the start.
const FEW: usize = 1_000;
/// With fewer open files, the service does not start: no place would be left beyond its own files.
const LEAST: u64 = 192;
/// Files of databases, alerts, a policy's check, and the standard streams.
const OWN: usize = 160;
/// Places that only answer whether the service lives.
const SPARE: usize = 64;
/// The limit to raise to. Child processes inherit it, and some close every number up to it, which
/// takes minutes with a higher limit.
const ENOUGH: u64 = 65_536;

/// The places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub places: usize,
    /// Additional places, for `/healthz` and `/readyz` only.
    pub spare: usize,
}

/// A limit on open files that leaves no room for connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this process may have {files} open files, and the service needs {LEAST}: raise `ulimit -Hn`, \
     or `LimitNOFILE=` of its systemd unit"
)]
pub struct TooFew {
    files: u64,
}

impl Limits {
    /// Raises this process's limit on open files as far as it may, and divides the result.
    pub fn raised() -> Result<Limits, TooFew> {
        let found = getrlimit(Resource::Nofile);
        let wanted = found.maximum.unwrap_or(ENOUGH).min(ENOUGH);
        if found.current.is_some_and(|current| current < wanted) {
            let raised = Rlimit {
                current: Some(wanted),
                ..found
            };
            if let Err(cause) = setrlimit(Resource::Nofile, raised) {
                tracing::warn!("the limit on open files was not raised: {cause}");
            }
        }
        let files = getrlimit(Resource::Nofile).current;
        if let Some(files) = files.filter(|files| *files < LEAST) {
            return Err(TooFew { files });
        }
        let limits = Limits::of(files);
        if let Some(files) = files
            && limits.places < FEW
        {
            tracing::warn!(
                "at most {} connections at once, because this process may have {files} open files: \
                 raise `ulimit -Hn`, or `LimitNOFILE=` of its systemd unit",
                limits.places
            );
        }
        Ok(limits)
    }

    /// For a number of open files, or without a limit.
    fn of(files: Option<u64>) -> Limits {
        let files = files.map_or(usize::MAX, |files| {
            usize::try_from(files).unwrap_or(usize::MAX)
        });
        let rest = files.saturating_sub(OWN);
        let spare = SPARE.min(rest / 4).max(1);
        Limits {
            places: rest.saturating_sub(spare).min(MOST),
            spare,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn places_and_what_the_service_needs_itself_fit_into_the_limit() {
        for files in [LEAST, 256, 512, 1_024, 4_096, 65_536] {
            let limits = Limits::of(Some(files));
            let taken = limits.places + limits.spare + OWN;
            assert!(
                taken <= usize::try_from(files).unwrap(),
                "{files}: {limits:?}"
            );
            assert!(limits.spare > 0, "{files}: {limits:?}");
        }
    }

    #[test]
    fn without_a_limit_there_is_one_all_the_same() {
        assert_eq!(Limits::of(None).places, MOST);
    }
}
