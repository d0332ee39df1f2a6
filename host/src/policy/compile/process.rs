//! Compiles a policy in a separate process, so that a hostile one can be ended.
//!
//! Owns the process, seen from outside: its start, its deadline, its end, and the error. Leaves the
//! work in it to `child`. The process gets the component and nothing else: no environment, no open
//! file. Callers rely on this: once [`Compiler::compile`] has returned the process is gone; if this
//! process is killed, the system ends the other as well.

use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::child::{ARTEFACT, REFUSAL};
use super::native::Artefact;
use crate::policy::Error;

/// The argument with which the program is started.
pub const VERB: &str = "compile-policy";

/// How soon the end of the process is noticed, or the wish to end it.
const LOOK: Duration = Duration::from_millis(5);

/// The largest artefact that is taken. A policy of 20 MB has one of 40.
const LARGEST: u64 = 512 << 20;

/// How much is kept of the process's standard error.
const PRINTED: u64 = 4 << 10;

/// Threads of the process. More would only be faster by taking them from the claims.
const THREADS: usize = 4;

/// A program that compiles policies: it is started with [`VERB`], and hands its arguments to
/// [`compile_and_answer`](super::compile_and_answer).
#[derive(Debug, Clone)]
pub struct Compiler {
    program: PathBuf,
    limits: CompileLimits,
}

/// What one compilation may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// In the time of day; 60 s. Of the processors' time it gets twice as much.
    pub time: Duration,
    /// In bytes; 2 GiB.
    pub memory: u64,
}

impl Default for CompileLimits {
    fn default() -> CompileLimits {
        CompileLimits {
            time: Duration::from_secs(60),
            memory: 2 << 30,
        }
    }
}

/// Why a compilation has no result, whatever the component is.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CompilerFailed {
    /// The time was up.
    #[error(
        "compiling the policy took more than {} s and was stopped: build it smaller or with \
         optimisation",
        limit.as_secs()
    )]
    Time {
        /// The limit.
        limit: Duration,
    },
    /// The memory was used up.
    #[error(
        "compiling the policy took more than {} MiB of memory and was stopped: build it smaller or \
         with optimisation",
        limit >> 20
    )]
    Memory {
        /// The limit.
        limit: u64,
    },
    /// The process ended in a way that no compiler should.
    #[error(
        "the process that compiled the policy ended with {status}{}",
        last_words(printed)
    )]
    Ended {
        /// How.
        status: ExitStatus,
        /// What it wrote to its standard error.
        printed: String,
    },
    /// There is no process.
    #[error("no process can be started to compile the policy")]
    Start(#[source] Arc<io::Error>),
}

impl CompilerFailed {
    /// Whether the same component would probably fail again.
    pub(in crate::policy) fn is_likely_to_repeat(&self) -> bool {
        !matches!(self, CompilerFailed::Start(_))
    }
}

fn last_words(printed: &str) -> String {
    match printed {
        "" => String::new(),
        text => format!(", and printed `{}`", text.escape_debug()),
    }
}

/// How waiting for the process ended.
enum End {
    Exited(ExitStatus),
    OutOfTime,
    Stopped,
}

impl Compiler {
    /// A program by its absolute path.
    pub fn new(program: impl Into<PathBuf>, limits: CompileLimits) -> Compiler {
        Compiler {
            program: program.into(),
            limits,
        }
    }

    /// Compiles a component, for as long as `goes_on` says yes.
    pub(in crate::policy) fn compile(
        &self,
        component: &[u8],
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Artefact, Error> {
        let (end, answer, printed) = self.run(component, goes_on).map_err(|cause| {
            let cause = Arc::new(cause);
            tracing::warn!("no process can be started to compile a policy: {cause}");
            CompilerFailed::Start(cause)
        })?;
        let time = CompilerFailed::Time {
            limit: self.limits.time,
        };
        let status = match end {
            End::Exited(status) => status,
            End::OutOfTime => return Err(time.into()),
            End::Stopped => return Err(Error::Stopped),
        };
        match answer.split_first() {
            Some((&ARTEFACT, artefact)) if status.success() => {
                return Ok(Artefact::of_our_compiler(artefact.to_vec()));
            }
            Some((&REFUSAL, text)) if status.success() => {
                let text = String::from_utf8_lossy(text).into_owned();
                return Err(Error::Compile(wasmtime::Error::msg(text)));
            }
            _ => {}
        }
        let signal = status.signal();
        let printed = String::from_utf8_lossy(&printed);
        Err(if signal == Some(Signal::XCPU.as_raw()) {
            time.into()
        } else if printed.contains("memory allocation of") {
            let limit = self.limits.memory;
            CompilerFailed::Memory { limit }.into()
        } else {
            let printed = printed.split_whitespace().collect::<Vec<_>>().join(" ");
            CompilerFailed::Ended { status, printed }.into()
        })
    }

    /// Runs the process: how it ended, its answer, and its standard error.
    fn run(
        &self,
        component: &[u8],
        goes_on: &dyn Fn() -> bool,
    ) -> io::Result<(End, Vec<u8>, Vec<u8>)> {
        let mut child = self.command().spawn()?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        thread::scope(|scope| {
            let talk = || {
                Builder::new().spawn_scoped(scope, move || {
                    // If the process ends early, its status says why.
                    let _ = stdin.map(|mut stdin| stdin.write_all(component));
                })?;
                let answer =
                    Builder::new().spawn_scoped(scope, move || at_most(stdout, LARGEST))?;
                let printed =
                    Builder::new().spawn_scoped(scope, move || at_most(stderr, PRINTED))?;
                Ok((answer, printed))
            };
            let talk: io::Result<_> = talk();
            let end = match talk {
                Ok(_) => wait(&mut child, self.limits.time, goes_on),
                Err(_) => Ok(End::Stopped),
            };
            // The threads end when the other ends of their pipes are closed.
            if !matches!(end, Ok(End::Exited(_))) {
                let _ = child.kill();
                let _ = child.wait();
            }
            let (answer, printed) = talk?;
            let lost = |_| io::Error::other("a thread that read its answer ended");
            let answer = answer.join().map_err(lost)?;
            let printed = printed.join().map_err(lost)?;
            Ok((end?, answer, printed))
        })
    }

    fn command(&self) -> Command {
        let CompileLimits { time, memory } = self.limits;
        let mut command = Command::new(&self.program);
        command
            .arg(VERB)
            .arg(format!("--seconds={}", time.as_secs().max(1)))
            .arg(format!("--memory={memory}"))
            .arg(format!("--parent={}", std::process::id()))
            // Secrets are in the environment.
            .env_clear()
            .env("RAYON_NUM_THREADS", threads().to_string())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A key such as Ctrl-C signals the group of this process only, which then stops the
            // other.
            .process_group(0);
        command
    }
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, |all| all.get().min(THREADS))
}

fn wait(child: &mut Child, time: Duration, goes_on: &dyn Fn() -> bool) -> io::Result<End> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(End::Exited(status));
        }
        if begun.elapsed() >= time {
            return Ok(End::OutOfTime);
        }
        if !goes_on() {
            return Ok(End::Stopped);
        }
        thread::sleep(LOOK);
    }
}

/// The first bytes that come. The rest is read and dropped, so that the writer never blocks.
fn at_most(from: Option<impl Read>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        // What came until it broke is the answer.
        let _ = from.by_ref().take(most).read_to_end(&mut bytes);
        let _ = io::copy(&mut from, &mut io::sink());
    }
    bytes
}
