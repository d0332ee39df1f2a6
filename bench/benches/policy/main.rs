//! What a policy's answer costs: the same rule over the same rows, natively, in the component, in
//! regorus and in Cedar, in turns.
//!
//! `cargo bench --bench policy --features engines` writes `bench/results/policy.md`. Without the
//! feature the two other engines are left out. Callers rely on this: before anything is timed, all
//! have given the same decisions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a bench fails by panicking, and says how far it is"
)]

#[cfg(feature = "engines")]
mod cedar;
mod kept;
mod life;
mod native;
#[cfg(feature = "engines")]
mod rego;
mod rows;

use std::io;
use std::time::Duration;

use clap::Parser;
use jiff::Timestamp;
use serial_gate::gate::{Overrides, Rule, default_settings};
use serial_gate::model::{self, Verdict};
use serial_gate::policy::{Allowance, DEFAULT_POLICY, Policy, Runtime};
use serial_gate::queue::{Options, Queue};
use serial_gate_bench::{Contest, Report, timed};

use kept::Compiled;
use native::Native;
use rows::{Outcome, Rows};

/// Compare a policy's answers with the native rule and with other policy engines
#[derive(Parser)]
struct Arguments {
    /// Small sizes: some seconds
    #[arg(long)]
    quick: bool,
    /// How often each is measured [default: 2000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// What cargo tells every bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let (sizes, rounds, patience): (&[i64], _, _) = if arguments.quick {
        (&[10, 1_000], 20, 1)
    } else {
        (&[10, 1_000, 10_000], 2_000, 20)
    };
    let rounds = arguments.rounds.unwrap_or(rounds) as usize;
    let patience = Duration::from_secs(patience);

    let runtime = Runtime::new().unwrap();
    let policy = runtime.load(DEFAULT_POLICY, Allowance::default()).unwrap();
    let compiled = Compiled::new();

    let mut report = Report::new(
        "policy",
        "What a policy's answer costs",
        if cfg!(feature = "engines") {
            "`--features engines`; each contestant in turn, in one process and one thread"
        } else {
            "each contestant in turn, in one process and one thread"
        },
    )?;
    report.paragraph("## Decide")?;
    report.paragraph(
        "For every job of a queue: may it be claimed, and if not, which task and which freeze hold \
         it. There are as many unfinished tasks as jobs, and one repo for 100 of them. Every fifth \
         repo is frozen, every tenth job is a developer's. Before anything is timed, all \
         contestants have given the same answer.\n\n\
         - *Native* is the rule as a function of the process.\n\
         - *Component* is all of `Policy::decide`: a fresh instance with limits, the rows into its \
         memory, the answer out of it.\n\
         - *Component, kept* reuses one instance, without limits. The library never does this.",
    )?;
    if cfg!(feature = "engines") {
        report.paragraph(
            "Then in turns with other engines. Each finds the processor's caches as the others \
             left them, so the times are longer than above.\n\n\
             - *regorus* runs the rule in Rego, compiled in advance, by its virtual machine and by \
             its interpreter. Converting the rows into its values is in the time.\n\
             - *Cedar* has the rule as three policies, parsed in advance. It answers one request \
             at a time and reads no lists. So the bench finds the first unfinished task and the \
             newest freeze of each repo for it, and each job is a request.",
        )?;
    }
    for jobs in sizes {
        eprintln!("{jobs} jobs");
        report.paragraph(&format!("### {jobs} jobs"))?;
        decide(&mut report, *jobs, &policy, &compiled, rounds, patience)?;
    }
    eprintln!("the other calls");
    life::report(&mut report, &policy, &compiled, rounds, patience)?;
    report.write()
}

/// All contestants over a queue with this many jobs.
fn decide(
    report: &mut Report,
    jobs: i64,
    policy: &Policy,
    compiled: &Compiled,
    rounds: usize,
    patience: Duration,
) -> io::Result<()> {
    let rows = Rows::new(jobs);
    let settings = default_settings();
    let snapshot = snapshot(&rows);
    let now = Timestamp::now();

    let native = Native::new(&snapshot);
    let mut kept = compiled.keep(&settings, &snapshot);
    let expected = outcomes(&native.decisions());
    let held = |outcome: &&Outcome| outcome.earlier_task.is_some() || outcome.freeze.is_some();
    assert!(expected.iter().any(|outcome| !held(&outcome)));
    assert!(expected.iter().filter(held).count() > expected.len() / 2);
    let answer = policy.decide(&settings, now, &snapshot).unwrap();
    assert_eq!(outcomes(&answer), expected);
    assert_eq!(outcomes(&kept::decisions(&kept.decide())), expected);

    let ours = || {
        let mut contest = Contest::new();
        contest.enter(NATIVE, || timed(|| native.decide()));
        contest.enter(COMPONENT, || {
            timed(|| policy.decide(&settings, now, &snapshot))
        });
        contest
    };
    let mut contest = ours();
    contest.enter("component, kept", || timed(|| kept.decide()));
    report.contest(&contest.run(rounds, patience), NATIVE)?;
    #[cfg(feature = "engines")]
    {
        let mut contest = ours();
        enter_engines(&mut contest, &rows, &expected);
        report.contest(&contest.run(rounds, patience), COMPONENT)?;
    }
    Ok(())
}

const NATIVE: &str = "native";
const COMPONENT: &str = "component";

#[cfg(feature = "engines")]
fn enter_engines<'a>(contest: &mut Contest<'a>, rows: &'a Rows, expected: &[Outcome]) {
    let mut machine = rego::Machine::new();
    assert_eq!(rego::outcomes(&machine.decide(rows)), expected);
    contest.enter("regorus", move || timed(|| machine.decide(rows)));
    let mut interpreter = rego::Interpreter::new();
    assert_eq!(rego::outcomes(&interpreter.decide(rows)), expected);
    contest.enter("regorus, interpreter", move || {
        timed(|| interpreter.decide(rows))
    });
    let cedar = cedar::Cedar::new();
    assert_eq!(cedar.decide(rows), expected);
    contest.enter("cedar", move || timed(|| cedar.decide(rows)));
}

/// The rows as the library reads them out of a database.
fn snapshot(rows: &Rows) -> model::Snapshot {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.db");
    rows.write(&path);
    let rule = Rule::Active(Overrides::default());
    let mut queue = Queue::open(&path, rule, Options::default()).unwrap();
    let reach = queue.footprint(Timestamp::now()).unwrap();
    queue.store().snapshot(&reach, None).unwrap()
}

/// A policy's answer in the form that all are compared in.
fn outcomes(answer: &[model::Decision]) -> Vec<Outcome> {
    let outcome = |decision: &model::Decision| {
        let (earlier_task, freeze) = match &decision.verdict {
            Verdict::Claim => (None, None),
            Verdict::Hold(hold) => (hold.earlier_task, hold.freeze),
        };
        Outcome {
            job: decision.job,
            earlier_task,
            freeze,
        }
    };
    answer.iter().map(outcome).collect()
}
