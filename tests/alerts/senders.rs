//! Senders that run in parallel, are killed, and come back.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use serial_gate::alerts::{deliver, run};

use super::{SECRET, after, deliveries, freeze, frozen, settings, webhook};
use crate::support::Gate;
use crate::support::endpoint::{Answer, Endpoint};

#[test]
fn four_senders_send_each_of_forty_alerts_once() {
    let (gate, endpoint) = (Gate::new(), Endpoint::new(&[]));
    for _ in 0..40 {
        freeze(&gate);
    }
    let settings = settings([webhook(&endpoint.url)]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| deliver(gate.place(), &settings, &Timestamp::now).unwrap());
        }
    });
    let mut ids: Vec<i64> = endpoint
        .requests()
        .iter()
        .map(|request| request.json()["id"].as_i64().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=40).collect::<Vec<_>>());
}

#[test]
fn a_killed_sender_s_alert_is_sent_by_another_once_its_lease_ran_out() {
    let (gate, endpoint) = (frozen(), Endpoint::new(&[Answer::Hang]));
    let mut killed = gate
        .command(&["alerts", "deliver"])
        .env("SERIAL_GATE_WEBHOOK_URL", &endpoint.url)
        .env("SERIAL_GATE_WEBHOOK_SECRET", SECRET)
        .spawn()
        .unwrap();
    endpoint.wait_for(1);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let settings = settings([webhook(&endpoint.url)]);
    let round = |seconds| {
        let now = after(&gate, seconds);
        deliver(gate.place(), &settings, &|| now).unwrap()
    };
    assert_eq!(round(0).sent, 0, "the lease still holds");
    assert_eq!(round(3_600).sent, 1);
    assert_eq!(deliveries(&gate, "webhook"), [("sent".into(), 2, None)]);
}

#[test]
fn a_sender_that_goes_on_sends_what_comes_and_ends_when_it_is_told_to() {
    let (gate, endpoint) = (frozen(), Endpoint::new(&[]));
    let settings = settings([webhook(&endpoint.url)]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| run(gate.queue(), &settings, &Timestamp::now, &stop));
        endpoint.wait_for(1);
        freeze(&gate);
        endpoint.wait_for(2);
        stop.store(true, Ordering::Relaxed);
        sender.join().unwrap().unwrap();
    });
}

#[test]
fn a_watching_sender_is_told_of_no_channel_before_it_starts() {
    let ran = frozen().run(&["alerts", "deliver", "--watch"]).exits(1);
    assert_eq!(
        ran.stderr,
        "error: no channel is configured: add `[alerts.telegram]` or `[alerts.webhook]` to `serial-gate.toml`\n"
    );
}

#[test]
fn without_a_channel_the_list_says_so_and_names_the_file_in_use() {
    let gate = frozen();
    gate.write("other.toml", "");
    let note = "note: no channel is configured: add `[alerts.telegram]` or `[alerts.webhook]` to";
    for (flags, file) in [
        (&[][..], "serial-gate.toml"),
        (&["--config", "other.toml"], "other.toml"),
    ] {
        let list = gate.run(&[flags, &["alerts"]].concat()).succeeds().stdout;
        assert!(list.contains(&format!("{note} `{file}`\n")), "{list}");
        assert!(
            list.contains("pending: there is no channel yet\n"),
            "{list}"
        );
    }
}

#[test]
fn a_secret_file_that_cannot_be_read_is_named_with_its_key_and_its_whole_path() {
    let gate = frozen();
    std::fs::create_dir(gate.path("etc")).unwrap();
    gate.write(
        "etc/other.toml",
        "[alerts.webhook]\nurl = 'http://127.0.0.1:1/'\nsecret_file = 'none'\n",
    );
    let ran = gate
        .run(&["--config", "etc/other.toml", "alerts", "test"])
        .exits(1);
    let folder = gate.path(".").canonicalize().unwrap();
    let said = ran.stderr.replace(folder.to_str().unwrap(), "FOLDER");
    insta::assert_snapshot!(said, @r"
    error: the file of `alerts.webhook.secret_file` in `etc/other.toml` cannot be used
      because cannot read `FOLDER/etc/none`: check the path
      because no such file or directory
    ");
    gate.write(
        "etc/other.toml",
        "[alerts.webhook]\nurl = 'http://127.0.0.1:1/'\n",
    );
    let ran = gate
        .run(&["--config", "etc/other.toml", "alerts", "test"])
        .exits(1);
    insta::assert_snapshot!(ran.stderr, @"error: `webhook` lacks its secret: set `SERIAL_GATE_WEBHOOK_SECRET`, or `alerts.webhook.secret_file` in `etc/other.toml`");
}

#[test]
fn a_claim_is_made_while_a_channel_hangs() {
    let (gate, endpoint) = (frozen(), Endpoint::new(&[Answer::Hang]));
    gate.run(&["task", "add", "beta"]).succeeds();
    let settings = settings([webhook(&endpoint.url)]);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| deliver(gate.place(), &settings, &Timestamp::now));
        endpoint.wait_for(1);
        gate.run(&["claim"]).succeeds();
        assert!(!sender.is_finished(), "the channel still hangs");
        sender.join().unwrap().unwrap();
    });
}
