//! The whole system, once: two tasks of a repo and a third, a worker, a remote, a bad deploy, an
//! alert, and an operator who looks at the page and opens the repo again.

use serde_json::json;

use crate::support::endpoint::Endpoint;
use crate::support::look::{lines, until};
use crate::support::service::Service;
use crate::support::window::window;
use crate::support::worker::{Project, Worker};

#[test]
fn a_task_starts_from_its_predecessor_s_code_and_a_bad_deploy_stops_the_next() {
    let Some(window) = window() else { return };
    let endpoint = Endpoint::new(&[]);
    let project = Project::with(&format!(
        "[alerts.webhook]\nurl = \"{}/hook\"\nsecret_file = \"secret\"",
        endpoint.url
    ));
    let gate = &project.gate;
    gate.write("secret", "a shared secret");
    let service = Service::on(gate.clone());
    let command = "echo $SERIAL_GATE_WORK_ITEM on $SERIAL_GATE_BRANCH >> worked";
    let worker = Worker::start(gate, &["--worker", "builder"], &["sh", "-c", command]);
    let worked = |line: &str| {
        lines(&gate.path("worked"))
            .iter()
            .any(|found| found == line)
    };
    window.open(&service.address, "/repo?name=alpha");

    // The first task starts, and its branch is cut. The second is held, and the page says why.
    for work_item in ["ORCH-1", "ORCH-2", "ORCH-3"] {
        let task = json!({"repo": "alpha", "work_item": work_item});
        service.post("/v1/tasks", &task).is(201);
    }
    until("the first task is worked on", || {
        worked("ORCH-1 on task/ORCH-1")
    });
    assert_eq!(project.tip("task/ORCH-1"), project.tip("main"));
    window.until_it_says("ORCH-2 job 2 waits for ORCH-1", "story-1-held");
    assert!(
        window.text().contains("ORCH-1 in analysis"),
        "{}",
        window.text()
    );
    assert_eq!(project.tip("task/ORCH-2"), None);

    // It is merged and done, and the second starts from its code.
    let commit = project.commit_on("task/ORCH-1", "what the first task did");
    project.merge("task/ORCH-1");
    let done = |task: i64| {
        let path = format!("/v1/tasks/{task}");
        let done = json!({"stage": "done", "force": true, "reason": "merged"});
        service.request("PATCH", &path).json(&done).send().is(200);
    };
    done(1);
    until("the second task is worked on", || {
        worked("ORCH-2 on task/ORCH-2")
    });
    assert!(
        project.has("task/ORCH-2", &commit),
        "the second task lacks the first one's code"
    );
    window.until_it_says("ORCH-2 in analysis", "story-2-next");

    // Its deploy is degraded: the repo is frozen, one alert is sent, and the page shows both the
    // reason and what it holds.
    let deploy = json!({"repo": "alpha", "verdict": "degraded", "work_item": "ORCH-2", "detail": "errors at 7 %"});
    service.post("/v1/deploys", &deploy).is(201);
    service.post("/v1/deploys", &deploy).is(201);
    done(2);
    window.until_it_says("ORCH-3 job 3 the repo is frozen", "story-3-frozen");
    assert!(window.text().contains("errors at 7 %"), "{}", window.text());
    assert_eq!(endpoint.wait_for(1)[0].json()["kind"], "freeze");
    assert_eq!(project.tip("task/ORCH-3"), None);

    // An operator opens it again in the browser, and the next task starts.
    window.click(".actions summary");
    window.type_text("rolled back by hand");
    window.press("Enter");
    until("the third task is worked on", || {
        worked("ORCH-3 on task/ORCH-3")
    });
    window.until_it_says("ORCH-3 in analysis", "story-4-released");
    let told: Vec<_> = endpoint
        .wait_for(2)
        .iter()
        .map(|alert| alert.json()["kind"].clone())
        .collect();
    assert_eq!(told, ["freeze", "unfreeze"]);

    worker.tell(rustix::process::Signal::TERM);
    worker.ended().succeeds();
    assert!(service.stop().success());
}
