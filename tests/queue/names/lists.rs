//! The lists of tasks, jobs and freezes, compared with the rows.

use serde_json::{Value, json};

use crate::support::engine::Engine;
use crate::support::random::Rng;
use crate::support::service::Service;
use crate::support::{Gate, token};

/// A random queue, partly written by another program.
fn random_queue(rng: &mut Rng) -> Gate {
    let gate = Gate::new();
    let program = gate.program();
    for task in 1..=40 {
        let repo = rng.pick(&["'alpha'", "'beta'", "NULL"]);
        let stage = rng.pick(&["'analysis'", "'review'", "'done'", "NULL"]);
        let created = rng.pick(&[
            "'2026-01-01 00:00:00'",
            "'2026-01-02T00:00:00Z'",
            "'no time'",
            "NULL",
        ]);
        program.run(format!(
            "INSERT INTO tasks (id, repo, stage, work_item_id, created_at)
             VALUES ({task}, {repo}, {stage}, 'A-{}', {created})",
            task % 7
        ));
    }
    for job in 1..=80 {
        let repo = rng.pick(&["'alpha'", "'beta'", "NULL"]);
        let agent = rng.pick(&["'analyst'", "'developer'", "NULL"]);
        let status = rng.pick(&[
            "'queued', NULL",
            "'running', '2000-01-01 00:00:00'",
            "'running', '2100-01-01 00:00:00'",
            "'running', NULL",
            "'failed', NULL",
            "'done', NULL",
            "'cancelled', NULL",
            "'Closed', NULL",
            "'paused', NULL",
            "NULL, NULL",
        ]);
        let created = rng.pick(&["'2026-01-01 00:00:00'", "'2026-01-02T00:00:00Z'", "NULL"]);
        let task = 1 + rng.below(42);
        program.run(format!(
            "INSERT INTO jobs (id, task_id, repo, agent, status, gate_lease_until, created_at)
             VALUES ({job}, {task}, {repo}, {agent}, {status}, {created})"
        ));
    }
    gate
}

/// All pages of a list; before each page but the first, rows are added.
fn pages(service: &Service, list: &str, filter: &str, limit: usize, add: bool) -> Vec<i64> {
    let (mut all, mut before) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/{list}?limit={limit}{filter}{before}");
        let page = service.get(&path).is(200).json();
        let rows = page[list].as_array().unwrap();
        assert!(rows.len() <= limit);
        all.extend(rows.iter().map(|row| row["id"].as_i64().unwrap()));
        let Some(next) = page["next"].as_i64() else {
            return all;
        };
        assert!(!rows.is_empty(), "a short page of a small table");
        before = format!("&before={next}");
        if add {
            service
                .post("/v1/tasks", &json!({ "repo": "alpha" }))
                .is(201);
        }
    }
}

fn text(row: &Value, key: &str) -> String {
    row[key].as_str().unwrap_or("NULL").to_owned()
}

/// Whether a listed row fits a filter, by its own words.
fn fits(row: &Value, filter: &str) -> bool {
    filter
        .split('&')
        .filter(|part| !part.is_empty())
        .all(|part| {
            let (key, value) = part.split_once('=').unwrap();
            match key {
                "repo" | "stage" | "agent" => text(row, key) == value,
                "unfinished" => text(row, "stage") != "done",
                "task" => row["task_id"] == value.parse::<i64>().unwrap(),
                "status" => text(row, "state") == value || text(row, "status") == value,
                // The times of the rows have one form, and sort as text.
                "since" => {
                    let created = text(row, "created_at");
                    created.starts_with("20") && created.as_str() >= value
                }
                other => panic!("{other}"),
            }
        })
}

