//! The part of `doctor` about impossible times: rows with a time ahead of this clock.
//!
//! Owns the text about what happens to each. Leaves the search to the store.

use jiff::SignedDuration;
use serial_gate::store::{Ahead, TimeAhead, TimesAhead};

use super::options::Shared;
use super::output::{Report, Tone, toned};
use super::text::{shown, shown_or_dash};

/// Adds the impossible times, if there are any.
pub fn list(times: &TimesAhead, shared: &Shared, report: &mut Report) {
    if times.found.is_empty() {
        return;
    }
    report.line(toned(
        Tone::Held,
        "times that no correct clock can have written:",
    ));
    let rows = times.found.iter().map(|time| row(time, shared));
    report.table(&["what", "time (UTC)", "what happens"], rows);
    if times.more {
        report.line("there are more: ten of each kind are shown");
    }
}

fn row(ahead: &TimeAhead, shared: &Shared) -> Vec<String> {
    let (of, then) = match &ahead.of {
        Ahead::Lease { job, seconds } => {
            let own = || i64::try_from(shared.lease.as_secs()).unwrap_or(i64::MAX);
            let length = SignedDuration::from_secs(seconds.unwrap_or_else(own));
            let then = format!(
                "back in the queue {length:#} after the next claim, unless its worker reports"
            );
            (format!("lease of job {job}"), then)
        }
        Ahead::Claim { job, lease_until } => {
            let then = match lease_until {
                Some(until) => {
                    format!(
                        "back in the queue at {}, unless its worker reports",
                        shown(until)
                    )
                }
                None => format!("it has no lease: `job requeue {job}` puts it back"),
            };
            (format!("running job {job}"), then)
        }
        Ahead::Channel { channel } => (
            format!("channel {}", shown(channel)),
            "ignored: alerts are still sent".into(),
        ),
        Ahead::Delivery { alert, channel } => (
            format!("alert {alert} to {}", shown(channel)),
            "ignored: `serve` or `alerts deliver` sends it".into(),
        ),
        Ahead::Job { job, .. } => (
            format!("queued job {job}"),
            "counted as waiting since it was first seen at the head of its repo: set its \
             `created_at` to the present"
                .into(),
        ),
        Ahead::Freeze { freeze, repo } => (
            match freeze {
                Some(number) => format!("freeze {number} of {}", shown_or_dash(repo.as_deref())),
                None => format!("freeze of {}", shown_or_dash(repo.as_deref())),
            },
            "it holds until it is cleared".into(),
        ),
    };
    vec![of, shown(&ahead.time), then]
}
