//! Signed policies: keys, signatures and their refusals, with the real command.

use std::os::unix::fs::PermissionsExt;

use serial_gate::policy::{DEFAULT_POLICY, Trust};

use crate::support::hostile::{CLAIM, DECIDE_ALL};
use crate::support::hostile::{HARMLESS, Hostile};
use crate::support::{Gate, Ran};

/// A folder with `policy.wasm`, a pair of keys, and the public key's text.
fn gate_with_keys() -> (Gate, String) {
    let gate = Gate::folder();
    gate.write("policy.wasm", HARMLESS.component());
    let key = keygen(&gate, "ops.key");
    (gate, key)
}

fn keygen(gate: &Gate, file: &str) -> String {
    let made = gate
        .run(&["policy", "keygen", file, "--json"])
        .succeeds()
        .json();
    made["public_key"].as_str().unwrap().to_owned()
}

fn sign(gate: &Gate, key: &str) -> Ran {
    gate.run(&["policy", "sign", "policy.wasm", "--key", key])
}

/// What the first stage of a check says.
fn signature_stage(gate: &Gate, key: &str) -> String {
    let ran = gate.run(&["policy", "check", "policy.wasm", "--trust", key]);
    ran.stdout.lines().next().unwrap_or(&ran.stderr).to_owned()
}

#[test]
fn a_signed_policy_passes_the_signature_s_stage() {
    let (gate, key) = gate_with_keys();
    sign(&gate, "ops.key").succeeds();
    for trusted in [key.as_str(), "ops.pub"] {
        let stage = signature_stage(&gate, trusted);
        assert!(
            stage.starts_with("signature    ok       by a trusted key: timestamp:")
                && stage.ends_with(" file:policy.wasm hashed"),
            "{stage}"
        );
    }
}

#[test]
fn without_trusted_keys_there_is_no_such_stage() {
    let (gate, _) = gate_with_keys();
    let ran = gate.run(&["policy", "check", "policy.wasm"]);
    assert!(ran.stdout.starts_with("contract "), "{}", ran.stdout);
}

