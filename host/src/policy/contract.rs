//! Whether a component is a policy, said precisely before any of its code runs.
//!
//! Owns the refusals by name: not a component, an import, an export that is missing or belongs to
//! another version. The types of the exports are compared by wasmtime when it links.

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::Error;
use crate::model::INTERFACE;

const FUNCTIONS: [&str; 3] = ["describe", "decide", "claim-clause"];

/// The first bytes of a WebAssembly file: the magic, then the version and the layer.
const MAGIC: &[u8] = b"\0asm";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

pub(super) fn check_is_component(bytes: &[u8]) -> Result<(), Error> {
    if !bytes.starts_with(MAGIC) {
        return Err(Error::NotWasm);
    }
    if bytes.starts_with(MODULE) {
        return Err(Error::CoreModule);
    }
    Ok(())
}

pub(super) fn check(engine: &Engine, component: &Component) -> Result<(), Error> {
    let component = component.component_type();
    let imports: Vec<String> = component
        .imports(engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    if !imports.is_empty() {
        return Err(Error::Imports { imports });
    }
    let exports: Vec<_> = component.exports(engine).collect();
    let interface = exports
        .iter()
        .find(|(name, _)| *name == INTERFACE)
        .map(|(_, export)| &export.ty);
    let Some(ComponentItem::ComponentInstance(interface)) = interface else {
        let has = exports.iter().map(|(name, _)| (*name).to_owned()).collect();
        return Err(Error::MissingInterface { has });
    };
    for function in FUNCTIONS {
        let export = interface
            .get_export(engine, function)
            .map(|export| export.ty);
        let Some(ComponentItem::ComponentFunc(_)) = export else {
            return Err(Error::MissingFunction { function });
        };
    }
    Ok(())
}
