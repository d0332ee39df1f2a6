//! Swaps under load: hosts that claim while the rule changes under them, and swaps that are killed.
//!
//! What is measured is printed and never asserted: `cargo test --release -- swaps_under_load
//! --nocapture` with `SERIAL_GATE_SWAPS=10000` is the long run.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serial_gate::gate::{Overrides, Rule, default_settings};
use serial_gate::model::{Settings, Verdict};
use serial_gate::policy::{Allowance, DEFAULT_POLICY, Runtime};
use serial_gate::queue::{Options, Queue};
use serial_gate::rollout::{self, Place, Proposal};
use serial_gate::store::{Actor, DONE, GenerationState, Seen};

use crate::support::Gate;
use crate::support::engine::{Does, Program};

const HOSTS: usize = 4;
const LEASE: Duration = Duration::from_secs(3600);

fn actor() -> Actor<'static> {
    Actor {
        now: Timestamp::now(),
        who: "tests",
        why: "a test",
    }
}

fn open(gate: &Gate, runtime: Option<Runtime>) -> Queue {
    let options = Options {
        runtime: runtime.unwrap_or_default(),
        ..Options::default()
    };
    Queue::open(gate.place(), Rule::Active(Overrides::default()), options).unwrap()
}

/// Which agent a generation gates.
fn gating(agent: &str) -> Settings {
    Settings {
        rules: Some(format!(r#"{{"gated_agents":["{agent}"]}}"#)),
        ..default_settings()
    }
}

/// The default policy with one more custom section: the same rule under another digest.
fn other_component() -> Vec<u8> {
    [DEFAULT_POLICY, &[0, 4, 1, b'x', b'y', b'z']].concat()
}

/// A frozen repo with jobs for two agents, and a generation for each of them: what one lets
/// through, the other holds. Returns the generations with the agent that each lets through.
fn opposites(gate: &Gate, runtime: &Runtime) -> BTreeMap<i64, &'static str> {
    let mut queue = open(gate, Some(runtime.clone()));
    let swap = |queue: &mut Queue, component: &[u8], gated| {
        let proposal = Proposal {
            component: component.to_vec(),
            signature: None,
            settings: gating(gated),
            allowance: Allowance::default(),
            base: queue
                .store()
                .generation_in(GenerationState::Active)
                .unwrap(),
        };
        let swapped = rollout::swap(queue, &proposal, Place::Active, actor()).unwrap();
        assert!(swapped.is_accepted(), "{:?}", swapped.stages);
        swapped.generation
    };
    let first = swap(&mut queue, DEFAULT_POLICY, "left");
    let second = swap(&mut queue, &other_component(), "right");
    gate.program().run(
        "INSERT INTO repo_freeze (repo) VALUES ('alpha');
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
             INSERT INTO jobs (repo, agent)
             SELECT 'alpha', CASE i % 2 WHEN 0 THEN 'left' ELSE 'right' END FROM n;",
    );
    BTreeMap::from([(first, "right"), (second, "left")])
}

/// Claims and decides until it is told to stop, and looks at every answer. Returns what each claim
/// took.
fn claim_and_decide(
    gate: &Gate,
    runtime: &Runtime,
    lets_through: &BTreeMap<i64, &str>,
    stop: &AtomicBool,
) -> Vec<Duration> {
    let mut host = open(gate, Some(runtime.clone()));
    let agents: BTreeMap<i64, String> = {
        let rows = gate
            .program()
            .rows("SELECT id, agent FROM jobs")
            .into_iter();
        rows.map(|row| {
            (
                row[0].as_ref().unwrap().parse().unwrap(),
                row[1].clone().unwrap(),
            )
        })
        .collect()
    };
    let mut took = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let claimed = host.claim(Timestamp::now(), "w", LEASE).unwrap();
        took.push(begun.elapsed());
        if let Some(job) = claimed {
            let generation = job.generation.unwrap();
            assert_eq!(job.agent.as_deref(), Some(lets_through[&generation]));
            let back = Actor {
                now: Timestamp::now(),
                who: "w",
                why: "for the next claim",
            };
            let finished = host.finished_stages().unwrap();
            host.store_mut()
                .requeue(back, job.id, None, &finished)
                .unwrap();
        }
        for decision in host.decide(Timestamp::now(), None).unwrap() {
            let lets_through = lets_through[&host.generation().unwrap()];
            assert_eq!(
                decision.verdict == Verdict::Claim,
                agents[&decision.job] == lets_through
            );
        }
    }
    took
}

/// The resident memory of this process in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.unwrap().split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}

fn percentile(sorted: &[Duration], per_mille: usize) -> Duration {
    sorted[(sorted.len() - 1) * per_mille / 1000]
}

