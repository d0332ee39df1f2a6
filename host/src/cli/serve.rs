//! `serve`: the queue over HTTP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;

use clap::Args;
use serial_gate::error::with_causes;
use serial_gate::worker::branch::Hooked;

use super::Error;
use super::log::Level;
use super::options::Shared;
use super::output::Report;
use super::plain_text;
use super::projects;
use super::verb::Verb;
use crate::http::{self, Limits, Service};

/// Serve the queue over HTTP, for workers, operators and dashboards
#[derive(Args)]
#[command(after_help = "\
Without tokens, only this machine can use it, and it refuses to listen on any other
address. At SIGTERM it finishes its requests and exits; waiting workers get the answer
that there is nothing to claim.

Examples:
  serial-gate serve
  serial-gate token add ops --role operator && serial-gate serve --listen 0.0.0.0:7070")]
pub struct Serve {
    /// Where to listen: an address with a port, or only a port, for this machine; port 0 means any
    /// free port
    #[arg(long, value_name = "ADDRESS:PORT", env = "SERIAL_GATE_LISTEN")]
    #[arg(default_value = "127.0.0.1:7070", value_parser = address)]
    listen: SocketAddr,
    /// A proxy in front of the service, if it is on another machine; may be given several times
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "SERIAL_GATE_PROXY",
        value_delimiter = ','
    )]
    proxy: Vec<IpAddr>,
}

impl Verb for Serve {
    fn log(&self) -> Level {
        Level::Progress
    }

    fn run(self, shared: &Shared) -> Result<Report, Error> {
        // First of all: with too few open files, later errors would not name the cause.
        let limits = Limits::raised().map_err(http::Error::Files)?;
        shared.log_configuration();
        // Rules that the policy refuses are an error now, before the first claim.
        projects::warn(&mut shared.queue()?)?;
        let service = Service {
            db: shared.db.clone(),
            address: self.listen,
            limits,
            proxies: self.proxy,
            overrides: shared.overrides.clone(),
            lease: shared.lease,
            runtime: shared.runtime.clone(),
            trust: shared.trust.clone(),
            repos: shared.configured_repos(),
            projects: shared.projects.clone(),
            hooks: hooks(shared)?,
            read_secret: |path| plain_text::read(path).map_err(|error| with_causes(&error)),
            alerts: super::alerts::settings(shared)?,
            log_lines_dropped: shared.log.dropped(),
        };
        http::serve(service, |address| announce(address, shared.report()))?;
        Ok(shared.report())
    }
}

/// The projects that take webhooks. Each secret must be there: a forge repeats no webhook by
/// itself.
fn hooks(shared: &Shared) -> Result<Vec<Hooked>, Error> {
    let mut hooks = Vec::new();
    for project in &shared.projects {
        hooks.extend(project.hooked()?);
    }
    for hook in &hooks {
        plain_text::read(&hook.secret).map_err(|cause| {
            let repo = hook.repo.escape_debug();
            let what = format!("the `hook_secret` of the project `{repo}` cannot be used");
            Error::because(what, cause)
        })?;
        if let Some(note) = projects::open_to_all(hook) {
            tracing::warn!("{note}");
        }
    }
    Ok(hooks)
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
    let port = port.parse::<u16>().map_err(
        |_| "write an address and a port, such as `127.0.0.1:7070`, or `0.0.0.0:7070` to open it",
    )?;
    Ok((Ipv4Addr::LOCALHOST, port).into())
}

/// Prints where the service listens, in the background: the service must not wait for the reader of
/// its standard output.
fn announce(address: SocketAddr, mut report: Report) {
    let print = move || {
        report.json(&serde_json::json!({ "listening": address }));
        report.line(format!("listening on http://{address}"));
        if let Err(cause) = report.print() {
            tracing::warn!("listening on http://{address}, which cannot be printed: {cause}");
        }
    };
    let thread = thread::Builder::new().name("listening".into()).spawn(print);
    if let Err(cause) = thread {
        tracing::warn!("listening on http://{address}, which cannot be printed: {cause}");
    }
}
