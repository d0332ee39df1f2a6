//! Why a policy cannot be loaded, or a call has no answer.
//!
//! Owns the texts. The cause of a wasmtime error stays its source and is not repeated in the text.

use std::time::Duration;

use wasmtime::{Store, Trap};

use super::compile::{CompilerFailed, Excess};
use super::contract::version_of;
use super::limits::{Allowance, Meter};
use super::trust::Distrust;
use super::wasi::Denied;
use crate::model::INTERFACE;
use crate::remedy::Remedy;

/// What went wrong with a policy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// WebAssembly cannot run here.
    #[error("the WebAssembly engine does not start on this machine")]
    Engine(#[source] wasmtime::Error),
    /// The component has no signature of a trusted key.
    #[error(transparent)]
    Distrusted(#[from] Distrust),
    /// The bytes are something else.
    #[error("not WebAssembly: give the `.wasm` file of a component")]
    NotWasm,
    /// The bytes are a module, which has no interface.
    #[error(
        "a core module, not a component: build it for `wasm32-wasip2`, or wrap it with \
         `wasm-tools component new`"
    )]
    CoreModule,
    /// The component is broken, or uses WebAssembly that this host does not run.
    #[error("the component does not compile")]
    Compile(#[source] wasmtime::Error),
    /// There is more of something than a compiler should be given.
    #[error(transparent)]
    TooLarge(#[from] Excess),
    /// The compiler came to no result.
    #[error(transparent)]
    Compiler(#[from] CompilerFailed),
    /// The result is no longer wanted.
    #[error(
        "stopped before it was done, because its process ends or its caller is gone: try again"
    )]
    Stopped,
    /// The component imports more than WASI.
    #[error(
        "imports {}, and a policy gets no imports but WASI's: let it work from its arguments alone",
        list(imports)
    )]
    Imports {
        /// What it asks for.
        imports: Vec<String>,
    },
    /// A part of WASI is imported in another form than WASI gives it.
    #[error("imports a part of WASI that this host does not know: build it for `wasm32-wasip2`")]
    Wasi(#[source] wasmtime::Error),
    /// The interface is missing.
    #[error(
        "lacks the export `{INTERFACE}`{}: implement `wit/serial-gate.wit`",
        exported(has)
    )]
    MissingInterface {
        /// What it exports.
        has: Vec<String>,
    },
    /// The component is built for another version of the contract.
    #[error(
        "is built for version {version} of the contract, and this host runs {}: build it again \
         with the `wit/serial-gate.wit` of this host",
        version_of(INTERFACE).unwrap_or_default()
    )]
    OtherVersion {
        /// Its version.
        version: String,
    },
    /// The interface is incomplete.
    #[error(
        "lacks the function `{function}` in its export `{INTERFACE}`: implement \
         `wit/serial-gate.wit`"
    )]
    MissingFunction {
        /// What is missing.
        function: &'static str,
    },
    /// An export has another type.
    #[error(
        "{part} differs from `{INTERFACE}`: build the policy against that version of \
         `wit/serial-gate.wit`"
    )]
    Contract {
        /// The function, or all of them if no single one is to blame.
        part: String,
        /// The difference.
        #[source]
        cause: wasmtime::Error,
    },
    /// A call took too long.
    #[error("`{export}` was stopped after {} ms, its time limit", limit.as_millis())]
    Time {
        /// The function.
        export: &'static str,
        /// Its limit.
        limit: Duration,
    },
    /// A call asked for too much memory.
    #[error("`{export}` wanted more memory than its {mib} MiB")]
    Memory {
        /// The function.
        export: &'static str,
        /// Its limit.
        mib: u32,
    },
    /// An answer was too large.
    #[error("`{export}` returned more than its {mib} MiB of results")]
    Result {
        /// The function.
        export: &'static str,
        /// Its limit.
        mib: u32,
    },
    /// A call wanted something of the machine that it runs on.
    #[error(
        "`{export}` called `{function}`, and a policy gets no files, sockets, output or timers: \
         let it work from its arguments alone"
    )]
    Capability {
        /// The function of the policy.
        export: &'static str,
        /// The function of WASI that it called, such as `wasi:filesystem/preopens#get-directories`.
        function: String,
    },
    /// A call ended in a trap, or in an answer that breaks the canonical ABI.
    #[error("`{export}` trapped{}", last_words(printed.as_deref()))]
    Trap {
        /// The function.
        export: &'static str,
        /// What it wrote to its standard error before, such as a panic's message.
        printed: Option<String>,
        /// The trap.
        #[source]
        cause: wasmtime::Error,
    },
    /// The rules are a list, a number or no JSON at all. The policy was not called.
    #[error("the rules are not a JSON object such as `{{\"gated_agents\":[\"analyst\"]}}`")]
    Rules(#[source] serde_json::Error),
    /// The policy answers that it cannot use an argument.
    #[error("`{export}` refuses the {what}: {reason}")]
    Answered {
        /// The function.
        export: &'static str,
        /// Which argument it refuses.
        what: &'static str,
        /// Why, in the policy's words, cut and escaped.
        reason: String,
    },
}

/// What wasmtime says when `set_hostcall_fuel` runs out. It has no type for it.
const RESULT_EXHAUSTED: &str = "fuel allocated for hostcalls has been exhausted";

impl Error {
    /// What to do about it, where a command or a route does that.
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Error::Distrusted(distrust) => distrust.remedy(),
            _ => None,
        }
    }

    /// Whether a call broke a limit, trapped, or reached for the machine. Any other error is of the
    /// component as a whole, or the policy's own answer.
    pub fn is_of_a_call(&self) -> bool {
        self.failure().is_some()
    }

    /// Whether this process or its caller gave up, which is not the policy's fault.
    pub fn is_a_stop(&self) -> bool {
        matches!(self, Error::Stopped)
    }

    /// What a call broke, in one word: `time`, `memory`, `result`, `capability` or `trap`. None for
    /// any other error.
    pub fn failure(&self) -> Option<&'static str> {
        match self {
            Error::Time { .. } => Some("time"),
            Error::Memory { .. } => Some("memory"),
            Error::Result { .. } => Some("result"),
            Error::Capability { .. } => Some("capability"),
            Error::Trap { .. } => Some("trap"),
            _ => None,
        }
    }

    /// Tells the limits apart from other traps.
    pub(super) fn of_call(
        export: &'static str,
        limit: Duration,
        allowance: &Allowance,
        store: &Store<Meter>,
        cause: wasmtime::Error,
    ) -> Error {
        let Allowance {
            memory_mib,
            result_mib,
            ..
        } = *allowance;
        if store.data().refused_memory() {
            let mib = memory_mib;
            return Error::Memory { export, mib };
        }
        if let Some(Denied(function)) = cause.downcast_ref() {
            let function = function.clone();
            return Error::Capability { export, function };
        }
        if let Some(Trap::Interrupt) = cause.downcast_ref() {
            return Error::Time { export, limit };
        }
        let mut causes = cause.chain();
        if causes.any(|cause| cause.to_string().contains(RESULT_EXHAUSTED)) {
            let mib = result_mib;
            return Error::Result { export, mib };
        }
        Error::Trap {
            export,
            printed: store.data().printed(),
            cause,
        }
    }
}

fn last_words(printed: Option<&str>) -> String {
    printed.map_or_else(String::new, |text| format!(", and printed `{text}`"))
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`"));
    let text = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

fn exported(has: &[String]) -> String {
    match has {
        [] => String::new(),
        has => format!(", it has {}", list(has)),
    }
}
