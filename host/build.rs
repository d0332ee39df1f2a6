//! Builds the policies of this project, the guard and the JSON face, and hands them to the library
//! as bytes; names the commit of a release build for `--version`.
//!
//! `SERIAL_GATE_GUEST=path.wasm` embeds a prebuilt default policy instead, and the other variables of
//! [`EMBEDDED`] another component. A package brings its own.

mod build_component;

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use build_component::{TARGET, build_component, variable};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rustc-env=SERIAL_GATE_VERSION={}", version()?);
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    for embedded in EMBEDDED {
        let component = component(&embedded, &out_dir)?;
        fs::copy(&component, out_dir.join(embedded.file))
            .map_err(|error| format!("cannot copy `{}`: {error}", component.display()))?;
    }
    Ok(())
}

/// A component that is a part of the library.
struct Embedded {
    package: &'static str,
    features: &'static [&'static str],
    /// What it is called in `OUT_DIR` and in a package.
    file: &'static str,
    /// Names a prebuilt one.
    variable: &'static str,
    /// What it is built from, besides what all of them are.
    sources: &'static [&'static str],
}

const EMBEDDED: [Embedded; 7] = [
    Embedded {
        package: "serial-gate-default-policy",
        features: &["component"],
        file: "default-policy.wasm",
        variable: "SERIAL_GATE_GUEST",
        sources: &["guest/src", "guest/Cargo.toml"],
    },
    Embedded {
        package: "serial-gate-guard",
        features: &[],
        file: "guard.wasm",
        variable: "SERIAL_GATE_GUARD",
        sources: &["guest/guard", "host/clause/src", "host/clause/Cargo.toml"],
    },
    Embedded {
        package: "serial-gate-json-face",
        features: &[],
        file: "json-face.wasm",
        variable: "SERIAL_GATE_JSON_FACE",
        sources: &["guest/json-face"],
    },
    Embedded {
        package: "serial-gate-sql-rule",
        features: &["component"],
        file: "sql-rule.wasm",
        variable: "SERIAL_GATE_SQL_RULE",
        sources: &["guest/sql-rule", "guest/src", "host/clause/src"],
    },
    Embedded {
        package: "serial-gate-wip-limit",
        features: &[],
        file: "wip-limit.wasm",
        variable: "SERIAL_GATE_WIP_LIMIT",
        sources: &["guest/wip-limit", "guest/src"],
    },
    Embedded {
        package: "serial-gate-freeze-window",
        features: &[],
        file: "freeze-window.wasm",
        variable: "SERIAL_GATE_FREEZE_WINDOW",
        sources: &["guest/freeze-window", "guest/src"],
    },
    Embedded {
        package: "serial-gate-hotfix-lane",
        features: &[],
        file: "hotfix-lane.wasm",
        variable: "SERIAL_GATE_HOTFIX_LANE",
        sources: &["guest/hotfix-lane", "guest/src"],
    },
];

/// Where the component is, which is built unless there is a prebuilt one.
fn component(embedded: &Embedded, out_dir: &Path) -> Result<PathBuf, Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={}", embedded.variable);
    let prebuilt = env::var_os(embedded.variable).map(PathBuf::from);
    if let Some(prebuilt) = prebuilt.or_else(|| packaged(embedded.file)) {
        println!("cargo::rerun-if-changed={}", prebuilt.display());
        return Ok(prebuilt);
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let of_all = ["guest/runtime", "wit", "Cargo.toml", "Cargo.lock"];
    for path in embedded.sources.iter().chain(&of_all) {
        println!("cargo::rerun-if-changed={}", workspace.join(path).display());
    }
    add_target()?;
    build_component(embedded.package, embedded.features, &out_dir.join("guest"))
}

/// The component that travels in a package, which has no guest to build.
fn packaged(file: &str) -> Option<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    // In the workspace, what a script left there may be older than the guest.
    let is_package = !package.join("../guest/Cargo.toml").exists();
    is_package.then(|| package.join("policy").join(file))
}

/// The version, with the commit in builds for users. Others would be built anew after each commit.
fn version() -> Result<String, Box<dyn Error>> {
    let version = env::var("CARGO_PKG_VERSION")?;
    if env::var("PROFILE")? != "release" {
        return Ok(version);
    }
    Ok(match commit() {
        Some(commit) => format!("{version} ({commit})"),
        None => version,
    })
}

/// The commit that is checked out, or that a package was made of.
fn commit() -> Option<String> {
    const OF_A_PACKAGE: &str = ".cargo_vcs_info.json";
    if let Ok(info) = fs::read_to_string(OF_A_PACKAGE) {
        let (_, commit) = info.split_once("\"sha1\": \"")?;
        return commit.get(..10).map(str::to_owned);
    }
    // Not the commit of another project that has a copy of this package.
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ours = package.parent()?.canonicalize().ok()?;
    if Path::new(&git(&["rev-parse", "--show-toplevel"])?) != ours {
        return None;
    }
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo::rerun-if-changed={log}");
    git(&["rev-parse", "--short=10", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
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
         or set {} to components that were built elsewhere",
        EMBEDDED.map(|embedded| embedded.variable).join(", ")
    )
    .into())
}
