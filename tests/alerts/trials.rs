//! `alerts test`: a message to each channel, and the report about it.

use super::{SECRET, TOKEN, deliveries, frozen};
use crate::support::endpoint::{Answer, Endpoint};
use crate::support::{Gate, Ran};

fn test(gate: &Gate, telegram: &str, webhook: &str, more: &[&str]) -> Ran {
    let ran = gate
        .command(&[&["alerts", "test", "--who", "ops"], more].concat())
        .env("SERIAL_GATE_TELEGRAM_URL", telegram)
        .env("SERIAL_GATE_TELEGRAM_CHAT", "-100")
        .env("SERIAL_GATE_TELEGRAM_TOKEN", TOKEN)
        .env("SERIAL_GATE_WEBHOOK_URL", webhook)
        .env("SERIAL_GATE_WEBHOOK_SECRET", SECRET)
        .output();
    let ran = Ran::from(ran.unwrap());
    for secret in ["the-token", SECRET] {
        assert!(!ran.stdout.contains(secret), "{}", ran.stdout);
        assert!(!ran.stderr.contains(secret), "{}", ran.stderr);
    }
    ran
}

#[test]
fn each_channel_is_sent_a_test_now_whatever_is_in_the_outbox() {
    let (gate, endpoint) = (frozen(), Endpoint::new(&[]));
    let ran = test(&gate, &endpoint.url, &endpoint.url, &[]).succeeds();
    insta::assert_snapshot!(ran.stdout, @r"
    telegram: the test was sent
    webhook: the test was sent
    ");
    let requests = endpoint.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(
        requests[0].json()["text"],
        "this is a test: the alerts of a queue arrive here (by ops)"
    );
    assert_eq!(requests[1].json()["kind"], "test");
    // The freeze is still pending, and the test is not an alert.
    assert!(deliveries(&gate, "webhook").is_empty());
    let listed = gate.run(&["alerts", "--json"]).succeeds().json_lines();
    assert_eq!(listed.len(), 1);
}

#[test]
fn two_tests_have_two_keys() {
    let (gate, endpoint) = (Gate::new(), Endpoint::new(&[]));
    for _ in 0..2 {
        test(
            &gate,
            &endpoint.url,
            &endpoint.url,
            &["--channel", "webhook"],
        )
        .succeeds();
    }
    let requests = endpoint.requests();
    let key = |number: usize| requests[number].header("Idempotency-Key");
    assert_ne!(key(0), key(1));
}

#[test]
fn one_channel_is_tested_alone() {
    let (gate, endpoint) = (Gate::new(), Endpoint::new(&[]));
    let dead = "http://127.0.0.1:1";
    let ran = test(&gate, dead, &endpoint.url, &["--channel", "webhook"]).succeeds();
    assert_eq!(ran.stdout, "webhook: the test was sent\n");
}

#[test]
fn a_channel_that_fails_is_told_with_its_remedy_and_keeps_no_other_from_its_test() {
    let (gate, endpoint) = (Gate::new(), Endpoint::new(&[]));
    let ran = test(&gate, "http://127.0.0.1:1", &endpoint.url, &[]).exits(1);
    insta::assert_snapshot!(ran.stdout, @r"
    telegram: the test was not sent: the connection failed: connection refused
      check whether something listens at its address, and whether a firewall is in between
    webhook: the test was sent
    ");
    let ran = test(&gate, "no address", &endpoint.url, &[]).exits(1);
    insta::assert_snapshot!(ran.stdout, @r"
    telegram: the test was not sent: the address of `telegram` is not an `http://` or `https://` address: correct it, or the token in it, in the configuration file or the environment
    webhook: the test was sent
    ");
}

#[test]
fn each_answer_has_its_remedy() {
    let gate = Gate::new();
    let mut said = String::new();
    for status in [302, 400, 401, 403, 404, 429, 503] {
        let [telegram, webhook] = [(); 2].map(|()| Endpoint::new(&[Answer::Status(status)]));
        said += &test(&gate, &telegram.url, &webhook.url, &[])
            .exits(1)
            .stdout;
    }
    insta::assert_snapshot!(said, @r"
    telegram: the test was not sent: it answered 302
      give the address that it redirects to: redirects are not followed, because a request carries a secret
    webhook: the test was not sent: it answered 302
      give the address that it redirects to: redirects are not followed, because a request carries a secret
    telegram: the test was not sent: it answered 400
      correct `chat` in `[alerts.telegram]`: the number of a chat that the bot is in, or `@name` of a channel
    webhook: the test was not sent: it answered 400
      the receiver refused the document: look into its log
    telegram: the test was not sent: it answered 401
      correct the bot's token, which @BotFather shows: `SERIAL_GATE_TELEGRAM_TOKEN`, or `token_file` in `[alerts.telegram]`
    webhook: the test was not sent: it answered 401
      give both ends the same secret: `SERIAL_GATE_WEBHOOK_SECRET`, or `secret_file` in `[alerts.webhook]`
    telegram: the test was not sent: it answered 403
      add the bot to the chat, and allow it to write there
    webhook: the test was not sent: it answered 403
      give both ends the same secret: `SERIAL_GATE_WEBHOOK_SECRET`, or `secret_file` in `[alerts.webhook]`
    telegram: the test was not sent: it answered 404
      correct the bot's token, which @BotFather shows: `SERIAL_GATE_TELEGRAM_TOKEN`, or `token_file` in `[alerts.telegram]`
    webhook: the test was not sent: it answered 404
      correct the address: `SERIAL_GATE_WEBHOOK_URL`, or `url` in `[alerts.webhook]`
    telegram: the test was not sent: it answered 429
      it had too many messages: test again later
    webhook: the test was not sent: it answered 429
      it had too many messages: test again later
    telegram: the test was not sent: it answered 503
      the receiver itself failed: look into its log, and test again
    webhook: the test was not sent: it answered 503
      the receiver itself failed: look into its log, and test again
    ");
}

#[test]
fn the_result_is_a_line_of_json_a_channel() {
    let (gate, endpoint) = (Gate::new(), Endpoint::new(&[Answer::Status(403)]));
    let ran = test(&gate, &endpoint.url, &endpoint.url, &["--json"]).exits(1);
    insta::assert_snapshot!(ran.stdout, @r#"
    {"channel":"telegram","error":"it answered 403","remedy":"add the bot to the chat, and allow it to write there","sent":false}
    {"channel":"webhook","error":null,"remedy":null,"sent":true}
    "#);
}

#[test]
fn a_chat_that_has_moved_is_followed_and_told() {
    let (gate, endpoint) = (
        Gate::new(),
        Endpoint::new(&[Answer::Moved(-1_001_234_567_890)]),
    );
    let only = ["--channel", "telegram"];
    let ran = test(&gate, &endpoint.url, &endpoint.url, &only).succeeds();
    assert!(
        ran.stderr.contains("chat = \"-1001234567890\""),
        "{}",
        ran.stderr
    );
    test(&gate, &endpoint.url, &endpoint.url, &only).succeeds();
    assert_eq!(endpoint.requests()[2].json()["chat_id"], "-1001234567890");
}

#[test]
fn a_channel_that_is_not_configured_is_named() {
    let gate = Gate::new();
    let ran = gate.run(&["alerts", "test"]).exits(1);
    assert!(
        ran.stderr.contains("no channel is configured"),
        "{}",
        ran.stderr
    );
    gate.write("secret", SECRET);
    gate.write(
        "serial-gate.toml",
        "[alerts.webhook]\nurl = 'http://127.0.0.1:1'\nsecret_file = 'secret'\n",
    );
    let ran = gate
        .run(&["alerts", "test", "--channel", "telegram"])
        .exits(1);
    assert_eq!(
        ran.stderr,
        "error: `telegram` is not configured: add `[alerts.telegram]` to `serial-gate.toml`\n"
    );
}
