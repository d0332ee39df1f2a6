//! The pages in a real browser: with a mouse, with only the keyboard, on a phone, on paper, and
//! without scripts.

use serde_json::json;

use crate::support::Gate;
use crate::support::service::Service;
use crate::support::service::access_token;
use crate::support::window::{Window, window};

/// The first task is active, the second waits for it.
fn with_two_tasks() -> Service {
    let service = Service::start();
    for work_item in ["ORCH-1", "ORCH-2"] {
        let task = json!({"repo": "alpha", "work_item": work_item});
        service.post("/v1/tasks", &task).is(201);
    }
    service.post("/v1/claim", &json!({"worker": "one"})).is(200);
    service
}

fn is_frozen(service: &Service) -> bool {
    let queue = service.get("/queue").is(200).json();
    queue["serial_gate"]["per_repo"]["alpha"]["frozen"] == true
}

const ALPHA: &str = "/repo?name=alpha";

fn task(service: &Service, repo: &str, work_item: &str) {
    let task = json!({"repo": repo, "work_item": work_item});
    service.post("/v1/tasks", &task).is(201);
}

fn end_first_task(service: &Service) {
    let end = ["task", "done", "1", "--force", "--reason", "merged"];
    service.gate.run(&end).succeeds();
}

#[test]
fn the_pages_follow_the_queue_by_themselves() {
    let Some(window) = window() else { return };
    let service = Service::start();
    window.open(&service.address, "/");
    window.until_it_says("No repo is known yet", "empty");
    for work_item in ["ORCH-1", "ORCH-2"] {
        let add = ["task", "add", "alpha", "--work-item", work_item];
        service.gate.run(&add).succeeds();
    }
    window.until_it_says("ORCH-1 in analysis", "overview");
    service.post("/v1/claim", &json!({"worker": "one"})).is(200);
    window.until_it_says("jobs: 1 running, 1 queued", "overview-running");
    window.open(&service.address, ALPHA);
    window.until_it_says("ORCH-2 job 2 waits for ORCH-1", "waiting");
    end_first_task(&service);
    window.until_it_says("ORCH-2 job 2 may be claimed", "released");
}

#[test]
fn a_repo_is_found_opened_frozen_and_released_with_a_mouse() {
    let Some(window) = window() else { return };
    let service = with_two_tasks();
    end_first_task(&service);
    task(&service, "beta", "OTHER-1");
    window.open(&service.address, "/");
    window.click("input[type=search]");
    window.type_text("alp");
    window.press("Enter");
    window.until("one row", || {
        window.value("document.querySelectorAll('.rows > details').length") == 1
    });
    window.click(".rows summary");
    window.until_it_says("Next in the queue", "row-open");
    window.click(".more p > a[href^='/repo']");
    window.until_it_says("ORCH-2 job 2 may be claimed", "repo");
    window.click(".actions summary");
    window.until_it_says("no task of the repo starts until", "ask");
    window.type_text("checkout is down");
    window.click(".ask[open] button");
    window.until_it_says("by somebody: checkout is down", "frozen");
    assert!(window.text().contains("the repo is frozen"));
    assert!(is_frozen(&service));
    window.click(".actions summary");
    window.type_text("rolled back");
    window.click(".ask[open] button");
    window.until_it_says("ORCH-2 job 2 may be claimed", "thawed");
    assert!(!is_frozen(&service));
}

#[test]
fn a_repo_is_frozen_with_the_keyboard_alone() {
    let Some(window) = window() else { return };
    let service = with_two_tasks();
    window.open(&service.address, ALPHA);
    let has_focus = |selector: &str| {
        let question = format!("document.activeElement.matches({})", json!(selector));
        window.value(&question) == true
    };
    window.press("Tab");
    assert!(
        has_focus(".skip"),
        "the keyboard cannot skip to the content"
    );
    window.until("the button is reached", || {
        window.press("Tab");
        has_focus(".actions summary")
    });
    let outline = window.value("getComputedStyle(document.activeElement).outlineStyle");
    assert_ne!(outline, "none", "nobody sees where the keyboard is");
    window.press("Enter");
    window.until("the reason is asked for", || {
        has_focus("input[name=reason]")
    });
    window.type_text("checkout is down");
    window.press("Enter");
    window.until_it_says("by somebody: checkout is down", "keyboard");
}

