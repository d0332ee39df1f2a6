//! A Telegram chat that has moved to another id.

use jiff::Timestamp;
use serde_json::{Value, json};
use serial_gate::alerts::{Round, deliver};

use super::{after, deliveries, freeze, frozen, settings, telegram};
use crate::support::Gate;
use crate::support::endpoint::{Answer, Endpoint};

/// It does not fit into 32 bits.
const SUPERGROUP: i64 = -1_001_234_567_890;

fn send(gate: &Gate, endpoint: &Endpoint) -> Round {
    let settings = settings([telegram(&endpoint.url)]);
    deliver(gate.place(), &settings, &Timestamp::now).unwrap()
}

fn chats(endpoint: &Endpoint) -> Vec<Value> {
    let requests = endpoint.requests().into_iter();
    requests
        .map(|request| request.json()["chat_id"].clone())
        .collect()
}

#[test]
fn a_chat_that_has_moved_is_followed_at_once_and_from_then_on() {
    let (gate, endpoint) = (frozen(), Endpoint::new(&[Answer::Moved(SUPERGROUP)]));
    assert_eq!(send(&gate, &endpoint).sent, 1);
    freeze(&gate);
    assert_eq!(send(&gate, &endpoint).sent, 1);
    let moved = SUPERGROUP.to_string();
    assert_eq!(
        chats(&endpoint),
        [json!("-100"), json!(moved), json!(moved)]
    );
}

#[test]
fn a_move_is_logged_with_what_to_write_into_the_configuration() {
    let (gate, endpoint) = (frozen(), Endpoint::new(&[Answer::Moved(SUPERGROUP)]));
    gate.write("token", super::TOKEN);
    gate.write(
        "serial-gate.toml",
        format!(
            "[alerts.telegram]\nurl = '{}'\nchat = '-100'\ntoken_file = 'token'\n",
            endpoint.url
        ),
    );
    let ran = gate.run(&["alerts", "deliver"]).succeeds();
    insta::assert_snapshot!(ran.stderr, @r#" WARN the chat `-100` has moved to `-1001234567890`, and alerts follow it: write `chat = "-1001234567890"` in `[alerts.telegram]`, or set `SERIAL_GATE_TELEGRAM_CHAT`"#);
}

#[test]
fn another_chat_in_the_configuration_is_not_where_the_last_one_moved_to() {
    let (gate, endpoint) = (frozen(), Endpoint::new(&[Answer::Moved(SUPERGROUP)]));
    send(&gate, &endpoint);
    freeze(&gate);
    let mut channel = telegram(&endpoint.url);
    if let serial_gate::alerts::Channel::Telegram(telegram) = &mut channel {
        telegram.chat = "@ops".into();
    }
    deliver(gate.place(), &settings([channel]), &Timestamp::now).unwrap();
    assert_eq!(chats(&endpoint).last(), Some(&json!("@ops")));
}

#[test]
fn a_chat_that_moves_again_is_followed_again() {
    let answers = [
        Answer::Moved(-7),
        Answer::Status(200),
        Answer::Moved(SUPERGROUP),
    ];
    let (gate, endpoint) = (frozen(), Endpoint::new(&answers));
    send(&gate, &endpoint);
    freeze(&gate);
    send(&gate, &endpoint);
    freeze(&gate);
    assert_eq!(send(&gate, &endpoint).sent, 1);
    let moved = SUPERGROUP.to_string();
    assert_eq!(
        chats(&endpoint),
        ["-100", "-7", "-7", &moved, &moved].map(|chat| json!(chat))
    );
}

#[test]
fn chats_that_send_one_another_round_are_not_followed_for_ever() {
    for (answers, requests) in [
        (&[Answer::Moved(-100)][..], 1),
        (&[Answer::Moved(-7), Answer::Moved(-100)], 2),
        (&[1, 2, 3, 4, 5, 6].map(Answer::Moved), 4),
    ] {
        let (gate, endpoint) = (frozen(), Endpoint::new(answers));
        let round = send(&gate, &endpoint);
        let failure = round.failures[0].1.to_string();
        assert!(failure.starts_with("it answered 400: "), "{failure}");
        assert_eq!(endpoint.requests().len(), requests, "{answers:?}");
        // It is tried again like any other failure, from where it is configured.
        let now = after(&gate, 3_600);
        let settings = settings([telegram(&endpoint.url)]);
        deliver(gate.place(), &settings, &|| now).unwrap();
        assert_eq!(chats(&endpoint)[requests], json!("-100"));
    }
}

#[test]
fn where_the_chat_has_moved_to_is_known_although_the_message_failed_there() {
    let answers = [Answer::Moved(SUPERGROUP), Answer::TooManyInBody(30)];
    let (gate, endpoint) = (frozen(), Endpoint::new(&answers));
    let round = send(&gate, &endpoint);
    assert_eq!(round.sent, 0);
    assert_eq!(deliveries(&gate, "telegram")[0].0, "pending");
    let settings = settings([telegram(&endpoint.url)]);
    let later = |seconds| {
        let now = after(&gate, seconds);
        deliver(gate.place(), &settings, &|| now).unwrap().sent
    };
    assert_eq!(later(20), 0, "it asked for 30 s");
    assert_eq!(later(40), 1);
    assert_eq!(
        chats(&endpoint).last(),
        Some(&json!(SUPERGROUP.to_string()))
    );
}

#[test]
fn a_chat_that_is_back_where_it_is_configured_has_not_moved() {
    let answers = [
        Answer::Moved(SUPERGROUP),
        Answer::Status(200),
        Answer::Moved(-100),
    ];
    let (gate, endpoint) = (frozen(), Endpoint::new(&answers));
    send(&gate, &endpoint);
    freeze(&gate);
    gate.write("token", super::TOKEN);
    gate.write(
        "serial-gate.toml",
        format!(
            "[alerts.telegram]\nurl = '{}'\nchat = '-100'\ntoken_file = 'token'\n",
            endpoint.url
        ),
    );
    let ran = gate.run(&["alerts", "deliver"]).succeeds();
    assert_eq!(ran.stderr, "");
    freeze(&gate);
    assert_eq!(send(&gate, &endpoint).sent, 1);
    let moved = SUPERGROUP.to_string();
    assert_eq!(
        chats(&endpoint),
        ["-100", &moved, &moved, "-100", "-100"].map(|chat| json!(chat))
    );
}
