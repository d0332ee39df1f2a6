//! What a policy costs apart from its decisions: clause, instance, loading, swap.

use std::io;
use std::time::Duration;

use jiff::Timestamp;
use serial_gate::gate::{Overrides, Rule, default_settings};
use serial_gate::model::{Dialect, Settings};
use serial_gate::policy::{Allowance, DEFAULT_POLICY, Policy, Runtime};
use serial_gate::queue::{Options, Queue};
use serial_gate::rollout::{Place, Proposal, swap};
use serial_gate::store::{Actor, Generation, GenerationState};
use serial_gate_bench::{Contest, Report, duration, timed};

use crate::kept::Compiled;
use crate::rows::Rows;

/// The repos of the queue in which policies are swapped, of 100 jobs each.
const REPOS: i64 = 10;

pub fn report(
    report: &mut Report,
    policy: &Policy,
    compiled: &Compiled,
    rounds: usize,
    patience: Duration,
) -> io::Result<()> {
    let settings = default_settings();
    let now = Timestamp::now();
    let folder = tempfile::tempdir()?;
    let mut queue = queue(&folder.path().join("swap.db"));
    let mut swaps = 0;

    let mut contest = Contest::new();
    contest.enter("an instance without a pool", || {
        timed(|| compiled.instantiate())
    });
    contest.enter("`describe`", || timed(|| policy.describe()));
    contest.enter("`claim-clause`", || {
        timed(|| policy.claim_clause(&settings, now, Dialect::Sqlite))
    });
    contest.enter("load from the cache", || {
        timed(|| {
            let runtime = Runtime::new().unwrap();
            runtime.load(DEFAULT_POLICY, Allowance::default()).unwrap()
        })
    });
    contest.enter("compile", || timed(Compiled::new));
    contest.enter("swap", || {
        swaps += 1;
        let base = queue
            .store()
            .generation_in(GenerationState::Active)
            .unwrap();
        let proposal = proposal(swaps, base);
        let actor = Actor {
            now: Timestamp::now(),
            who: "bench",
            why: "to measure",
        };
        timed(|| {
            let swapped = swap(&mut queue, &proposal, Place::Active, actor).unwrap();
            assert!(swapped.is_accepted(), "{:?}", swapped.stages);
        })
    });
    let rows: Vec<Vec<String>> = contest
        .run(rounds, patience)
        .into_iter()
        .map(|times| {
            let (p50, p99) = (duration(times.p50()), duration(times.p99()));
            vec![times.name.clone(), p50, p99, times.count().to_string()]
        })
        .collect();
    report.paragraph("## The rest of its life")?;
    report.paragraph(&format!(
        "*`describe`* and *`claim-clause`* are one call each, with a fresh instance and its \
         limits. *An instance without a pool* is wasmtime's default, without limits. *Load from \
         the cache* is what a command that asks the policy pays first: it starts the engine, \
         digests the component, and reads the compiled code from the disk. *Compile* is what the \
         first use on a machine pays instead. *Swap* is `rollout::swap` of new settings in a queue \
         of {} jobs in {REPOS} repos: everything that `policy check` does, and the transaction.",
        REPOS * 100,
    ))?;
    report.table(&["", "p50", "p99", "runs"], &rows)
}

fn queue(path: &std::path::Path) -> Queue {
    Rows::new(REPOS * 100).write(path);
    Queue::open(path, Rule::Active(Overrides::default()), Options::default()).unwrap()
}

/// Other settings each time: the same again would be refused.
fn proposal(number: u32, base: Option<Generation>) -> Proposal {
    Proposal {
        component: DEFAULT_POLICY.to_vec(),
        signature: None,
        settings: Settings {
            rules: Some(format!(
                r#"{{"gated_agents":["analyst","planner-{number}"]}}"#
            )),
            ..default_settings()
        },
        allowance: Allowance::default(),
        base,
    }
}
