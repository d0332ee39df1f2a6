//! `serve`: the queue over HTTP.

use std::net::SocketAddr;

use clap::Args;

use super::options::Shared;
use super::output::Output;
use super::{Error, Outcome};
use crate::http::{self, Service};

/// Serve the queue over HTTP, for workers, operators and dashboards
#[derive(Args)]
#[command(
    after_help = "Whoever is on this machine may use it, until somebody has a token. On any other address it starts only then. It ends at SIGTERM: requests are finished, workers that wait are told that there is nothing.\n\nExamples:\n  serial-gate serve\n  \
    serial-gate token add ops --role operator && serial-gate serve --listen 0.0.0.0:7070"
)]
pub struct Serve {
    /// Where to listen; port 0 takes any that is free
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        env = "SERIAL_GATE_LISTEN",
        hide_env_values = true
    )]
    #[arg(default_value = "127.0.0.1:7070")]
    listen: SocketAddr,
}

impl Serve {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        // Rules that the policy refuses are said now, and not in the log of each claim.
        drop(shared.queue()?);
        let service = Service {
            db: shared.db.clone(),
            address: self.listen,
            overrides: shared.overrides.clone(),
            lease: shared.lease,
            trust: shared.trust.clone(),
            alerts: super::alerts::settings(shared)?,
        };
        let mut told = Ok(());
        http::serve(service, |address| {
            let line = format!("listening on http://{address}");
            told = if output.json {
                output.json_line(&serde_json::json!({ "listening": address }))
            } else {
                output.line(line)
            };
        })?;
        told?;
        Ok(Outcome::Done)
    }
}
