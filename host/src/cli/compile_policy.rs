//! `compile-policy`: a child process that compiles a policy.
//!
//! Owns the child's command line, and how the parent finds this program. People do not call it, so
//! the help does not list it. Callers rely on this: it reads no configuration and no database.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serial_gate::policy::{CompileLimits, Compiler, Runtime, compile_and_answer};

use super::Error;
use super::options::Shared;
use super::output::Report;
use super::verb::Verb;

/// Compile the component on the standard input for the process that started this
#[derive(Args)]
#[command(name = serial_gate::policy::COMPILER_VERB, hide = true)]
pub struct CompilePolicy {
    /// How long it may take
    #[arg(long, value_name = "N")]
    seconds: u64,
    /// How much memory it may take, in bytes
    #[arg(long, value_name = "BYTES")]
    memory: u64,
    /// The process that waits for it
    #[arg(long, value_name = "PID")]
    parent: u32,
}

impl CompilePolicy {
    /// Compiles, and answers on the standard output.
    pub fn compile(self) -> Result<Report, Error> {
        let limits = CompileLimits {
            time: Duration::from_secs(self.seconds),
            memory: self.memory,
        };
        compile_and_answer(limits, self.parent, io::stdin().lock(), io::stdout().lock())?;
        Ok(Report::new(true))
    }
}

impl Verb for CompilePolicy {
    fn run(self, _: &Shared) -> Result<Report, Error> {
        self.compile()
    }
}

/// This program as a compiler. `None` if it cannot find its own file.
fn compiler() -> Option<Compiler> {
    // The running program, even if its file was replaced in the meantime.
    const THIS: &str = "/proc/self/exe";
    let program = if Path::new(THIS).exists() {
        PathBuf::from(THIS)
    } else {
        std::env::current_exe().ok()?
    };
    Some(Compiler::new(program, CompileLimits::default()))
}

/// A runtime that compiles with it.
pub fn runtime() -> Runtime {
    Runtime::with_compiler(compiler())
}
