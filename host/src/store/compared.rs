//! What a comparison of the heads with the clause comes to.
//!
//! Owns the words of a difference. Leaves the comparison to the engines.

use super::raw::Raw;

/// Where a comparison continues.
#[derive(Debug, Clone, PartialEq)]
pub struct Place(pub(super) Raw);

/// The result of a comparison.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compared {
    /// How many repos were compared.
    pub repos: usize,
    /// The partitions that differed. Their heads are right now.
    pub differences: Vec<Difference>,
    /// Where to continue; none at the end.
    pub next: Option<Place>,
}

/// A partition whose head was not what the clause gives.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// The repo; none for jobs without one.
    pub repo: Option<String>,
    /// The agent; none for jobs without one.
    pub agent: Option<String>,
    /// The job that would have been claimed.
    pub candidate: Option<i64>,
    /// The job that the clause gives.
    pub first: Option<i64>,
}

impl Difference {
    /// What differed, in a sentence.
    pub(super) fn in_words(&self) -> String {
        let quoted = |name: &Option<String>| {
            name.as_ref()
                .map(|name| format!("`{}`", name.escape_debug()))
        };
        let job = |job: Option<i64>| job.map_or("no job".into(), |job| format!("job {job}"));
        format!(
            "the next job for {} in {} would have been {}, and the clause gives {}: it is \
             repaired",
            quoted(&self.agent).unwrap_or("no agent".into()),
            quoted(&self.repo).unwrap_or("no repo".into()),
            job(self.candidate),
            job(self.first)
        )
    }
}
