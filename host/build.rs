//! Builds the default policy and hands it to the library as bytes.
//!
//! The guest is built into `OUT_DIR` with a target directory of its own and without this build's
//! cargo environment: a nested cargo that shared either would wait for the outer one's lock, or
//! build for the wrong target. `SERIAL_GATE_GUEST=path.wasm` embeds a prebuilt component instead.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

fn main() {
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets `OUT_DIR`"));
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("host/ is in the workspace");
    for path in [
        "guest/src",
        "guest/Cargo.toml",
        "wit",
        "Cargo.toml",
        "Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed={}", workspace.join(path).display());
    }
    println!("cargo::rerun-if-env-changed=SERIAL_GATE_GUEST");

    let component = match env::var_os("SERIAL_GATE_GUEST") {
        Some(prebuilt) => {
            println!("cargo::rerun-if-changed={}", Path::new(&prebuilt).display());
            PathBuf::from(prebuilt)
        }
        None => {
            add_target();
            build_guest(workspace, &out_dir.join("guest"))
        }
    };
    let embedded = out_dir.join("default-policy.wasm");
    std::fs::copy(&component, &embedded).unwrap_or_else(|error| {
        panic!("cannot copy the policy `{}`: {error}", component.display())
    });
}

/// Adds the wasm target to the toolchain that runs this build, if it is not there.
fn add_target() {
    let rustc = env::var_os("RUSTC").expect("cargo sets `RUSTC`");
    let library = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .expect("rustc runs");
    if Path::new(String::from_utf8_lossy(&library.stdout).trim()).exists() {
        return;
    }
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .status();
    assert!(
        added.is_ok_and(|status| status.success()),
        "the target `{TARGET}` is missing and `rustup target add {TARGET}` failed: add it by hand, \
         or set SERIAL_GATE_GUEST to a policy that was built elsewhere"
    );
}

fn build_guest(workspace: &Path, target_dir: &Path) -> PathBuf {
    let mut cargo = Command::new(env::var_os("CARGO").expect("cargo sets `CARGO`"));
    for (name, _) in env::vars_os() {
        let name_text = name.to_string_lossy();
        let of_this_build = name_text.starts_with("CARGO_") && name_text != "CARGO_HOME";
        if of_this_build
            || ["RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"].contains(&&*name_text)
        {
            cargo.env_remove(&name);
        }
    }
    let status = cargo
        .current_dir(workspace)
        .args([
            "rustc",
            "--package",
            "serial-gate-default-policy",
            "--lib",
            "--crate-type",
            "cdylib",
        ])
        .args(["--profile", "policy", "--target", TARGET, "--target-dir"])
        .arg(target_dir)
        .status()
        .expect("cargo runs");
    assert!(
        status.success(),
        "the default policy does not build: see the errors above"
    );
    target_dir
        .join(TARGET)
        .join("policy/serial_gate_default_policy.wasm")
}