#[test]
fn without_a_reason_nothing_is_frozen() {
    let Some(window) = window() else { return };
    let service = with_two_tasks();
    window.open(&service.address, ALPHA);
    window.click(".actions summary");
    window.click(".ask[open] button");
    assert_eq!(
        window.value("document.querySelector('input[name=reason]').validity.valueMissing"),
        true
    );
    assert!(!is_frozen(&service));
}

#[test]
fn what_somebody_writes_reads_and_opens_is_not_taken_away_by_a_change() {
    let Some(window) = window() else { return };
    let service = with_two_tasks();
    for number in 3..60 {
        task(&service, "alpha", &format!("ORCH-{number}"));
    }
    window.open(&service.address, ALPHA);
    window.click(".actions summary");
    window.type_text("checkout");
    window.value("window.scrollTo(0, 300)");
    end_first_task(&service);
    window.until_it_says("ORCH-2 job 2 may be claimed", "writing");
    assert_eq!(window.value("window.scrollY"), 300);
    window.type_text(" is down");
    assert_eq!(
        window.value("document.activeElement.value"),
        "checkout is down"
    );
    window.press("Enter");
    window.until_it_says("by somebody: checkout is down", "written");
    // What became of a form is said until another page is opened.
    window.open(&service.address, ALPHA);
    window.click(".actions summary");
    window.value("document.querySelector('.ask[open] [name=freeze_id]').value = '1'");
    window.type_text("mended");
    window.press("Enter");
    window.until_it_says("nothing was cleared.", "refused");
    task(&service, "alpha", "ORCH-60");
    window.until_it_says("59 jobs", "refused-and-changed");
    let text = window.text();
    assert!(text.contains("nothing was cleared."), "{text}");
    // So is what is chosen and not yet asked for.
    window.open(&service.address, "/");
    window.value("document.querySelector('[name=standing]').value = 'frozen'");
    window.click(".sift [name=q]");
    window.type_text("alp");
    window.press("Tab");
    task(&service, "gamma", "THIRD-1");
    window.until("a third repo is shown", || window.text().contains("gamma"));
    let chosen = "['standing', 'q'].map((name) => document.querySelector(`.sift [name=${name}]`).value).join()";
    assert_eq!(window.value(chosen), "frozen,alp");
    // A form does not keep the rows around it from changing.
    window.open(&service.address, "/");
    window.click(".rows details:first-child summary");
    window.click(".rows .ask summary");
    window.type_text("half a reas");
    task(&service, "delta", "FOURTH-1");
    window.until("a fourth repo is shown", || window.text().contains("delta"));
    window.type_text("on");
    let typed = window.value("document.activeElement.value");
    assert_eq!(typed, "half a reason");
    window.press("Escape");
    assert_eq!(
        window.value("document.querySelector('.ask[open]')"),
        json!(null)
    );
    // A row that is open stays open, although it moves.
    window.open(&service.address, "/");
    window.click(".rows summary");
    window.until_it_says("Next in the queue", "open");
    task(&service, "beta", "OTHER-1");
    let freeze = json!({"repo": "beta", "reason": "down"});
    service.post("/v1/freezes", &freeze).is(200);
    window.until("the other repo is shown", || window.text().contains("beta"));
    assert!(window.text().contains("Next in the queue"));
}

