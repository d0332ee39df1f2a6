//! The way to a server: its hosts in order, and for each of them the password, TLS and a time limit.
//!
//! Owns which failure means that another way is tried. Leaves what a connection does afterwards to
//! `connection`. Callers rely on this: the call ends in time even if a server accepts a connection
//! and then says nothing, unless the address allows it any time.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use postgres::config::SslMode;
use postgres::error::SqlState;
use postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::Cause;
use super::password::{self, FileError, Variables};
use super::server::{Host, Server};
use super::tls::{self, Mode, TlsError};
use crate::error::with_causes;
use crate::store::{Error, Problem};

/// How long a host may take, unless the address says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Driver(Cause),
    #[error(transparent)]
    Password(#[from] FileError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("it did not let this process in within {} s", .0.as_secs())]
    InTime(Duration),
    #[error("this process cannot have another thread")]
    Thread(#[from] io::Error),
    #[error("none of its hosts lets this process in: {}", .0.join("; "))]
    Each(Vec<String>),
}

impl From<postgres::Error> for Failed {
    fn from(error: postgres::Error) -> Failed {
        Failed::Driver(Cause(error))
    }
}

/// Opens a connection to the first host that lets this process in. `prepare` sets what the address
/// does not.
pub(super) fn dial(server: &Server, prepare: impl Fn(&mut Config)) -> Result<Client, Error> {
    dial_with(server, prepare, &password::variable)
}

fn dial_with(
    server: &Server,
    prepare: impl Fn(&mut Config),
    variable: Variables<'_>,
) -> Result<Client, Error> {
    let mut failed = Vec::new();
    for host in server.hosts() {
        match attempt(server, &host, &prepare, variable) {
            Ok(client) => return Ok(client),
            Err(why) if server.hosts().len() == 1 => return Err(problem(why).unnamed()),
            Err(why) => {
                let Host { name, port } = &host;
                failed.push(format!("`{name}` at port {port}: {}", with_causes(&why)));
            }
        }
    }
    Err(problem(Failed::Each(failed)).unnamed())
}

fn problem(why: Failed) -> Problem {
    match why {
        Failed::Driver(cause) if tls::is_about_the_certificate(&cause.0) => {
            Problem::Certificate(cause.0.into())
        }
        Failed::Driver(cause) if has_no_password(&cause.0) => Problem::NoPassword,
        Failed::Driver(cause) => Problem::Statement(cause.into()),
        Failed::Password(_) | Failed::Tls(_) => Problem::Credentials(why.into()),
        Failed::InTime(_) | Failed::Thread(_) | Failed::Each(_) => Problem::NoServer(why.into()),
    }
}

/// Whether the server asked for a password that this process lacks. The driver has no code for it.
fn has_no_password(error: &postgres::Error) -> bool {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    cause.as_deref() == Some("password missing")
}

fn attempt(
    server: &Server,
    host: &Host,
    prepare: impl Fn(&mut Config),
    variable: Variables<'_>,
) -> Result<Client, Failed> {
    let mut config = server.config(host);
    prepare(&mut config);
    if let Some(password) = password::of(server, host, variable)? {
        config.password(password);
    }
    // A socket of this machine has no TLS, whatever the mode.
    let tls = match host.is_a_socket() {
        true => None,
        false => tls::connector(server, variable)?,
    };
    let is_optional = Mode::of(server) == Mode::Prefer;
    let Some(limit) = server.connect_timeout(CONNECT_TIMEOUT) else {
        return Ok(connect(config, tls, is_optional)?);
    };
    // An address of the host that is dead leaves time for another.
    config.connect_timeout(limit / 2);
    // The driver's own limit ends when the network has a connection, which it has with a server
    // that is stopped. Such an attempt is left behind, and ends with its connection.
    let (sender, receiver) = mpsc::channel();
    let thread = thread::Builder::new().name("connect".into());
    thread.spawn(move || {
        // Nobody waits for it when its time is over.
        let _ = sender.send(connect(config, tls, is_optional));
    })?;
    match receiver.recv_timeout(limit) {
        Ok(connected) => Ok(connected?),
        Err(_) => Err(Failed::InTime(limit)),
    }
}

fn connect(
    mut config: Config,
    tls: Option<MakeRustlsConnect>,
    is_optional: bool,
) -> Result<Client, postgres::Error> {
    let Some(tls) = tls else {
        return config.ssl_mode(SslMode::Disable).connect(NoTls);
    };
    if !is_optional {
        return config.ssl_mode(SslMode::Require).connect(tls);
    }
    match config.ssl_mode(SslMode::Prefer).connect(tls) {
        Err(error) if is_over_with_tls(&error) => {
            tracing::debug!("connecting once more without TLS: {}", with_causes(&error));
            config.ssl_mode(SslMode::Disable).connect(NoTls)
        }
        result => result,
    }
}

/// Whether a connection may be had without TLS: the handshake failed, or the server lets this role
/// in without TLS only. libpq tries that, too.
fn is_over_with_tls(error: &postgres::Error) -> bool {
    error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
        || error.to_string() == tls::HANDSHAKE_FAILED
}

#[cfg(test)]
#[path = "../../../../tests/postgres/connection.rs"]
mod tests;