#[test]
fn an_unsigned_policy_is_refused_before_it_is_read() {
    let (gate, key) = gate_with_keys();
    gate.write("policy.wasm", "no component at all");
    let ran = gate
        .run(&["policy", "check", "policy.wasm", "--trust", &key])
        .exits(1);
    insta::assert_snapshot!(ran.stdout, @r"
    signature    refused  has no signature, and only signed policies are trusted here: sign it with `serial-gate policy sign FILE.wasm --key KEY`
    ");
}

#[test]
fn a_signature_of_somebody_else_is_refused() {
    let (gate, key) = gate_with_keys();
    keygen(&gate, "mallory.key");
    sign(&gate, "mallory.key").succeeds();
    insta::assert_snapshot!(signature_stage(&gate, &key), @r"signature    refused  is signed with a key that is not trusted here: trust it with `--trust KEY`, or sign the policy with a trusted one: `serial-gate policy sign FILE.wasm --key KEY`");
}

#[test]
fn one_of_several_trusted_keys_is_enough() {
    let (gate, key) = gate_with_keys();
    let other = keygen(&gate, "other.key");
    sign(&gate, "other.key").succeeds();
    gate.run(&["init"]).succeeds();
    gate.write(
        "serial-gate.toml",
        format!("trust = [\"ops.pub\", \"{other}\"]\n"),
    );
    let ran = gate.run(&["policy", "check", "policy.wasm"]);
    assert!(ran.stdout.starts_with("signature    ok "), "{}", ran.stdout);
    let stage = signature_stage(&gate, &key);
    assert!(
        stage.contains("not trusted here"),
        "a flag overrules: {stage}"
    );
}

#[test]
fn a_policy_that_was_altered_after_it_was_signed_is_refused() {
    let (gate, key) = gate_with_keys();
    sign(&gate, "ops.key").succeeds();
    let mut altered = HARMLESS.component();
    altered.push(0);
    gate.write("policy.wasm", altered);
    insta::assert_snapshot!(signature_stage(&gate, &key), @r"signature    refused  is not what was signed, because the component or its signature was altered: if you know why, sign it again with `serial-gate policy sign FILE.wasm --key KEY`");
}

#[test]
fn the_comment_of_a_signature_cannot_be_altered_either() {
    let (gate, key) = gate_with_keys();
    sign(&gate, "ops.key").succeeds();
    let signature = std::fs::read_to_string(gate.path("policy.wasm.minisig")).unwrap();
    gate.write(
        "policy.wasm.minisig",
        signature.replace("file:policy.wasm", "file:another.wasm"),
    );
    assert!(signature_stage(&gate, &key).contains("is not what was signed"));
}

#[test]
fn a_text_that_is_no_signature_is_refused_whatever_it_is() {
    let (gate, key) = gate_with_keys();
    sign(&gate, "ops.key").succeeds();
    let whole = std::fs::read(gate.path("policy.wasm.minisig")).unwrap();
    for end in 0..whole.len() - 1 {
        let text = String::from_utf8_lossy(&whole[..end]);
        let refused = Trust::new([&key])
            .unwrap()
            .check(&HARMLESS.component(), Some(&text));
        assert!(refused.is_err(), "{end}");
    }
    gate.write("policy.wasm.minisig", b"\xff\xfe");
    insta::assert_snapshot!(signature_stage(&gate, &key), @r"signature    refused  has a signature that is not in minisign's format: sign it with `serial-gate policy sign FILE.wasm --key KEY`");
}

/// Made by the program `minisign`, of the text `test`.
const FOREIGN_KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
const FOREIGN_SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1556193335\tfile:test
y/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+bHwhEBg==";
const FOREIGN_SIGNATURE_IN_THE_OLD_FORM: &str =
    "untrusted comment: signature from minisign secret key
RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaVWuNrm73YiIiJbq71Wi+dP9eKL8OC351vwIasSSbXxwA=
trusted comment: timestamp:1555779966\tfile:test
QtKMXWyYcwdpZAlPF7tE2ENJkRd1ujvKjlj1m9RtHTBnZPa5WKU5uWRs5GoP5M/VqE81QFuMKI5k/SfNQUaOAA==";

#[test]
fn a_signature_that_minisign_made_counts_unless_it_is_in_the_old_form() {
    let trust = Trust::new([FOREIGN_KEY]).unwrap();
    let signer = trust.check(b"test", Some(FOREIGN_SIGNATURE)).unwrap();
    assert_eq!(
        signer.to_string(),
        "by a trusted key: timestamp:1556193335 file:test"
    );
    let old = trust.check(b"test", Some(FOREIGN_SIGNATURE_IN_THE_OLD_FORM));
    insta::assert_snapshot!(old.unwrap_err(), @"has a signature in minisign's old form");
}

#[test]
fn the_built_in_policy_needs_no_signature_and_an_empty_list_trusts_nobody_else() {
    let nobody = Trust::new([""; 0]).unwrap();
    assert!(nobody.check(DEFAULT_POLICY, None).is_ok());
    assert!(nobody.check(b"test", Some(FOREIGN_SIGNATURE)).is_err());
}

#[test]
fn keys_replace_no_file_and_the_secret_one_is_for_its_owner_only() {
    let (gate, _) = gate_with_keys();
    let mode = std::fs::metadata(gate.path("ops.key"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let secret = std::fs::read(gate.path("ops.key")).unwrap();
    std::fs::remove_file(gate.path("ops.pub")).unwrap();
    let again = gate.run(&["policy", "keygen", "ops.key"]).exits(1);
    insta::assert_snapshot!(again.stderr, @r"error: `ops.key` exists and is not replaced: give another name, or move it away");
    assert_eq!(std::fs::read(gate.path("ops.key")).unwrap(), secret);
    assert!(!gate.path("ops.pub").exists(), "half a pair is none");
    gate.write("new.pub", "somebody's");
    gate.run(&["policy", "keygen", "new.key"]).exits(1);
    assert!(!gate.path("new.key").exists(), "half a pair is none");
}

#[test]
fn a_protected_key_signs_with_its_password_only() {
    let gate = Gate::folder();
    gate.write("policy.wasm", HARMLESS.component());
    let run = |password: &str, arguments: &[&str]| -> Ran {
        let mut command = gate.command(arguments);
        command.env("SERIAL_GATE_KEY_PASSWORD", password);
        command.output().unwrap().into()
    };
    run("open sesame", &["policy", "keygen", "ops.key"]).succeeds();
    let signing = ["policy", "sign", "policy.wasm", "--key", "ops.key"];
    insta::assert_snapshot!(gate.run(&signing).exits(1).stderr, @r"
    error: `ops.key` cannot sign: give a secret key of minisign, and the password of a protected one in the variable `SERIAL_GATE_KEY_PASSWORD`
      because the key is protected by a password
    ");
    let wrong = run("sesame", &signing).exits(1);
    assert!(wrong.stderr.contains("Wrong password"), "{}", wrong.stderr);
    run("open sesame", &signing).succeeds();
    assert!(signature_stage(&gate, "ops.pub").starts_with("signature    ok "));
}

#[test]
fn the_name_of_a_public_key_is_refused_for_the_secret_one() {
    let gate = Gate::folder();
    let ran = gate.run(&["policy", "keygen", "ops.pub"]).exits(1);
    insta::assert_snapshot!(ran.stderr, @"error: `ops.pub` would be the public key: name the file of the secret key, such as `ops.key`");
    assert!(!gate.path("ops.pub").exists());
}

/// The key was made for this test and signs nothing else.
#[test]
fn an_unprotected_key_of_the_program_minisign_signs_too() {
    let (gate, _) = gate_with_keys();
    gate.write(
        "minisign.key",
        "untrusted comment: minisign encrypted secret key\nRWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAWriv8uaA4d28Z8s1VNfU7T1J0bU4CgE/YI9zP18/wPe4O+g+BEDriGUqXC546wWy/kpwgCwGzY5fIJgWzOYQ3EgRD/E/sj27AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
    );
    sign(&gate, "minisign.key").succeeds();
    let stage = signature_stage(
        &gate,
        "RWRauK/y5oDh3WUqXC546wWy/kpwgCwGzY5fIJgWzOYQ3EgRD/E/sj27",
    );
    assert!(stage.starts_with("signature    ok "), "{stage}");
}

#[test]
fn a_file_that_is_no_secret_key_signs_nothing() {
    let (gate, _) = gate_with_keys();
    gate.write("policy.wasm.txt", "one line");
    for (file, message) in [
        ("ops.pub", "is a public key: sign with the secret key"),
        ("policy.wasm.txt", "cannot sign: give a secret key"),
    ] {
        let ran = sign(&gate, file).exits(1);
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
    }
}

#[test]
fn a_trusted_key_that_is_none_is_refused_without_being_shown() {
    let (gate, _) = gate_with_keys();
    insta::assert_snapshot!(signature_stage(&gate, "ops.key"), @r"error: trusted key 1 is not a public key: give its text, which begins with `RW`, or its `.pub` file");
}

/// A queue with a policy that lets everything through, and keys.
fn queue_with_keys() -> (Gate, String) {
    let gate = Gate::new();
    let claims_all = Hostile {
        decide: DECIDE_ALL,
        module: CLAIM,
        ..HARMLESS
    };
    gate.write("policy.wasm", claims_all.component());
    let key = keygen(&gate, "ops.key");
    (gate, key)
}

fn swap(gate: &Gate, key: &str) -> Ran {
    gate.run(&[
        "policy",
        "swap",
        "policy.wasm",
        "--reason",
        "r",
        "--trust",
        key,
    ])
}

#[test]
fn nothing_is_stored_of_a_policy_that_is_not_signed() {
    let (gate, key) = queue_with_keys();
    let refused = swap(&gate, &key).exits(1);
    insta::assert_snapshot!(refused.stderr, @r"
    error: not a usable policy
      because has no signature, and only signed policies are trusted here: sign it with `serial-gate policy sign FILE.wasm --key KEY`
    ");
    let history = gate.run(&["policy", "history", "--json"]).succeeds();
    assert_eq!(history.json_lines().len(), 1);
}

#[test]
fn a_host_goes_by_a_signed_generation_and_not_by_one_that_it_does_not_trust() {
    let (gate, key) = queue_with_keys();
    sign(&gate, "ops.key").succeeds();
    swap(&gate, &key).succeeds();
    for _ in 0..3 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    let claim = |key: &str| gate.run(&["claim", "--trust", key]);
    assert_eq!(claim(&key).succeeds().stderr, "");
    let stranger = keygen(&gate, "stranger.key");
    // The built-in policy, which was active before, holds the second task.
    let warning = claim(&stranger).exits(3).stderr;
    assert!(
        warning.contains("is signed with a key that is not trusted here"),
        "{warning}"
    );
}

#[test]
fn a_policy_that_is_not_trusted_is_not_even_tried() {
    let (gate, key) = queue_with_keys();
    gate.write("cases.jsonl", "{}");
    for arguments in [
        &["policy", "diff", "policy.wasm"][..],
        &["policy", "replay", "policy.wasm", "--from", "log.jsonl"],
        &["policy", "shadow", "policy.wasm", "--reason", "r"],
        &["conform", "cases.jsonl", "--policy", "policy.wasm"],
    ] {
        let ran = gate.run(&[arguments, &["--trust", &key]].concat()).exits(1);
        assert!(ran.stderr.contains("has no signature"), "{}", ran.stderr);
    }
}
