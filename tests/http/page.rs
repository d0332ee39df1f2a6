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
        "Frozen team-10 checkout is down 1 queued · less than 1m ago",
        "Waiting org/app B-1 in analysis 1 queued · less than 1m ago",
        "Waiting team-3 A-2 in analysis 1 queued · less than 1m ago",
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
    let why = "Why job 2 waits ORCH-1 (task 1) in analysis comes first: job 1 for analyst failed";
    assert!(text.contains(why), "{text}");
    let back = form(&service, "/dashboard/requeue", "job=1&reason=mended").is(303);
    assert_eq!(back.headers["location"], "/tasks/1");
    let again = form(&service, "/dashboard/requeue", "job=1&reason=mended").is(409);
    assert!(again.text.contains("class=\"said\""), "{}", again.text);
    let text = shown(&service.get("/tasks/1").is(200).text);
    assert!(
        text.contains("somebody") && text.contains("mended"),
        "{text}"
    );
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
fn a_browser_is_told_of_a_refusal_on_a_page_and_a_program_in_a_document() {
    let service = Service::start();
    let asked = || service.request("GET", "/tasks/9");
    let page = asked().header("accept", "text/html").send().is(404);
    assert!(page.text.contains("<h1>Not Found</h1>"), "{}", page.text);
    assert!(page.text.contains("there is no task 9"), "{}", page.text);
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
    let unseen = |letter: &char| matches!(letter, '\u{1b}' | '\u{202e}' | '\u{200b}' | '\t');
    assert!(!page.chars().any(|letter| unseen(&letter)), "{page}");
    let shown = r"\u{1b}[2J\u{202e}\u{200b}z";
    assert!(page.contains(shown) && page.contains(">one\n"), "{page}");
    let value = "value=\"a&#60;b&#62;&#27;[2J&#8238;&#8203;z\"";
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
