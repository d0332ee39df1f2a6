//! Secrets as editors, secret stores and shells leave them: with a mark before them, or a line end
//! behind.

use serial_gate::alerts::{Secret, signature};

use super::{SECRET, TOKEN};
use crate::support::endpoint::Endpoint;
use crate::support::{Gate, Ran};

/// Characters around a text that are stripped.
const AROUND: [(&str, &str); 8] = [
    ("", "\u{200b}\n"),
    ("\u{2060}", "\u{feff}\r\n"),
    ("", "\n"),
    ("", "\r\n"),
    ("", "\n\n"),
    ("\u{feff}", "\r\n"),
    ("", " \t"),
    (" ", ""),
];

/// Whether both channels accept a test, with the right path and signature.
#[track_caller]
fn is_taken(endpoint: &Endpoint, ran: Ran, what: &str) {
    assert_eq!(ran.code, Some(0), "{what}: {}{}", ran.stdout, ran.stderr);
    let requests = endpoint.requests();
    let [telegram, webhook] = requests.last_chunk().unwrap();
    assert_eq!(telegram.path, format!("/bot{TOKEN}/sendMessage"), "{what}");
    assert_eq!(telegram.json()["chat_id"], "-100", "{what}");
    assert_eq!(webhook.path, "/hook", "{what}");
    let at = webhook.header("X-Serial-Gate-Timestamp").parse().unwrap();
    assert_eq!(
        webhook.header("X-Serial-Gate-Signature"),
        signature(&Secret::new(SECRET), at, &webhook.body),
        "{what}"
    );
}

#[test]
fn what_stands_around_a_secret_in_its_file_does_not_count() {
    let (gate, endpoint) = (Gate::new(), Endpoint::new(&[]));
    gate.write(
        "serial-gate.toml",
        format!(
            "[alerts.telegram]\nurl = '{0}'\nchat = '-100'\ntoken_file = 'token'\n\
             [alerts.webhook]\nurl = '{0}/hook'\nsecret_file = 'secret'\n",
            endpoint.url
        ),
    );
    for (before, after) in AROUND {
        gate.write("token", format!("{before}{TOKEN}{after}"));
        gate.write("secret", format!("{before}{SECRET}{after}"));
        let ran = gate.run(&["alerts", "test"]);
        is_taken(&endpoint, ran, &format!("{before:?} {after:?}"));
    }
}

#[test]
fn nor_does_it_in_a_variable() {
    let (gate, endpoint) = (Gate::new(), Endpoint::new(&[]));
    for (before, after) in AROUND {
        let around = |text: &str| format!("{before}{text}{after}");
        let ran = gate
            .command(&["alerts", "test"])
            .env("SERIAL_GATE_TELEGRAM_URL", around(&endpoint.url))
            .env("SERIAL_GATE_TELEGRAM_CHAT", around("-100"))
            .env("SERIAL_GATE_TELEGRAM_TOKEN", around(TOKEN))
            .env(
                "SERIAL_GATE_WEBHOOK_URL",
                around(&format!("{}/hook", endpoint.url)),
            )
            .env("SERIAL_GATE_WEBHOOK_SECRET", around(SECRET))
            .output();
        is_taken(
            &endpoint,
            ran.unwrap().into(),
            &format!("{before:?} {after:?}"),
        );
    }
}

#[test]
fn a_variable_may_name_the_file_with_a_line_end() {
    let (gate, endpoint) = (Gate::new(), Endpoint::new(&[]));
    gate.write("token", TOKEN);
    let ran = gate
        .command(&["alerts", "test"])
        .env("SERIAL_GATE_TELEGRAM_URL", &endpoint.url)
        .env("SERIAL_GATE_TELEGRAM_CHAT", "-100")
        .env("SERIAL_GATE_TELEGRAM_TOKEN_FILE", "token\n")
        .output();
    Ran::from(ran.unwrap()).succeeds();
}

/// Why the file of the bot's token cannot be used, with its path in short.
#[track_caller]
fn refusal(gate: &Gate) -> String {
    let said = gate.run(&["alerts", "test"]).exits(1).stderr;
    let of = "error: the file of `alerts.telegram.token_file` in `serial-gate.toml` cannot be used";
    let (first, why) = said.split_once("\n  because ").unwrap();
    assert_eq!(first, of);
    let folder = gate.path("").canonicalize().unwrap();
    why.trim_end()
        .replace(&format!("{}/", folder.display()), "")
}

