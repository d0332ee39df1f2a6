//! How channels are configured, and which of their values are never shown.

use super::{SECRET, TOKEN, frozen};
use crate::support::Gate;
use crate::support::endpoint::{Answer, Endpoint};

#[track_caller]
fn refused(gate: &Gate, config: &str, message: &str) {
    gate.write("serial-gate.toml", config);
    let ran = gate.run(&["alerts", "deliver"]).exits(1);
    assert_eq!(ran.stderr, format!("error: {message}\n"));
}

#[test]
fn channels_come_from_the_file_and_their_secrets_from_files_of_their_own() {
    let (gate, endpoint) = (frozen(), Endpoint::new(&[]));
    gate.write("token", format!("{TOKEN}\n"));
    gate.write("secret", SECRET);
    gate.write(
        "serial-gate.toml",
        format!(
            "[alerts]\nwaiting = '2h'\n[alerts.telegram]\nurl = '{0}/'\nchat = '-100'\ntoken_file = 'token'\n\
             [alerts.webhook]\nurl = '{0}/hook'\nsecret_file = 'secret'\n",
            endpoint.url
        ),
    );
    let ran = gate.run(&["alerts", "deliver"]).succeeds();
    assert_eq!(ran.stdout, "2 alerts sent\n");
    let mut paths: Vec<_> = endpoint
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    paths.sort();
    assert_eq!(paths, [format!("/bot{TOKEN}/sendMessage"), "/hook".into()]);
}

#[test]
fn the_environment_comes_before_the_file() {
    let (gate, endpoint) = (frozen(), Endpoint::new(&[]));
    gate.write(
        "serial-gate.toml",
        "[alerts.webhook]\nurl = 'http://127.0.0.1:1'\n",
    );
    let sent = gate
        .command(&["alerts", "deliver"])
        .env("SERIAL_GATE_WEBHOOK_URL", &endpoint.url)
        .env("SERIAL_GATE_WEBHOOK_SECRET", SECRET)
        .output()
        .unwrap();
    assert!(sent.status.success());
    assert_eq!(endpoint.requests().len(), 1);
}

#[test]
fn a_configuration_that_cannot_be_used_is_refused_by_the_name_of_its_key() {
    let gate = frozen();
    refused(
        &gate,
        "[alerts]\nchannel = 'x'",
        "the table `alerts` cannot be used\n  because unknown field `channel`, expected one of `waiting`, `timeout`, `tries`, `telegram`, `webhook`",
    );
    refused(
        &gate,
        "[alerts]\ntries = 0",
        "the table `alerts` cannot be used\n  because write a number from 1\n    in `tries`",
    );
    refused(
        &gate,
        "[alerts]\nwaiting = 'long'",
        "the table `alerts` cannot be used\n  because write a time such as `90s`, `30m` or `1h 30m`\n    in `waiting`",
    );
    refused(
        &gate,
        "[alerts.telegram]\nchat = '-100'",
        "`telegram` lacks its token: set `SERIAL_GATE_TELEGRAM_TOKEN`, or `alerts.telegram.token_file` in `serial-gate.toml`",
    );
    gate.write("secret", SECRET);
    refused(
        &gate,
        "[alerts.webhook]\nurl = 'ops.example.com/secret-path'\nsecret_file = 'secret'",
        "the address of `webhook` is not an `http://` or `https://` address: correct it, or the token in it, in the configuration file or the environment",
    );
}

#[test]
fn a_secret_in_the_file_is_refused_without_being_shown() {
    let gate = frozen();
    for config in [
        format!("[alerts.telegram]\nchat = '-100'\ntoken = '{TOKEN}'"),
        format!("[alerts]\ntelegram = '{TOKEN}'"),
        format!("[alerts.telegram]\nchat = '-100'\ntoken = {TOKEN}"),
        format!("[alerts]\ntries = '{TOKEN}'\nwaiting = '{TOKEN}'"),
        format!("[alerts.telegram]\nchat = {{ token = '{TOKEN}' }}"),
        format!("[alerts.webhook]\nsecret_file = ['{TOKEN}']"),
        format!("alerts = '{TOKEN}'"),
    ] {
        gate.write("serial-gate.toml", &config);
        let ran = gate.run(&["alerts", "deliver"]).exits(1);
        assert!(
            !ran.stderr.contains("the-token"),
            "{config}: {}",
            ran.stderr
        );
    }
}

#[test]
fn no_secret_is_shown_whatever_the_log_level() {
    let endpoint = Endpoint::new(&[Answer::Status(500), Answer::Drop]);
    let gate = frozen();
    for url in [&endpoint.url, "http://127.0.0.1:1"] {
        for arguments in [
            &["alerts", "deliver"][..],
            &["alerts"],
            &["--help"],
            &["alerts", "deliver", "--help"],
        ] {
            let ran = gate
                .command(arguments)
                .env("SERIAL_GATE_LOG", "trace")
                .env("SERIAL_GATE_TELEGRAM_URL", url)
                .env("SERIAL_GATE_TELEGRAM_CHAT", "-100")
                .env("SERIAL_GATE_TELEGRAM_TOKEN", TOKEN)
                .env("SERIAL_GATE_WEBHOOK_URL", format!("{url}/secret-path"))
                .env("SERIAL_GATE_WEBHOOK_SECRET", SECRET)
                .output()
                .unwrap();
            let said = format!(
                "{}{}",
                String::from_utf8_lossy(&ran.stdout),
                String::from_utf8_lossy(&ran.stderr)
            );
            for secret in ["the-token", SECRET, "secret-path"] {
                assert!(!said.contains(secret), "{said}");
            }
        }
    }
}
