//! Times that other programs have written: one instant has one age, whatever its form, and what is
//! no time has none.

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::Gate;
use crate::support::engine::{Does, Engine};
use crate::support::redacted::without_numbers;
use crate::support::service::Service;

/// An instant as SQL, in the forms that SQLite and the standard tools of Python, JavaScript, Go and
/// Ruby write.
fn forms(time: Timestamp) -> Vec<String> {
    let at = |hours: i8, format: &str| {
        let zone = TimeZone::fixed(Offset::constant(hours));
        format!("'{}'", time.to_zoned_datetime(zone).strftime(format))
    };
    let (seconds, millis) = (time.as_second(), time.as_millisecond());
    vec![
        at(0, "%Y-%m-%d %H:%M:%S"),
        at(0, "%Y-%m-%d %H:%M:%S.000"),
        at(0, "%Y-%m-%d %H:%M:%S.000000"),
        at(0, "%Y-%m-%dT%H:%M:%S"),
        at(0, "%Y-%m-%dT%H:%M:%SZ"),
        at(0, "%Y-%m-%dT%H:%M:%S.000Z"),
        at(0, "%Y-%m-%dT%H:%M:%S.000000000+00:00"),
        at(2, "%Y-%m-%dT%H:%M:%S+02:00"),
        at(2, "%Y-%m-%d %H:%M:%S+0200"),
        at(2, "%Y-%m-%d %H:%M:%S+02"),
        at(-8, "%Y-%m-%dT%H:%M:%S-08:00"),
        at(-8, "%Y-%m-%d %H:%M:%S -0800 PST"),
        at(0, "%Y-%m-%d %H:%M:%S UTC"),
        at(0, "%a, %d %b %Y %H:%M:%S GMT"),
        seconds.to_string(),
        format!("{seconds}.0"),
        format!("'{seconds}'"),
        millis.to_string(),
        format!("'{millis}'"),
        time.as_microsecond().to_string(),
        time.as_nanosecond().to_string(),
    ]
}

/// A queued job and a freeze in each repo, each with a time.
fn fill(gate: &Gate, times: &[String]) {
    let rows = times.iter().enumerate().map(|(number, time)| {
        format!(
            "INSERT INTO jobs (repo, agent, status, created_at) VALUES ('repo-{number}', 'analyst', 'queued', {time});
             INSERT INTO repo_freeze (repo, frozen_at) VALUES ('repo-{number}', {time});"
        )
    });
    let rows: String = rows.collect();
    gate.program().run(&rows);
}

/// The values of a metric, by repo or not.
fn values(metrics: &str, name: &str) -> Vec<i64> {
    let lines = metrics.lines();
    let of_name = lines.filter(|line| line.starts_with(&format!("serial_gate_{name}{{")));
    of_name
        .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
        .collect()
}

/// The ages of the heads on the page.
fn ages(page: &str) -> Vec<&str> {
    let after = page.split(", queued <time ").skip(1);
    after
        .filter_map(|rest| rest.split_once(">")?.1.split_once(" ago"))
        .map(|(age, _)| age)
        .collect()
}

fn in_the_past(seconds: i64) -> Timestamp {
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    now - SignedDuration::from_secs(seconds)
}

