//! Empty WASI, for policies that are built with a standard library.
//!
//! Owns what an import of `wasi:*` does: the clocks do not move, random numbers are constants, the
//! environment is empty, and the standard error is kept for the error's text (a panic writes
//! there). A call of any other function of WASI ends the policy's call, with an error that names
//! it. Other imports were refused before (see `contract`). Callers rely on this: no answer of a
//! policy depends on the machine that it runs on.

use wasmtime::component::types::{self, ComponentItem};
use wasmtime::component::{
    ComponentType, Linker, LinkerInstance, Lower, Resource as Handle, ResourceType,
};
use wasmtime::{Engine, Error, Result, StoreContextMut};

use super::limits::Meter;

/// A function of WASI that a policy called and this host does not have, such as
/// `wasi:filesystem/preopens#get-directories`.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not there")]
pub(super) struct Denied(pub(super) String);

/// Every resource of WASI. Nothing is behind any of them, so one type is enough.
struct Resource;

/// Every random number: a constant, so that the same question gets the same answer.
const RANDOM: u64 = 0x5345_5249_414c_4741;

/// More random bytes at once than any policy has a use for.
const RANDOM_BYTES: u64 = 64 << 10;

/// How much a policy may write to the standard error at once.
const WRITE: u64 = 4 << 10;

/// A moment of the wall clock, which is always the first.
#[derive(Clone, Default, ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

/// Why a stream fails. The standard error never does.
#[derive(ComponentType, Lower)]
#[component(variant)]
#[allow(
    dead_code,
    reason = "the type is WASI's, and no value of it is ever made"
)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Handle<Resource>),
    #[component(name = "closed")]
    Closed,
}

type StreamResult<T> = Result<(std::result::Result<T, StreamError>,)>;

/// Whether a name is one of WASI's.
pub(super) fn is_named(name: &str) -> bool {
    name.starts_with("wasi:")
}

/// Defines everything of WASI that a component imports, in the versions in which it does.
pub(super) fn define(
    linker: &mut Linker<Meter>,
    engine: &Engine,
    component: &types::Component,
) -> Result<()> {
    for (name, import) in component.imports(engine) {
        let ComponentItem::ComponentInstance(interface) = import.ty else {
            continue;
        };
        let mut instance = linker.instance(name)?;
        for (item, export) in interface.exports(engine) {
            match export.ty {
                ComponentItem::ComponentFunc(_) => define_function(&mut instance, name, item)?,
                ComponentItem::Resource(_) => {
                    instance.resource(item, ResourceType::host::<Resource>(), |_, _| Ok(()))?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn define_function(
    instance: &mut LinkerInstance<'_, Meter>,
    interface: &str,
    function: &str,
) -> Result<()> {
    let unversioned = interface.split('@').next().unwrap_or(interface);
    let name = format!("{unversioned}#{function}");
    match name.as_str() {
        "wasi:random/random#get-random-u64" | "wasi:random/insecure#get-insecure-random-u64" => {
            constant(instance, function, RANDOM)
        }
        "wasi:random/insecure-seed#insecure-seed" => constant(instance, function, (RANDOM, RANDOM)),
        "wasi:random/random#get-random-bytes"
        | "wasi:random/insecure#get-insecure-random-bytes" => {
            instance.func_wrap(function, move |_, (length,): (u64,)| {
                if length > RANDOM_BYTES {
                    return Err(Error::new(Denied(name.clone())));
                }
                Ok((random_bytes(length),))
            })
        }
        "wasi:clocks/monotonic-clock#now" | "wasi:clocks/monotonic-clock#resolution" => {
            constant(instance, function, 0u64)
        }
        "wasi:clocks/wall-clock#now" | "wasi:clocks/wall-clock#resolution" => {
            constant(instance, function, Datetime::default())
        }
        "wasi:cli/environment#get-environment" => {
            constant(instance, function, Vec::<(String, String)>::new())
        }
        "wasi:cli/environment#get-arguments" => constant(instance, function, Vec::<String>::new()),
        "wasi:cli/environment#initial-cwd" => constant(instance, function, None::<String>),
        "wasi:cli/stderr#get-stderr" => {
            instance.func_wrap(function, move |store, (): ()| new_handle(store, &name))
        }
        // The C library asks for it with the first write, and waits for it only when a stream is
        // full.
        "wasi:io/streams#[method]output-stream.subscribe" => instance
            .func_wrap(function, move |store, (_,): (Handle<Resource>,)| {
                new_handle(store, &name)
            }),
        "wasi:io/streams#[method]output-stream.check-write" => instance.func_wrap(
            function,
            |_, (_,): (Handle<Resource>,)| -> StreamResult<u64> { Ok((Ok(WRITE),)) },
        ),
        "wasi:io/streams#[method]output-stream.write"
        | "wasi:io/streams#[method]output-stream.blocking-write-and-flush" => {
            instance.func_wrap(function, write)
        }
        "wasi:io/streams#[method]output-stream.flush"
        | "wasi:io/streams#[method]output-stream.blocking-flush" => instance.func_wrap(
            function,
            |_, (_,): (Handle<Resource>,)| -> StreamResult<()> { Ok((Ok(()),)) },
        ),
        _ => instance.func_new(function, move |_, _, _, _| {
            Err(Error::new(Denied(name.clone())))
        }),
    }
}

/// A function without parameters that always returns the same value.
fn constant<T>(instance: &mut LinkerInstance<'_, Meter>, function: &str, value: T) -> Result<()>
where
    T: Clone + ComponentType + Lower + Send + Sync + 'static,
{
    instance.func_wrap(function, move |_, (): ()| Ok((value.clone(),)))
}

fn random_bytes(length: u64) -> Vec<u8> {
    let numbers = (0..length.div_ceil(8)).map(|_| RANDOM.to_le_bytes());
    let mut bytes: Vec<u8> = numbers.flatten().collect();
    bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
    bytes
}

/// The standard error, or the wait for it. A handle takes room in the host, so there are not many.
fn new_handle(mut store: StoreContextMut<'_, Meter>, name: &str) -> Result<(Handle<Resource>,)> {
    if store.data_mut().take_handle() {
        Ok((Handle::new_own(0),))
    } else {
        Err(Error::new(Denied(name.to_owned())))
    }
}

fn write(
    mut store: StoreContextMut<'_, Meter>,
    (_, bytes): (Handle<Resource>, Vec<u8>),
) -> StreamResult<()> {
    store.data_mut().keep_printed(&bytes);
    Ok((Ok(()),))
}
