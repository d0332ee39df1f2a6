//! The rooms of the host: which may import which, what stays inside a room, how long a file may be.
//!
//! Owns the rules and their exceptions, [`STILL`]. Any other finding fails, and so does an
//! exception that is no longer needed. `source` reads the files, `figures` counts for a reader.

mod engines;
mod figures;
mod source;

use std::collections::BTreeSet;

use source::{House, Source, rust_files};

use crate::support::checkout;

/// The rooms, lowest first: a room imports only from rooms above it in this list. Rooms in one line
/// do not import each other.
const ORDER: &[&[&str]] = &[
    &["model"],
    &["clause"],
    &["policy"],
    &["store"],
    &["gate"],
    &["observe"],
    &["queue"],
    &["conform"],
    &["rollout"],
    &["alerts"],
    &["worker"],
    &["http"],
    &["cli"],
];

/// Modules that import no room, so that every room may import them.
const LEAVES: &[&str] = &[
    "backoff",
    "error",
    "ownership",
    "printable",
    "recent",
    "remedy",
];

/// Folders of a room that do not import from these other folders.
const APART: &[(&str, &[&str])] = &[
    ("store/records/", &["store/sqlite/", "store/postgres/"]),
    ("store/sqlite/", &["store/postgres/"]),
    ("store/postgres/", &["store/sqlite/"]),
    ("http/transport/", &["http/api/", "http/page/"]),
    ("http/api/", &["http/page/"]),
];

/// Crates that only these folders name. `ureq` asks other servers: the service fetches no policy.
const INSIDE: &[(&str, &[&str])] = &[
    ("rusqlite", &["store/sqlite/"]),
    ("wasmtime", &["policy/"]),
    ("ureq", &["alerts/", "cli/policy/source/"]),
];

const MOST_LINES: usize = 400;

/// The exceptions: the rule, the file or the folder, and why.
const STILL: &[(Rule, &str, &str)] = &[(
    Rule::Inside,
    "model/",
    "`bindgen!` makes the contract's types and the calls from one file",
)];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    /// No import runs up [`ORDER`].
    Order,
    /// No import between folders that are [`APART`].
    Apart,
    /// No crate outside its place in [`INSIDE`].
    Inside,
    Lines,
    /// The library prints nothing.
    Prints,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    rule: Rule,
    file: String,
    what: String,
}

fn place(room: &str) -> Option<usize> {
    ORDER.iter().position(|rooms| rooms.contains(&room))
}

/// Whether a room may not import from another.
fn runs_up(from: &str, to: &str) -> bool {
    match (place(from), place(to)) {
        (Some(from), Some(to)) => to > from,
        // A leaf imports no room.
        (None, to) => to.is_some(),
        (Some(_), None) => false,
    }
}

fn imports(house: &House) -> impl Iterator<Item = (&Source, &Source)> {
    house.sources.iter().flat_map(move |source| {
        let needed = house.needed_by(source).into_iter();
        needed.map(move |file| (source, &house.sources[file]))
    })
}

fn findings() -> BTreeSet<Finding> {
    let mut found = BTreeSet::new();
    let mut find = |rule, source: &str, what: String| {
        found.insert(Finding {
            rule,
            file: source.to_owned(),
            what,
        });
    };
    let house = House::read(&checkout());
    for (from, to) in imports(&house) {
        if !from.module.is_empty() && runs_up(from.room(), to.room()) {
            find(Rule::Order, &from.file, format!("needs `{}`", to.file));
        }
        for (folder, others) in APART {
            let is_other = others.iter().any(|other| to.file.starts_with(other));
            if from.file.starts_with(folder) && is_other {
                find(Rule::Apart, &from.file, format!("needs `{}`", to.file));
            }
        }
    }
    for source in &house.sources {
        for (name, folders) in INSIDE {
            let is_inside = folders.iter().any(|folder| source.file.starts_with(folder));
            if source.has(name) && !is_inside {
                let what = format!("names `{name}`, which belongs in {folders:?}");
                find(Rule::Inside, &source.file, what);
            }
        }
        let is_library = !["cli", "http", ""].contains(&source.room());
        for name in ["println", "eprintln", "print", "eprint"] {
            if is_library && source.has(name) {
                find(Rule::Prints, &source.file, format!("has `{name}`"));
            }
        }
        if source.lines > MOST_LINES {
            let what = format!("has {} lines, {MOST_LINES} at most", source.lines);
            find(Rule::Lines, &source.file, what);
        }
    }
    let guest = checkout().join("guest");
    for path in rust_files(&guest) {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        if lines > MOST_LINES {
            let file = path.strip_prefix(checkout()).unwrap().display().to_string();
            let what = format!("has {lines} lines, {MOST_LINES} at most");
            find(Rule::Lines, &file, what);
        }
    }
    found
}

