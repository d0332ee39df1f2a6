//! A connection to a server, and what the server says besides its answers.
//!
//! Owns when an open connection counts as dead. No setting of a session is changed, because a
//! connection pooler may share it. Leaves the way to the server to `dial`, and the limits of a
//! transaction to `transaction`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use postgres::Client;
use postgres::error::{DbError, Severity};

use super::dial::dial;
use super::qualify::identifier;
use super::server::Server;
use super::tx::Statements;
use crate::store::{Error, Problem};

/// How long sent data may stay unacknowledged before the connection counts as dead.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection is idle before its peer is probed.
const KEEPALIVES_IDLE: Duration = Duration::from_secs(10);

/// An open connection.
pub(crate) struct Open {
    pub client: Client,
    pub statements: Statements,
    pub notices: Notices,
    /// Whether a transaction is open in which all reads are of one state.
    pub keeps_state: bool,
}

impl Open {
    pub(crate) fn at(server: &Server) -> Result<Open, Error> {
        let notices = Notices::default();
        let mut client = dial(server, |config| {
            let kept = notices.clone();
            config
                .notice_callback(move |notice| kept.keep(&notice))
                .tcp_user_timeout(USER_TIMEOUT)
                .keepalives_idle(KEEPALIVES_IDLE);
        })?;
        let schema = match server.schema() {
            Some(schema) => schema.to_owned(),
            None => current_schema(&mut client)?,
        };
        Ok(Open {
            client,
            statements: Statements::in_schema(identifier(&schema)),
            notices,
            keeps_state: false,
        })
    }
}

/// The first schema of the role's `search_path` that exists.
fn current_schema(client: &mut Client) -> Result<String, Error> {
    let row = client.query_typed_one("SELECT current_schema()", &[])?;
    let schema: Option<&str> = row.get(0);
    schema
        .map(Into::into)
        .ok_or_else(|| Problem::NoSchema.unnamed())
}

/// What the server has said besides its answers.
#[derive(Clone, Default)]
pub(crate) struct Notices(Arc<Mutex<Option<String>>>);

impl Notices {
    fn keep(&self, notice: &DbError) {
        tracing::debug!("the server says: {notice}");
        // A function that warns says where it is.
        let is_of_the_server = notice.where_().is_none();
        if is_of_the_server && notice.parsed_severity() == Some(Severity::Warning) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(notice.to_string());
        }
    }

    /// The last warning since the last call that no function has raised. A commit has none unless it is not as safe as it
    /// should be: the wait for a standby was cancelled. That warning has no code that tells it apart, and
    /// its words are in the server's language.
    pub(crate) fn take_warning(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
