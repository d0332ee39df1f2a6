//! Whether a policy is fit for use: the reference's cases, the agreement of its two answers, and
//! `policy check`.

mod agreement;
mod agreement_check;
mod conformance;
mod policies;
mod policy_check;

use serial_gate::conform::{Case, read_cases};

use crate::support::fixtures;

pub fn cases() -> Vec<Case> {
    let files = ["edge.jsonl", "random.jsonl"];
    files
        .iter()
        .flat_map(|name| read_cases(&fixtures(name)).unwrap())
        .collect()
}
