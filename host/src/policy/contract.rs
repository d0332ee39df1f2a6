//! Whether a component is a policy, said precisely before any of its code runs.
//!
//! Owns the refusals by name: not a component, an import that is not WASI's, an export that is
//! missing or belongs to another version, an export of another type.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre};
use wasmtime::{Engine, Store};

use super::limits::Meter;
use super::{Error, wasi};
use crate::model::{
    Clause, Decision, Description, Dialect, INTERFACE, PolicyError, Settings, Snapshot,
};

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
    let foreign: Vec<String> = component
        .imports(engine)
        .filter(|(name, import)| !wasi::has(name, &import.ty))
        .map(|(name, _)| name.to_owned())
        .collect();
    if !foreign.is_empty() {
        return Err(Error::Imports { imports: foreign });
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

/// Names the function whose type is not the contract's. wasmtime compares the types when it makes
/// an instance, and says how they differ but not where.
pub(super) fn difference(
    component: &InstancePre<Meter>,
    mut store: Store<Meter>,
    cause: wasmtime::Error,
) -> Error {
    type Answer<T> = (Result<T, PolicyError>,);
    let Ok(instance) = component.instantiate(&mut store) else {
        return of_all(cause);
    };
    let interface = instance.get_export_index(&mut store, None, INTERFACE);
    for function in FUNCTIONS {
        let index = instance.get_export_index(&mut store, interface.as_ref(), function);
        let export = index.and_then(|index| instance.get_func(&mut store, index));
        let typed = export.map(|export| match function {
            "describe" => export.typed::<(), (Description,)>(&store).map(drop),
            "decide" => export
                .typed::<(&Settings, i64, &Snapshot), Answer<Vec<Decision>>>(&store)
                .map(drop),
            _ => export
                .typed::<(&Settings, i64, Dialect), Answer<Clause>>(&store)
                .map(drop),
        });
        if let Some(Err(cause)) = typed {
            return Error::Contract {
                part: format!("`{function}`"),
                cause,
            };
        }
    }
    of_all(cause)
}

pub(super) fn of_all(cause: wasmtime::Error) -> Error {
    Error::Contract {
        part: "the interface".into(),
        cause,
    }
}
