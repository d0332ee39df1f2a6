//! Compiled policies on the disk, so that the next process does not compile them again.
//!
//! Owns the folder `serial-gate` in the user's cache, and who may have written there: compiled code
//! is run as it is, so a folder or a file that another user could have written is refused.
//! Everything works without it, only slower. Callers rely on this: what [`Artefacts::read`] gives
//! was kept whole by this user, for this version and configuration.

use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use wasmtime::Engine;

use super::digest;
use super::native::Artefact;

/// How many files are kept, and of what size together. The oldest go.
const FILES: usize = 20;
const BYTES: u64 = 500 << 20;

/// What a file begins with, before the checksum.
const HEAD: &[u8] = b"serial-gate compiled policy 2\n";

/// The length of a checksum in hexadecimal.
const SUM: usize = 64;

/// After how long a file that is used counts as new again.
const USED: Duration = Duration::from_secs(24 * 60 * 60);

/// A folder that is not used, and why.
#[derive(Debug, thiserror::Error)]
enum Unsafe {
    #[error(
        "others may write to `{}`: take that right from them with `chmod go-w`, or name a folder of your own by `XDG_CACHE_HOME`",
        .0.display()
    )]
    Writable(PathBuf),
    #[error(
        "`{}` belongs to another user: name a folder of your own by `XDG_CACHE_HOME`",
        .0.display()
    )]
    Foreign(PathBuf),
}

/// The compiled policies of this user, for one configuration.
pub(super) struct Artefacts {
    /// None if there is no such folder, or it is not safe.
    folder: Option<PathBuf>,
    configuration: u64,
}

impl Artefacts {
    /// Looks at the folder. That it is not safe is said in the log.
    pub(super) fn open(engine: &Engine) -> Artefacts {
        let mut configuration = DefaultHasher::new();
        engine
            .precompile_compatibility_hash()
            .hash(&mut configuration);
        env!("CARGO_PKG_VERSION").hash(&mut configuration);
        Artefacts {
            folder: folder(),
            configuration: configuration.finish(),
        }
    }

    /// The compiled form of a component, by its digest.
    pub(super) fn read(&self, component: &str) -> Option<Artefact> {
        let path = self.path(component)?;
        let file = File::open(&path).ok()?;
        let metadata = file.metadata().ok()?;
        if let Err(error) = check(&path, &metadata) {
            tracing::warn!("a compiled policy is not used and is compiled again: {error}");
            return None;
        }
        let artefact = whole(file, metadata.len(), &path);
        if artefact.is_none() {
            tracing::info!(
                "the compiled policy `{}` is damaged and is compiled again",
                path.display()
            );
        }
        let artefact = artefact?;
        touch(&path, &metadata);
        Some(Artefact::of_our_compiler(artefact))
    }

    /// Keeps the compiled form of a component. That it cannot is no error.
    pub(super) fn keep(&self, component: &str, artefact: &Artefact) {
        if let (Some(folder), Some(path)) = (&self.folder, self.path(component)) {
            let kept = keep(folder, &path, artefact.bytes());
            if let Err(error) = kept.and_then(|()| forget_the_oldest(folder)) {
                tracing::debug!("a compiled policy is not kept on disk: {error}");
            }
        }
    }

    fn path(&self, component: &str) -> Option<PathBuf> {
        let name = format!("{component}-{:016x}", self.configuration);
        Some(self.folder.as_ref()?.join(name))
    }
}

/// The folder, if there is a safe one.
fn folder() -> Option<PathBuf> {
    let absolute = |variable| {
        let path = PathBuf::from(std::env::var_os(variable)?);
        path.is_absolute().then_some(path)
    };
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    let named = cache.join("serial-gate");
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&named)
        .and_then(|()| fs::canonicalize(&named));
    let folder = made
        .inspect_err(|error| tracing::debug!("compiled policies are not kept on disk: {error}"))
        .ok()?;
    // The name that is written down may lead through other folders than the one that it ends in.
    let checked = check_all(&named).and_then(|()| check_all(&folder));
    match checked {
        Ok(()) => Some(folder),
        Err(error) => {
            tracing::warn!(
                "compiled policies are not kept, and each process compiles them: {error}"
            );
            None
        }
    }
}

/// Checks a folder, and every one above it: who may write there may put another in its place.
fn check_all(folder: &Path) -> Result<(), Unsafe> {
    for (above, path) in folder.ancestors().enumerate() {
        let Ok(metadata) = fs::metadata(path) else {
            return Err(Unsafe::Foreign(path.into()));
        };
        check_owner(path, &metadata)?;
        // In a folder like `/tmp` everybody may write, and only its owner may move what is
        // another's.
        let keeps_names = above > 0 && metadata.mode() & 0o1000 != 0;
        if !keeps_names {
            check_mode(path, &metadata)?;
        }
    }
    Ok(())
}

/// Whether only this user and the system's own may have written it.
fn check(path: &Path, metadata: &fs::Metadata) -> Result<(), Unsafe> {
    check_owner(path, metadata)?;
    check_mode(path, metadata)
}

fn check_owner(path: &Path, metadata: &fs::Metadata) -> Result<(), Unsafe> {
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me && metadata.uid() != 0 {
        return Err(Unsafe::Foreign(path.into()));
    }
    Ok(())
}

fn check_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), Unsafe> {
    if metadata.mode() & 0o022 != 0 {
        return Err(Unsafe::Writable(path.into()));
    }
    Ok(())
}

/// The artefact in a file, if it is all there and was written under this name.
fn whole(mut file: File, length: u64, path: &Path) -> Option<Vec<u8>> {
    let mut head = [0; HEAD.len() + SUM];
    file.read_exact(&mut head).ok()?;
    let sum = head.strip_prefix(HEAD)?;
    let mut artefact = Vec::with_capacity(usize::try_from(length.min(BYTES)).ok()?);
    file.take(BYTES).read_to_end(&mut artefact).ok()?;
    (checksum(path, &artefact).as_bytes() == sum).then_some(artefact)
}

/// The checksum of an artefact and of the name of its file, which says what it is the compiled form
/// of.
fn checksum(path: &Path, artefact: &[u8]) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    digest(format!("{name} {}", digest(artefact)).as_bytes())
}

/// The oldest files go first, and one that is used is not old.
fn touch(path: &Path, metadata: &fs::Metadata) {
    let age = metadata.modified().map(|at| at.elapsed());
    if matches!(age, Ok(Ok(age)) if age > USED) {
        // It would be forgotten earlier, and made again.
        let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
    }
}

fn keep(folder: &Path, path: &Path, artefact: &[u8]) -> io::Result<()> {
    // A new file is for its owner alone.
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(folder)?;
    file.write_all(HEAD)?;
    file.write_all(checksum(path, artefact).as_bytes())?;
    file.write_all(artefact)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Removes the oldest files beyond the number and the size that are kept.
fn forget_the_oldest(folder: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // Another process may have removed it.
        if let Ok(metadata) = entry.metadata()
            && metadata.is_file()
        {
            files.push((metadata.modified()?, metadata.len(), entry.path()));
        }
    }
    files.sort();
    let mut bytes = 0u64;
    for (place, (_, length, path)) in files.iter().rev().enumerate() {
        bytes = bytes.saturating_add(*length);
        if place >= FILES || bytes > BYTES {
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}
