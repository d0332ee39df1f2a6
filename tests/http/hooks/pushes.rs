//! What a push to a base changes of what is said about the branches that were cut from it.

use serde_json::json;

use super::*;

const NEW: &str = "0f3d2be1c7ae82c7b1a177c8d03f9e96e0adf247";

fn said(gate: &Gate) -> String {
    let explained = gate.run(&["explain", "1"]).succeeds().stdout;
    let line = explained.lines().find(|line| line.contains("branch:"));
    line.unwrap().trim().to_owned()
}

#[test]
fn a_push_from_where_the_base_was_seen_moves_it() {
    let service = Service::on(gate());
    finished(&service.gate, "alpha", "task/A-1");
    let mut lines = vec![said(&service.gate)];
    let zeros = "0".repeat(40);
    for (name, changes) in [
        ("another branch", vec![("/ref", json!("refs/heads/other"))]),
        ("from elsewhere", vec![("/before", json!("b".repeat(40)))]),
        ("on", vec![]),
        ("once more", vec![("/before", json!("b".repeat(40)))]),
        (
            "on and on",
            vec![("/before", json!(NEW)), ("/after", json!("c".repeat(40)))],
        ),
        (
            "rewritten",
            vec![
                ("/before", json!("c".repeat(40))),
                ("/after", json!("d".repeat(40))),
                ("/forced", json!(true)),
            ],
        ),
        (
            "deleted",
            vec![("/before", json!("d".repeat(40))), ("/after", json!(zeros))],
        ),
    ] {
        let body = changed(PUSH, &changes);
        let answer = Sent::github(&service, "push", &body).said();
        lines.push(format!("{name}: {answer}\n  {}", said(&service.gate)));
    }
    insta::assert_snapshot!(lines.join("\n"), @"
    its task's branch: `task/A-1`, cut from `main` at 6113728f27
    another branch: 200 nothing: `other`: no task's branch was cut from it
      its task's branch: `task/A-1`, cut from `main` at 6113728f27
    from elsewhere: 200 nothing: `main`: a worker's next look tells where it is
      its task's branch: `task/A-1`, cut from `main` at 6113728f27
    on: 200 recorded: `main`: it has moved
      its task's branch: `task/A-1`, cut from `main` at 6113728f27; `main` has moved since, to 0f3d2be1c7: merge it into the branch
    once more: 200 seen: this was seen already, and changes nothing
      its task's branch: `task/A-1`, cut from `main` at 6113728f27; `main` has moved since, to 0f3d2be1c7: merge it into the branch
    on and on: 200 recorded: `main`: it has moved
      its task's branch: `task/A-1`, cut from `main` at 6113728f27; `main` has moved since, to cccccccccc: merge it into the branch
    rewritten: 200 recorded: `main`: it has moved
      its task's branch: `task/A-1`, cut from `main` at 6113728f27; `main` is at dddddddddd, and whether it still contains 6113728f27 is not known: look before you merge or rebase
    deleted: 200 recorded: `main`: it was deleted
      its task's branch: `task/A-1`, cut from `main` at 6113728f27; the remote has no `main` any more: push it again, or rebase the branch onto another base
    ");
}

#[test]
fn forges_that_do_not_tell_of_a_rewrite_leave_it_to_a_look() {
    let service = Service::on(gate());
    for (forge, repo, event, body) in [
        ("gitlab", "gamma", "Push Hook", GITLAB_PUSH),
        ("gitea", "delta", "push", GITEA_PUSH),
    ] {
        finished(&service.gate, repo, "task/A-1");
        service.gate.run(&["task", "add", repo]).succeeds();
        let said = Sent::of(forge, &service, event, &changed(body, &[])).said();
        assert_eq!(said, "200 recorded: `main`: it has moved");
        let document = service.gate.run(&["queue", "--json"]).succeeds().json();
        let branch = &document["per_repo"][repo]["active_task"]["branch"];
        assert_eq!(branch["base_moved_to"], NEW);
        assert_eq!(branch["base_unknown"], true);
    }
}
