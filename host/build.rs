//! Builds the default policy and hands it to the library as bytes.
//!
//! `SERIAL_GATE_GUEST=path.wasm` embeds a prebuilt component instead.

mod build_component;

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use build_component::{TARGET, build_component, variable};

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
            let target_dir = out_dir.join("guest");
            build_component("serial-gate-default-policy", &["component"], &target_dir)?
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
