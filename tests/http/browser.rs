//! The page in a real browser: with a mouse, with only the keyboard, on a phone, and without
//! scripts.

use serde_json::{Value, json};

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

#[test]
fn the_page_follows_the_queue_by_itself() {
    let Some(window) = window() else { return };
    let service = Service::start();
    window.open(&service.address, "/");
    window.until_it_says("Nothing runs, nothing waits", "empty");
    for work_item in ["ORCH-1", "ORCH-2"] {
        service
            .gate
            .run(&["task", "add", "alpha", "--work-item", work_item])
            .succeeds();
    }
    window.until_it_says("ORCH-2 job 2 waits for ORCH-1 (task 1)", "waiting");
    service.post("/v1/claim", &json!({"worker": "one"})).is(200);
    service
        .gate
        .run(&["task", "done", "1", "--force", "--reason", "merged"])
        .succeeds();
    window.until_it_says("ORCH-2 job 2 may be claimed", "released");
}

#[test]
fn a_repo_is_frozen_and_released_with_a_mouse() {
    let Some(window) = window() else { return };
    let service = with_two_tasks();
    service
        .gate
        .run(&["task", "done", "1", "--force", "--reason", "merged"])
        .succeeds();
    window.open(&service.address, "/");
    window.click("input[name=reason]");
    window.type_text("checkout is down");
    window.click("form button");
    window.until_it_says("by somebody: checkout is down", "frozen");
    assert!(
        window.text().contains("the repo is frozen"),
        "{}",
        window.text()
    );
    service.post("/v1/claim", &json!({"worker": "two"})).is(204);
    window.click("input[name=reason]");
    window.type_text("rolled back");
    window.click("form button");
    window.until_it_says("ORCH-2 job 2 may be claimed", "thawed");
    service.post("/v1/claim", &json!({"worker": "two"})).is(200);
}

#[test]
fn a_repo_is_frozen_with_the_keyboard_alone() {
    let Some(window) = window() else { return };
    let service = with_two_tasks();
    window.open(&service.address, "/");
    window.until("the field is reached", || {
        window.press("Tab");
        window.value("document.activeElement.name") == "reason"
    });
    let outline = window.value("getComputedStyle(document.activeElement).outlineStyle");
    assert_ne!(outline, "none", "nobody sees where the keyboard is");
    window.type_text("checkout is down");
    window.press("Enter");
    window.until_it_says("by somebody: checkout is down", "keyboard");
}

#[test]
fn without_a_reason_nothing_is_frozen() {
    let Some(window) = window() else { return };
    let service = with_two_tasks();
    window.open(&service.address, "/");
    window.click("form button");
    assert_eq!(
        window.value("document.querySelector('input[name=reason]').validity.valueMissing"),
        true
    );
    assert!(!is_frozen(&service));
}

#[test]
fn what_somebody_writes_is_not_taken_away_by_a_change() {
    let Some(window) = window() else { return };
    let service = with_two_tasks();
    window.open(&service.address, "/");
    window.click("input[name=reason]");
    window.type_text("checkout");
    service
        .post("/v1/tasks", &json!({"repo": "beta", "work_item": "ORCH-3"}))
        .is(201);
    window.until_it_says("the page follows when you are done writing", "writing");
    window.type_text(" is down");
    window.press("Enter");
    window.until_it_says("by somebody: checkout is down", "written");
    assert!(window.text().contains("ORCH-3"), "{}", window.text());
}

#[test]
fn without_scripts_the_page_is_whole_and_its_forms_work() {
    let Some(window) = window() else { return };
    let service = with_two_tasks();
    window.run_no_scripts();
    window.open(&service.address, "/");
    window.until_it_says("ORCH-2 job 2 waits for ORCH-1 (task 1)", "no-scripts");
    window.click("input[name=reason]");
    window.type_text("checkout is down");
    window.click("form button");
    window.until_it_says("by somebody: checkout is down", "no-scripts-frozen");
}

#[test]
fn the_page_fits_a_telephone_and_can_be_read_in_light_and_dark() {
    let Some(window) = window() else { return };
    let service = with_two_tasks();
    let long = "a-name-that-goes-on-and-on-".repeat(8);
    let task = json!({"repo": &long, "work_item": &long});
    service.post("/v1/tasks", &task).is(201);
    let freeze = json!({"repo": &long, "new": true, "reason": &long});
    service.post("/v1/freezes", &freeze).is(200);
    window.resize(360, 740, true);
    for colours in ["light", "dark"] {
        window.prefer(colours);
        window.open(&service.address, "/");
        window.until_it_says("ORCH-2", &format!("telephone-{colours}"));
        let widths = window.value("[document.documentElement.scrollWidth, innerWidth].join()");
        assert_eq!(widths, "360,360");
        assert_readable(&window);
    }
    window.resize(1_000, 900, false);
    window.picture("desktop-dark");
}

/// Every text has the contrast that WCAG requires (2.1, 1.4.3).
fn assert_readable(window: &Window) {
    let worst = window.value(
        "(() => {
            const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
            const part = (value) => value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
            const light = ([red, green, blue]) => 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
            const behind = (element) => {
                for (; element; element = element.parentElement) {
                    const colour = parts(getComputedStyle(element).backgroundColor);
                    if (colour.length < 4 || colour[3] > 0) return colour;
                }
                return [255, 255, 255];
            };
            const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
            const found = [...document.querySelectorAll('body *')].filter((element) => hasText(element) && !element.closest('[hidden]'));
            const ratios = found.map((element) => {
                const [a, b] = [light(parts(getComputedStyle(element).color)), light(behind(element))];
                return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.outerHTML];
            });
            return JSON.stringify(ratios.sort((a, b) => a[0] - b[0])[0]);
        })()",
    );
    let worst: Value = serde_json::from_str(worst.as_str().unwrap()).unwrap();
    assert!(worst[0].as_f64().unwrap() >= 4.5, "{worst}");
}

#[test]
fn somebody_without_a_token_logs_in_and_a_reader_has_no_buttons() {
    let Some(window) = window() else { return };
    let service = with_two_tasks();
    let token = access_token(&service.gate, "kim", "reader");
    window.open(&service.address, "/");
    window.until_it_says("serial-gate token add NAME --role reader", "login");
    // The field has the keyboard already.
    window.type_text("sgt_1_nonsense");
    window.press("Enter");
    window.until_it_says("This token is not known", "login-refused");
    window.type_text(&token);
    window.press("Enter");
    window.until_it_says("ORCH-2 job 2 waits for ORCH-1 (task 1)", "reader");
    assert_eq!(
        window.value("[...document.forms].map((form) => form.getAttribute('action')).join()"),
        "/logout"
    );
    window.click(".logout button");
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
    window.until_it_says("Nothing runs, nothing waits", "first-tab");
    // A browser has six connections for a service: with a stream each, the seventh tab would wait
    // for ever.
    let others: Vec<Window> = (0..8).map(|_| window.another()).collect();
    for other in &others {
        other.open(&service.address, "/");
        other.until_it_says("Nothing runs, nothing waits", "tab");
    }
    service
        .post(
            "/v1/tasks",
            &json!({"repo": "alpha", "work_item": "ORCH-1"}),
        )
        .is(201);
    for tab in others.iter().chain([&window]) {
        // A hidden tab rests.
        tab.show();
        tab.until_it_says("ORCH-1", "tab-that-follows");
    }
}
