//! The output of `audit`, `alerts` and related verbs.

use super::{freeze, frozen};
use crate::support::Gate;
use crate::support::redacted::without_times;

#[test]
fn the_audit_shows_who_did_what_and_why_the_newest_first() {
    let gate = Gate::new();
    let why = |arguments: &[&str]| {
        let more = ["--who", "ops", "--reason", "as discussed"];
        gate.run(&[arguments, &more].concat()).succeeds();
    };
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["claim"]).succeeds();
    why(&["job", "requeue", "1"]);
    why(&["task", "label", "1", "hotfix"]);
    why(&["freeze", "alpha", "--new"]);
    gate.run(&[
        "deploy-verdict",
        "beta",
        "--verdict",
        "degraded",
        "--deploy",
        "118",
        "--who",
        "ci",
    ])
    .succeeds();
    why(&["unfreeze", "alpha"]);
    gate.run(&["task", "done", "1", "--who", "ops"]).succeeds();
    // All have the same second, so the order comes from the ids.
    gate.program().run(
        "UPDATE serial_gate_audit SET at = '2001-01-01 00:00:00';
             UPDATE serial_gate_generation_event SET at = '2001-01-01 00:00:00', who = 'ops';",
    );
    insta::assert_snapshot!(without_times(&gate.run(&["audit"]).succeeds().stdout), @r"
    AT (UTC)             WHO  WHAT            REPO   TO                      CHANGE            WHY
    (time)  ops  task done       alpha  task 1                  analysis → done   -
    (time)  ops  unfreeze        alpha  freeze (number)    frozen → open     as discussed
    (time)  ci   deploy verdict  beta   deploy 118 is degraded  open → frozen     -
    (time)  ops  freeze          alpha  freeze (number)    open → frozen     as discussed
    (time)  ops  task label      alpha  task 1                  - → hotfix        as discussed
    (time)  ops  job requeue     alpha  job 1                   running → queued  as discussed
    (time)  ops  policy          -      generation 1            - → active        the queue was made
    ");
    let of_beta = gate
        .run(&["audit", "--repo", "beta", "--json"])
        .succeeds()
        .json();
    assert_eq!(of_beta["subject"], "deploy 118 is degraded");
    let newest = gate
        .run(&["audit", "--limit", "1", "--json"])
        .succeeds()
        .json();
    assert_eq!(newest["action"], "task done");
}

#[test]
fn an_audit_without_a_row_says_so() {
    let ran = Gate::new().run(&["audit", "--repo", "alpha"]).succeeds();
    assert_eq!(ran.stdout, "the audit has no entry about `alpha`\n");
}

#[test]
fn a_freeze_that_the_operator_has_not_seen_is_not_cleared() {
    let gate = frozen();
    let newest = || {
        let repo = gate.run(&["repo", "alpha", "--json"]).succeeds().json();
        repo["freeze"]["id"].to_string()
    };
    let seen = newest();
    freeze(&gate);
    let ran = gate.run(&["unfreeze", "alpha", "--seen", &seen]).exits(1);
    insta::assert_snapshot!(without_times(&ran.stderr), @"error: `alpha` was frozen again by freeze (number), which is newer than (number), and nothing was cleared: look at its reason with `serial-gate repo alpha`, and give `--seen (number)`");
    let ran = gate
        .run(&["unfreeze", "alpha", "--seen", &newest()])
        .succeeds();
    assert_eq!(ran.stdout, "`alpha` is open again: 2 freezes cleared\n");
}

#[test]
fn a_degraded_deploy_is_answered_with_the_way_out() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let degraded = [
        "deploy-verdict",
        "alpha",
        "--verdict",
        "degraded",
        "--deploy",
        "118",
    ];
    let healthy = [
        "deploy-verdict",
        "alpha",
        "--verdict",
        "healthy",
        "--deploy",
        "119",
    ];
    let said = [&degraded, &degraded, &healthy].map(|verb| gate.run(verb).succeeds().stdout);
    let number =
        gate.run(&["repo", "alpha", "--json"]).succeeds().json()["freeze"]["id"].to_string();
    insta::assert_snapshot!(said.concat().replace(&number, "(number)"), @r"
    `alpha` is frozen, because its deploy is degraded: no task of it starts (freeze (number))
      release it with: serial-gate unfreeze alpha --seen (number)
    this deploy of `alpha` is known to be degraded: nothing new was frozen
      `alpha` is still frozen: an operator clears that
      release it with: serial-gate unfreeze alpha --seen (number)
    the deploy of `alpha` is healthy
      `alpha` is still frozen: an operator clears that
      release it with: serial-gate unfreeze alpha --seen (number)
    ");
}

#[test]
fn alerts_are_shown_with_how_far_they_are() {
    let gate = frozen();
    gate.run(&["unfreeze", "alpha", "--who", "ops"]).succeeds();
    freeze(&gate);
    gate.program().run(
        "INSERT INTO serial_gate_delivery (alert, channel, state, attempts, due_at, error) VALUES
                (2, 'telegram', 'sent', 1, '2001-01-01 00:00:00', NULL),
                (2, 'webhook', 'pending', 2, '2001-01-01 00:00:00', 'it answered 500');
             UPDATE serial_gate_alert SET at = '2001-01-01 00:00:00' WHERE id = 1;",
    );
    insta::assert_snapshot!(without_times(&gate.run(&["alerts"]).succeeds().stdout), @r"
    3  (time)  `alpha` is frozen: no task of it starts (freeze (number), by ops): errors at 7 %
       pending: `serial-gate alerts deliver` sends it
    2  (time)  `alpha` is open again (by ops)
       telegram sent
       webhook pending after 2 tries, next at (time) UTC: it answered 500
    1  (time)  `alpha` is frozen: no task of it starts (freeze (number), by ops): errors at 7 %
       expired: there was no channel
    ");
    let states: Vec<_> = gate
        .run(&["alerts", "--json"])
        .succeeds()
        .json_lines()
        .into_iter()
        .map(|alert| alert["state"].clone())
        .collect();
    assert_eq!(states, ["pending", "pending", "expired"]);
}

#[test]
fn a_queue_without_alerts_says_so() {
    assert_eq!(
        Gate::new().run(&["alerts"]).succeeds().stdout,
        "there are no alerts\nnote: no channel is configured: add `[alerts.telegram]` or \
         `[alerts.webhook]` to `serial-gate.toml`\n"
    );
}
