//! The README and the documents: their console blocks run as they are written, and the other blocks
//! are what their language says.
//!
//! The blocks of one `##` section are one session of a shell, which begins in an empty folder. A
//! line that begins with `$ ` is a command, one with `> ` continues it, and all others are what it
//! prints. A block whose fence also names a file, as in ` ```python claim.py`, is written to that file
//! first. In them `…` is any text; a line of its own, any lines. Times, tokens and the like differ
//! from run to run: a value that was printed is used wherever the document has the one in its place.

mod blocks;
#[path = "../../host/examples/embed.rs"]
mod embed;
mod links;
mod page;
mod server;
mod session;
mod values;

use page::{Section, documents, sections};
use server::Server;
use session::Session;

use crate::support::checkout;
use crate::support::programs::required;

fn run(document: &str) {
    let text = std::fs::read_to_string(checkout().join(document)).unwrap();
    let mut differences = String::new();
    let mut commands = 0;
    let sections = sections(&text).unwrap_or_else(|fault| panic!("{document}, {fault}"));
    for section in sections {
        commands += section.steps.len();
        differences += &differences_in(&section);
    }
    assert!(commands > 0, "`{document}` has no console block");
    assert!(differences.is_empty(), "\n{document}\n{differences}");
}

/// The first command of a section that prints something else; empty if there is none.
fn differences_in(section: &Section<'_>) -> String {
    let mut session = Session::with(Server::of(section));
    for step in &section.steps {
        if let Err(difference) = session.run(step) {
            let Section { title, .. } = section;
            return format!("## {title}\n$ {}\n{difference}", step.command);
        }
    }
    String::new()
}

#[test]
fn the_readme_s_console_blocks_print_what_it_says() {
    run("README.md");
}

#[test]
fn the_console_blocks_of_adopt_print_what_it_says() {
    run("docs/adopt.md");
}

#[test]
fn the_console_blocks_of_first_repo_print_what_it_says() {
    run("docs/first-repo.md");
}

#[test]
fn the_console_blocks_of_forge_print_what_it_says() {
    run("docs/forge.md");
}

#[test]
fn the_console_blocks_of_hosting_print_what_it_says() {
    run("docs/hosting.md");
}

#[test]
fn the_console_blocks_of_http_print_what_it_says() {
    run("docs/http.md");
}

#[test]
fn the_console_blocks_of_operate_print_what_it_says() {
    run("docs/operate.md");
}

#[test]
fn the_console_blocks_of_policies_print_what_it_says() {
    run("docs/policies.md");
}

#[test]
fn the_console_blocks_of_postgres_print_what_it_says() {
    if required("SERIAL_GATE_TEST_PG", "the blocks of docs/postgres.md").is_some() {
        run("docs/postgres.md");
    }
}

#[test]
fn the_console_blocks_of_rule_print_what_it_says() {
    run("docs/rule.md");
}

#[test]
fn the_console_blocks_of_workers_print_what_it_says() {
    run("docs/workers.md");
}

#[test]
fn the_example_embeds_the_gate() {
    embed::main().unwrap();
}

#[test]
fn every_document_with_a_console_block_is_run_here() {
    let here = include_str!("mod.rs");
    for path in ["", "docs/", "bench/results/"]
        .into_iter()
        .flat_map(documents)
    {
        let name = path.strip_prefix(checkout()).unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let is_run = here.contains(&format!("run(\"{name}\")"));
        let sections = sections(&text).unwrap_or_else(|fault| panic!("{name}, {fault}"));
        assert_eq!(!sections.is_empty(), is_run, "{name}");
    }
}
