//! Builds the default policy and hands it to the library as bytes.
//!
//! The guest is built into `OUT_DIR` with a target directory of its own and without this build's
//! cargo environment: a nested cargo that shared either would wait for the outer one's lock, or
//! build for the wrong target. `SERIAL_GATE_GUEST=path.wasm` embeds a prebuilt component instead.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

fn main() -> Result<(), Box<dyn Error>> {
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
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
            add_target()?;
            build_guest(&workspace, &out_dir.join("guest"))?
        }
    };
    fs::copy(&component, out_dir.join("default-policy.wasm"))
        .map_err(|error| format!("cannot copy the policy `{}`: {error}", component.display()))?;
    Ok(())
}

/// Adds the wasm target to the toolchain that runs this build, if it is not there.
fn add_target() -> Result<(), Box<dyn Error>> {
    let library = Command::new(variable("RUSTC")?)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()?;
    if Path::new(String::from_utf8_lossy(&library.stdout).trim()).exists() {
        return Ok(());
    }
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .status();
    if added.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(format!(
        "the target `{TARGET}` is missing and `rustup target add {TARGET}` failed: add it by hand, \
         or set SERIAL_GATE_GUEST to a policy that was built elsewhere"
    )
    .into())
}

fn build_guest(workspace: &Path, target_dir: &Path) -> Result<PathBuf, Box<dyn Error>> {
    const OF_THIS_BUILD: [&str; 3] = ["RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"];
    let mut cargo = Command::new(variable("CARGO")?);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let of_this_build = text.starts_with("CARGO_") && text != "CARGO_HOME";
        if of_this_build || OF_THIS_BUILD.contains(&&*text) {
            cargo.env_remove(&name);
        }
    }
    let status = cargo
        .current_dir(workspace)
        .args(["rustc", "--package", "serial-gate-default-policy", "--lib"])
        .args(["--features", "component"])
        .args([
            "--crate-type",
            "cdylib",
            "--profile",
            "policy",
            "--target",
            TARGET,
        ])
        .arg("--target-dir")
        .arg(target_dir)
        .status()?;
    if !status.success() {
        return Err("the default policy does not build: see the errors above".into());
    }
    Ok(target_dir
        .join(TARGET)
        .join("policy/serial_gate_default_policy.wasm"))
}

fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("cargo did not set `{name}`"))
}
