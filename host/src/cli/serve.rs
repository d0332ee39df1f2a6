//! `serve`: the queue over HTTP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;

use clap::Args;

use super::log::Log;
use super::options::Shared;
use super::output::Output;
use super::{Error, Outcome};
use crate::http::{self, Limits, Service};

/// Serve the queue over HTTP, for workers, operators and dashboards
#[derive(Args)]
#[command(
    after_help = "Until a token exists, everyone on this machine may use it, and it listens to no other. It ends at SIGTERM: requests are finished, workers that wait are told that there is nothing.\n\nExamples:\n  serial-gate serve\n  \
    serial-gate token add ops --role operator && serial-gate serve --listen 0.0.0.0:7070"
)]
pub struct Serve {
    /// Where to listen: an address with a port, or a port of this machine; port 0 takes any that is
    /// free
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        env = "SERIAL_GATE_LISTEN",
        hide_env_values = true
    )]
    #[arg(default_value = "127.0.0.1:7070", value_parser = address)]
    listen: SocketAddr,
    /// The proxy in front of it, if that is on another machine; may be given several times
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "SERIAL_GATE_PROXY",
        hide_env_values = true,
        value_delimiter = ','
    )]
    proxy: Vec<IpAddr>,
}

impl Serve {
    pub fn run(self, shared: &Shared, log: &Log) -> Result<Outcome, Error> {
        // First of all: with too few open files, nothing that fails says why.
        let limits = Limits::raised().map_err(http::Error::Files)?;
        shared.log_configuration();
        // Rules that the policy refuses are said now, and not in the log of each claim.
        drop(shared.queue()?);
        let service = Service {
            db: shared.db.clone(),
            address: self.listen,
            limits,
            proxies: self.proxy,
            overrides: shared.overrides.clone(),
            lease: shared.lease,
            compiler: super::compiler(),
            trust: shared.trust.clone(),
            repos: shared.configured_repos(),
            projects: shared.projects.clone(),
            alerts: super::alerts::settings(shared)?,
            log_lines_dropped: log.dropped(),
        };
        let json = shared.json;
        http::serve(service, |address| tell(address, json))?;
        Ok(Outcome::Done)
    }
}

/// An address to listen on. A port alone, and `localhost`, mean this machine only.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let port = text
        .strip_prefix("localhost")
        .unwrap_or(text)
        .trim_start_matches(':');
    let port = port.parse::<u16>().map_err(|_| {
        "write an address and a port, such as `127.0.0.1:7070`, or `0.0.0.0:7070` to be reached from other machines"
    })?;
    Ok((Ipv4Addr::LOCALHOST, port).into())
}

/// Says where the service listens, which does not wait for that: it does not depend on who reads
/// its standard output.
fn tell(address: SocketAddr, json: bool) {
    let print = move || {
        let mut output = Output::new(json);
        let told = if json {
            output.json_line(&serde_json::json!({ "listening": address }))
        } else {
            output.line(format!("listening on http://{address}"))
        };
        if let Err(cause) = told {
            tracing::warn!("listening on http://{address}, which cannot be printed: {cause}");
        }
    };
    let thread = thread::Builder::new().name("listening".into()).spawn(print);
    if let Err(cause) = thread {
        tracing::warn!("listening on http://{address}, which cannot be printed: {cause}");
    }
}