fn one_age(seconds: i64) {
    let (gate, mut forms) = (Gate::empty(), forms(in_the_past(seconds)));
    match Engine::under_test() {
        // The column of an orchestrator keeps numbers as they are.
        Engine::Sqlite => _ = gate.program().run(
            "CREATE TABLE jobs (id INTEGER PRIMARY KEY, task_id INTEGER, repo TEXT, agent TEXT, status TEXT, created_at);
             CREATE TABLE repo_freeze (id INTEGER PRIMARY KEY, repo TEXT, cleared_at TEXT, frozen_at)",
        ),
        // Its columns have types, and the gate's own are of text.
        Engine::Postgres => forms.retain(|form| form.starts_with('\'')),
    }
    gate.run(&["init"]).succeeds();
    fill(&gate, &forms);
    let service = Service::on(gate);
    let metrics = service.get("/metrics").is(200).text;
    for name in ["head_seconds", "frozen_seconds"] {
        let mut ages = values(&metrics, name);
        assert_eq!(ages.len(), forms.len(), "{name}: {metrics}");
        ages.dedup();
        let is_right = ages.len() == 1 && ages[0] >= seconds;
        assert!(is_right, "{name} {ages:?}: {forms:?}");
    }
    let page = service.get("/").is(200).text;
    let mut ages = ages(&page);
    assert_eq!(ages.len(), forms.len());
    ages.dedup();
    assert_eq!(ages.len(), 1, "{ages:?}");
    // All are old enough for an alert, which the service writes at its first look.
    let told = || {
        let alerts = service.gate.run(&["alerts", "--json", "--limit", "100"]);
        let alerts = alerts.succeeds().json_lines();
        let why = |alert: &Value| alert["why"].as_str().unwrap().to_owned();
        alerts.iter().map(why).collect::<Vec<_>>()
    };
    while told().len() < forms.len() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let mut told = told();
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    let since = in_the_past(seconds).strftime("since %Y-%m-%d").to_string();
    let queue = service.gate.run(&["queue"]).succeeds().stdout;
    assert_eq!(queue.matches(&since).count(), forms.len(), "{queue}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_instant_in_every_form_has_one_age(hours in 30..20_000_i64) {
        // Half an hour off the hour, so that no age changes while the test runs.
        one_age(hours * 3_600 + 1_800);
    }
}

#[test]
fn what_is_no_time_has_no_age_and_the_freeze_is_there_all_the_same() {
    let gate = Gate::new();
    let odd = match Engine::under_test() {
        Engine::Sqlite => &[
            "NULL",
            "''",
            "'soon'",
            "'2061-01-01T00:00:00Z'",
            "x'32303236'",
            "0",
            "2461072.5",
        ][..],
        // A column of text keeps nothing else.
        Engine::Postgres => &[
            "NULL",
            "''",
            "'soon'",
            "'2061-01-01T00:00:00Z'",
            "'0'",
            "'2461072.5'",
        ],
    };
    fill(
        &gate,
        &odd.iter().map(|time| (*time).into()).collect::<Vec<_>>(),
    );
    // The service has not looked at this head yet.
    gate.program().trigger(
        "no_note",
        "BEFORE INSERT ON serial_gate_head",
        None,
        &Does::Ignore,
    );
    let service = Service::on(gate);
    let metrics = service.get("/metrics").is(200).text;
    assert_eq!(values(&metrics, "head_seconds"), [0; 0], "{metrics}");
    assert_eq!(values(&metrics, "frozen_seconds"), [0; 0]);
    assert_eq!(values(&metrics, "frozen"), vec![1; odd.len()]);
    let page = service.get("/").is(200).text;
    assert_eq!(ages(&page), [""; 0]);
    let queue = service.gate.run(&["queue"]).succeeds().stdout;
    let no_text = "frozen since `32303236`";
    let frozen: Vec<&str> = queue
        .lines()
        .filter(|line| line.starts_with("frozen") && !line.starts_with(no_text))
        .collect();
    insta::assert_snapshot!(without_numbers(&frozen.join("\n")), @r"
    frozen since an unknown time: - (freeze (number))
    frozen since ``, which is not a time: - (freeze (number))
    frozen since `soon`, which is not a time: - (freeze (number))
    frozen since 2061-01-01 00:00:00 UTC, which is ahead of this clock: - (freeze (number))
    frozen since `0`, which is not a time: - (freeze (number))
    frozen since `2461072.5`, which is not a time: - (freeze (number))
    ");
}

#[test]
fn a_head_without_a_time_has_an_age_once_the_service_has_seen_it() {
    let gate = Gate::new();
    let service = Service::on(gate);
    fill(&service.gate, &["NULL".into()]);
    // The harness has a time limit.
    while values(&service.get("/metrics").is(200).text, "head_seconds").is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let page = service.get("/").is(200).text;
    assert_eq!(ages(&page).len(), 1, "{page}");
}