/// Runs the hosts while `swap` is called `swaps` times.
fn under_load(
    gate: &Gate,
    runtime: &Runtime,
    lets_through: &BTreeMap<i64, &str>,
    mut during: impl FnMut(),
) -> Vec<Duration> {
    let stop = AtomicBool::new(false);
    let mut took = thread::scope(|scope| {
        let hosts = [(); HOSTS]
            .map(|()| scope.spawn(|| claim_and_decide(gate, runtime, lets_through, &stop)));
        during();
        stop.store(true, Ordering::Relaxed);
        hosts.map(|host| host.join().unwrap()).concat()
    });
    took.sort_unstable();
    took
}

#[test]
fn swaps_under_load_leave_no_answer_of_two_generations() {
    let swaps: usize =
        std::env::var("SERIAL_GATE_SWAPS").map_or(200, |swaps| swaps.parse().unwrap());
    let between = std::env::var("SERIAL_GATE_SWAP_EVERY_MS").map_or(1, |ms| ms.parse().unwrap());
    let between = Duration::from_millis(between);
    let gate = Gate::new();
    let runtime = Runtime::new().unwrap();
    let lets_through = opposites(&gate, &runtime);
    let generations: Vec<i64> = lets_through.keys().copied().collect();
    let mut operator = open(&gate, Some(runtime.clone()));
    let slowest = std::cell::Cell::new((Duration::ZERO, Duration::ZERO));
    let mut swap = |number: usize| {
        let to = generations[number % 2];
        let begun = Instant::now();
        let [to, active] =
            [to, generations[(number + 1) % 2]].map(|id| operator.store().generation(id).unwrap());
        let seen = Seen {
            generation: &to,
            active: Some(&active),
        };
        operator
            .store_mut()
            .put(GenerationState::Active, seen, actor())
            .unwrap();
        let (longest, sum) = slowest.get();
        slowest.set((longest.max(begun.elapsed()), sum + begun.elapsed()));
    };
    // Both are loaded once before memory is looked at.
    under_load(&gate, &runtime, &lets_through, || {
        for number in 0..20 {
            swap(number);
            thread::sleep(Duration::from_millis(5));
        }
    });
    let (mut calm, mut swapped, before) = (Vec::new(), Vec::new(), resident());
    // In turns, so that whatever else the machine does meets both.
    for turn in 0..10 {
        let mut lasted = Duration::ZERO;
        swapped.extend(under_load(&gate, &runtime, &lets_through, || {
            let begun = Instant::now();
            for number in turn * swaps / 10..(turn + 1) * swaps / 10 {
                swap(number);
                thread::sleep(between);
            }
            lasted = begun.elapsed();
        }));
        calm.extend(under_load(&gate, &runtime, &lets_through, || {
            thread::sleep(lasted);
        }));
    }
    let after = resident();
    calm.sort_unstable();
    swapped.sort_unstable();
    let (longest, sum) = slowest.get();
    let mean = sum / u32::try_from(swaps + 20).unwrap();
    println!("{swaps} swaps of {mean:?}, at most {longest:?}, {HOSTS} hosts in one process");
    for (name, took) in [("without swaps", &calm), ("with swaps", &swapped)] {
        println!(
            "{name}: {} claims, p50 {:?}, p99 {:?}, p99.9 {:?}, longest {:?}",
            took.len(),
            percentile(took, 500),
            percentile(took, 990),
            percentile(took, 999),
            percentile(took, 1000)
        );
    }
    println!("resident memory before {before} KiB, after {after} KiB");
    let begun = Instant::now();
    for _ in 0..10_000 {
        operator.clause(Timestamp::now()).unwrap();
    }
    println!(
        "a look for another generation: {:?}",
        begun.elapsed() / 10_000
    );
    let generations = operator.store().generations().unwrap();
    let active = generations
        .iter()
        .filter(|generation| generation.state == GenerationState::Active);
    assert_eq!(active.count(), 1);
}

#[test]
fn another_process_follows_a_swap_while_it_waits() {
    let gate = Gate::new();
    for _ in 0..2 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    gate.run(&["claim"]).succeeds();
    let waiting = gate.spawn(&["claim", "--wait", "60", "--json"]);
    thread::sleep(Duration::from_millis(300));
    gate.run(&["policy", "settings", "--enabled", "false", "--reason", "r"])
        .succeeds();
    let swapped = Instant::now();
    let output = waiting.wait_with_output().unwrap();
    println!(
        "followed {:?} after the swap's process had ended",
        swapped.elapsed()
    );
    let claimed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(claimed["generation"], 2);
}

