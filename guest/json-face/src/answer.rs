//! What the policy said, as JSON. An id is a text.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Serialize, Serializer};

#[derive(Serialize)]
pub struct Description {
    pub name: String,
    pub version: String,
    pub summary: String,
}

#[derive(Serialize)]
pub struct Clause {
    pub text: String,
    pub notes: Vec<String>,
    pub valid_until: Option<i64>,
}

#[derive(Serialize)]
pub struct Decisions {
    pub decisions: Vec<Decision>,
}

#[derive(Serialize)]
pub struct Decision {
    #[serde(serialize_with = "id")]
    pub job: i64,
    pub verdict: Verdict,
}

/// As the host's own JSON has it: a policy names a freeze by its row.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Claim,
    Hold(Hold),
}

#[derive(Serialize)]
pub struct Hold {
    #[serde(serialize_with = "optional_id")]
    pub earlier_task: Option<i64>,
    #[serde(serialize_with = "optional_id")]
    pub freeze_row: Option<i64>,
    pub rule: Option<String>,
}

/// Writes an answer. Nothing in one can fail to be written.
pub fn written(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).unwrap_or_default()
}

fn id<S: Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn optional_id<S: Serializer>(id: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    id.map(|id| id.to_string()).serialize(serializer)
}
