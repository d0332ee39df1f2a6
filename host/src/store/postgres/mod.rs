//! PostgreSQL: the connection, the schema, the claim.

mod aside;
mod attempt_table;
mod branch_tables;
mod busy;
mod by_heads;
pub(crate) mod catalog;
pub(crate) mod claim;
pub(crate) mod claiming;
pub(crate) mod comparing;
pub(crate) mod connection;
mod dial;
pub(crate) mod engine;
pub(crate) mod error;
pub(crate) mod freeze_number;
pub(crate) mod functions;
mod gated;
pub(crate) mod heads;
mod identity;
pub(crate) mod intact;
mod locks;
pub(crate) mod made;
pub(crate) mod migrate;
pub(crate) mod needs;
mod one_state;
mod output_table;
pub(crate) mod outsider;
pub(crate) mod own_table;
pub(crate) mod own_tables;
mod password;
pub(crate) mod places;
pub(crate) mod prepare;
pub(crate) mod probe;
pub(crate) mod qualify;
pub(crate) mod replication;
mod scan;
pub(crate) mod schema;
mod search;
pub mod server;
pub(crate) mod shared;
mod tls;
pub(crate) mod transaction;
pub(crate) mod triggers;
pub(crate) mod tx;
pub(crate) mod unprepared;
pub mod url;
pub(crate) mod value;
pub(crate) mod version_row;

#[cfg(test)]
#[expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]
#[path = "../../../../tests/postgres/prepare.rs"]
mod prepare_tests;

#[cfg(test)]
#[expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]
#[path = "../../../../tests/postgres/mod.rs"]
mod tests;