#[test]
fn a_lease_that_runs_out_is_seen_although_nothing_else_changes() {
    let Some(window) = window() else { return };
    let gate = Gate::new().with_environment(vec![("SERIAL_GATE_LEASE", "2s".into())]);
    let service = Service::on(gate);
    task(&service, "alpha", "ORCH-1");
    service.post("/v1/claim", &json!({"worker": "one"})).is(200);
    window.open(&service.address, "/tasks/1");
    window.until_it_says("it runs", "running");
    window.until_it_says("its lease is over", "lease-over");
}

#[test]
fn a_service_that_is_gone_is_said_and_the_page_recovers_when_it_is_back() {
    let Some(window) = window() else { return };
    let service = with_two_tasks();
    let (gate, address) = (service.gate.clone(), service.address.clone());
    window.open(&address, ALPHA);
    window.until_it_says("ORCH-2", "before");
    assert!(service.stop().success());
    window.until_it_says("The service does not answer", "gone");
    gate.run(&["task", "add", "alpha", "--work-item", "ORCH-3"])
        .succeeds();
    let _again = Service::at(gate, &address);
    window.until_it_says("ORCH-3", "back");
    window.until("nothing is said", || {
        window.value("document.getElementById('live').hidden") == true
    });
}

#[test]
fn without_scripts_the_pages_are_whole_and_their_forms_work() {
    let Some(window) = window() else { return };
    let service = with_two_tasks();
    window.run_no_scripts();
    window.open(&service.address, "/");
    window.click(".rows summary");
    window.click(".more p > a[href^='/repo']");
    window.until_it_says("ORCH-2 job 2 waits for ORCH-1", "no-scripts");
    window.click(".actions summary");
    window.click("input[name=reason]");
    window.type_text("checkout is down");
    window.click(".ask[open] button");
    window.until_it_says("by somebody: checkout is down", "no-scripts-frozen");
    window.click("ol.line .what a");
    window.until_it_says("Job 2 waits", "no-scripts-task");
    assert!(window.text().contains("UTC"), "{}", window.text());
}

#[test]
fn times_are_those_of_the_place_and_exact_where_somebody_points() {
    let Some(window) = window() else { return };
    let service = with_two_tasks();
    service
        .gate
        .program()
        .run("UPDATE jobs SET created_at = '2026-01-02 03:04:05' WHERE id = 2");
    window.move_to("Asia/Tokyo");
    window.open(&service.address, ALPHA);
    window.until_it_says("ORCH-2", "tokyo");
    let queued = "document.querySelector('ol.line time')";
    let title = window.value(&format!("{queued}.title"));
    let title = title.as_str().unwrap();
    assert!(title.contains("12:04:05"), "{title}");
    let age = window.value(&format!("{queued}.textContent"));
    let age = age.as_str().unwrap();
    assert!(age.ends_with(" ago") && age.contains('d'), "{age}");
    assert!(!window.text().contains("UTC"), "{}", window.text());
}

/// One of each state: empty lines, long names, a failed job with output, a freeze.
fn with_everything() -> (Service, [String; 7]) {
    let service = with_two_tasks();
    let long = "a-name-that-goes-on-and-on-".repeat(8);
    task(&service, &long, &long);
    let freeze = json!({"repo": &long, "reason": &long});
    service.post("/v1/freezes", &freeze).is(200);
    let verdict = json!({"repo": &long, "verdict": "degraded", "deploy": &long, "detail": &long});
    service.post("/v1/deploys", &verdict).is(201);
    task(&service, "beta", "FAILS-1");
    let claimed = service
        .post("/v1/claim", &json!({"worker": &long[..200]}))
        .is(200);
    let claimed = claimed.json();
    let fail = json!({"token": claimed["token"], "error": &long, "output": &long});
    let path = format!("/v1/jobs/{}/fail", claimed["id"]);
    service.post(&path, &fail).is(200);
    let scope = ["policy", "settings", "--repos", &long, "--reason", &long];
    service.gate.run(&scope).succeeds();
    let repo = format!("/repo?name={long}");
    let failed = format!("/tasks/{}", claimed["task_id"]);
    let paths = [
        "/",
        ALPHA,
        &repo,
        &failed,
        "/tasks/2",
        "/activity?span=week",
        "/policy",
    ]
    .map(String::from);
    (service, paths)
}

