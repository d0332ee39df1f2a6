//! The page for people, without a browser: what it shows, and what its forms do.

use serde_json::json;

use crate::support::service::Answer;
use crate::support::service::Service;
use crate::support::service::access_token;

fn form(service: &Service, path: &str, fields: &str) -> Answer {
    let kind = "application/x-www-form-urlencoded";
    let asked = service.request("POST", path);
    asked.body(kind, fields.as_bytes().to_vec()).send()
}

/// What a page shows, without its tags.
fn shown(page: &str) -> String {
    let mut is_tag = false;
    let text: String = page
        .chars()
        .filter(|letter| {
            let is_text = !is_tag && *letter != '<';
            is_tag = (is_tag || *letter == '<') && *letter != '>';
            is_text
        })
        .collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_page_of_a_repo_shows_what_runs_what_waits_and_why() {
    let service = Service::start();
    for work_item in ["ORCH-1", "ORCH-2"] {
        let task = json!({"repo": "alpha", "work_item": work_item});
        service.post("/v1/tasks", &task).is(201);
    }
    service.post("/v1/claim", &json!({"worker": "one"})).is(200);
    let page = service.get("/repo?name=alpha").is(200).text;
    assert!(page.contains("<a href=\"/tasks/1\">ORCH-1</a>"), "{page}");
    let text = shown(&page);
    for part in [
        "ORCH-1 in analysis for less than 1m",
        "Job 1 for analyst is running on one since",
        "Waiting 1 job, 1 held",
        "ORCH-2 job 2 waits for ORCH-1",
        "Freeze…",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn the_page_of_all_repos_has_a_row_for_each_and_finds_one_by_its_name_or_its_task() {
    let service = Service::start();
    for (repo, work_item) in [("team-10", "A-1"), ("team-3", "A-2"), ("org/app", "B-1")] {
        let task = json!({"repo": repo, "work_item": work_item});
        service.post("/v1/tasks", &task).is(201);
    }
    let freeze = json!({"repo": "team-10", "reason": "checkout is down"});
    service.post("/v1/freezes", &freeze).is(200);
    let rows = |path: &str| {
        let page = service.get(path).is(200).text;
        let parts = page.split("<summary><span").skip(1);
        let rows = parts.map(|row| shown(&format!("<{}", row.split("</summary>").next().unwrap())));
        rows.collect::<Vec<_>>()
    };
    let [frozen, app, third] = [
        "Frozen team-10 checkout is down less than 1m ago 1 queued",
        "Waiting org/app B-1 in analysis less than 1m ago 1 queued",
        "Waiting team-3 A-2 in analysis less than 1m ago 1 queued",
    ];
    assert_eq!(rows("/"), [frozen, app, third]);
    assert_eq!(rows("/?sort=name"), [app, third, frozen]);
    assert_eq!(rows("/?q=TEAM"), [frozen, third]);
    assert_eq!(rows("/?q=a-2"), [third]);
    assert_eq!(rows("/?standing=waiting&q=team"), [third]);
    assert_eq!(rows("/?q=nothing+like+it"), [""; 0]);
    let found = service.get("/?q=B-1").text;
    assert!(found.contains("<a href=\"/tasks/3\">B-1</a>"), "{found}");
    assert!(found.contains("href=\"/repo?name=org%2Fapp\""), "{found}");
    // Any task is found by the beginning of its work item, and by its number.
    service
        .post("/v1/tasks", &json!({"repo": "team-3", "work_item": "B-12"}))
        .is(201);
    let tasks = |path: &str| {
        let page = shown(&service.get(path).is(200).text);
        let after = page.split(" Task").nth(1).unwrap_or_default();
        let mut words = after.split([' ', ',']).filter(|word| !word.is_empty());
        words
            .by_ref()
            .take_while(|word| !["No", "Waiting"].contains(word))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(tasks("/?q=b-1"), "s B-1 in org/app B-12 in team-3");
    assert_eq!(tasks("/?q=b-12"), "B-12 in team-3");
    assert_eq!(tasks("/?q=4"), "B-12 in team-3");
    let refused = service.get("/?standing=hot").is(422);
    assert!(refused.detail().contains("`frozen`"), "{}", refused.text);
}

#[test]
fn a_long_list_of_repos_and_a_long_line_have_pages() {
    let service = Service::start();
    let task =
        |number| format!("INSERT INTO tasks (repo, stage) VALUES ('r-{number}', 'analysis');");
    let job = |number| {
        format!(
            "INSERT INTO tasks (id, repo, stage) VALUES ({number}, 'long', 'analysis');
             INSERT INTO jobs (task_id, repo, agent, status) VALUES ({number}, 'long', 'analyst', 'queued');"
        )
    };
    let rows: String = (0..60).map(task).chain((1_000..1_120).map(job)).collect();
    service.gate.program().run(&rows);
    let first = service.get("/?sort=name").is(200).text;
    assert!(first.contains("1 to 50 of 61"), "{first}");
    assert!(first.contains("href=\"/?sort=name&#38;page=2\""), "{first}");
    assert!(first.find("r-2<") < first.find("r-10<"), "{first}");
    let last = service.get("/?sort=name&page=9").is(200).text;
    assert!(last.contains("51 to 61 of 61"), "{last}");
    let line = service.get("/repo?name=long&page=3").is(200).text;
    assert!(line.contains("101 to 120 of 120"), "{line}");
    assert!(
        line.contains("href=\"/repo?name=long&#38;page=2\""),
        "{line}"
    );
}

#[test]
fn the_forms_of_a_repo_freeze_it_and_open_it_again() {
    let service = Service::start();
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let frozen = form(
        &service,
        "/dashboard/freeze",
        "repo=alpha&reason=checkout+is+down",
    )
    .is(303);
    assert_eq!(frozen.headers["location"], "/repo?name=alpha");
    let page = service.get("/repo?name=alpha").text;
    let text = shown(&page);
    assert!(text.contains("by somebody: checkout is down"), "{text}");
    assert!(text.contains("the repo is frozen"), "{text}");
    let unfreeze = |page: &str| {
        let (_, field) = page.split_once("name=\"freeze_id\" value=\"").expect(page);
        let (number, _) = field.split_once('"').unwrap();
        let fields = format!("repo=alpha&reason=fine&freeze_id={number}");
        form(&service, "/dashboard/unfreeze", &fields)
    };
    service
        .post("/v1/freezes", &json!({"repo": "alpha", "reason": "again"}))
        .is(200);
    let late = unfreeze(&page).is(409);
    assert!(late.text.contains("class=\"said\""), "{}", late.text);
    unfreeze(&late.text).is(303);
    service.post("/v1/claim", &json!({"worker": "one"})).is(200);
}

#[test]
fn the_page_of_a_task_tells_why_it_waits_and_its_form_puts_a_failed_job_back() {
    let service = Service::start();
    for work_item in ["ORCH-1", "ORCH-2"] {
        let task = json!({"repo": "alpha", "work_item": work_item});
        service.post("/v1/tasks", &task).is(201);
    }
    let claimed = service.post("/v1/claim", &json!({"worker": "one"})).is(200);
    let fail = json!({"token": claimed.json()["token"], "error": "boom", "output": "last words"});
    service.post("/v1/jobs/1/fail", &fail).is(200);
    let failed = service.get("/tasks/1").is(200).text;
    for part in ["boom", "last words", "/dashboard/requeue"] {
        assert!(failed.contains(part), "{part} in {failed}");
    }
    let text = shown(&service.get("/tasks/2").is(200).text);
    let why = "Job 2 waits ORCH-1 (task 1) in analysis comes first: job 1 for analyst failed";
    assert!(text.contains(why), "{text}");
    let back = form(
        &service,
        "/dashboard/requeue",
        "job=1&attempt=1&reason=mended",
    )
    .is(303);
    assert_eq!(back.headers["location"], "/tasks/1");
    let again = form(
        &service,
        "/dashboard/requeue",
        "job=1&attempt=1&reason=mended",
    )
    .is(409);
    assert!(again.text.contains("class=\"said\""), "{}", again.text);
    let text = shown(&service.get("/tasks/1").is(200).text);
    assert!(
        text.contains("somebody") && text.contains("mended"),
        "{text}"
    );
}

#[test]
fn the_page_of_a_task_without_a_waiting_job_tells_what_is_next() {
    let service = Service::start();
    let task = json!({"repo": "alpha", "work_item": "ORCH-1"});
    service.post("/v1/tasks", &task).is(201);
    let claimed = service.post("/v1/claim", &json!({"worker": "one"})).is(200);
    let text = shown(&service.get("/tasks/1").is(200).text);
    assert!(!text.contains("What is next"), "{text}");
    let token = json!({"token": claimed.json()["token"]});
    service.post("/v1/jobs/1/finish", &token).is(200);
    let text = shown(&service.get("/tasks/1").is(200).text);
    let next = "What is next When the work of task 1 (ORCH-1) is merged: serial-gate task done 1";
    assert!(text.contains(next), "{text}");
    let document = service.get("/v1/tasks/1").is(200).json();
    assert_eq!(document["advice"][0]["remedy"], "end_task", "{document}");
    service.gate.run(&["task", "done", "ORCH-1"]).succeeds();
    let text = shown(&service.get("/tasks/1").is(200).text);
    assert!(!text.contains("What is next"), "{text}");
}

#[test]
fn what_ended_is_in_the_pictures_and_in_the_timeline_of_its_task() {
    let service = Service::start();
    let task = json!({"repo": "alpha", "work_item": "ORCH-1"});
    service.post("/v1/tasks", &task).is(201);
    let empty = service.get("/activity").is(200).text;
    assert!(empty.contains("No job has ended"), "{empty}");
    let claim = || service.post("/v1/claim", &json!({"worker": "one"})).is(200);
    let fail = json!({"token": claim().json()["token"], "error": "boom"});
    service.post("/v1/jobs/1/fail", &fail).is(200);
    let requeue = json!({"reason": "mended"});
    service.post("/v1/jobs/1/requeue", &requeue).is(200);
    let finish = json!({"token": claim().json()["token"]});
    service.post("/v1/jobs/1/finish", &finish).is(200);
    for path in ["/activity?span=week", "/repo?name=alpha&span=week"] {
        let page = service.get(path).is(200).text;
        assert!(page.contains("<rect class=\"done\""), "{page}");
    }
    let text = shown(&service.get("/activity?span=week").text);
    assert!(text.contains("1 done, 1 failed"), "{text}");
    let text = shown(&service.get("/tasks/1").is(200).text);
    let (_, timeline) = text.split_once("the last step first").expect(&text);
    for part in [
        "Job 1 for analyst on one, attempt 2: done",
        "Job 1 for analyst on one: failed",
        "boom",
        "by somebody",
        "mended",
        "Added",
    ] {
        assert!(timeline.contains(part), "{part} in {timeline}");
    }
    service.get("/activity?span=year").is(422);
}

#[test]
fn the_page_of_the_policy_has_the_rule_in_words_its_settings_and_the_way_back() {
    let service = Service::start();
    let scope = [
        "policy", "settings", "--repos", "alpha", "--new", "--reason", "a trial",
    ];
    service.gate.run(&scope).succeeds();
    let page = service.get("/policy").is(200).text;
    let text = shown(&page);
    for part in [
        "Scope alpha",
        "a freeze holds its repo",
        "a trial",
        "Roll back…",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let (_, seen) = page.split_once("name=\"seen\" value=\"").expect(&page);
    let (seen, _) = seen.split_once('"').unwrap();
    let fields = format!("reason=too+narrow&seen={seen}");
    let back = form(&service, "/dashboard/rollback", &fields).is(303);
    assert_eq!(back.headers["location"], "/policy");
    form(&service, "/dashboard/rollback", &fields).is(409);
    assert!(shown(&service.get("/policy").text).contains("Scope all repos"));
}

#[test]
fn a_page_that_has_not_changed_is_not_sent_again_and_a_long_one_is_compressed() {
    let service = Service::start();
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let first = service.get("/repo?name=alpha").is(200);
    let mark = first.headers["etag"].to_str().unwrap();
    let again = || {
        let asked = service.request("GET", "/repo?name=alpha");
        asked.header("if-none-match", mark).send()
    };
    assert_eq!(again().is(304).text, "");
    service.post("/v1/tasks", &json!({"repo": "beta"})).is(201);
    again().is(304);
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    again().is(200);
    let packed = service
        .request("GET", "/")
        .header("accept-encoding", "gzip")
        .send();
    assert_eq!(packed.headers["content-encoding"], "gzip");
}

#[test]
fn a_row_names_the_task_whose_job_failed_and_lets_it_be_put_back() {
    let service = Service::start();
    for work_item in ["ORCH-1", "ORCH-2"] {
        let task = json!({"repo": "alpha", "work_item": work_item});
        service.post("/v1/tasks", &task).is(201);
    }
    // The first task's job runs, a job of the second failed, and a worker of its other job is gone.
    service.post("/v1/claim", &json!({"worker": "one"})).is(200);
    service.gate.program().run(
        "INSERT INTO jobs (id, task_id, repo, agent, status, gate_attempt) VALUES (7, 2, 'alpha', 'tester', 'failed', 1)",
    );
    let page = service.get("/").is(200).text;
    let text = shown(&page);
    assert!(
        text.contains("Failed alpha 1 job of another task failed"),
        "{text}"
    );
    assert!(text.contains("ORCH-2 Job 7 for tester failed"), "{text}");
    assert!(page.contains("name=\"job\" value=\"7\""), "{page}");
    service.gate.program().run(
        "UPDATE jobs SET status = 'running', gate_worker = 'two', gate_token = 'x',
            gate_lease_until = '2001-01-01 00:00:00' WHERE id = 7",
    );
    let text = shown(&service.get("/").is(200).text);
    assert!(
        text.contains("Stuck alpha 1 worker of another task fell silent"),
        "{text}"
    );
}

#[test]
fn jobs_without_a_repo_are_told_of_above_the_rows() {
    let service = Service::start();
    service
        .gate
        .program()
        .run("INSERT INTO jobs (agent, status) VALUES ('tester', 'failed'), ('tester', 'queued')");
    let text = shown(&service.get("/").is(200).text);
    assert!(
        text.contains("Jobs without a repo: 1 queued, 1 failed"),
        "{text}"
    );
}

#[test]
fn a_stale_form_puts_no_job_back_and_opens_no_repo_in_silence() {
    let service = Service::start();
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let claim = || {
        service
            .post("/v1/claim", &json!({"worker": "one"}))
            .is(200)
            .json()
    };
    let fail = json!({"token": claim()["token"]});
    service.post("/v1/jobs/1/fail", &fail).is(200);
    service
        .post("/v1/jobs/1/requeue", &json!({"reason": "again"}))
        .is(200);
    let token = claim()["token"].clone();
    let stale = form(
        &service,
        "/dashboard/requeue",
        "job=1&attempt=1&reason=stale",
    )
    .is(409);
    assert!(stale.text.contains("class=\"said\""), "{}", stale.text);
    service
        .post("/v1/jobs/1/finish", &json!({"token": token}))
        .is(200);
    let open = form(&service, "/dashboard/unfreeze", "repo=alpha&reason=fine").is(200);
    assert!(open.text.contains("not frozen"), "{}", open.text);
}

#[test]
fn a_repo_of_any_name_is_frozen_by_its_form() {
    let service = Service::start();
    for repo in ["a\r\nb", "50% + c", "\u{9b}é"] {
        service.post("/v1/tasks", &json!({"repo": repo})).is(201);
        let encoded: String = repo.bytes().map(|byte| format!("%25{byte:02X}")).collect();
        let fields = format!("repo={encoded}&reason=down");
        form(&service, "/dashboard/freeze", &fields).is(303);
    }
    let text = shown(&service.get("/?standing=frozen").text);
    assert!(
        text.contains("a\\u{d}\\u{a}b") && text.contains("50% + c"),
        "{text}"
    );
}

#[test]
fn a_browser_is_told_of_a_refusal_on_a_page_and_a_program_in_a_document() {
    let service = Service::start();
    let browse = |method: &str, path: &str| {
        let asked = service.request(method, path).header("accept", "text/html");
        asked
            .body("application/x-www-form-urlencoded", b"reason=r".to_vec())
            .send()
    };
    for (method, path, status) in [
        ("POST", "/dashboard/freeze", 422),
        ("GET", "/dashboard/freeze", 405),
        ("GET", "/nothing/here", 404),
        ("GET", "/repo?name=", 422),
        ("GET", "/?sort=up", 422),
    ] {
        let page = browse(method, path).is(status);
        assert_eq!(
            page.headers["content-type"], "text/html; charset=utf-8",
            "{path}"
        );
        assert!(page.text.contains("<h1>"), "{path}: {}", page.text);
    }

    let allowed = browse("GET", "/dashboard/freeze").headers["allow"].clone();
    assert_eq!(allowed, "POST");
    let asked = || service.request("GET", "/tasks/9");
    let page = asked().header("accept", "text/html").send().is(404);
    assert!(page.text.contains("<h1>Not Found</h1>"), "{}", page.text);
    assert!(page.text.contains("There is no task 9."), "{}", page.text);
    assert!(asked().send().is(404).detail().contains("task 9"));
}

#[test]
fn what_stands_in_the_database_is_text_on_it() {
    let service = Service::start();
    let nasty = "<script>alert(1)</script>\"'&";
    let task = json!({"repo": nasty, "work_item": nasty, "stage": nasty});
    service.post("/v1/tasks", &task).is(201);
    service.post("/v1/tasks", &task).is(201);
    let freeze = json!({"repo": nasty, "new": true, "reason": nasty, "who": nasty});
    service.post("/v1/freezes", &freeze).is(200);
    let verdict = json!({"repo": nasty, "verdict": "degraded", "deploy": nasty, "detail": nasty});
    service.post("/v1/deploys", &verdict).is(201);
    let repo = "/repo?name=%3Cscript%3Ealert%281%29%3C%2Fscript%3E%22%27%26";
    for path in [
        "/",
        "/?q=%3Cscript%3Ealert%281%29",
        repo,
        "/tasks/1",
        "/tasks/2",
        "/policy",
    ] {
        let page = service.get(path).is(200).text;
        assert!(!page.contains("<script>alert"), "{path}: {page}");
        assert!(
            page.contains("alert(1)") || path == "/policy",
            "{path}: {page}"
        );
        assert!(!page.contains("\"'&"), "{path}: {page}");
    }
}

#[test]
fn a_browser_without_a_token_is_asked_for_it_and_keeps_it() {
    let service = Service::start();
    let token = access_token(&service.gate, "kim", "reader");
    let browse = || service.request("GET", "/").header("accept", "text/html");
    assert_eq!(browse().send().is(303).headers["location"], "/login");
    let asked = service
        .request("GET", "/repo?name=alpha")
        .header("accept", "text/html");
    let login = asked.send().is(303).headers["location"].clone();
    assert_eq!(login, "/login?next=%2Frepo%3Fname%3Dalpha");
    let fields = format!("next=%2Frepo%3Fname%3Dalpha&token={token}");
    let kept = form(&service, "/login", &fields).is(303);
    assert_eq!(kept.headers["location"], "/repo?name=alpha");
    let fields = format!("next=%2F%2Fevil&token={token}");
    assert_eq!(
        form(&service, "/login", &fields).is(303).headers["location"],
        "/"
    );
    assert!(
        service
            .get("/login")
            .is(200)
            .text
            .contains("type=\"password\"")
    );
    form(&service, "/login", "token=sgt_1_nonsense").is(401);
    let kept = form(&service, "/login", &format!("token={token}")).is(303);
    let cookie = kept.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let page = browse().header("cookie", cookie).send().is(200).text;
    assert_eq!(
        page.matches("<form").count(),
        page.matches("action=\"/logout\"").count(),
        "a reader has no other buttons: {page}"
    );
}

#[test]
fn it_shows_what_is_not_seen_and_its_forms_send_back_the_repo_as_it_is() {
    let service = Service::start();
    let hostile = "a<b>\u{1b}[2J\u{202e}\u{200b}z";
    let task = json!({"repo": hostile, "work_item": hostile, "stage": hostile});
    service.post("/v1/tasks", &task).is(201);
    let claim = service.post("/v1/claim", &json!({"worker": hostile}));
    let token = claim.is(200).json()["token"].clone();
    let fail = json!({"token": token, "error": hostile, "output": format!("one\n{hostile}\ttwo")});
    service.post("/v1/jobs/1/fail", &fail).is(200);
    let freeze = json!({"repo": hostile, "reason": hostile, "who": hostile});
    service.post("/v1/freezes", &freeze).is(200);
    let repo = "/repo?name=a%3Cb%3E%1B%5B2J%E2%80%AE%E2%80%8Bz";
    let page = service.get(repo).is(200).text;
    let unseen = |letter: &char| matches!(letter, '\u{1b}' | '\u{202e}' | '\u{200b}');
    assert!(!page.chars().any(|letter| unseen(&letter)), "{page}");
    let shown = r"\u{1b}[2J\u{202e}\u{200b}z";
    assert!(page.contains(shown) && page.contains(">one\n"), "{page}");
    let value = "value=\"a%3Cb%3E%1B%5B2J%E2%80%AE%E2%80%8Bz\"";
    assert!(page.contains(value), "{page}");
    let fields = "repo=a%3Cb%3E%1B%5B2J%E2%80%AE%E2%80%8Bz&reason=r";
    form(&service, "/dashboard/unfreeze", fields).is(303);
    let page = service.get(repo).is(200).text;
    assert!(!page.contains("<strong>Frozen"), "{page}");
    for path in ["/", "/tasks/1"] {
        let page = service.get(path).is(200).text;
        assert!(!page.chars().any(|letter| unseen(&letter)), "{page}");
    }
}
