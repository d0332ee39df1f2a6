//! Builds a policy of this workspace as a component, for the build script and for the tests.
//!
//! The nested cargo has another target directory than the outer one, whose lock it would wait for,
//! and none of the outer one's environment, which would make it build for the wrong target.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What policies are compiled for.
pub const TARGET: &str = "wasm32-wasip2";

/// Builds a package and returns the component's path.
pub fn build_component(
    package: &str,
    features: &[&str],
    target_dir: &Path,
) -> Result<PathBuf, Box<dyn Error>> {
    let status = cargo()?
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(["rustc", "--quiet", "--package", package, "--lib"])
        .args(["--features", &features.join(",")])
        .args(["--crate-type", "cdylib", "--profile", "policy"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(target_dir)
        .status()?;
    if !status.success() {
        return Err(format!("the policy `{package}` does not build: see the errors above").into());
    }
    let file = package.replace('-', "_") + ".wasm";
    Ok(target_dir.join(TARGET).join("policy").join(file))
}

/// The cargo that runs this, with the environment of a shell.
pub fn cargo() -> Result<Command, String> {
    const OF_THE_OUTER_BUILD: [&str; 3] = ["RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"];
    let mut cargo = Command::new(variable("CARGO")?);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let of_cargo = text.starts_with("CARGO_") && text != "CARGO_HOME";
        if of_cargo || OF_THE_OUTER_BUILD.contains(&&*text) {
            cargo.env_remove(&name);
        }
    }
    Ok(cargo)
}

/// A variable that cargo sets.
pub fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("cargo did not set `{name}`"))
}
