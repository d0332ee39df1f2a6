//! Compiled code, and the only place where it is loaded.
//!
//! Owns the `unsafe` of this crate: all of it is in [`Artefact::load`]. Callers rely on this: an
//! artefact is only made of bytes from our own compiler, in this process or in a child of the same
//! program, or of bytes that such a process kept in a folder that only this user may write to (see
//! `artefacts`).

#![allow(
    unsafe_code,
    reason = "wasmtime cannot check compiled code: its loader has to know where it came from"
)]

use wasmtime::Engine;
use wasmtime::component::Component;

/// A component that was compiled by this program.
pub(in crate::policy) struct Artefact(Vec<u8>);

impl Artefact {
    /// Takes bytes as our own compiler's: see above for which bytes may be given.
    pub(in crate::policy) fn of_our_compiler(bytes: Vec<u8>) -> Artefact {
        Artefact(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The component, made by this version for this machine; any other is refused.
    pub(in crate::policy) fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: wasmtime asks that the bytes were made by `Component::serialize` or
        // `Engine::precompile_component` and not altered since. They come from our own compiler by
        // a pipe that only it writes, or from a file that is ours alone and whose checksum was
        // compared. wasmtime itself refuses what another configuration made.
        unsafe { Component::deserialize(engine, &self.0) }
    }
}
