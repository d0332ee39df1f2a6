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

#[test]
fn it_shows_what_runs_what_waits_and_why() {
    let service = Service::start();
    for work_item in ["ORCH-1", "ORCH-2"] {
        let task = json!({"repo": "alpha", "work_item": work_item});
        service.post("/v1/tasks", &task).is(201);
    }
    service.post("/v1/claim", &json!({"worker": "one"})).is(200);
    let page = service.get("/").is(200).text;
    for part in [
        "<b>ORCH-1</b> in analysis",
        "<b>ORCH-2</b>",
        "waits for <a href=\"#task-1\">ORCH-1 (task 1)</a>",
        "1 repo, 1 job held",
        "Freeze alpha",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
}

#[test]
fn its_forms_freeze_and_unfreeze_a_repo() {
    let service = Service::start();
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let frozen = form(
        &service,
        "/dashboard/freeze",
        "repo=alpha&reason=checkout+is+down",
    )
    .is(303);
    assert_eq!(frozen.headers["location"], "/");
    let page = service.get("/").text;
    assert!(page.contains("by somebody: checkout is down"), "{page}");
    assert!(page.contains("the repo is frozen"), "{page}");
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
fn what_stands_in_the_database_is_text_on_it() {
    let service = Service::start();
    let nasty = "<script>alert(1)</script>\"'&";
    let task = json!({"repo": nasty, "work_item": nasty, "stage": nasty});
    service.post("/v1/tasks", &task).is(201);
    service.post("/v1/tasks", &task).is(201);
    let freeze = json!({"repo": nasty, "new": true, "reason": nasty, "who": nasty});
    service.post("/v1/freezes", &freeze).is(200);
    let page = service.get("/").is(200).text;
    assert!(!page.contains("<script>alert"), "{page}");
    assert!(page.contains("alert(1)"), "{page}");
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
    let page = service.get("/").is(200).text;
    let unseen = |letter: &char| matches!(letter, '\u{1b}' | '\u{202e}' | '\u{200b}' | '\t');
    assert!(!page.chars().any(|letter| unseen(&letter)), "{page}");
    let shown = r"\u{1b}[2J\u{202e}\u{200b}z";
    assert!(
        page.contains(shown) && page.contains("<pre>one\n"),
        "{page}"
    );
    let value = "value=\"a&#60;b&#62;&#27;[2J&#8238;&#8203;z\"";
    assert!(page.contains(value), "{page}");
    let fields = "repo=a%3Cb%3E%1B%5B2J%E2%80%AE%E2%80%8Bz&reason=r";
    form(&service, "/dashboard/unfreeze", fields).is(303);
    let page = service.get("/").is(200).text;
    assert!(!page.contains("<strong>Frozen"), "{page}");
}
