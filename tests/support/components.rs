//! The policies of this workspace other than the default one, as components.
//!
//! Each is built once for this binary, where the build script has built the default one: what they
//! share is compiled already.

#[path = "../../host/build_component.rs"]
pub mod build_component;

use std::path::Path;
use std::sync::OnceLock;

/// Where the policy of `policy new` is built, so that its crates are compiled once for all tests.
pub const NEW_POLICY_TARGET: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/policy-new");

/// A policy's component, and rules under which it can be checked.
pub struct Built {
    pub name: &'static str,
    pub component: Vec<u8>,
    pub rules: Option<&'static str>,
}

pub fn built() -> &'static [Built; 3] {
    static BUILT: OnceLock<[Built; 3]> = OnceLock::new();
    BUILT.get_or_init(|| {
        let build = |name: &'static str, rules| Built {
            name,
            component: build(name),
            rules,
        };
        let weekend = r#"{"windows":[{"from":"fri 16:00","until":"mon 08:00"}]}"#;
        [
            build("wip-limit", None),
            build("freeze-window", Some(weekend)),
            build("hotfix-lane", None),
        ]
    })
}

fn build(name: &str) -> Vec<u8> {
    let target_dir = Path::new(env!("OUT_DIR")).join("guest");
    let package = format!("serial-gate-{name}");
    let path = build_component::build_component(&package, &[], &target_dir).unwrap();
    std::fs::read(path).unwrap()
}

/// The default rule with a hole wherever its `rules` say: `tests/policies/hole/`.
pub fn hole() -> &'static [u8] {
    static HOLE: OnceLock<Vec<u8>> = OnceLock::new();
    HOLE.get_or_init(|| build("hole"))
}

pub fn component(name: &str) -> &'static [u8] {
    let built = built().iter().find(|built| built.name == name);
    &built.unwrap().component
}
