//! From a policy's bytes to compiled code.
//!
//! Owns what bounds a compilation, and what is kept of it. `outline` counts a component's parts
//! against `caps` before a compiler sees it; `process` is the compiler seen from outside, `child`
//! what that process does; `turns` lets one component be compiled once at a time; `artefacts` are
//! compiled policies on the disk, and `native` is where their bytes become code. Callers rely on
//! this: a compilation ends, whatever the component is.

mod artefacts;
mod caps;
mod child;
mod native;
mod outline;
mod process;
mod turns;

pub use caps::Excess;
pub use child::compile_and_answer;
pub use process::{CompileLimits, Compiler, CompilerFailed, VERB as COMPILER_VERB};

pub(super) use artefacts::Artefacts;
pub(super) use native::Artefact;
pub(super) use outline::border;
pub(super) use turns::Turns;
