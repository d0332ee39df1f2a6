//! What another policy would change right now.
//!
//! Owns the comparison of two policies over one state of the queue. It changes nothing: no claim
//! uses the other policy's answer.

use jiff::Timestamp;

use super::Error;
use super::swap::Proposal;
use crate::gate::Rule;
use crate::model::{Verdict, differing};
use crate::queue::{Options, Queue};
use crate::store::JobRow;

/// A queued job whose verdict would change. Where a verdict is missing, the policy gave none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The job.
    pub job: JobRow,
    /// What the active policy says.
    pub before: Option<Verdict>,
    /// What the other one says.
    pub after: Option<Verdict>,
}

/// What another policy would change, and what it wants an operator to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The queued jobs whose verdicts would change, in claim order.
    pub changed: Vec<Changed>,
    /// The notes about its clause.
    pub notes: Vec<String>,
}

/// Asks both policies about the queue as it is now.
pub fn compare(queue: &mut Queue, proposal: &Proposal, now: Timestamp) -> Result<Compared, Error> {
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
    let mut footprint = queue.footprint(now)?;
    footprint.extend(other.footprint(now)?);
    let state = queue.store().snapshot(&footprint, None)?;
    let before = queue.decide_over(now, &state)?;
    let after = other.decide_over(now, &state)?;
    let notes = other.clause(now)?.notes.clone();
    let changed = differing(&before, &after)
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
        .collect::<Result<_, Error>>()?;
    Ok(Compared { changed, notes })
}