#[test]
fn a_secret_in_another_encoding_is_named_as_that() {
    let gate = Gate::new();
    gate.write(
        "serial-gate.toml",
        "[alerts.telegram]\nchat = '-100'\ntoken_file = 'token'\n",
    );
    let utf_16 = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let units = format!("\u{feff}{TOKEN}");
        units.encode_utf16().flat_map(bytes).collect()
    };
    for bytes in [utf_16(u16::to_le_bytes), utf_16(u16::to_be_bytes)] {
        for bytes in [&bytes[..], &bytes[2..]] {
            gate.write("token", bytes);
            assert_eq!(
                refusal(&gate),
                "`token` is not text in UTF-8: save it as UTF-8, not as UTF-16 for example"
            );
        }
    }
}

#[test]
fn keys_of_policies_are_read_in_the_same_way() {
    let gate = Gate::new();
    gate.write("policy.wasm", serial_gate::policy::DEFAULT_POLICY);
    gate.run(&["policy", "keygen", "ops.key"]).succeeds();
    let read = |name: &str| std::fs::read_to_string(gate.path(name)).unwrap();
    let files = ["ops.key", "ops.pub"].map(|name| (name, read(name)));
    // In Windows's way, as an editor there leaves it.
    let altered = |text: &str| format!("\u{feff}{}\r\n", text.replace('\n', "\r\n"));
    for (name, text) in &files {
        gate.write(name, altered(text));
    }
    gate.run(&["policy", "sign", "policy.wasm", "--key", "ops.key"])
        .succeeds();
    let signature = read("policy.wasm.minisig");
    gate.write("policy.wasm.minisig", altered(&signature));
    gate.run(&["policy", "check", "policy.wasm", "--trust", "ops.pub"])
        .succeeds();
    let ran = gate
        .command(&["policy", "check", "policy.wasm"])
        .env("SERIAL_GATE_TRUST", "ops.pub\n")
        .output();
    Ran::from(ran.unwrap()).succeeds();
}

#[test]
fn a_password_with_a_line_end_opens_the_key_that_was_made_without() {
    let gate = Gate::new();
    gate.write("policy.wasm", serial_gate::policy::DEFAULT_POLICY);
    let run = |password: &str, arguments: &[&str]| {
        let mut command = gate.command(arguments);
        let command = command.env("SERIAL_GATE_KEY_PASSWORD", password);
        Ran::from(command.output().unwrap()).succeeds()
    };
    run("a word", &["policy", "keygen", "ops.key"]);
    run(
        "a word\r\n",
        &["policy", "sign", "policy.wasm", "--key", "ops.key"],
    );
}

#[test]
fn a_token_with_a_line_end_ends_its_job() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let claimed = gate.run(&["claim", "--json"]).succeeds().json();
    let token = crate::support::token(&claimed);
    let mut finish = gate.command(&["job", "finish", "1"]);
    let ran = finish.env("SERIAL_GATE_TOKEN", format!("{token}\r\n"));
    Ran::from(ran.output().unwrap()).succeeds();
}

#[test]
fn what_is_no_file_with_a_secret_is_named_with_a_remedy() {
    let gate = Gate::new();
    gate.write(
        "serial-gate.toml",
        "[alerts.telegram]\nchat = '-100'\ntoken_file = 'token'\n",
    );
    let token = gate.path("token");
    let said = || refusal(&gate);
    for empty in ["", "\n", "\u{feff}\r\n"] {
        gate.write("token", empty);
        assert_eq!(
            said(),
            "`token` is empty: write the text into it, or name another file"
        );
    }
    std::fs::remove_file(&token).unwrap();
    std::fs::create_dir(&token).unwrap();
    assert_eq!(
        said(),
        "`token` is a folder: name the file in it that holds the text"
    );
    std::fs::remove_dir(&token).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&token).status();
    assert!(made.unwrap().success());
    assert_eq!(
        said(),
        "`token` is not a file, and gave nothing within 5 s: name a file, or write to it"
    );
}
