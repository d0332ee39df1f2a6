//! Whether a component may be a queue's policy: the stages that it has to pass, in order.
//!
//! Owns the invariants that any gate should keep, whatever its rule: every queued job gets one
//! decision and no other job does; the same question gets the same answer; `decide` and the clause
//! agree; a queue without a freeze whose tasks are all done holds nothing, at some time at least. A
//! policy may differ from the default one on purpose, so the default's own cases are not among them.
//! Nothing is changed: the states are made up, on a temporary database.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::case::{Document, parse_cases};
use super::states::States;
use super::world::World;
use super::{Error, Runner};
use crate::clause::{Clause, Table};
use crate::model::{Description, Dialect, Settings, Verdict};
use crate::policy::{Policy, Runtime, Trust};
use crate::queue::{Allowance, CurrentClause, Source, with_causes};
use crate::store::Fixture;

/// How many states each invariant is tried on.
const STATES: usize = 200;

/// A stage of the check, and what it found: in words, or why the policy is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// `signature`, `contract`, `clause`, `claims`, `decisions`, `determinism`, `agreement`, `progress` or `fixtures`.
    pub name: &'static str,
    /// What it found.
    pub found: Result<String, String>,
}

/// A component that may become a queue's policy.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The component.
    pub component: &'a [u8],
    /// Its signature, if it has one.
    pub signature: Option<&'a str>,
    /// Whose signature it needs; none if it needs none.
    pub trust: Option<&'a Trust>,
    /// The settings that it would have.
    pub settings: &'a Settings,
    /// What it may use.
    pub allowance: Allowance,
    /// Cases that it has to pass besides.
    pub fixtures: &'a [Fixture],
}

/// Checks a component for use from `now` on. The last stage is the first that refuses, if any
/// does.
///
/// # Errors
///
/// When there is no room for a temporary database.
pub fn check_policy(
    candidate: Candidate<'_>,
    runtime: &Runtime,
    now: Timestamp,
) -> Result<Vec<Stage>, Error> {
    let Candidate {
        component,
        signature,
        trust,
        settings,
        allowance,
        fixtures,
    } = candidate;
    let mut stages = Stages(Vec::new());
    if let Some(trust) = trust {
        let signer = trust.check(component, signature);
        let found = signer.map(|signer| (signer.to_string(), ()));
        if stages
            .add("signature", found.map_err(|error| with_causes(&error)))
            .is_none()
        {
            return Ok(stages.0);
        }
    }
    let policy = runtime
        .load(component, allowance.limits())
        .map_err(|error| with_causes(&error));
    let Some(policy) = stages.add("contract", policy.and_then(describe)) else {
        return Ok(stages.0);
    };
    let mut world = World::new(component, allowance, runtime.clone())?;
    world.queue.set_settings(settings.clone());
    if stages
        .add("clause", clause(&policy, &mut world, settings, now)?)
        .is_none()
    {
        return Ok(stages.0);
    }
    let flat = world.queue.clause(now)?;
    stages.add("claims", Ok((cost(&flat), ())));
    let invariants: [(&str, &str, Invariant); 4] = [
        (
            "decisions",
            "one for each queued job, and for no other",
            decisions,
        ),
        (
            "determinism",
            "the same question gets the same answer",
            determinism,
        ),
        (
            "agreement",
            "`decide` and the clause let the same jobs through",
            agreement,
        ),
        (
            "progress",
            "when all is done and nothing frozen, nothing is held",
            progress,
        ),
    ];
    let times = times(&mut world, now)?;
    for (name, says, invariant) in invariants {
        let found = on_all_states(&mut world, &times, says, invariant)?;
        if stages.add(name, found).is_none() {
            return Ok(stages.0);
        }
    }
    if !fixtures.is_empty() {
        stages.add("fixtures", pass(&mut Runner { world }, fixtures)?);
    }
    Ok(stages.0)
}

/// What was found, and what the next stage goes on with.
type Found<T> = Result<(String, T), String>;

/// Why an invariant does not hold for the state that the world is in; none if it does.
type Invariant = fn(&mut World, Timestamp) -> Result<Option<String>, crate::queue::Error>;

struct Stages(Vec<Stage>);

impl Stages {
    fn add<T>(&mut self, name: &'static str, found: Found<T>) -> Option<T> {
        let (found, next) = match found {
            Ok((found, next)) => (Ok(found), Some(next)),
            Err(reason) => (Err(reason), None),
        };
        self.0.push(Stage { name, found });
        next
    }
}

fn describe(policy: Policy) -> Found<Policy> {
    let description = policy.describe().map_err(|error| with_causes(&error))?;
    let Description {
        name,
        version,
        summary,
    } = description;
    let imports = match policy.imports() {
        0 => "imports nothing".into(),
        parts => format!("imports {parts} parts of WASI, which are empty"),
    };
    let found = format!("`{name}` {version}, {imports}: {summary}");
    Ok((found, policy))
}

/// The clause for each database, through the guard; and through SQLite's plan, which the queue asks.
fn clause(
    policy: &Policy,
    world: &mut World,
    settings: &Settings,
    now: Timestamp,
) -> Result<Found<()>, Error> {
    let mut length = 0;
    let mut reads: Vec<&str> = Vec::new();
    for dialect in [Dialect::Postgres, Dialect::Sqlite] {
        let answer = policy
            .claim_clause(settings, now, dialect)
            .map_err(|error| with_causes(&error));
        let accepted = answer.and_then(|answer| {
            length = answer.text.len();
            Clause::accept(&answer.text).map_err(|refusal| refusal.to_string())
        });
        match accepted {
            Ok(clause) => reads = clause.reads().map(Table::name).collect(),
            Err(reason) => return Ok(Err(reason)),
        }
    }
    let current = world.queue.clause(now)?;
    if ![Source::Policy, Source::Off].contains(&current.source) {
        return Ok(Err(current.notes.join(", ")));
    }
    let reads = if reads.is_empty() {
        "no table besides `jobs`".into()
    } else {
        reads.join(", ")
    };
    Ok(Ok((format!("{length} bytes, reads {reads}"), ())))
}

