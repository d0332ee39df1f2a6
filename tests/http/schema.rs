//! The document against the service: requests from the one, made by a program that knows nothing
//! else, and the answers of the other.

use std::path::Path;
use std::process::Command;

use crate::support::engine::Engine;
use crate::support::programs::required;
use crate::support::service::{Service, access_token};
use crate::support::{Gate, Ran};

#[test]
fn what_the_document_promises_is_kept() {
    let variable = "SERIAL_GATE_TEST_SCHEMATHESIS";
    let Some(program) = required(variable, "the document is not tried out") else {
        return;
    };
    let gate = Gate::new();
    let token = access_token(&gate, "ops", "operator");
    let service = Service::on(gate);
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/http");
    let ran: Ran = Command::new(program)
        .arg("--config-file")
        .arg(here.join("schemathesis.toml"))
        .args(["run", &format!("http://{}/openapi.json", service.address)])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        // Events have no end. After some wrong tokens, the answer is to wait; and the token of
        // `--header` is sent where it should be missing: `access` has its own tests for both.
        .args([
            "--exclude-path",
            "/v1/events",
            "--exclude-checks",
            "ignored_auth,missing_required_header",
        ])
        .args(["--max-examples", &examples(), "--request-timeout", "30"])
        .args(["--seed", &seed()])
        // Two threads of Python 3.11 that parse at a time may fail (CPython, issue 106905).
        .args(["--no-color", "--workers", "1"])
        .current_dir(service.gate.path("."))
        .env("PYTHONPATH", here)
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .output()
        .unwrap()
        .into();
    println!("{}", ran.succeeds().stdout);
    service.get("/readyz").is(200);
}

/// By default, the same requests each time.
fn seed() -> String {
    std::env::var("SERIAL_GATE_SEED").unwrap_or_else(|_| "1".into())
}

/// How many requests are made for each operation, in each of several ways.
fn examples() -> String {
    std::env::var("SERIAL_GATE_EXAMPLES").unwrap_or_else(|_| Engine::cases(25).to_string())
}
