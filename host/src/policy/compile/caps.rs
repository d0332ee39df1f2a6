//! How large a policy may be, so that compiling it ends.
//!
//! Owns the numbers and their words. Leaves the counting to `outline`, and what no count foresees
//! to the compiler's own limits (`process`). Each number is at least four times what the largest
//! policies of the usual tools have: CPython (18 MB, by componentize-py), SpiderMonkey (12 MB, by
//! componentize-js), and Rust. Callers rely on this: a policy within the caps can be counted in a
//! fraction of a second.

/// More of something than a policy may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the policy has {} {}, and {} are the most: {}",
    grouped(*.found), .cap.what, grouped(.cap.most), .cap.remedy
)]
pub struct Excess {
    cap: &'static Cap,
    found: u64,
}

/// The most of something.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cap {
    pub what: &'static str,
    most: u64,
    remedy: &'static str,
}

impl Cap {
    const fn new(what: &'static str, most: u64, remedy: &'static str) -> Cap {
        Cap { what, most, remedy }
    }

    /// Refuses a number that is too large.
    pub(super) fn allow(&'static self, found: u64) -> Result<(), Excess> {
        match found > self.most {
            true => Err(Excess { cap: self, found }),
            false => Ok(()),
        }
    }
}

const SMALLER: &str = "build it without what it does not call";
const SPLIT: &str = "split that function";
const OPTIMISE: &str = "build it with optimisation, or split that function";

pub(super) static BYTES: Cap = Cap::new("bytes", 32 << 20, SMALLER);
pub(super) static DEPTH: Cap = Cap::new(
    "levels of components within components",
    16,
    "compose it of fewer",
);
pub(super) static PARTS: Cap = Cap::new("modules and components", 200, "compose it of fewer");
pub(super) static INSTANCES: Cap = Cap::new("instances", 1_000, "compose it of fewer");
pub(super) static TYPES: Cap = Cap::new("types", 20_000, SMALLER);
pub(super) static TYPE_BYTES: Cap = Cap::new("bytes of types", 1 << 20, SMALLER);
pub(super) static NAMES: Cap = Cap::new("imports and exports", 50_000, SMALLER);
pub(super) static ALIASES: Cap = Cap::new("aliases and canonical functions", 50_000, SMALLER);
pub(super) static FUNCTIONS: Cap = Cap::new("functions", 100_000, SMALLER);
pub(super) static CODE: Cap = Cap::new("bytes of code", 24 << 20, SMALLER);
pub(super) static GLOBALS: Cap = Cap::new("globals", 20_000, SMALLER);
pub(super) static TABLE_ENTRIES: Cap = Cap::new("entries in its tables", 200_000, SMALLER);
pub(super) static DATA: Cap = Cap::new("data segments", 50_000, SMALLER);
pub(super) static ELEMENTS: Cap = Cap::new("entries in its element segments", 200_000, SMALLER);

pub(super) static BODY: Cap = Cap::new("bytes in one function", 2 << 20, SPLIT);
pub(super) static LOCALS: Cap = Cap::new("locals in one function", 4_000, OPTIMISE);
pub(super) static NESTING: Cap =
    Cap::new("blocks within one another in one function", 4_000, SPLIT);
pub(super) static TARGETS: Cap = Cap::new("targets of `br_table` in one function", 100_000, SPLIT);
pub(super) static LOOPS: Cap = Cap::new("loops within one another in one function", 200, SPLIT);
/// A compiler follows each local through each loop around it, and through each block where paths
/// meet.
pub(super) static LOCALS_BY_LOOPS: Cap = Cap::new(
    "locals in one function times its loops within one another",
    20_000,
    OPTIMISE,
);
pub(super) static LOCALS_BY_BLOCKS: Cap =
    Cap::new("locals times blocks in one function", 4_000_000, OPTIMISE);

/// Such as `400,000`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
