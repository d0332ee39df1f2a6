//! Whether a component may be a queue's policy: the stages that it has to pass, in order.
//!
//! Owns the invariants that any gate should keep, whatever its rule: every queued job gets one
//! decision and no other job does; the same question gets the same answer; `decide` and the clause
//! agree; when all tasks are done, no job runs and no repo is frozen, every job may be claimed at some time. The
//! cases of the default policy are not among them, since another policy may differ on purpose. The
//! check changes nothing: it makes up states in a temporary database. Leaves the search for states
//! in which the two answers differ to `agreement`. Callers rely on this: the check ends within its
//! time, whatever the policy does.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::agreement::Trial;
use super::budget::Budget;
use super::case::{Document, parse_cases};
use super::language::{ROUNDED, rounds_ids, why};
use super::stage::{Found, Stage, Stages};
use super::states::States;
use super::times::{CHANGES, Times};
use super::world::World;
use super::{CASE_TIME, Error, Runner};
use crate::clause::{Clause, Table};
use crate::error::with_causes;
use crate::gate::{self, CurrentClause, Source};
use crate::model::{Decision, Description, Dialect, Settings};
use crate::observe::fault;
use crate::policy::{self, Allowance, Policy, Runtime, Trust, texts};
use crate::store::{Cell, Fixture, Outsider, Refused};

/// How many states each invariant is tried on, agreement on more.
const STATES: usize = 200;

/// The time that a check may take; 60 s.
pub const CHECK_TIME: Duration = Duration::from_secs(60);

/// A component that may become a queue's policy.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The component.
    pub component: &'a [u8],
    /// Its signature, if it has one.
    pub signature: Option<&'a str>,
    /// The keys of which one must have signed it; without them, it needs no signature.
    pub trust: Option<&'a Trust>,
    /// The settings that it would have.
    pub settings: &'a Settings,
    /// What it may use.
    pub allowance: Allowance,
    /// Cases that it has to pass as well.
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
    check_policy_within(candidate, runtime, now, CHECK_TIME)
}

/// The same within another time. When that is over, the stage that runs refuses the policy, and
/// says how far it came.
pub fn check_policy_within(
    candidate: Candidate<'_>,
    runtime: &Runtime,
    now: Timestamp,
    time: Duration,
) -> Result<Vec<Stage>, Error> {
    let Candidate {
        component,
        signature,
        trust,
        settings,
        allowance,
        fixtures,
    } = candidate;
    let budget = Budget::new(time);
    let allowance = bounded(allowance);
    let mut stages = Stages(Vec::new());
    if let Some(trust) = trust {
        let signer = trust.check(component, signature);
        let is_trusted = signer.is_ok();
        stages.0.push(Stage {
            name: "signature",
            remedy: signer.as_ref().err().and_then(policy::Error::remedy),
            found: signer
                .map(|signer| signer.to_string())
                .map_err(|error| with_causes(&error)),
            notes: Vec::new(),
        });
        if !is_trusted {
            return Ok(stages.0);
        }
    }
    let policy = runtime
        .load(component, allowance)
        .map_err(|error| with_causes(&error));
    let Some(policy) = stages.add("contract", policy.and_then(describe)) else {
        return Ok(stages.0);
    };
    let mut world = World::new(component, allowance, runtime.clone())?;
    world.queue.set_settings(settings.clone());
    let clause = clause(&policy, &mut world, settings, now, budget)?;
    let Some((mut times, notes)) = stages.add("clause", clause) else {
        return Ok(stages.0);
    };
    if let Some(stage) = stages.0.last_mut() {
        stage.notes = notes;
    }
    let flat = world.queue.clause(now)?;
    stages.add("claims", Ok((cost(&flat), ())));
    let states: Vec<Value> = States::new().take(STATES).collect();
    let tried = Tried {
        policy: &policy,
        states: &states,
        times: &times.around_changes(now),
        budget,
    };
    let mut answers = Vec::new();
    let mut found = tried.each(&mut world, DECISIONS, |world, now, _| {
        decisions(world, now, &mut answers)
    })?;
    let rounds_ids = found.is_ok() && rounds_ids(&mut world, now)?;
    if let (Ok((found, ())), true) = (&mut found, rounds_ids) {
        found.push_str(ROUNDED);
    }
    if stages.add("decisions", found).is_none() {
        return Ok(stages.0);
    }
    let found = tried.each(&mut world, DETERMINISM, |world, now, number| {
        determinism(world, now, answers.get(number))
    })?;
    if stages.add("determinism", found).is_none() {
        return Ok(stages.0);
    }
    let mut trial = Trial::new(&mut world, &policy, settings, now, budget);
    trial.leaves_out_large_ids = rounds_ids;
    let found = trial.run(&mut times, &states)?.map(|found| (found, ()));
    if stages.add("agreement", found).is_none() {
        return Ok(stages.0);
    }
    // The clause of the last time that was tried is dropped.
    world.queue.set_settings(settings.clone());
    let found = tried.each(&mut world, PROGRESS, |world, now, _| progress(world, now))?;
    if stages.add("progress", found).is_none() {
        return Ok(stages.0);
    }
    if !fixtures.is_empty() {
        let mut runner = Runner::of(world);
        stages.add("fixtures", pass(&mut runner, fixtures, budget)?);
    }
    Ok(stages.0)
}

