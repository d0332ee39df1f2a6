//! The smallest host of a policy: wasmtime, SQLite and the guard, without the library.
//!
//! `cargo run --example smallest_host -- POLICY.wasm QUEUE.db` says what each job waits for, and
//! claims one. `host` is all that a claim takes; `columns` is for a host that also asks `decide`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

mod columns;
mod host;

use std::error::Error;
use std::time::SystemTime;

use host::{Host, Settings, Verdict, claim, guarded};
use rusqlite::Connection;

fn main() -> Result<(), Box<dyn Error>> {
    let [_, policy, queue] = &std::env::args().collect::<Vec<_>>()[..] else {
        return Err("usage: smallest_host POLICY.wasm QUEUE.db".into());
    };
    let (host, queue) = (
        Host::new(&std::fs::read(policy)?)?,
        Connection::open(queue)?,
    );
    let settings = Settings {
        enabled: true,
        repos: String::new(),
        freeze_enabled: true,
        rules: None,
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let now = i64::try_from(now.as_secs())?;

    let state = columns::columns(&queue)?;
    for decision in host.decide(&settings, now, &state)?? {
        match decision.verdict {
            Verdict::Claim => println!("job {} may be claimed", decision.job),
            Verdict::Hold(hold) => println!("job {} waits: {hold:?}", decision.job),
        }
    }
    let clause = guarded(&host.claim_clause(&settings, now)??.text)?;
    match claim(&queue, &clause)? {
        Some(job) => println!("job {job} is yours"),
        None => println!("nothing may be claimed"),
    }
    Ok(())
}
