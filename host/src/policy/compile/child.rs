//! The inside of the process that compiles a policy.
//!
//! Owns its limits, which it sets on itself before it reads a byte of the component, and its
//! answer. Leaves the deadline in the time of day to the process that started it (`process`).
//! Callers rely on this: the answer is one byte for its kind, and then the artefact or the reason.
//! Without a complete answer the process does not end with success.

use std::io::{self, Read, Write};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use wasmtime::Engine;

use super::process::CompileLimits;
use crate::policy::engine;

/// An artefact follows.
pub(super) const ARTEFACT: u8 = b'A';
/// The reason follows.
pub(super) const REFUSAL: u8 = b'R';

/// Everything else on the machine goes first.
const NICE: i32 = 10;

/// How many processors it may use from its beginning to its deadline.
const PROCESSORS: u64 = 2;

/// Compiles the component that comes from `input`, as the process that a
/// [`Compiler`](super::Compiler) with these limits started from the process `parent`. Limits this
/// whole process, so it is to do nothing else.
///
/// # Errors
///
/// When the process that started it is gone, the limits cannot be set, or the pipes are broken.
pub fn compile_and_answer(
    limits: CompileLimits,
    parent: u32,
    mut input: impl Read,
    mut output: impl Write,
) -> io::Result<()> {
    end_with(parent)?;
    limit(limits)?;
    let mut component = Vec::new();
    input.read_to_end(&mut component)?;
    let engine = Engine::new(&engine::config()).map_err(io::Error::other)?;
    let (kind, answer) = match engine.precompile_component(&component) {
        Ok(artefact) => (ARTEFACT, artefact),
        Err(cause) => (REFUSAL, format!("{cause:#}").into_bytes()),
    };
    output.write_all(&[kind])?;
    output.write_all(&answer)?;
    output.flush()
}

/// Has the system end this process with the one that started it.
#[cfg(target_os = "linux")]
fn end_with(parent: u32) -> io::Result<()> {
    use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let is_there = getppid().map(Pid::as_raw_pid) == i32::try_from(parent).ok();
    // The parent may have ended before that call.
    if is_there {
        Ok(())
    } else {
        Err(io::Error::other(
            "the process that started this one is gone",
        ))
    }
}

/// Elsewhere the time of the processor ends it.
#[cfg(not(target_os = "linux"))]
fn end_with(_: u32) -> io::Result<()> {
    Ok(())
}

fn limit(limits: CompileLimits) -> io::Result<()> {
    // When the machine runs out of memory, it is this process that can be spared.
    #[cfg(target_os = "linux")]
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let _ = rustix::process::nice(NICE);
    let processor = limits.time.as_secs().saturating_mul(PROCESSORS).max(1);
    // The signal of the first limit names the cause; that of the second cannot be ignored.
    at_most(Resource::Cpu, processor, processor.saturating_add(1))?;
    // Not the address space: threads reserve much of it and use little.
    at_most(Resource::Data, limits.memory, limits.memory)?;
    at_most(Resource::Core, 0, 0)?;
    // Its answer goes to a pipe, which this limit does not count.
    at_most(Resource::Fsize, 0, 0)
}

/// Lowers a limit; a lower one stays.
fn at_most(resource: Resource, current: u64, maximum: u64) -> io::Result<()> {
    let before = getrlimit(resource);
    let lower = |limit: Option<u64>, most| Some(limit.map_or(most, |limit: u64| limit.min(most)));
    let after = Rlimit {
        current: lower(before.current, current),
        maximum: lower(before.maximum, maximum),
    };
    Ok(setrlimit(resource, after)?)
}
