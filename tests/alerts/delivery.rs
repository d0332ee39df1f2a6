//! What is sent to a channel, and what its answers lead to.

use jiff::Timestamp;
use serde_json::json;
use serial_gate::alerts::{Failure, Secret, deliver, signature};

use super::{SECRET, TOKEN, after, deliveries, freeze, frozen, settings, telegram, webhook};
use crate::support::Gate;
use crate::support::endpoint::{Answer, Endpoint};
use crate::support::redacted::without_times;

/// One round of the webhook, as if so many seconds had passed.
fn round(gate: &Gate, endpoint: &Endpoint, seconds: i64) -> serial_gate::alerts::Round {
    let settings = settings([webhook(&endpoint.url)]);
    let now = after(gate, seconds);
    deliver(gate.place(), &settings, &|| now).unwrap()
}

#[test]
fn a_webhook_is_sent_a_signed_document() {
    let (gate, endpoint) = (frozen(), Endpoint::new(&[]));
    assert_eq!(round(&gate, &endpoint, 0).sent, 1);
    let request = &endpoint.requests()[0];
    let document = request.json();
    assert_eq!(
        [
            &document["kind"],
            &document["repo"],
            &document["who"],
            &document["why"]
        ],
        [
            &json!("freeze"),
            &json!("alpha"),
            &json!("ops"),
            &json!("errors at 7 %")
        ]
    );
    assert_eq!(
        without_times(document["text"].as_str().unwrap()),
        "`alpha` is frozen: no task of it starts (freeze (number), by ops): errors at 7 %"
    );
    assert!(
        document["at"]
            .as_str()
            .unwrap()
            .parse::<Timestamp>()
            .is_ok()
    );
    let seconds = request.header("X-Serial-Gate-Timestamp").parse().unwrap();
    assert_eq!(
        request.header("X-Serial-Gate-Signature"),
        signature(&Secret::new(SECRET), seconds, &request.body)
    );
    assert_eq!(request.header("Idempotency-Key"), document["key"]);
}

#[test]
fn telegram_is_sent_a_message_for_the_chat() {
    let (gate, endpoint) = (frozen(), Endpoint::new(&[]));
    let settings = settings([telegram(&endpoint.url)]);
    deliver(gate.place(), &settings, &Timestamp::now).unwrap();
    let request = &endpoint.requests()[0];
    assert_eq!(request.path, format!("/bot{TOKEN}/sendMessage"));
    let message = request.json();
    assert_eq!(message["chat_id"], "-100");
    assert_eq!(
        without_times(message["text"].as_str().unwrap()),
        "`alpha` is frozen: no task of it starts (freeze (number), by ops): errors at 7 %"
    );
}

#[test]
fn what_was_sent_is_not_sent_again() {
    let (gate, endpoint) = (frozen(), Endpoint::new(&[]));
    round(&gate, &endpoint, 0);
    assert_eq!(round(&gate, &endpoint, 3_600).sent, 0);
    assert_eq!(endpoint.requests().len(), 1);
}

#[test]
fn a_channel_that_fails_is_tried_again_when_that_is_due_with_the_same_key() {
    let (gate, endpoint) = (frozen(), Endpoint::new(&[Answer::Status(500)]));
    let failed = round(&gate, &endpoint, 0);
    assert_eq!(failed.failures.len(), 1);
    assert!(failed.next.is_some());
    assert_eq!(round(&gate, &endpoint, 1).sent, 0, "it is not due yet");
    assert_eq!(round(&gate, &endpoint, 60).sent, 1);
    let keys: Vec<_> = endpoint
        .requests()
        .iter()
        .map(|request| request.header("Idempotency-Key").to_owned())
        .collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
    assert_eq!(deliveries(&gate, "webhook"), [("sent".into(), 2, None)]);
}

#[test]
fn a_dropped_connection_is_tried_again() {
    let (gate, endpoint) = (frozen(), Endpoint::new(&[Answer::Drop]));
    let failed = round(&gate, &endpoint, 0);
    assert!(
        matches!(failed.failures[0].1, Failure::Connection(_)),
        "{failed:?}"
    );
    assert_eq!(round(&gate, &endpoint, 60).sent, 1);
}

