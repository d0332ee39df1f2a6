//! Alerts that have failed, and are sent again.

use jiff::Timestamp;
use serial_gate::alerts::deliver;
use serial_gate::store::sql_time;

use super::{HOUR, deliveries, freeze, frozen, settings, telegram, webhook};
use crate::support::Gate;
use crate::support::endpoint::{Answer, Endpoint};
use crate::support::redacted::without_times;

/// Two alerts that have failed with both channels, which would accept them now.
fn failed() -> (Gate, Endpoint) {
    let (gate, endpoint) = (frozen(), Endpoint::new(&[Answer::Status(403); 4]));
    freeze(&gate);
    for _ in 0..2 {
        send(&gate, &endpoint);
        // The channel is left alone after a failure.
        gate.program()
            .run("UPDATE serial_gate_channel SET held_until = '2001-01-01 00:00:00'");
    }
    let in_an_hour = sql_time(Timestamp::now() + HOUR);
    gate.program().run(format!(
        "UPDATE serial_gate_channel SET held_until = '{in_an_hour}'"
    ));
    for channel in ["telegram", "webhook"] {
        assert_eq!(states(&gate, channel), ["failed", "failed"]);
    }
    (gate, endpoint)
}

fn send(gate: &Gate, endpoint: &Endpoint) -> usize {
    let mut settings = settings([telegram(&endpoint.url), webhook(&endpoint.url)]);
    settings.tries = 1;
    let round = deliver(gate.place(), &settings, &Timestamp::now);
    round.unwrap().sent
}

fn states(gate: &Gate, channel: &str) -> Vec<String> {
    let states = deliveries(gate, channel).into_iter();
    states.map(|(state, _, _)| state).collect()
}

#[test]
fn all_that_have_failed_are_sent_again_at_once() {
    for flag in [&[][..], &["--failed"]] {
        let (gate, endpoint) = failed();
        assert_eq!(send(&gate, &endpoint), 0);
        let ran = gate.run(&[&["alerts", "retry"], flag].concat()).succeeds();
        assert_eq!(
            ran.stdout,
            "2 alerts to be sent again\n  a running service sends them now; without one: serial-gate alerts deliver\n"
        );
        assert_eq!(send(&gate, &endpoint), 4);
    }
}

#[test]
fn one_of_them_is_sent_again_by_its_number() {
    let (gate, endpoint) = failed();
    let ran = gate.run(&["alerts", "retry", "2", "--json"]).succeeds();
    insta::assert_snapshot!(ran.stdout, @r#"{"not_failed":[],"retried":[{"alert":2,"channel":"telegram"},{"alert":2,"channel":"webhook"}]}"#);
    assert_eq!(send(&gate, &endpoint), 2);
    assert_eq!(states(&gate, "webhook"), ["failed", "sent"]);
}

#[test]
fn they_are_sent_again_to_one_channel_and_the_other_one_stays_as_it_is() {
    let (gate, endpoint) = failed();
    gate.run(&["alerts", "retry", "--channel", "telegram"])
        .succeeds();
    assert_eq!(send(&gate, &endpoint), 2);
    assert_eq!(states(&gate, "telegram"), ["sent", "sent"]);
    assert_eq!(states(&gate, "webhook"), ["failed", "failed"]);
}

#[test]
fn an_alert_that_is_sent_again_has_all_its_tries() {
    let (gate, _) = failed();
    let endpoint = Endpoint::new(&[Answer::Status(500)]);
    gate.run(&["alerts", "retry", "1", "--channel", "webhook"])
        .succeeds();
    let mut settings = settings([webhook(&endpoint.url)]);
    settings.tries = 2;
    deliver(gate.place(), &settings, &Timestamp::now).unwrap();
    assert_eq!(
        deliveries(&gate, "webhook")[0],
        ("pending".into(), 1, Some("it answered 500".into()))
    );
}

#[test]
fn what_has_not_failed_is_left_as_it_is_and_said() {
    let (gate, endpoint) = failed();
    gate.run(&["alerts", "retry"]).succeeds();
    send(&gate, &endpoint);
    let said = [&["1"][..], &["1", "2"], &["--channel", "webhook"], &[]].map(|ids| {
        gate.run(&[&["alerts", "retry"], ids].concat())
            .succeeds()
            .stdout
    });
    insta::assert_snapshot!(said.concat(), @r"
    alert 1 has not failed, and is left as it is
    alert 1 has not failed, and is left as it is
    alert 2 has not failed, and is left as it is
    no alert has failed with `webhook`: there is nothing to send again
    no alert has failed: there is nothing to send again
    ");
    assert_eq!(send(&gate, &endpoint), 0);
}

#[test]
fn an_alert_that_there_is_not_is_named_and_nothing_is_changed() {
    let (gate, _) = failed();
    let ran = gate.run(&["alerts", "retry", "1", "99"]).exits(1);
    assert_eq!(
        ran.stderr,
        "error: there is no alert 99: `serial-gate alerts` lists them\n"
    );
    assert_eq!(states(&gate, "webhook"), ["failed", "failed"]);
}

#[test]
fn the_list_names_the_command_beside_what_has_failed() {
    let (gate, _) = failed();
    let shown = gate.run(&["alerts"]).succeeds().stdout;
    insta::assert_snapshot!(without_times(&shown), @r"
    2  (time)  `alpha` is frozen: no task of it starts (freeze (number), by ops): errors at 7 %
       telegram failed after 1 try: it answered 403
       webhook failed after 1 try: it answered 403
       send it again with: serial-gate alerts retry 2
    1  (time)  `alpha` is frozen: no task of it starts (freeze (number), by ops): errors at 7 %
       telegram failed after 1 try: it answered 403
       webhook failed after 1 try: it answered 403
       send it again with: serial-gate alerts retry 1
    ");
}

#[test]
fn the_audit_says_what_was_sent_again_and_why() {
    let (gate, _) = failed();
    let why = ["--who", "ops", "--reason", "the bot is back"];
    gate.run(&[&["alerts", "retry"], &why[..]].concat())
        .succeeds();
    gate.run(&["alerts", "retry"]).succeeds();
    let rows = gate.run(&["audit", "--json"]).succeeds().json_lines();
    let retries: Vec<_> = rows
        .iter()
        .filter(|row| row["action"] == "alerts retry")
        .map(|row| (&row["subject"], &row["who"], &row["why"], &row["after"]))
        .collect();
    insta::assert_snapshot!(format!("{retries:?}"), @r#"[(String("alerts 1, 2"), String("ops"), String("the bot is back"), String("pending"))]"#);
}
