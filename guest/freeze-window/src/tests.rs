//! The rule and its parameters, run natively. That the clause agrees is tested on databases.

#![allow(clippy::unwrap_used, reason = "tests")]

use alloc::string::ToString;

use serial_gate_default_policy::rule::parse;
use serial_gate_default_policy::snapshot::{Freeze, Job, Symbol, Task, TaskRef, Verdict};

use super::*;
use crate::week::WeekTime;

mod time_zones;

/// Monday, 2001-01-29 00:00:00 UTC.
const MONDAY: Timestamp = 980_726_400;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

const WEEKEND: &str = r#"{
    "windows":[{"repos":["alpha"],"from":"fri 16:00","until":"mon 08:00"}],
    "utc_offset":"+01:00"
}"#;

fn settings(rules: &str) -> Result<Settings<FreezeWindow>, String> {
    parse(true, "", true, Some(rules))
}

/// What holds the only job, of task 2 in `alpha`, at a moment.
fn verdict(rules: &str, now: Timestamp, first_stage: &str, frozen: bool) -> Verdict {
    let symbols = ["alpha", "analyst", "queued", first_stage];
    let [alpha, analyst, queued, stage] = [1, 2, 3, 4].map(Symbol::new);
    let task = Task {
        id: 1,
        repo: alpha,
        stage,
        label: None,
    };
    let job = Job {
        id: 1,
        task_id: Some(TaskRef::Id(2)),
        repo: alpha,
        agent: analyst,
        status: queued,
    };
    let freeze = Freeze {
        id: 5,
        repo: alpha,
        cleared_at: if frozen { None } else { queued },
    };
    let snapshot = Snapshot {
        symbols: symbols.into_iter().collect(),
        tasks: [task].into_iter().collect(),
        jobs: [job].into_iter().collect(),
        freezes: [freeze].into_iter().collect(),
    };
    let decisions: Vec<Decision> =
        FreezeWindow::decide(&settings(rules).unwrap(), now, &snapshot).unwrap();
    decisions.into_iter().next().unwrap().verdict
}

fn closed(rule: &str) -> Verdict {
    Verdict::Hold(Hold {
        rule: Some(rule.into()),
        ..Hold::default()
    })
}

#[test]
fn a_window_is_open_from_its_first_second_to_before_its_last_by_the_clocks_there() {
    // 16:00 at +01:00 is 15:00 UTC.
    let (opens, closes) = (MONDAY + 4 * DAY + 15 * HOUR, MONDAY + 7 * DAY + 7 * HOUR);
    let hold = closed("closed from fri 16:00 until mon 08:00 (utc+01:00)");
    for (now, expected) in [
        (opens - 1, Verdict::Claim),
        (opens, hold.clone()),
        (MONDAY + 7 * DAY, hold.clone()),
        (closes - 1, hold),
        (closes, Verdict::Claim),
    ] {
        assert_eq!(verdict(WEEKEND, now, "done", false), expected, "{now}");
    }
}

#[test]
fn a_window_is_named_beside_the_earlier_task_and_the_freeze() {
    assert_eq!(
        verdict(WEEKEND, MONDAY, "review", true),
        Verdict::Hold(Hold {
            earlier_task: Some(1),
            freeze: Some(5),
            rule: Some("closed from fri 16:00 until mon 08:00 (utc+01:00)".into()),
        })
    );
}

#[test]
fn every_open_window_of_the_repo_is_named_and_no_other() {
    let rules = r#"{"windows":[{"from":"mon 00:00","until":"mon 02:00"},
        {"repos":["beta"],"from":"mon 00:00","until":"mon 02:00"},
        {"from":"sun 23:00","until":"mon 00:30"},{"from":"mon 01:00","until":"mon 02:00"}]}"#;
    let hold = closed(
        "closed from mon 00:00 until mon 02:00 and from sun 23:00 until mon 00:30 (utc+00:00)",
    );
    assert_eq!(verdict(rules, MONDAY, "done", false), hold);
}

#[test]
fn the_clause_holds_the_repos_of_the_windows_that_are_open() {
    let rules = r#"{"windows":[{"repos":["a","o'b"],"from":"mon 00:00","until":"mon 02:00"},
        {"repos":["c"],"from":"mon 01:00","until":"mon 03:00"},
        {"from":"mon 04:00","until":"mon 05:00"}]}"#;
    let settings = parse(true, "", false, Some(rules)).unwrap();
    let reason_at = |hour| {
        let clause = FreezeWindow::claim_clause(&settings, MONDAY + hour * HOUR);
        let (_, reasons) = clause.split_once("t2.stage != 'done')").unwrap();
        reasons.to_string()
    };
    let in_list = |names| format!(" OR (jobs.repo IS NOT NULL AND jobs.repo IN ({names})) ) ) ");
    assert_eq!(reason_at(0), in_list("'a', 'o''b'"));
    assert_eq!(reason_at(1), in_list("'a', 'o''b', 'c'"));
    assert_eq!(reason_at(3), " ) ) ");
    assert_eq!(reason_at(4), " OR jobs.repo IS NOT NULL ) ) ");
}