#[test]
fn a_channel_that_does_not_answer_is_given_up_in_time_and_holds_no_other_up() {
    let (gate, hanging, good) = (frozen(), Endpoint::new(&[Answer::Hang]), Endpoint::new(&[]));
    let mut settings = settings([telegram(&hanging.url), webhook(&good.url)]);
    settings.timeout = std::time::Duration::from_secs(1);
    let round = deliver(gate.place(), &settings, &Timestamp::now).unwrap();
    assert_eq!(round.sent, 1);
    assert_eq!(
        round.failures,
        [("telegram", Failure::Timeout(settings.timeout))]
    );
    assert_eq!(deliveries(&gate, "webhook")[0].0, "sent");
    assert_eq!(deliveries(&gate, "telegram")[0].0, "pending");
}

#[test]
fn retry_after_is_honoured_by_every_alert_of_the_channel() {
    for answer in [Answer::TooMany(600), Answer::TooManyInBody(600)] {
        let (gate, endpoint) = (frozen(), Endpoint::new(&[answer]));
        let settings = settings([telegram(&endpoint.url)]);
        let round = |seconds| {
            let now = after(&gate, seconds);
            deliver(gate.place(), &settings, &|| now).unwrap()
        };
        round(0);
        freeze(&gate);
        assert_eq!(round(590).sent, 0, "{answer:?}");
        assert_eq!(endpoint.requests().len(), 1);
        assert_eq!(round(602).sent, 2);
    }
}

#[test]
fn an_alert_that_always_fails_holds_no_later_one_up() {
    let (taken, not) = (Answer::Status(200), Answer::Status(500));
    let (gate, endpoint) = (frozen(), Endpoint::new(&[not, not, taken, not]));
    round(&gate, &endpoint, 0);
    round(&gate, &endpoint, 60);
    freeze(&gate);
    // The alert with fewer tries comes first.
    assert_eq!(round(&gate, &endpoint, 66).sent, 1);
    let states = deliveries(&gate, "webhook");
    assert_eq!([&states[0].0, &states[1].0], ["pending", "sent"]);
}

#[test]
fn after_enough_tries_an_alert_has_failed_and_is_shown() {
    let (gate, endpoint) = (frozen(), Endpoint::new(&[Answer::Status(400); 9]));
    let mut settings = settings([webhook(&endpoint.url)]);
    settings.tries = 3;
    for hour in 0..9 {
        let now = after(&gate, hour * 3_600);
        deliver(gate.place(), &settings, &|| now).unwrap();
    }
    assert_eq!(endpoint.requests().len(), 3);
    assert_eq!(
        deliveries(&gate, "webhook"),
        [("failed".into(), 3, Some("it answered 400".into()))]
    );
    let shown = gate.run(&["alerts"]).succeeds().stdout;
    assert!(
        shown.contains("webhook failed after 3 tries: it answered 400"),
        "{shown}"
    );
}

#[test]
fn a_redirect_is_a_failure_because_it_would_carry_the_body_elsewhere() {
    let (gate, endpoint) = (frozen(), Endpoint::new(&[Answer::Elsewhere]));
    let failed = round(&gate, &endpoint, 0);
    assert_eq!(failed.failures[0].1.to_string(), "it answered 307");
    assert_eq!(endpoint.requests().len(), 1);
}

#[test]
fn no_failure_says_where_it_was() {
    let gate = frozen();
    let dead = "http://127.0.0.1:1/secret-path";
    for channel in [telegram(dead), webhook(dead)] {
        let settings = settings([channel]);
        let round = deliver(gate.place(), &settings, &Timestamp::now).unwrap();
        let said = format!("{round:?} {settings:?} {}", round.failures[0].1);
        for secret in [TOKEN, SECRET] {
            assert!(!said.contains(secret), "{said}");
        }
        assert!(!round.failures[0].1.to_string().contains("127.0.0.1"));
        assert!(
            said.contains("the connection failed: connection refused"),
            "{said}"
        );
    }
}