#[test]
fn the_pages_of_every_filter_have_each_row_that_fits_once_and_no_other() {
    for seed in 0..Engine::cases(6) {
        let mut rng = Rng::new(u64::from(seed));
        let service = Service::on(random_queue(&mut rng));
        for (list, filters) in [
            (
                "tasks",
                &[
                    "",
                    "&repo=alpha",
                    "&stage=review",
                    "&unfinished=true",
                    "&repo=beta&unfinished=true",
                    "&repo=alpha&stage=done",
                    "&since=2026-01-02T00:00:00Z",
                    "&repo=nowhere",
                ][..],
            ),
            (
                "jobs",
                &[
                    "",
                    "&repo=alpha",
                    "&agent=developer",
                    "&task=3",
                    "&status=queued",
                    "&status=failed",
                    "&status=lapsed",
                    "&status=foreign",
                    "&status=finished",
                    "&status=put_off",
                    "&status=paused",
                    "&status=done",
                    "&repo=beta&agent=analyst&status=queued",
                    "&repo=alpha&since=2026-01-02T00:00:00Z",
                ],
            ),
        ] {
            let everything = service
                .get(&format!("/v1/{list}?limit=1000"))
                .is(200)
                .json();
            assert_eq!(everything["next"], Value::Null);
            let everything = everything[list].as_array().unwrap();
            let known = service
                .gate
                .program()
                .all::<i64>(format!("SELECT id FROM {list} ORDER BY id DESC"));
            assert_eq!(everything.len(), known.len());
            for filter in filters {
                let wanted: Vec<i64> = everything
                    .iter()
                    .filter(|row| fits(row, filter))
                    .map(|row| row["id"].as_i64().unwrap())
                    .collect();
                for limit in [1, 2, 3, 7, 100] {
                    let found = pages(&service, list, filter, limit, false);
                    assert_eq!(found, wanted, "{list} {filter} by {limit}, seed {seed}");
                }
            }
        }
        // What is added meanwhile comes before all pages.
        let before: Vec<i64> = service
            .gate
            .program()
            .all("SELECT id FROM tasks ORDER BY id DESC");
        assert_eq!(pages(&service, "tasks", "", 3, true), before);
    }
}

#[test]
fn the_running_state_is_told_by_the_lease() {
    let gate = Gate::new();
    for _ in 0..2 {
        gate.run(&["task", "add", "alpha", "--work-item", "A-1"])
            .succeeds();
    }
    gate.run(&["claim", "--worker", "w-1"]).succeeds();
    let state = |status: &str| {
        let jobs = gate.run(&["job", "list", "--status", status, "--json"]);
        let jobs = jobs.succeeds().json()["jobs"].clone();
        jobs.as_array().unwrap().len()
    };
    assert_eq!(
        [state("running"), state("lapsed"), state("queued")],
        [1, 0, 1]
    );
    gate.program()
        .run("UPDATE jobs SET gate_lease_until = '2000-01-01 00:00:00' WHERE id = 1");
    assert_eq!(
        [state("running"), state("lapsed"), state("queued")],
        [0, 1, 1]
    );
}

#[test]
fn a_list_by_command_is_the_list_over_http() {
    let gate = Gate::new();
    for name in ["A-1", "A-2", "A-3"] {
        gate.run(&["task", "add", "alpha", "--work-item", name])
            .succeeds();
    }
    let service = Service::on(gate);
    for (words, path) in [
        (&["task", "list"][..], "/v1/tasks"),
        (&["task", "list", "--limit", "2"], "/v1/tasks?limit=2"),
        (&["task", "list", "--before", "2"], "/v1/tasks?before=2"),
        (&["task", "show", "A-2"], "/v1/tasks/A-2"),
        (&["job", "list", "--task", "A-2"], "/v1/jobs?task=A-2"),
        (&["job", "show", "3"], "/v1/jobs/3"),
        (&["explain", "1"], "/v1/jobs/1/explain"),
    ] {
        let mut words = words.to_vec();
        words.push("--json");
        let mut said = service.gate.run(&words).json();
        // A command has the commands that release a job, too.
        if words[0] == "explain" {
            said.as_object_mut().unwrap().remove("release");
        }
        assert_eq!(said, service.get(path).is(200).json(), "{path}");
    }
    let said = service
        .gate
        .run(&["task", "list", "--limit", "2"])
        .succeeds()
        .stdout;
    assert!(
        said.ends_with("more: --before 2, or a higher --limit\n"),
        "{said}"
    );
    let said = service
        .gate
        .run(&["job", "list", "--repo", "nowhere"])
        .succeeds()
        .stdout;
    assert_eq!(said, "no such job\nnote: no task of `nowhere` is known\n");
}

