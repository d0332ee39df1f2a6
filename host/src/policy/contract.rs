//! Whether a component is a policy, checked before any of its code runs.
//!
//! Owns the refusals by name: not a component, an import that is not WASI's, another version of the
//! contract, a function that is missing or has another type.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Instance};
use wasmtime::{Engine, Store};

use super::limits::Meter;
use super::{Error, wasi};
use crate::model::{
    Clause, ComponentPre, Decision, Description, Dialect, INTERFACE, PolicyError, Settings,
    Snapshot,
};

const FUNCTIONS: [&str; 3] = ["describe", "decide", "claim-clause"];

/// The first bytes of a WebAssembly file: the magic, then the version and the layer.
const MAGIC: &[u8] = b"\0asm";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// The names that a component imports and exports, each with whether it is an interface.
#[derive(Debug, Default)]
pub(super) struct Border {
    pub imports: Vec<(String, bool)>,
    pub exports: Vec<(String, bool)>,
}

pub(super) fn check_is_component(bytes: &[u8]) -> Result<(), Error> {
    if !bytes.starts_with(MAGIC) {
        return Err(Error::NotWasm);
    }
    if bytes.starts_with(MODULE) {
        return Err(Error::CoreModule);
    }
    Ok(())
}

/// Checks the names, which needs no compiler.
pub(super) fn check_border(border: &Border) -> Result<(), Error> {
    let names = |names: &[(String, bool)], are: fn(&str, bool) -> bool| -> Vec<String> {
        let chosen = names.iter().filter(|(name, is)| are(name, *is));
        chosen.map(|(name, _)| name.clone()).collect()
    };
    let foreign = names(&border.imports, |name, is_interface| {
        !(is_interface && wasi::is_named(name))
    });
    if !foreign.is_empty() {
        return Err(Error::Imports { imports: foreign });
    }
    if border.exports.contains(&(INTERFACE.to_owned(), true)) {
        return Ok(());
    }
    let has = names(&border.exports, |_, _| true);
    let mut versions = has.iter().filter_map(|name| version_of(name));
    match versions.next_back() {
        Some(version) => Err(Error::OtherVersion {
            version: version.to_owned(),
        }),
        None => Err(Error::MissingInterface { has }),
    }
}

/// The version in the contract's name, whichever it is.
pub(super) fn version_of(interface: &str) -> Option<&str> {
    let (name, version) = interface.split_once('@')?;
    INTERFACE
        .strip_prefix(name)?
        .starts_with('@')
        .then_some(version)
}

/// Checks the names of a compiled component, down to the functions. It may have been compiled by an
/// earlier version of this host.
pub(super) fn check(engine: &Engine, component: &Component) -> Result<(), Error> {
    let types = component.component_type();
    let named = |(name, item): (&str, ComponentItem)| {
        let is_interface = matches!(item, ComponentItem::ComponentInstance(_));
        (name.to_owned(), is_interface)
    };
    let (imports, exports) = (types.imports(engine), types.exports(engine));
    check_border(&Border {
        imports: imports.map(|(name, item)| named((name, item.ty))).collect(),
        exports: exports.map(|(name, item)| named((name, item.ty))).collect(),
    })?;
    let interface = types.get_export(engine, INTERFACE).map(|item| item.ty);
    let has = |function: &str| match &interface {
        Some(ComponentItem::ComponentInstance(interface)) => {
            let item = interface.get_export(engine, function);
            matches!(
                item.map(|item| item.ty),
                Some(ComponentItem::ComponentFunc(_))
            )
        }
        _ => false,
    };
    match FUNCTIONS.into_iter().find(|function| !has(function)) {
        Some(function) => Err(Error::MissingFunction { function }),
        None => Ok(()),
    }
}

/// Names the function whose type is not the contract's. wasmtime compares the types when it makes
/// an instance, and says how they differ but not where.
pub(super) fn difference(
    policy: &ComponentPre<Meter>,
    mut store: Store<Meter>,
    cause: wasmtime::Error,
) -> Error {
    let instance = policy.instance_pre().instantiate(&mut store).ok();
    let found = instance.and_then(|instance| {
        FUNCTIONS.into_iter().find_map(|name| {
            let cause = type_error(&instance, &mut store, name)?;
            Some((format!("`{name}`"), cause))
        })
    });
    let (part, cause) = found.unwrap_or_else(|| ("the interface".into(), cause));
    Error::Contract { part, cause }
}

/// How a function's type differs from the contract's, if it does.
fn type_error(
    instance: &Instance,
    store: &mut Store<Meter>,
    name: &str,
) -> Option<wasmtime::Error> {
    type Answer<T> = (Result<T, PolicyError>,);
    let interface = instance.get_export_index(&mut *store, None, INTERFACE)?;
    let index = instance.get_export_index(&mut *store, Some(&interface), name)?;
    let function = instance.get_func(&mut *store, index)?;
    match name {
        "describe" => function.typed::<(), (Description,)>(store).err(),
        "decide" => function
            .typed::<(&Settings, i64, &Snapshot), Answer<Vec<Decision>>>(store)
            .err(),
        _ => function
            .typed::<(&Settings, i64, Dialect), Answer<Clause>>(store)
            .err(),
    }
}
