//! The contract as Rust types, generated from `wit/serial-gate.wit`, which documents every field.
//!
//! Owns names, the table of symbols, and the JSON form of a verdict: no rule, no I/O. The types are
//! the generated ones, so a snapshot reaches a policy without a conversion.

mod verdicts;

mod generated {
    #![allow(
        missing_docs,
        reason = "generated: the contract is documented in wit/serial-gate.wit"
    )]
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "generated"
    )]

    wasmtime::component::bindgen!({
        path: "wit",
        world: "policy",
        additional_derives: [PartialEq, Eq, serde::Serialize, serde::Deserialize],
    });
}

pub(crate) use generated::exports::serial_gate::policy::serial_gate::Guest as Exports;
pub(crate) use generated::{Policy as Component, PolicyPre as ComponentPre};

pub use verdicts::differing;

pub use generated::exports::serial_gate::policy::serial_gate::{
    Clause, Decision, Description, Dialect, Freezes, Hold, Jobs, PolicyError, Settings, Snapshot,
    Symbol, Symbols, TaskIdKind, Tasks, Verdict,
};

use serde::{Deserialize as _, Serialize as _};
use serde_json::{Value, json};

/// The interface that a policy exports, with its version.
pub const INTERFACE: &str = "serial-gate:policy/serial-gate@0.4.0";

/// The symbol of NULL.
pub const NULL: Symbol = 0;

/// What a number in `jobs.task-id` means: see the contract's `task-id-kind`.
pub mod task_id_kind {
    use super::TaskIdKind;

    /// There is no number.
    pub const NULL: TaskIdKind = 0;
    /// The task's id.
    pub const ID: TaskIdKind = 1;
    /// The first id after a number that cannot be an id.
    pub const BEFORE_ID: TaskIdKind = 2;
    /// There is no number: it comes after all of them.
    pub const AFTER_EVERY_ID: TaskIdKind = 3;
}

impl Symbols {
    /// NULL, and no text yet.
    pub fn new() -> Symbols {
        Symbols {
            text: String::new(),
            ends: vec![0],
        }
    }

    /// A symbol for one more text, which must not be there yet.
    pub fn push(&mut self, text: &str) -> Symbol {
        self.text.push_str(text);
        // Neither the texts nor their number reach 2^32: they would not fit a policy's memory.
        let symbol = Symbol::try_from(self.ends.len()).unwrap_or(Symbol::MAX);
        let end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.ends.push(end);
        symbol
    }

    /// The text of a symbol; none for NULL and for an unknown symbol.
    pub fn text(&self, symbol: Symbol) -> Option<&str> {
        let at = usize::try_from(symbol).ok()?;
        let start = *self.ends.get(at.checked_sub(1)?)?;
        let range = usize::try_from(start).ok()?..usize::try_from(*self.ends.get(at)?).ok()?;
        self.text.get(range)
    }

    /// All symbols but NULL, each with its text.
    pub fn iter(&self) -> impl Iterator<Item = (Symbol, &str)> {
        (1..).map_while(|symbol| Some((symbol, self.text(symbol)?)))
    }
}

impl Default for Symbols {
    fn default() -> Symbols {
        Symbols::new()
    }
}

/// A verdict as JSON: `"claim"`, or an object with the reasons of the hold. A policy names a freeze
/// by its row, which is not the number that people know the freeze by, so its key says so.
pub fn verdict_to_json(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Claim => json!("claim"),
        Verdict::Hold(hold) => json!({ "hold": {
            "earlier_task": hold.earlier_task, "freeze_row": hold.freeze, "rule": hold.rule,
        }}),
    }
}

/// A verdict as [`verdict_to_json`] writes it, or as earlier versions wrote it; none for anything
/// else.
pub fn verdict_from_json(document: &Value) -> Option<Verdict> {
    if document == "claim" || document == "Claim" {
        return Some(Verdict::Claim);
    }
    let hold = document.get("hold").or_else(|| document.get("Hold"))?;
    let mut hold = hold.clone();
    if let Some(fields) = hold.as_object_mut()
        && let Some(row) = fields.remove("freeze_row")
    {
        fields.insert("freeze".into(), row);
    }
    Hold::deserialize(hold).ok().map(Verdict::Hold)
}

/// For fields that hold a verdict.
pub(crate) fn verdict_as_json<S: serde::Serializer>(
    verdict: &Option<Verdict>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    verdict.as_ref().map(verdict_to_json).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_read_as_it_is_written_and_as_it_once_was() {
        let hold = Hold {
            earlier_task: Some(1),
            freeze: Some(2),
            rule: Some("too many".into()),
        };
        for verdict in [Verdict::Claim, Verdict::Hold(hold)] {
            let once = json!(verdict);
            for document in [verdict_to_json(&verdict), once] {
                assert_eq!(verdict_from_json(&document).as_ref(), Some(&verdict));
            }
        }
        assert_eq!(verdict_from_json(&json!("maybe")), None);
    }
}
