//! The rule as a verdict for each queued job.
//!
//! Owns the order of questions and the reason that is given. The condition in `clause` is the same
//! rule in SQL, whose three-valued logic decides the odd cases here: a job without an agent is
//! gated like an analyst's, a job without a repo never is, a task without a stage holds nobody.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::settings::Settings;
use crate::snapshot::{Decision, Job, Snapshot, Symbol, TaskRef, Verdict};

/// One decision for each queued job, in the snapshot's order.
///
/// # Errors
///
/// A sentence, when a row holds a symbol that is not in the snapshot's list.
pub fn decide(settings: &Settings, snapshot: &Snapshot) -> Result<Vec<Decision>, String> {
    let rule = Rule::new(settings, snapshot)?;
    let mut decisions = Vec::with_capacity(snapshot.jobs.len());
    for job in &snapshot.jobs {
        if rule.is_queued(job)? {
            decisions.push(Decision {
                job: job.id,
                verdict: rule.verdict(job)?,
            });
        }
    }
    Ok(decisions)
}

/// What the rule says about each symbol, worked out once, so that a job costs a few look-ups.
struct Rule<'a> {
    enabled: bool,
    symbols: Vec<About<'a>>,
}

/// One symbol, in each of the parts that it can play.
struct About<'a> {
    text: &'a str,
    /// As an agent: the gate may hold its jobs.
    gated: bool,
    /// As a stage: the task is finished.
    finished: bool,
    /// As a repo: the gate acts there.
    in_scope: bool,
    /// As a repo: its first unfinished task.
    first_unfinished: Option<i64>,
    /// As a repo: its newest active freeze.
    freeze: Option<i64>,
}

impl<'a> Rule<'a> {
    fn new(settings: &Settings, snapshot: &'a Snapshot) -> Result<Rule<'a>, String> {
        let symbols = snapshot.symbols.iter().map(|text| About {
            text,
            gated: settings.rules.gated_agents.contains(text),
            finished: settings.rules.finished_stages.contains(text),
            in_scope: settings.scope.contains(text),
            first_unfinished: None,
            freeze: None,
        });
        let mut rule = Rule {
            enabled: settings.enabled,
            symbols: symbols.collect(),
        };
        for task in &snapshot.tasks {
            let (Some(repo), Some(stage)) = (task.repo, task.stage) else {
                continue;
            };
            if !rule.about(stage)?.finished {
                let first = &mut rule.about_mut(repo)?.first_unfinished;
                *first = Some(first.map_or(task.id, |id| id.min(task.id)));
            }
        }
        if settings.freeze_enabled {
            for freeze in snapshot.freezes.iter().filter(|freeze| freeze.active) {
                let Some(repo) = freeze.repo else { continue };
                let newest = &mut rule.about_mut(repo)?.freeze;
                *newest = Some(newest.map_or(freeze.id, |id| id.max(freeze.id)));
            }
        }
        Ok(rule)
    }

    fn is_queued(&self, job: &Job) -> Result<bool, String> {
        Ok(match job.status {
            Some(status) => self.about(status)?.text == "queued",
            None => false,
        })
    }

    fn verdict(&self, job: &Job) -> Result<Verdict, String> {
        let gated = match job.agent {
            Some(agent) => self.about(agent)?.gated,
            None => true,
        };
        let Some(repo) = job.repo else {
            return Ok(Verdict::Claim);
        };
        let repo = self.about(repo)?;
        if !self.enabled || !gated || !repo.in_scope {
            return Ok(Verdict::Claim);
        }
        let earlier_task = repo
            .first_unfinished
            .filter(|id| job.task_id.is_some_and(|own| TaskRef::Id(*id) < own));
        if earlier_task.is_none() && repo.freeze.is_none() {
            return Ok(Verdict::Claim);
        }
        Ok(Verdict::Hold {
            earlier_task,
            freeze: repo.freeze,
        })
    }

    fn about(&self, symbol: Symbol) -> Result<&About<'a>, String> {
        self.symbols
            .get(symbol as usize)
            .ok_or_else(|| out_of_range(symbol))
    }

    fn about_mut(&mut self, symbol: Symbol) -> Result<&mut About<'a>, String> {
        self.symbols
            .get_mut(symbol as usize)
            .ok_or_else(|| out_of_range(symbol))
    }
}

fn out_of_range(symbol: Symbol) -> String {
    format!("symbol {symbol} is not in `symbols`")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::snapshot::Task;

    #[test]
    fn a_symbol_out_of_range_is_refused() {
        let settings = Settings::parse(true, "", true, None).unwrap();
        let task = Task {
            id: 1,
            repo: Some(0),
            stage: Some(7),
        };
        let snapshot = Snapshot {
            symbols: vec!["alpha".into()],
            tasks: vec![task],
            ..Snapshot::default()
        };
        assert_eq!(
            decide(&settings, &snapshot),
            Err("symbol 7 is not in `symbols`".into())
        );
    }
}