#[test]
fn a_new_channel_does_not_begin_with_old_news() {
    let (gate, endpoint) = (frozen(), Endpoint::new(&[]));
    assert_eq!(round(&gate, &endpoint, 25 * 3_600).sent, 0);
    gate.program()
        .run("UPDATE serial_gate_alert SET at = '2001-01-01 00:00:00'");
    let shown = gate.run(&["alerts", "--json"]).succeeds().json();
    assert_eq!(shown["state"], "expired");
}

#[test]
fn a_time_that_a_clock_years_ahead_has_written_keeps_no_alert_back() {
    for odd in ["2037-01-01 00:00:00", "zzz"] {
        for (column, table) in [
            ("held_until", "channel"),
            ("due_at", "delivery"),
            ("lease_until", "delivery"),
        ] {
            let (gate, endpoint) = (frozen(), Endpoint::new(&[Answer::Status(500)]));
            assert_eq!(round(&gate, &endpoint, 0).sent, 0);
            let update = format!("UPDATE serial_gate_{table} SET {column} = '{odd}'");
            gate.program().run(update);
            assert_eq!(round(&gate, &endpoint, 60).sent, 1, "{column} {odd}");
        }
    }
}

#[test]
fn a_channel_that_asks_for_a_whole_day_is_left_alone_for_it() {
    let day = 24 * 60 * 60;
    let (gate, endpoint) = (frozen(), Endpoint::new(&[Answer::TooMany(day)]));
    assert_eq!(round(&gate, &endpoint, 0).sent, 0);
    assert_eq!(round(&gate, &endpoint, 60).sent, 0);
    assert_eq!(round(&gate, &endpoint, day as i64 + 60).sent, 1);
}

#[test]
fn what_telegram_says_counts_and_not_the_status_alone() {
    for (status, body, said) in [
        (
            200,
            r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was kicked"}"#,
            "it answered 403: Forbidden: bot was kicked",
        ),
        (200, r#"{"ok":false}"#, "it answered 200"),
        (200, r#"{"ok":"true"}"#, "it answered 200"),
        (
            200,
            "<html>sign in first</html>",
            "it answered 200, and not as Telegram does",
        ),
        (200, "[]", "it answered 200, and not as Telegram does"),
        (
            400,
            r#"{"ok":false,"description":"Bad Request","parameters":null}"#,
            "it answered 400: Bad Request",
        ),
        (
            400,
            r#"{"ok":false,"description":7,"parameters":{"migrate_to_chat_id":0}}"#,
            "it answered 400",
        ),
        (
            429,
            r#"{"description":"slower","parameters":{"retry_after":"soon"}}"#,
            "it answered 429: slower",
        ),
    ] {
        let (gate, endpoint) = (frozen(), Endpoint::new(&[Answer::Says(status, body)]));
        let settings = settings([telegram(&endpoint.url)]);
        let round = deliver(gate.place(), &settings, &Timestamp::now).unwrap();
        assert_eq!(round.failures[0].1.to_string(), said, "{body}");
        assert_eq!(endpoint.requests().len(), 1, "{body}");
    }
}

#[test]
fn a_message_that_telegram_took_is_sent() {
    for body in [
        r#"{"ok":true,"result":{"message_id":1}}"#,
        r#"{"ok":true,"result":{"text":"broken o"#,
        "",
    ] {
        let (gate, endpoint) = (frozen(), Endpoint::new(&[Answer::Says(200, body)]));
        let settings = settings([telegram(&endpoint.url)]);
        let round = deliver(gate.place(), &settings, &Timestamp::now).unwrap();
        assert_eq!(round.sent, 1, "{body}");
    }
}

#[test]
fn fewer_tries_than_were_made_keep_what_went_wrong() {
    let (gate, endpoint) = (frozen(), Endpoint::new(&[Answer::Status(403); 3]));
    let mut settings = settings([webhook(&endpoint.url)]);
    for (hour, tries) in [(0, 9), (1, 9), (2, 1)] {
        settings.tries = tries;
        let now = after(&gate, hour * 3_600);
        let round = deliver(gate.place(), &settings, &|| now).unwrap();
        assert_eq!(round.failures[0].1.to_string(), "it answered 403");
    }
    assert_eq!(endpoint.requests().len(), 2);
    assert_eq!(
        deliveries(&gate, "webhook"),
        [("failed".into(), 2, Some("it answered 403".into()))]
    );
}