/// Whether an exception is for a finding: of its file, or of a file in its folder.
fn excuses((rule, file, _): &(Rule, &str, &str), finding: &Finding) -> bool {
    let is_its_file = finding.file == *file;
    let is_in_its_folder = file.ends_with('/') && finding.file.starts_with(file);
    *rule == finding.rule && (is_its_file || is_in_its_folder)
}

#[test]
fn the_rooms_keep_their_rules() {
    let found: Vec<String> = findings()
        .iter()
        .filter(|finding| !STILL.iter().any(|still| excuses(still, finding)))
        .map(|Finding { rule, file, what }| format!("{rule:?}: {file} {what}"))
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn what_is_still_otherwise_is_still_so() {
    let found = findings();
    for still in STILL {
        let is_needed = found.iter().any(|finding| excuses(still, finding));
        assert!(is_needed, "take it out of the list: {still:?}");
    }
}

#[test]
fn every_module_of_the_host_has_its_place() {
    let house = House::read(&checkout());
    for source in &house.sources {
        let room = source.room();
        let has_a_place = room.is_empty() || place(room).is_some() || LEAVES.contains(&room);
        assert!(has_a_place, "{}: put `{room}` into the order", source.file);
    }
}

#[test]
fn a_room_s_tests_take_nothing_from_another_room_s() {
    let tests = checkout().join("tests");
    let rooms: Vec<String> = std::fs::read_dir(&tests)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "support")
        .collect();
    for path in rust_files(&tests) {
        let inside = path.strip_prefix(&tests).unwrap();
        let own = inside.iter().next().unwrap();
        // The tests of the one folder contain imports in strings. The other's are the store's own unit
        // tests.
        if own == "rooms" || own == "postgres" {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for room in rooms.iter().filter(|room| own != room.as_str()) {
            let import = ["crate::", room, "::"].concat();
            assert!(!text.contains(&import), "{}: {import}", inside.display());
        }
    }
}

#[test]
fn an_import_is_found_however_it_is_written() {
    let checkout = tempfile::tempdir().unwrap();
    let house = |files: &[(&str, &str)]| {
        for (file, text) in files {
            let path = checkout.path().join("host/src").join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        House::read(checkout.path())
    };
    for (text, is_import) in [
        ("use crate::queue::Queue;", true),
        ("use crate::{model, queue::{Queue, claim as c}};", true),
        ("pub(crate) fn f() { serial_gate::queue::claim() }", true),
        ("use crate::store::passed_on::Queue;", true),
        ("fn f(_: super::passed_on::Queue) {}", true),
        ("macro_rules! m { () => { crate::queue::claim() } }", true),
        (
            "/// Of [`crate::queue::Queue`].\nfn f() { \"crate::queue::claim\"; }",
            false,
        ),
        (
            "// crate::queue::claim()\nfn queue() { let queue = queue(); }",
            false,
        ),
        ("mod tests { use crate::queue::Queue; }", false),
        ("use other::queue::Queue;", false),
    ] {
        let house = house(&[
            ("queue/mod.rs", "pub mod claim;"),
            ("queue/claim.rs", ""),
            ("store/mod.rs", "pub mod passed_on; pub mod asked;"),
            ("store/passed_on.rs", "pub use crate::queue::Queue;"),
            ("store/asked.rs", text),
        ]);
        let found = imports(&house)
            .any(|(from, to)| from.file == "store/asked.rs" && runs_up(from.room(), to.room()));
        assert_eq!(found, is_import, "{text}");
    }
}
