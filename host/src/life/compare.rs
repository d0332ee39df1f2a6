//! What another policy would change right now.
//!
//! Owns the comparison of two policies over one state of the queue. It changes nothing: the other
//! policy is asked, and nothing goes by its answer.

use jiff::Timestamp;

use super::Error;
use super::swap::Proposal;
use crate::model::Verdict;
use crate::queue::{Options, Queue, Rule, differing};
use crate::store::JobRow;

/// A queued job whose verdict would be another. A missing verdict is none of the policy's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The job.
    pub job: JobRow,
    /// What the active policy says.
    pub before: Option<Verdict>,
    /// What the other one says.
    pub after: Option<Verdict>,
}

/// The queued jobs whose verdicts would change, in claim order.
///
/// # Errors
///
/// When the other is no policy, either of them fails, or the database cannot be read.
pub fn compare(
    queue: &mut Queue,
    proposal: &Proposal,
    now: Timestamp,
) -> Result<Vec<Changed>, Error> {
    queue
        .describe(
            &proposal.component,
            proposal.signature.as_deref(),
            proposal.allowance,
        )
        .map_err(Error::NoPolicy)?;
    let rule = Rule::Given {
        component: proposal.component.clone(),
        settings: proposal.settings.clone(),
        allowance: proposal.allowance,
    };
    let database = queue.store().database().clone();
    let options = Options {
        runtime: queue.runtime().clone(),
        ..Options::default()
    };
    let mut other = Queue::open(&database, rule, options)?;
    let mut reach = queue.reach(now)?;
    reach.extend(other.reach(now)?);
    let state = queue.store().snapshot(&reach, None)?;
    let before = queue.decide_over(now, &state)?;
    let after = other.decide_over(now, &state)?;
    differing(&before, &after)
        .map(|(job, before, after)| {
            Ok(Changed {
                job: queue
                    .store()
                    .job(job)?
                    .ok_or(crate::store::Error::NoJob { id: job })?,
                before,
                after,
            })
        })
        .collect()
}