const DECISIONS: &str = "one for each queued job, and for no other";
const DETERMINISM: &str = "the same question gets the same answer";
const PROGRESS: &str = "when all is done and nothing frozen, nothing is held";

/// One call may take no longer than the whole check, which looks at the clock between calls only.
fn bounded(allowance: Allowance) -> Allowance {
    let most = u64::try_from(CHECK_TIME.as_millis()).unwrap_or(u64::MAX);
    Allowance {
        clause_ms: allowance.clause_ms.min(most),
        decide_ms: allowance.decide_ms.min(most),
        ..allowance
    }
}

/// Why an invariant does not hold for the state that the world is in; none if it does.
type Broken = Result<Option<String>, crate::queue::Error>;

fn describe(policy: Policy) -> Found<Policy> {
    let description = policy.describe().map_err(|error| why(&policy, &error))?;
    texts::check_description(&description).map_err(|unfit| unfit.to_string())?;
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

/// The clause for each database has to pass the guard, and the one for SQLite its query plan too.
fn clause(
    policy: &Policy,
    world: &mut World,
    settings: &Settings,
    now: Timestamp,
    budget: Budget,
) -> Result<Found<(Times, Vec<String>)>, Error> {
    let (mut length, mut notes) = (0, Vec::new());
    let mut reads: Vec<&str> = Vec::new();
    for dialect in [Dialect::Postgres, Dialect::Sqlite] {
        let answer = policy
            .claim_clause(settings, now, dialect)
            .map_err(|error| why(policy, &error));
        let accepted = answer.and_then(|answer| {
            length = answer.text.len();
            texts::check_notes(&answer.notes).map_err(|unfit| unfit.to_string())?;
            notes = answer.notes;
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
    let found = format!("{length} bytes, reads {reads}");
    let times = Times::ask(policy, settings, now, budget);
    Ok(Ok((found, (times, notes))))
}

/// What a claim by a clause costs. A slow one is no reason to refuse a policy.
fn cost(clause: &CurrentClause) -> String {
    match clause.clause.flat() {
        Ok(()) => format!(
            "flat: the same cost however many jobs are held; gated: {}",
            clause.clause.gated()
        ),
        Err(obstacle) => format!("not flat: {}", obstacle.in_words()),
    }
}

/// What an invariant is tried on.
struct Tried<'a> {
    policy: &'a Policy,
    states: &'a [Value],
    times: &'a [Timestamp],
    budget: Budget,
}

impl Tried<'_> {
    /// Tries an invariant on each state, in turn at each of the times. It gets the state's number.
    fn each(
        &self,
        world: &mut World,
        says: &str,
        mut invariant: impl FnMut(&mut World, Timestamp, usize) -> Broken,
    ) -> Result<Found<()>, Error> {
        let times = self.times.iter().copied().cycle();
        let all = self.states.len();
        for ((number, state), now) in self.states.iter().enumerate().zip(times) {
            if self.budget.is_spent() {
                return Ok(Err(self.budget.spent_after(number, all, "states")));
            }
            let case: Document = serde_json::from_value(state.clone())
                .map_err(|error| Error::Value(error.to_string()))?;
            world.load(&case)?;
            let broken = match invariant(world, now, number) {
                Ok(broken) => broken,
                Err(crate::queue::Error::Gate(gate::Error::Policy(error))) => {
                    Some(why(self.policy, &error))
                }
                Err(error) => return Err(error.into()),
            };
            if let Some(reason) = broken {
                return Ok(Err(format!("{reason}, in the state {state}")));
            }
        }
        Ok(Ok((format!("{says}, in {all} states"), ())))
    }
}

/// Keeps the decisions, so that `determinism` can compare later ones with them.
fn decisions(world: &mut World, now: Timestamp, answers: &mut Vec<Vec<Decision>>) -> Broken {
    let reach = world.queue.footprint(now)?;
    let state = world.queue.store().snapshot(&reach, None)?;
    // Reasons that pass are shown as they are: these decisions are what `decide` gives.
    let decisions = world.queue.decide_in_its_words(now, &state)?;
    if let Err(unfit) = texts::check_reasons(&decisions) {
        return Ok(Some(unfit.to_string()));
    }
    let queued = world.queue.store().queued_jobs()?;
    let fault = fault(&queued, &decisions);
    answers.push(decisions);
    Ok(fault)
}

fn determinism(world: &mut World, now: Timestamp, first: Option<&Vec<Decision>>) -> Broken {
    let second = world.queue.decide(now, None)?;
    let is_other = first != Some(&second);
    Ok(is_other.then(|| "the second answer differs from the first".into()))
}

fn progress(world: &mut World, now: Timestamp) -> Broken {
    // What is finished is for the rules to say.
    let finished = world.queue.finished_stages()?.first().to_owned();
    finish_everything(&mut world.outsider, &finished).map_err(crate::store::Error::from)?;
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
            "with every task `{finished}`, no job running and no freeze, only {claimable:?} of \
             {queued:?} may be claimed"
        )
    }))
}

