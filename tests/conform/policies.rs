//! The policies of this workspace other than the default one, through the real host.
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use serial_gate::clause::Footprint;
use serial_gate::conform::{Candidate, Runner, Through, check_policy};
use serial_gate::gate::{Rule, Source, default_settings};
use serial_gate::model::{Dialect, Settings};
use serial_gate::policy::{Allowance, DEFAULT_POLICY, Policy, Runtime};
use serial_gate::queue::{Options, Queue, Standing};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::cases;
use crate::support::Gate;
use crate::support::components::{built, component};
use crate::support::random_states::{agree, for_random_states_of, settings};

fn policy(component: &[u8]) -> Policy {
    let runtime = Runtime::new().unwrap();
    runtime.load(component, Allowance::default()).unwrap()
}

/// The settings with parameters of the policy's own.
fn with(mut settings: Settings, own: Value) -> Settings {
    let rules = settings.rules.as_deref().unwrap_or("{}");
    let mut rules: Map<String, Value> = serde_json::from_str(rules).unwrap();
    rules.extend(own.as_object().unwrap().clone());
    settings.rules = Some(Value::from(rules).to_string());
    settings
}

fn settings_with(own: impl Strategy<Value = Value>) -> impl Strategy<Value = Settings> {
    (settings(), own).prop_map(|(settings, own)| with(settings, own))
}

/// That decide and clause agree at a moment, and that the clause is the policy's and no fallback.
fn agree_at(queue: &mut Queue, seconds: i64) -> Result<(), TestCaseError> {
    let now = Timestamp::from_second(seconds).unwrap();
    let clause = queue.clause(now).unwrap();
    let of_policy = matches!(clause.source, Source::Policy | Source::Off);
    prop_assert!(of_policy, "{:?}", clause.notes);
    agree(queue, now)
}

fn given(name: &str) -> Rule {
    Rule::Given {
        component: component(name).to_vec(),
        settings: default_settings(),
        allowance: Allowance::default(),
    }
}

#[test]
fn they_import_nothing() {
    let engine = Engine::default();
    for built in built() {
        let component = Component::new(&engine, &built.component).unwrap();
        let imports = component.component_type().imports(&engine).count();
        assert_eq!(imports, 0, "{}", built.name);
    }
}

/// A Saturday: the window is open, and the jobs that it holds have to pass when it is not.
const SATURDAY: Timestamp = Timestamp::constant(981_173_106, 0);

#[test]
fn they_pass_every_stage_of_the_check() {
    let runtime = Runtime::new().unwrap();
    for built in built() {
        let settings = Settings {
            rules: built.rules.map(Into::into),
            ..default_settings()
        };
        let candidate = Candidate {
            component: &built.component,
            signature: None,
            trust: None,
            settings: &settings,
            allowance: Allowance::default(),
            fixtures: &[],
        };
        for stage in check_policy(candidate, &runtime, SATURDAY).unwrap() {
            assert!(stage.found.is_ok(), "{}: {stage:?}", built.name);
        }
    }
}

#[test]
fn they_say_who_they_are() {
    for built in built() {
        let description = policy(&built.component).describe().unwrap();
        assert_eq!(description.name, built.name);
    }
}

#[test]
fn wip_limit_agrees_with_its_clause() {
    let limit = prop_oneof![4 => 1..4, 1 => Just(1000)];
    let settings = settings_with(limit.prop_map(|limit| json!({ "limit": limit })));
    for_random_states_of(given("wip-limit"), settings, 2_000, |queue, _, settings| {
        queue.set_settings(settings.clone());
        agree_at(queue, 0)
    });
}

#[test]
fn wip_limit_with_a_limit_of_one_decides_the_reference_s_cases() {
    let wip_limit = policy(component("wip-limit"));
    let decide = move |queue: &mut Queue, now| {
        let all = Footprint::of_every_clause();
        let state = queue.store().snapshot(&all, None)?;
        let settings = with(queue.settings().clone(), json!({ "limit": 1 }));
        Ok(wip_limit.decide(&settings, now, &state)?)
    };
    let mut runner = Runner::new(
        DEFAULT_POLICY,
        Allowance::default(),
        Runtime::new().unwrap(),
    )
    .unwrap();
    for case in cases() {
        let differences = runner.run(&case, Through::Decisions(&decide)).unwrap();
        assert!(differences.is_empty(), "{}: {differences:#?}", case.name);
    }
}

