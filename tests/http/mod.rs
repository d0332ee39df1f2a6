//! The service: the real binary, asked over HTTP.

mod access;
#[cfg(target_os = "linux")]
mod bombs;
mod browser;
mod claims;
mod cookies;
mod cycle;
mod deploys;
mod document;
mod end;
mod files;
mod followers;
mod groups;
mod heads;
mod hooks;
mod killed;
mod links;
mod page;
mod pipeline;
mod policy;
mod pressure;
#[cfg(target_os = "linux")]
mod pressure_figures;
mod reference;
mod remedies;
mod repeated;
mod restored;
mod schema;
mod server;
mod times;
mod uploads;

use std::thread;

use crate::support::service::Service;

pub fn until_one_waits(service: &Service) {
    until(service, "serial_gate_waiting_workers 1");
}

/// Waits until the metrics show it. The harness has a time limit.
pub fn until(service: &Service, line: &str) {
    until_with(service, None, line);
}

/// The same with a token.
pub fn until_with(service: &Service, token: Option<&str>, line: &str) {
    for _ in 0..3_000 {
        let asked = service.request("GET", "/metrics");
        let asked = match token {
            Some(token) => asked.token(token),
            None => asked,
        };
        if asked.send().text.lines().any(|found| found == line) {
            return;
        }
        thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("never `{line}`");
}