/// What a queue comes to when all its work is done, in the stage that the rules call finished.
fn finish_everything(outsider: &mut Outsider, stage: &str) -> Result<(), Refused> {
    outsider.execute(
        "UPDATE tasks SET stage = $1",
        vec![Cell::Text(stage.into())],
    )?;
    for sql in [
        "UPDATE jobs SET status = 'done' WHERE status = 'running'",
        "UPDATE repo_freeze SET cleared_at = 'then' WHERE cleared_at IS NULL",
    ] {
        outsider.execute(sql, Vec::new())?;
    }
    Ok(())
}

/// Every attached case, up to the first that fails.
fn pass(runner: &mut Runner, fixtures: &[Fixture], budget: Budget) -> Result<Found<()>, Error> {
    let mut cases = Vec::new();
    for fixture in fixtures {
        let parsed = parse_cases(Path::new(&fixture.name), &fixture.cases)?;
        cases.extend(parsed.into_iter().map(|case| (fixture, case)));
    }
    let (mut passed, all) = (0, cases.len());
    for (fixture, case) in cases {
        if budget.is_spent() {
            return Ok(Err(budget.spent_after(passed, all, "attached cases")));
        }
        runner.set_case_time(budget.left().min(CASE_TIME));
        if let Some(failure) = runner.failures(&case).into_iter().next() {
            let (file, name) = (&fixture.name, &case.name);
            return Ok(Err(format!("`{name}` of `{file}` fails: {failure}")));
        }
        passed += 1;
    }
    Ok(Ok((format!("{passed} attached cases pass"), ())))
}
