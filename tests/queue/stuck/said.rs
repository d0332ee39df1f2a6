//! What each view says of each way to be stuck.

use serde_json::Value;

use super::{WAYS, two_tasks};
use crate::support::Gate;
use crate::support::service::Service;

/// Every way in turn, with what a view says of it.
fn of_every_way(view: impl Fn(Gate) -> String) -> String {
    let said = WAYS.iter().map(|way| {
        let gate = two_tasks();
        (way.happens)(&gate);
        format!(
            "== {}\n{}\n",
            way.name,
            without_times(view(gate).trim_end())
        )
    });
    said.collect()
}

/// Times, ages and the numbers of freezes are others each time.
fn without_times(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let is_time = c.is_ascii_digit()
            && rest.len() >= 19
            && rest.is_char_boundary(19)
            && serial_gate::store::from_sql_time(&rest[..19].replacen('T', " ", 1)).is_some();
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let length = if is_time && !rest.starts_with("2001") {
            plain.push_str("TIME");
            if rest[19..].starts_with('Z') { 20 } else { 19 }
        } else if digits == 13 {
            plain.push_str("NUMBER");
            13
        } else {
            plain.push(c);
            c.len_utf8()
        };
        rest = &rest[length..];
    }
    plain
}

#[test]
fn the_queue_tells_how_the_task_in_front_is() {
    insta::assert_snapshot!(of_every_way(|gate| gate.run(&["queue"]).succeeds().stdout));
}

#[test]
fn explain_tells_the_job_behind_what_helps() {
    insta::assert_snapshot!(of_every_way(|gate| gate
        .run(&["explain", "2"])
        .exits(3)
        .stdout));
}

#[test]
fn explain_tells_the_job_itself_what_helps() {
    insta::assert_snapshot!(of_every_way(|gate| gate
        .run(&["explain", "1"])
        .succeeds()
        .stdout));
}

#[test]
fn explain_as_json_has_the_state_and_the_advice() {
    insta::assert_snapshot!(of_every_way(|gate| {
        let document = gate.run(&["explain", "2", "--json"]).exits(3).json();
        let states = |tasks: &Value| {
            let tasks = tasks.as_array().unwrap().iter();
            let states = tasks.map(|task| task["work"]["state"].to_string());
            states.collect::<Vec<_>>().join(" ")
        };
        let advice = document["advice"].as_array().unwrap().iter();
        let advice = advice.map(|advice| format!("\n{} {}", advice["remedy"], advice["command"]));
        format!(
            "{} behind {}, release {}{}",
            document["state"],
            states(&document["tasks"]),
            document["release"],
            advice.collect::<String>()
        )
    }));
}

#[test]
fn the_service_s_queue_tells_it() {
    insta::assert_snapshot!(of_every_way(|gate| {
        let service = Service::on(gate);
        let queue = service.get("/queue").is(200).json();
        let mut alpha = queue["serial_gate"]["per_repo"]["alpha"].clone();
        alpha.as_object_mut().unwrap().remove("waiting");
        serde_json::to_string_pretty(&alpha).unwrap()
    }));
}

#[test]
fn the_page_tells_it() {
    insta::assert_snapshot!(of_every_way(|gate| {
        let service = Service::on(gate);
        let page = service.get("/repo?name=alpha").is(200).text;
        let (_, alpha) = page.split_once("<h2 id=\"active\">").unwrap();
        let (alpha, _) = alpha
            .split_once("<section aria-labelledby=\"past\">")
            .unwrap();
        let lines = without_tags(alpha);
        let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(without_ages).collect::<Vec<_>>().join("\n")
    }));
}

fn without_tags(html: &str) -> String {
    let mut is_tag = false;
    let text: String = html
        .chars()
        .filter(|c| {
            let is_text = !is_tag && *c != '<';
            is_tag = (is_tag || *c == '<') && *c != '>';
            is_text
        })
        .collect();
    text.replace("&#96;", "`").replace("&#39;", "'")
}

/// What stands between `for` or `queued` and what follows an age.
fn without_ages(line: &str) -> String {
    let is_age = |word: &str| {
        let digits = word.trim_end_matches(',').trim_end_matches(['s', 'm', 'h']);
        digits.len() < word.trim_end_matches(',').len()
            && digits.chars().all(|c| c.is_ascii_digit())
            && !digits.is_empty()
    };
    let words = line
        .split(' ')
        .map(|word| if is_age(word) { "AGE" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_metrics_tell_it() {
    insta::assert_snapshot!(of_every_way(|gate| {
        let service = Service::on(gate);
        let metrics = service.get("/metrics").is(200).text;
        let names = [
            "running_jobs",
            "failed_jobs",
            "lapsed_jobs",
            "foreign_jobs",
            "put_off_jobs",
        ];
        let of_work = metrics.lines().filter(|line| {
            names
                .iter()
                .any(|name| line.starts_with(&format!("serial_gate_{name}{{")))
        });
        of_work.collect::<Vec<_>>().join("\n")
    }));
}

/// The remedies are pasted by people who are in a hurry.
#[test]
fn each_command_that_is_advised_succeeds_and_ending_the_task_in_front_comes_last() {
    for way in &WAYS {
        let of = |gate: &Gate| {
            (way.happens)(gate);
            let explained = gate.run(&["explain", "2", "--json"]).exits(3).json();
            explained["advice"].as_array().unwrap().clone()
        };
        let advice = of(&two_tasks());
        let is_skip = |advice: &Value| advice["remedy"] == "skip";
        let skip = advice.iter().position(is_skip);
        assert!(
            skip.is_none_or(|at| at > 0 && at + 1 == advice.len()),
            "{}: {advice:?}",
            way.name
        );
        for number in 0..advice.len() {
            let gate = two_tasks();
            let of_this = of(&gate).swap_remove(number);
            let Some(command) = of_this["command"].as_str().map(str::to_owned) else {
                continue;
            };
            let command = command
                .replace("TEXT", "reason")
                .replace("COMMAND", "true")
                .replace("AGENT", "developer")
                .replace("work --agent", "work --max 1 --agent");
            let ran = gate.run_in_shell(&command);
            assert_eq!(ran.code, Some(0), "{}: {command}: {}", way.name, ran.stderr);
        }
    }
}