/// What a claim by a clause costs. A slow one is no reason to refuse a policy.
fn cost(clause: &CurrentClause) -> String {
    match &clause.shape {
        Ok(shape) => format!(
            "flat: the same cost however many jobs are held; gated: {}",
            shape.gated
        ),
        Err(obstacle) => format!(
            "not flat: each looks at every held job before the first that may be claimed: {obstacle}"
        ),
    }
}

/// How many changes of a clause that depends on the time are looked at.
const CHANGES: usize = 32;

/// Now, and if the rule depends on the time, the last moment and the first of each of its changes.
fn times(world: &mut World, now: Timestamp) -> Result<Vec<Timestamp>, Error> {
    let mut times = vec![now];
    let mut at = now;
    for _ in 0..CHANGES {
        let until = world.queue.clause(at)?.valid_until;
        let Some(until) = until.and_then(|until| Timestamp::from_second(until).ok()) else {
            break;
        };
        times.extend(until.checked_sub(Duration::from_secs(1)));
        times.push(until);
        at = until;
    }
    Ok(times)
}

fn on_all_states(
    world: &mut World,
    times: &[Timestamp],
    says: &str,
    invariant: Invariant,
) -> Result<Found<()>, Error> {
    for (state, now) in States::new()
        .take(STATES)
        .zip(times.iter().copied().cycle())
    {
        let case: Document = serde_json::from_value(state.clone())
            .map_err(|error| Error::Value(error.to_string()))?;
        world.load(&case)?;
        let broken = match invariant(world, now) {
            Ok(broken) => broken,
            Err(error @ crate::queue::Error::Policy(_)) => Some(with_causes(&error)),
            Err(error) => return Err(error.into()),
        };
        if let Some(reason) = broken {
            return Ok(Err(format!("{reason}, in the state {state}")));
        }
    }
    Ok(Ok((format!("{says}, in {STATES} states"), ())))
}

fn decisions(world: &mut World, now: Timestamp) -> Result<Option<String>, crate::queue::Error> {
    let decided: Vec<i64> = world
        .queue
        .decide(now, None)?
        .iter()
        .map(|decision| decision.job)
        .collect();
    let queued = world.queue.store().queued_jobs()?;
    Ok((decided != queued)
        .then(|| format!("the jobs {queued:?} are queued, and {decided:?} got decisions")))
}

fn determinism(world: &mut World, now: Timestamp) -> Result<Option<String>, crate::queue::Error> {
    let (first, second) = (
        world.queue.decide(now, None)?,
        world.queue.decide(now, None)?,
    );
    Ok((first != second).then(|| "the second answer is another than the first".into()))
}

fn agreement(world: &mut World, now: Timestamp) -> Result<Option<String>, crate::queue::Error> {
    let by_clause = world.queue.claimable(now)?;
    let decisions = world.queue.decide(now, None)?.into_iter();
    let claimed = decisions.filter(|decision| decision.verdict == Verdict::Claim);
    let by_decide: Vec<i64> = claimed.map(|decision| decision.job).collect();
    let disagree = by_clause != by_decide;
    Ok(disagree
        .then(|| format!("the clause lets {by_clause:?} through, and `decide` {by_decide:?}")))
}

fn progress(world: &mut World, now: Timestamp) -> Result<Option<String>, crate::queue::Error> {
    // What is finished is for the rules to say.
    let finished = world.queue.finished_stages()?.first().to_owned();
    world
        .finish_everything(&finished)
        .map_err(crate::store::Error::from)?;
    let queued = world.queue.store().queued_jobs()?;
    let mut at = now;
    let mut claimable = world.queue.claimable(at)?;
    // A rule may hold jobs for a time, as long as that time ends.
    for _ in 0..CHANGES {
        let until = world.queue.clause(at)?.valid_until;
        let Some(until) = until.and_then(|until| Timestamp::from_second(until).ok()) else {
            break;
        };
        if claimable == queued {
            break;
        }
        at = until;
        claimable = world.queue.claimable(at)?;
    }
    let stuck = claimable != queued;
    Ok(stuck.then(|| {
        format!(
            "with every task `{finished}` and no freeze, only {claimable:?} of {queued:?} may be claimed"
        )
    }))
}

/// Every attached case, up to the first that fails.
fn pass(runner: &mut Runner, fixtures: &[Fixture]) -> Result<Found<()>, Error> {
    let mut passed = 0;
    for fixture in fixtures {
        for case in parse_cases(Path::new(&fixture.name), &fixture.cases)? {
            if let Some(failure) = runner.failures(&case).into_iter().next() {
                let (file, name) = (&fixture.name, &case.name);
                return Ok(Err(format!("`{name}` of `{file}` fails: {failure}")));
            }
            passed += 1;
        }
    }
    Ok(Ok((format!("{passed} attached cases pass"), ())))
}

/// A stage for machines.
impl From<&Stage> for Value {
    fn from(stage: &Stage) -> Value {
        json!({
            "stage": stage.name,
            "passed": stage.found.is_ok(),
            "found": stage.found.as_ref().unwrap_or_else(|reason| reason),
        })
    }
}
