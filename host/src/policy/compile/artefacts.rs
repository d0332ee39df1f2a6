//! Compiled policies on the disk, so that the next process does not compile them again.
//!
//! Owns the folder `serial-gate` in the user's cache. Compiled code is run as it is, so a folder or
//! a file that another user could have written is refused. Without the folder everything works,
//! only slower. Callers rely on this: what [`Artefacts::read`] returns was kept whole by this user,
//! for this version and configuration.

use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use wasmtime::Engine;

use super::native::Artefact;
use crate::ownership::{self, ALL_BUT_THE_OWNER, Unsafe};
use crate::policy::digest;

/// How many files are kept, and of what size together. The oldest go.
const FILES: usize = 20;
const BYTES: u64 = 500 << 20;

/// What a file begins with, before the checksum.
const HEAD: &[u8] = b"serial-gate compiled policy 2\n";

/// The length of a checksum in hexadecimal.
const SUM: usize = 64;

/// After how long a file that is used counts as new again.
const USED: Duration = Duration::from_secs(24 * 60 * 60);

/// The compiled policies of this user, for one configuration.
pub(in crate::policy) struct Artefacts {
    /// None if there is no such folder, or an unsafe one.
    folder: Option<PathBuf>,
    configuration: u64,
}

impl Artefacts {
    /// Looks at the folder. The log says when it is not safe.
    pub(in crate::policy) fn open(engine: &Engine) -> Artefacts {
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
    pub(in crate::policy) fn read(&self, component: &str) -> Option<Artefact> {
        let path = self.path(component)?;
        let file = File::open(&path).ok()?;
        let metadata = file.metadata().ok()?;
        if let Err(error) = check(&path, &metadata, ALL_BUT_THE_OWNER) {
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

    /// Keeps the compiled form of a component, if it can.
    pub(in crate::policy) fn keep(&self, component: &str, artefact: &Artefact) {
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
    // A link in the name may lead through other folders than those of its end.
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

/// Checks a folder, and every one above it: a user who may write to one of them could replace the
/// folder.
fn check_all(folder: &Path) -> Result<(), String> {
    for (above, path) in folder.ancestors().enumerate() {
        let metadata = fs::metadata(path).map_err(|_| refused(path, Unsafe::Foreign))?;
        // In a folder like `/tmp` every user may write, and only the owner may move a file.
        let keeps_names = above > 0 && metadata.mode() & 0o1000 != 0;
        let bits = if keeps_names { 0 } else { ALL_BUT_THE_OWNER };
        check(path, &metadata, bits)?;
    }
    Ok(())
}

fn check(path: &Path, metadata: &fs::Metadata, bits: u32) -> Result<(), String> {
    ownership::check(metadata, None, bits).map_err(|cause| refused(path, cause))
}

/// Why a folder is not used, in words.
fn refused(path: &Path, cause: Unsafe) -> String {
    let path = path.display();
    let instead = "name a folder of your own by `XDG_CACHE_HOME`";
    match cause {
        Unsafe::Foreign => format!("`{path}` belongs to another user: {instead}"),
        Unsafe::Writable => format!(
            "others may write to `{path}`: take that right from them with `chmod go-w`, or \
             {instead}"
        ),
    }
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

/// The oldest files go first. A file that is used is not old.
fn touch(path: &Path, metadata: &fs::Metadata) {
    let age = metadata.modified().map(|at| at.elapsed());
    if matches!(age, Ok(Ok(age)) if age > USED) {
        // If this fails, the file is only removed earlier, and made again.
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