#[test]
fn the_clause_is_valid_until_the_next_window_opens_or_closes() {
    let settings = settings(WEEKEND).unwrap();
    let (closes, opens) = (MONDAY + 7 * HOUR, MONDAY + 4 * DAY + 15 * HOUR);
    for (now, until) in [
        (MONDAY, closes),
        (closes - 1, closes),
        (closes, opens),
        (opens, closes + 7 * DAY),
    ] {
        assert_eq!(FreezeWindow::valid_until(&settings, now), Some(until));
    }
}

#[test]
fn the_ends_of_time_have_an_answer() {
    let settings = settings(WEEKEND).unwrap();
    assert!(FreezeWindow::valid_until(&settings, i64::MIN).is_some());
    assert_eq!(FreezeWindow::valid_until(&settings, i64::MAX), None);
}

#[test]
fn the_kill_switch_opens_the_windows() {
    let settings = parse(false, "", true, Some(WEEKEND)).unwrap();
    assert_eq!(FreezeWindow::claim_clause(&settings, MONDAY), "");
}

#[test]
fn rules_that_cannot_be_meant_are_refused_with_the_reason() {
    let windows_missing =
        r#"`windows` is empty: write one, such as {"from":"fri 16:00","until":"mon 08:00"}"#;
    for (json, reason) in [
        ("{}", windows_missing),
        (r#"{"windows":[]}"#, windows_missing),
        (
            r#"{"windows":[{"from":"fri 16:00","until":"fri 16:00"}]}"#,
            "a window is open from fri 16:00 until fri 16:00, which has no length: write another \
             `until`, or freeze the repo to close it at all times",
        ),
        (
            r#"{"windows":[{"repos":[],"from":"fri 16:00","until":"fri 17:00"}]}"#,
            "`repos` is empty: leave it out to mean every repo",
        ),
        (
            r#"{"windows":[{"repos":["é"],"from":"fri 16:00","until":"fri 17:00"}]}"#,
            "`é` in `repos` is not printable ASCII: a clause cannot hold it",
        ),
        (
            r#"{"windows":[{"from":"fri 16:00"}]}"#,
            "missing field `until` at line 1 column 32",
        ),
        (
            r#"{"windows":[{"repo":"a"}]}"#,
            "unknown field `repo`, expected one of `repos`, `from`, `until` at line 1 column 19",
        ),
        (
            r#"{"windows":[{"from":"fri 16:00","until":"fri 17:00"}],
                "utc_offset":"+00:00","time_zone":"UTC"}"#,
            "`utc_offset` and `time_zone` are both given: leave one out",
        ),
        (
            r#"{"time_zone":"Europe/Berlim"}"#,
            "`Europe/Berlim` is not a time zone of the IANA database: the nearest name is \
             `Europe/Berlin` at line 1 column 29",
        ),
        (
            r#"{"window":[]}"#,
            "unknown field `window`, expected one of `gated_agents`, `finished_stages`, `repos`, \
             `windows`, `utc_offset`, `time_zone` at line 1 column 9",
        ),
    ] {
        assert_eq!(settings(json), Err(reason.into()));
    }
}

#[test]
fn a_time_is_a_lower_case_day_and_two_digits_each() {
    for text in [
        "Fri 16:00",
        "fri 24:00",
        "fri 16:60",
        "fri 6:00",
        "fri  16:00",
        "fri +6:00",
        "16:00",
        "fri",
        "",
    ] {
        let error = WeekTime::try_from(String::from(text)).unwrap_err();
        assert_eq!(
            error,
            format!(
                "`{text}` is not a time of the week: write a day and a time, such as `fri 16:00`"
            )
        );
    }
    for text in ["mon 00:00", "fri 16:05", "sun 23:59"] {
        assert_eq!(
            WeekTime::try_from(String::from(text)).unwrap().to_string(),
            text
        );
    }
}

#[test]
fn a_distance_from_utc_has_a_sign_and_an_end() {
    for text in ["01:00", "+14:01", "+1:00", "+00:60", "-+1:00", "utc", ""] {
        let error = UtcOffset::try_from(String::from(text)).unwrap_err();
        assert!(error.starts_with(&format!("`{text}` is not an offset from UTC: write ")));
    }
    for text in ["+00:00", "-03:30", "+14:00"] {
        assert_eq!(
            UtcOffset::try_from(String::from(text)).unwrap().to_string(),
            text
        );
    }
}
