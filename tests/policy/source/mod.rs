//! Policies from a server or a registry: what is fetched, what is refused, and who is sent what.

mod https;
mod login;
mod registry;
mod site;

use serde_json::{Value, json};
use serial_gate::policy::digest;

use self::site::{Reply, Seen, ok, status};
use crate::support::hostile::{CLAIM, DECIDE_ALL, HARMLESS, Hostile};
use crate::support::{Gate, Ran};

/// A policy that lets everything through.
fn component() -> Vec<u8> {
    let claims_all = Hostile {
        decide: DECIDE_ALL,
        module: CLAIM,
        ..HARMLESS
    };
    claims_all.component()
}

/// A key, and the component's signature with it.
fn signed(gate: &Gate, component: &[u8]) -> (String, String) {
    gate.write("here.wasm", component);
    let keygen = ["policy", "keygen", "ops.key", "--json"];
    let key = gate.run(&keygen).succeeds().json();
    let sign = ["policy", "sign", "here.wasm", "--key", "ops.key"];
    gate.run(&sign).succeeds();
    let signature = std::fs::read_to_string(gate.path("here.wasm.minisig")).unwrap();
    (key["public_key"].as_str().unwrap().into(), signature)
}

fn swap(gate: &Gate, source: &str, more: &[&str]) -> Ran {
    let arguments = ["policy", "swap", source, "--reason", "r"];
    gate.run(&[&arguments, more].concat())
}

/// Swaps it in, which fails and changes nothing. Returns the error.
#[track_caller]
fn refused(gate: &Gate, source: &str, more: &[&str]) -> String {
    let before = gate.content();
    let ran = swap(gate, source, more).exits(1);
    assert_eq!(ran.stdout, "");
    assert!(gate.content() == before, "the database was changed");
    ran.stderr
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A manifest as `wkg` writes it.
fn manifest(component: &[u8]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.wasm.config.v0+json",
            "digest": format!("sha256:{}", digest(b"{}")), "size": 2,
        },
        "layers": [{
            "mediaType": "application/wasm",
            "digest": format!("sha256:{}", digest(component)),
            "size": component.len(),
        }],
    })
}

/// The answers of a registry that has one artefact, `team/policy`.
fn registry(manifest: &Value, component: &[u8]) -> impl Fn(&Seen) -> Reply + Send + Sync + use<> {
    let (manifest, component) = (manifest.to_string(), component.to_owned());
    let hex = digest(manifest.as_bytes());
    move |seen| match seen.path.strip_prefix("/v2/team/policy/") {
        Some("manifests/1.0" | "manifests/latest") => {
            ok(manifest.clone()).with("content-type", MANIFEST)
        }
        Some(path) if path == format!("manifests/sha256:{hex}") => {
            ok(manifest.clone()).with("content-type", MANIFEST)
        }
        Some(path) if path.starts_with("blobs/") => ok(component.clone()),
        _ => status(404),
    }
}
