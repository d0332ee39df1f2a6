//! Compiled policies on the disk: used by the next command, made again when they are damaged, and
//! refused where another user could have written them.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::support::components::component;
use crate::support::{Gate, Ran};

/// A queue whose commands keep compiled policies in a folder of its own.
fn gate() -> Gate {
    let gate = Gate::empty();
    fs::create_dir(gate.path("cache")).unwrap();
    let cache = gate.path("cache").into_os_string();
    let gate = gate.with_environment(vec![("XDG_CACHE_HOME", cache)]);
    gate.write("wip.wasm", component("wip-limit"));
    gate
}

fn check(gate: &Gate) -> Ran {
    let rules = r#"{"limit":2}"#;
    gate.run(&["policy", "check", "wip.wasm", "--rules", rules])
}

fn folder(gate: &Gate) -> PathBuf {
    gate.path("cache/serial-gate")
}

/// The only file that is kept.
fn kept(gate: &Gate) -> PathBuf {
    let files: Vec<PathBuf> = files(&folder(gate));
    assert_eq!(files.len(), 1, "{files:?}");
    files.into_iter().next().unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Which file it is: a file that is written again is another one.
fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_second_command_does_not_compile_again() {
    let gate = gate();
    check(&gate).succeeds();
    let first = inode(&kept(&gate));
    check(&gate).succeeds();
    assert_eq!(inode(&kept(&gate)), first);
}

#[test]
fn only_their_user_may_read_and_write_them() {
    let gate = gate();
    check(&gate).succeeds();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(&folder(&gate)), mode(&kept(&gate))), (0o700, 0o600));
}

#[test]
fn a_damaged_file_is_made_again() {
    let gate = gate();
    check(&gate).succeeds();
    let whole = fs::read(kept(&gate)).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let damages = [
        Vec::new(),
        whole[..50].to_vec(),
        whole[..whole.len() / 2].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        flipped,
        vec![0; whole.len()],
    ];
    for damage in damages {
        fs::write(kept(&gate), damage).unwrap();
        let damaged = inode(&kept(&gate));
        check(&gate).succeeds();
        assert_ne!(inode(&kept(&gate)), damaged);
    }
}

#[test]
fn a_file_that_others_may_write_is_not_used() {
    let gate = gate();
    check(&gate).succeeds();
    let first = inode(&kept(&gate));
    chmod(&kept(&gate), 0o666);
    check(&gate).succeeds();
    assert_ne!(inode(&kept(&gate)), first);
}

#[test]
fn a_folder_that_others_may_write_is_not_used_and_is_named() {
    for (shared, mode) in [
        ("cache/serial-gate", 0o777),
        ("cache/serial-gate", 0o770),
        ("cache/serial-gate", 0o1777),
        ("cache", 0o777),
    ] {
        let gate = gate();
        fs::create_dir(folder(&gate)).unwrap();
        chmod(&gate.path(shared), mode);
        gate.run(&["init"]).succeeds();
        let ran = gate.run(&["claim"]).exits(3);
        let path = gate.path(shared).canonicalize().unwrap();
        let told = ran.stderr.replace(&path.display().to_string(), "FOLDER");
        assert!(
            told.contains("compiled policies are not kept, and each process compiles them: others may write to `FOLDER`: take that right from them with `chmod go-w`, or name a folder of your own by `XDG_CACHE_HOME`"),
            "{shared} {mode:o}: {told}"
        );
        assert_eq!(files(&folder(&gate)).len(), 0);
    }
}

#[test]
fn a_folder_where_everybody_may_make_names_and_nobody_may_move_another_s_is_fine_above() {
    let gate = gate();
    chmod(&gate.path("cache"), 0o1777);
    check(&gate).succeeds();
    kept(&gate);
}

#[test]
fn the_oldest_go_when_there_are_many() {
    let gate = gate();
    fs::create_dir(folder(&gate)).unwrap();
    chmod(&folder(&gate), 0o700);
    for number in 0..30 {
        File::create(folder(&gate).join(format!("old-{number}"))).unwrap();
    }
    check(&gate).succeeds();
    let files = files(&folder(&gate));
    assert_eq!(files.len(), 20);
    let is_old = |path: &&PathBuf| path.to_string_lossy().contains("old-");
    assert_eq!(files.iter().filter(is_old).count(), 19);
}

#[test]
fn without_a_home_everything_works() {
    let gate = gate().with_environment(vec![("XDG_CACHE_HOME", "".into()), ("HOME", "".into())]);
    check(&gate).succeeds();
}
