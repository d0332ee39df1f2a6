//! Whether a component is a policy, said precisely before any of its code runs.
//!
//! Owns the refusals by name: not a component, an import that is not WASI's, an export that is
//! missing or belongs to another version, an export of another type.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Func, TypedFunc};
use wasmtime::{Engine, Store};

use super::limits::Meter;
use super::outline::Outline;
use super::version::{Ready, Version};
use super::{Error, wasi};
use crate::model::{Clause, Decision, Description, Dialect, PolicyError, Settings, Snapshot};

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

/// What the names at a component's border tell, before it is compiled.
pub(super) fn check_names(outline: &Outline) -> Result<(), Error> {
    let foreign: Vec<String> = outline
        .imports
        .iter()
        .filter(|(name, is_interface)| !(*is_interface && wasi::is_named(name)))
        .map(|(name, _)| name.clone())
        .collect();
    if !foreign.is_empty() {
        return Err(Error::Imports { imports: foreign });
    }
    let is_there = |version: Version| {
        let is_it =
            |(name, is_interface): &(String, bool)| *is_interface && name == version.interface();
        outline.exports.iter().any(is_it)
    };
    if !Version::ALL.into_iter().any(is_there) {
        let has = outline.exports.iter().map(|(name, _)| name.clone());
        return Err(Error::MissingInterface { has: has.collect() });
    }
    Ok(())
}

/// The version of the contract that a component fulfils, as far as its exports' names tell.
pub(super) fn check(engine: &Engine, component: &Component) -> Result<Version, Error> {
    let component = component.component_type();
    let foreign: Vec<String> = component
        .imports(engine)
        .filter(|(name, import)| !wasi::has(name, &import.ty))
        .map(|(name, _)| name.to_owned())
        .collect();
    if !foreign.is_empty() {
        return Err(Error::Imports { imports: foreign });
    }
    let interface = Version::ALL.into_iter().find_map(|version| {
        let export = component.get_export(engine, version.interface())?.ty;
        match export {
            ComponentItem::ComponentInstance(interface) => Some((version, interface)),
            _ => None,
        }
    });
    let Some((version, interface)) = interface else {
        let exports = component.exports(engine);
        let has = exports.map(|(name, _)| name.to_owned()).collect();
        return Err(Error::MissingInterface { has });
    };
    for function in FUNCTIONS {
        let export = interface
            .get_export(engine, function)
            .map(|export| export.ty);
        let Some(ComponentItem::ComponentFunc(_)) = export else {
            let interface = version.interface();
            return Err(Error::MissingFunction {
                function,
                interface,
            });
        };
    }
    Ok(version)
}

/// Names the function whose type is not the contract's. wasmtime compares the types when it makes
/// an instance, and says how they differ but not where.
pub(super) fn difference(
    component: &Ready,
    mut store: Store<Meter>,
    cause: wasmtime::Error,
) -> Error {
    let version = component.version();
    let Ok(instance) = component.component().instantiate(&mut store) else {
        return of_all(version, cause);
    };
    for function in FUNCTIONS {
        let typed = version
            .function(&instance, &mut store, function)
            .map(|export| version.check_type(function, &export, &store));
        if let Ok(Err(cause)) = typed {
            return Error::Contract {
                part: format!("`{function}`"),
                interface: version.interface(),
                cause,
            };
        }
    }
    of_all(version, cause)
}

pub(super) type Answer<T> = (Result<T, PolicyError>,);
pub(super) type Describe = TypedFunc<(), (Description,)>;
type Decide<'a> = TypedFunc<(&'a Settings, i64, &'a Snapshot), Answer<Vec<Decision>>>;
pub(super) type ClaimClause<'a> = TypedFunc<(&'a Settings, i64, Dialect), Answer<Clause>>;

/// How a function's type differs from the current version's, if it does.
pub(super) fn check_type_of_today(
    name: &str,
    function: &Func,
    store: &Store<Meter>,
) -> wasmtime::Result<()> {
    match name {
        "describe" => function.typed(store).map(|_: Describe| ()),
        "decide" => function.typed(store).map(|_: Decide<'_>| ()),
        _ => function.typed(store).map(|_: ClaimClause<'_>| ()),
    }
}

pub(super) fn of_all(version: Version, cause: wasmtime::Error) -> Error {
    Error::Contract {
        part: "the interface".into(),
        interface: version.interface(),
        cause,
    }
}