/// Statements of a swap at which a trigger can stop it, with the condition.
const STEPS: [(&str, &str); 7] = [
    ("INSERT ON serial_gate_policy", "TRUE"),
    ("INSERT ON serial_gate_generation", "TRUE"),
    (
        "INSERT ON serial_gate_generation_event",
        "new.state = 'candidate'",
    ),
    ("UPDATE ON serial_gate_generation", "new.state = 'retired'"),
    (
        "INSERT ON serial_gate_generation_event",
        "new.state = 'retired'",
    ),
    ("UPDATE ON serial_gate_generation", "new.state = 'active'"),
    (
        "INSERT ON serial_gate_generation_event",
        "new.state = 'active'",
    ),
];

#[test]
fn a_swap_that_is_killed_at_any_step_leaves_the_old_generation_whole() {
    for (statement, condition) in STEPS {
        let gate = Gate::new();
        gate.write("other.wasm", other_component());
        // The step takes for ever, inside the swap's own transaction.
        let program = gate.program();
        program.run("CREATE TABLE reached (step INTEGER)");
        program.trigger(
            "step",
            &format!("AFTER {statement}"),
            Some(condition),
            &Does::Run(
                "INSERT INTO reached SELECT max(i) FROM (
                    WITH RECURSIVE n(i) AS (
                        SELECT 1 UNION ALL SELECT (i + 1) % 1000 FROM n WHERE i < 1000)
                    SELECT i FROM n) AS endless",
            ),
        );
        let mut swap = gate.spawn(&["policy", "swap", "other.wasm", "--reason", "r"]);
        let holds_the_lock = || gate.program().is_changed_by_another();
        // The lock is held for long only by the step that does not end.
        while !(holds_the_lock() && {
            thread::sleep(Duration::from_millis(100));
            holds_the_lock()
        }) {
            assert_eq!(swap.try_wait().unwrap(), None, "{statement} {condition}");
            thread::sleep(Duration::from_millis(5));
        }
        swap.kill().unwrap();
        assert_eq!(swap.wait().unwrap().signal(), Some(9));
        program.stop_others();
        program.drop_trigger("step");
        goes_on(&gate, 1);
    }
}

#[test]
fn a_swap_that_is_killed_at_any_moment_leaves_one_generation_whole() {
    let gate = Gate::new();
    let (mut killed, mut before) = (0, 2);
    let begun = Instant::now();
    gate.run(&[
        "policy", "settings", "--repos", "r", "--new", "--reason", "r",
    ])
    .succeeds();
    let whole = begun.elapsed();
    for round in 0..20 {
        let repos = format!("r{round}");
        let arguments = [
            "policy", "settings", "--repos", &repos, "--new", "--reason", "r",
        ];
        let mut swap = gate.spawn(&arguments);
        // From before its first write to after its last.
        thread::sleep(whole * round / 18);
        swap.kill().unwrap();
        killed += usize::from(swap.wait().unwrap().signal() == Some(9));
        let host = open(&gate, None);
        let active = host.generation().unwrap();
        assert!(active == before || host.settings().repos == repos);
        goes_on(&gate, active);
        before = active;
    }
    println!("{killed} of 20 swaps were killed before their end");
}

/// A generation is active, the database whole, the queue works, and a swap is possible.
fn goes_on(gate: &Gate, generation: i64) {
    let mut host = open(gate, None);
    assert_eq!(host.generation(), Some(generation));
    let program = gate.program();
    if let Program::Sqlite(_) = program {
        assert_eq!(program.one::<String>("PRAGMA integrity_check"), "ok");
    }
    gate.run(&["task", "add", "elsewhere"]).succeeds();
    let job = host.claim(Timestamp::now(), "w", LEASE).unwrap().unwrap();
    assert_eq!(job.generation, Some(generation));
    let task = job.task_id.unwrap();
    host.store_mut()
        .set_stage(Timestamp::now(), &[task], DONE)
        .unwrap();
}

#[test]
fn the_notes_of_a_policy_are_printed_wherever_it_is_proposed() {
    let gate = Gate::new().with_environment(vec![("SERIAL_GATE_REPOS", "alpha,b/b".into())]);
    let note = "note: `b/b` is not a repo name and was dropped from the scope\n";
    for verb in [
        &["check", "built-in"][..],
        &["diff", "built-in"],
        &["shadow", "built-in", "--reason", "r"],
        &["swap", "built-in", "--reason", "r"],
    ] {
        let ran = gate.run(&[&["policy"], verb].concat()).succeeds();
        assert_eq!(ran.stdout.matches(note).count(), 1, "{}", ran.stdout);
        assert_eq!(ran.stderr, "", "{verb:?}");
    }
}