#[test]
fn a_task_is_shown_with_all_that_belongs_to_it() {
    let gate = Gate::new();
    for name in ["A-1", "A-2"] {
        gate.run(&["task", "add", "alpha", "--work-item", name])
            .succeeds();
    }
    let claimed = gate.run(&["claim", "--worker", "w-1", "--json"]).json();
    let fail = [
        "job",
        "fail",
        "1",
        "--error",
        "tests are red",
        "--token",
        &token(&claimed),
    ];
    gate.run(&fail).succeeds();
    gate.run(&[
        "task", "label", "A-1", "hotfix", "--who", "kim", "--reason", "soon",
    ])
    .succeeds();
    let said = gate.run(&["task", "show", "A-1"]).succeeds().stdout;
    for part in [
        "task 1 (A-1) in `alpha`: analysis since 20",
        "  label `hotfix`\n",
        "  job 1 for `analyst`: failed, attempt 1 on w-1, claimed 20",
        ": tests are red\n",
        " by kim: task label task 1 (- → hotfix): soon\n",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let said = gate.run(&["task", "show", "A-2"]).succeeds().stdout;
    assert!(
        said.contains("job 2 of task 2 (A-2) for `analyst` in `alpha` is held"),
        "{said}"
    );
    let said = gate.run(&["job", "show", "1"]).succeeds().stdout;
    assert!(
        said.contains("  of task 1 (A-1) in `alpha`, added 20"),
        "{said}"
    );
    assert_eq!(
        gate.run(&["job", "show", "9"]).exits(1).stderr,
        "error: there is no job 9: `serial-gate job list` lists them\n"
    );
}

#[test]
fn the_audit_is_listed_by_who_and_since() {
    let gate = Gate::new();
    for (repo, who) in [("alpha", "kim"), ("beta", "lou"), ("alpha", "lou")] {
        gate.run(&["freeze", repo, "--new", "--reason", "x", "--who", who])
            .succeeds();
    }
    gate.program()
        .run("UPDATE serial_gate_audit SET at = '2026-01-01 00:00:00' WHERE id = 1");
    let service = Service::on(gate);
    for (words, query, found) in [
        (&["--who", "lou"][..], "who=lou", 2),
        (
            &["--who", "lou", "--repo", "alpha"],
            "who=lou&repo=alpha",
            1,
        ),
        (
            &["--repo", "alpha", "--since", "1h"],
            "repo=alpha&since=2026-01-02T00:00:00Z",
            1,
        ),
        (
            &["--who", "kim", "--since", "2026-01-01T00:00:00Z"],
            "who=kim&since=2026-01-01T01:00:00%2B01:00",
            1,
        ),
        (&["--who", "nobody"], "who=nobody", 0),
    ] {
        let mut all = vec!["audit", "--json"];
        all.extend(words);
        assert_eq!(
            service.gate.run(&all).succeeds().json_lines().len(),
            found,
            "{words:?}"
        );
        let entries = service.get(&format!("/v1/audit?{query}")).is(200).json();
        assert_eq!(entries.as_array().unwrap().len(), found, "{query}");
    }
}

#[test]
fn a_parameter_that_a_route_does_not_take_is_refused_by_its_name() {
    let service = Service::start();
    service
        .post("/v1/tasks", &json!({ "repo": "alpha", "work_item": "A-1" }))
        .is(201);
    for path in [
        "/queue",
        "/v1/audit",
        "/v1/tasks",
        "/v1/tasks/A-1",
        "/v1/jobs",
        "/v1/jobs/1",
        "/v1/jobs/1/explain",
        "/v1/freezes",
        "/v1/policy/history",
        "/v1/policy/shadow",
    ] {
        service.get(path).is(200);
        let said = service.get(&format!("{path}?repoo=alpha")).is(400).detail();
        assert!(
            said.starts_with("unknown parameter `repoo`: this route takes "),
            "{said}"
        );
    }
    let add = service.request("POST", "/v1/tasks?repo=beta");
    add.json(&json!({ "repo": "alpha" })).send().is(400);
    for wrong in ["limit=0", "limit=1001"] {
        service.get(&format!("/v1/tasks?{wrong}")).is(422);
    }
    for wrong in [
        "limit=x",
        "before=x",
        "since=yesterday",
        "unfinished=perhaps",
    ] {
        service.get(&format!("/v1/tasks?{wrong}")).is(422);
    }
}