#[test]
fn wip_limit_with_a_limit_of_one_has_the_default_s_clause() {
    let (default, wip_limit) = (policy(DEFAULT_POLICY), policy(component("wip-limit")));
    let text = |policy: &Policy, settings: &Settings| {
        let answer = policy.claim_clause(settings, Timestamp::UNIX_EPOCH, Dialect::Sqlite);
        answer.unwrap().text
    };
    proptest!(|(settings in settings())| {
        let limited = with(settings.clone(), json!({ "limit": 1 }));
        prop_assert_eq!(text(&wip_limit, &limited), text(&default, &settings));
    });
}

#[test]
fn wip_limit_explains_which_tasks_have_to_be_finished_and_no_more() {
    let gate = Gate::new();
    let rows = "INSERT INTO tasks (id, repo, stage) VALUES (1, 'a', 'review'), (2, 'a', 'review'), (3, 'a', 'review');
        INSERT INTO jobs (id, task_id, repo, agent, status) VALUES (7, 4, 'a', 'analyst', 'queued');";
    gate.program().run(rows);
    let mut queue = Queue::open(gate.place(), given("wip-limit"), Options::default()).unwrap();
    let explanation = queue.explain(SATURDAY, 7).unwrap();
    let Standing::Held(held) = explanation.standing else {
        panic!("{explanation:?}");
    };
    let tasks: Vec<i64> = held.tasks.iter().map(|task| task.id).collect();
    assert_eq!((tasks, held.stuck), (vec![1, 2], false));
}

/// Times of the week that meet each other, and windows between them.
fn windows() -> impl Strategy<Value = Value> {
    let times = [
        "mon 00:00",
        "mon 08:00",
        "wed 12:30",
        "fri 16:00",
        "sun 02:30",
        "sun 23:59",
    ];
    let time = || prop::sample::select(times.to_vec());
    let repos = prop::sample::select(vec![None, Some(vec!["a"]), Some(vec!["A", "b", "o'b"])]);
    let window = (repos, time(), time()).prop_filter_map("no length", |(repos, from, until)| {
        (from != until).then(|| json!({ "repos": repos, "from": from, "until": until }))
    });
    let clocks = prop::sample::select(vec![
        ("utc_offset", "+00:00"),
        ("utc_offset", "-03:30"),
        ("utc_offset", "+14:00"),
        ("time_zone", "Europe/Berlin"),
        ("time_zone", "Australia/Lord_Howe"),
    ]);
    (prop::collection::vec(window, 1..4), clocks)
        .prop_map(|(windows, (key, clocks))| json!({ "windows": windows, key: clocks }))
}

#[test]
fn freeze_window_agrees_with_its_clause_until_the_clause_is_no_longer_valid() {
    const WEEK: i64 = 7 * 24 * 3600;
    // Berlin's clocks are put forward and back at the last two.
    let start = prop::sample::select(vec![0_i64, 1_774_746_000, 1_792_890_000]);
    let now = (start, -WEEK..2 * WEEK).prop_map(|(start, seconds)| start + seconds);
    let inputs = (settings_with(windows()), now);
    for_random_states_of(given("freeze-window"), inputs, 1_000, |queue, _, input| {
        let (settings, now) = input;
        queue.set_settings(settings.clone());
        agree_at(queue, *now)?;
        let valid_until = queue
            .clause(Timestamp::from_second(*now).unwrap())
            .unwrap()
            .valid_until;
        let Some(until) = valid_until else {
            prop_assert!(!settings.enabled);
            return Ok(());
        };
        prop_assert!(*now < until && until <= now + WEEK);
        // The last second of the old clause, and the first of the new one.
        agree_at(queue, until - 1)?;
        agree_at(queue, until)
    });
}

#[test]
fn hotfix_lane_agrees_with_its_clause() {
    let label = prop::sample::select(vec!["hotfix", "urgent", "it's"]);
    let settings = settings_with(label.prop_map(|label| json!({ "label": label })));
    for_random_states_of(
        given("hotfix-lane"),
        settings,
        3_000,
        |queue, _, settings| {
            queue.set_settings(settings.clone());
            agree_at(queue, 0)
        },
    );
}