#[test]
fn every_page_fits_a_telephone_and_can_be_used_in_light_and_dark_without_seeing_it() {
    let Some(window) = window() else { return };
    let (service, paths) = with_everything();
    for (width, mobile) in [(360, true), (1_280, false)] {
        window.resize(width, 840, mobile);
        for colours in ["light", "dark"] {
            window.prefer(colours);
            for (number, path) in paths.iter().enumerate() {
                window.open(&service.address, path);
                window.until_it_says("serial gate", &format!("page-{number}-{width}-{colours}"));
                assert_no_wider(&window, width, path);
                window.value(
                    "document.querySelectorAll('details').forEach((part) => { part.open = true; })",
                );
                window.picture(&format!("page-{number}-{width}-{colours}-open"));
                assert_no_wider(&window, width, path);
                window.assert_accessible();
            }
        }
    }
}

/// A window has a scroll bar, a telephone has none.
#[track_caller]
fn assert_no_wider(window: &Window, width: u32, path: &str) {
    let shown = window.value("document.documentElement.scrollWidth");
    assert!(shown.as_u64().unwrap() <= width.into(), "{path}: {shown}");
}

#[test]
fn on_paper_there_are_no_buttons() {
    let Some(window) = window() else { return };
    let (service, paths) = with_everything();
    for path in &paths {
        window.open(&service.address, path);
        window.print();
        window.picture("paper");
        let shown = window.value(
            "[...document.querySelectorAll('button, input:not([type=hidden])')].filter((part) => part.checkVisibility()).map((part) => part.outerHTML).join()",
        );
        assert_eq!(shown, "", "{path}");
    }
}

#[test]
fn somebody_without_a_token_logs_in_and_a_reader_has_no_buttons() {
    let Some(window) = window() else { return };
    let service = with_two_tasks();
    let token = access_token(&service.gate, "kim", "reader");
    window.open(&service.address, "/");
    window.until_it_says("serial-gate token add NAME --role reader", "login");
    window.assert_accessible();
    // The field has the keyboard already.
    window.type_text("sgt_1_nonsense");
    window.press("Enter");
    window.until_it_says("This token is not known", "login-refused");
    window.type_text(&token);
    window.press("Enter");
    window.until_it_says("ORCH-1 in analysis", "reader");
    window.open(&service.address, ALPHA);
    window.until_it_says("kim, reader", "reader-repo");
    assert!(
        window
            .text()
            .contains("sign in with a token that has the role operator")
    );
    assert_eq!(
        window.value("document.querySelectorAll('.ask, form[action^=\"/dashboard\"]').length"),
        0
    );
    window.click(".who button");
    window.until_it_says("serial-gate token add NAME --role reader", "signed-out");
    window.open(&service.address, "/");
    window.until_it_says(
        "serial-gate token add NAME --role reader",
        "signed-out-again",
    );
}

#[test]
fn any_number_of_tabs_opens_and_all_of_them_follow() {
    let Some(window) = window() else { return };
    let service = Service::start();
    window.open(&service.address, "/");
    window.until_it_says("No repo is known yet", "first-tab");
    // A browser has six connections for a service: with a stream each, the seventh tab would wait
    // for ever.
    let others: Vec<Window> = (0..9).map(|_| window.another()).collect();
    for other in &others {
        other.open(&service.address, "/");
        other.until_it_says("No repo is known yet", "tab");
    }
    task(&service, "alpha", "ORCH-1");
    for tab in others.iter().chain([&window]) {
        // A hidden tab rests.
        tab.show();
        tab.until_it_says("ORCH-1", "tab-that-follows");
    }
}
