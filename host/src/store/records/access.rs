//! Who may use the service: named tokens with a role. Only the hash of a token is kept.
//!
//! Owns the rows. Leaves the form of a token and the rights of a role to the service. Callers rely
//! on this: rows are never deleted, so a name in the history can be looked up.

use super::audit::{self, AuditRow};
use super::effect::Effect;
use crate::store::engine::{Row, Tx, values};
use crate::store::names::not_empty;
use crate::store::{Actor, Error, Store, sql_time};

/// What the holder of a token may do. Each role has the rights of those before it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look.
    Reader,
    /// Add tasks and jobs, claim jobs and end them.
    Worker,
    /// Freeze and unfreeze repos, change the policy.
    Operator,
}

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// Its number, which is a part of the token.
    pub id: i64,
    /// Whose it is: the name in the history.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// The SHA-256 of its secret.
    pub hash: Vec<u8>,
    /// When it was made, UTC.
    pub made_at: String,
    /// Who made it.
    pub made_by: String,
    /// Since when it is no longer good, UTC.
    pub revoked_at: Option<String>,
}

const COLUMNS: &str = "id, name, role, hash, made_at, made_by, revoked_at";

impl Role {
    /// All roles, the lowest first.
    pub const ALL: [Role; 3] = [Role::Reader, Role::Worker, Role::Operator];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Role::Reader => "reader",
            Role::Worker => "worker",
            Role::Operator => "operator",
        }
    }

    /// By its name.
    pub fn of_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl Store {
    /// Adds a token by the hash of its secret and returns its number.
    ///
    /// # Errors
    ///
    /// When the name is empty, another good token has it, or the database refuses.
    pub fn add_access_token(
        &mut self,
        name: &str,
        role: Role,
        hash: &[u8],
        actor: Actor<'_>,
    ) -> Result<i64, Error> {
        not_empty("name of the token", name)?;
        self.write_durably(|tx| {
            let taken = tx.exists(
                "SELECT 1 FROM serial_gate_access WHERE name = $1 AND revoked_at IS NULL",
                values![name],
            )?;
            if taken {
                return Err(Error::TokenNameTaken { name: name.into() });
            }
            let effect = Effect {
                what: &format!("the token `{}`", name.escape_debug()),
                table: "serial_gate_access",
            };
            let id = effect.returned(tx.row(
                "INSERT INTO serial_gate_access (name, role, hash, made_at, made_by)
                 VALUES ($1, $2, $3, $4, $5) RETURNING id",
                values![name, role.name(), hash, sql_time(actor.now), actor.who],
                |row| row.get(0),
            ))?;
            audit::write_down(tx, actor, row(name, None, Some(role.name())))?;
            effect.is_there(
                tx,
                "SELECT 1 FROM serial_gate_access
                 WHERE id = $1 AND name = $2 AND role = $3 AND hash = $4 AND revoked_at IS NULL",
                values![id, name, role.name(), hash],
            )?;
            Ok(id)
        })
    }

    /// A token that is still good.
    pub fn access_token(&mut self, id: i64) -> Result<Option<AccessToken>, Error> {
        self.read_fast(|tx| {
            let sql = format!(
                "SELECT {COLUMNS} FROM serial_gate_access WHERE id = $1 AND revoked_at IS NULL"
            );
            Ok(tx.row(&sql, values![id], read)?.flatten())
        })
    }

    /// All tokens, in the order in which they were made.
    pub fn access_tokens(&mut self) -> Result<Vec<AccessToken>, Error> {
        self.read_fast(|tx| {
            let sql = format!("SELECT {COLUMNS} FROM serial_gate_access ORDER BY id");
            Ok(tx.rows(&sql, &[], read)?.into_iter().flatten().collect())
        })
    }

    /// Whether there ever was a token. From then on a token is required, even if all are revoked.
    pub fn had_access_tokens(&mut self) -> Result<bool, Error> {
        self.read_fast(|tx| tx.exists("SELECT 1 FROM serial_gate_access LIMIT 1", &[]))
    }

    /// Revokes a token by its name. Its holder is refused from the next request on.
    ///
    /// # Errors
    ///
    /// When there is no good token of that name, or the database refuses.
    pub fn revoke_access_token(&mut self, name: &str, actor: Actor<'_>) -> Result<(), Error> {
        self.write_durably(|tx| {
            let good = good_tokens(tx, name)?;
            if good.is_empty() {
                return Err(Error::NoToken { name: name.into() });
            }
            tx.execute(
                "UPDATE serial_gate_access SET revoked_at = $2 WHERE name = $1
                    AND revoked_at IS NULL",
                values![name, sql_time(actor.now)],
            )?;
            audit::write_down(tx, actor, row(name, Some("good"), Some("revoked")))?;
            let effect = Effect {
                what: &format!("the revocation of token `{}`", name.escape_debug()),
                table: "serial_gate_access",
            };
            // By number: the secret is valid under any name.
            good.iter().try_for_each(|id| {
                effect.is_gone(
                    tx,
                    "SELECT 1 FROM serial_gate_access WHERE id = $1 AND revoked_at IS NULL",
                    values![id],
                )
            })
        })
    }
}

fn good_tokens(tx: &dyn Tx, name: &str) -> Result<Vec<i64>, Error> {
    tx.rows(
        "SELECT id FROM serial_gate_access WHERE name = $1 AND revoked_at IS NULL",
        values![name],
        |row| row.get(0),
    )
}

fn row<'a>(name: &str, before: Option<&'a str>, after: Option<&'a str>) -> AuditRow<'a> {
    AuditRow {
        action: "token",
        repo: None,
        subject: format!("token {name}"),
        before,
        after,
    }
}

/// None for a role that this version does not know: such a token has no rights.
fn read(row: Row<'_>) -> Result<Option<AccessToken>, Error> {
    let role: String = row.get(2)?;
    let Some(role) = Role::of_name(&role) else {
        return Ok(None);
    };
    Ok(Some(AccessToken {
        id: row.get(0)?,
        name: row.get(1)?,
        role,
        hash: row.get(3)?,
        made_at: row.get(4)?,
        made_by: row.get(5)?,
        revoked_at: row.get(6)?,
    }))
}
