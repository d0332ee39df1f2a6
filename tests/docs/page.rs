//! The documents, and their console blocks.

use std::path::PathBuf;

use crate::support::checkout;

/// The documents in a folder of the checkout, by name.
pub fn documents(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(checkout().join(folder)).unwrap();
    let mut documents: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .collect();
    documents.sort();
    documents
}

/// The commands under one `##` heading.
pub struct Section<'a> {
    pub title: &'a str,
    pub steps: Vec<Step>,
}

/// A command, and the lines that it prints.
pub struct Step {
    pub command: String,
    pub prints: Vec<String>,
}

/// The sections that have a console block.
pub fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections = vec![Section {
        title: "",
        steps: Vec::new(),
    }];
    // The language of the block that a line is in.
    let mut block = None;
    for line in text.lines() {
        let section = sections.last_mut().unwrap();
        match (block, line.trim_start().strip_prefix("```").map(str::trim)) {
            (None, Some(language)) => block = Some(language),
            (Some(_), Some(_)) => block = None,
            (Some("console"), None) => section.add(line),
            (Some(_), None) => {}
            (None, None) => {
                if let Some(title) = line.strip_prefix("## ") {
                    let steps = Vec::new();
                    sections.push(Section { title, steps });
                }
            }
        }
    }
    sections.retain(|section| !section.steps.is_empty());
    sections
}

impl Section<'_> {
    fn add(&mut self, line: &str) {
        if let Some(command) = line.strip_prefix("$ ") {
            self.steps.push(Step {
                command: command.to_owned(),
                prints: Vec::new(),
            });
            return;
        }
        let step = self.steps.last_mut().expect("output without a command");
        match line.strip_prefix("> ") {
            Some(more) if step.prints.is_empty() => {
                step.command.push('\n');
                step.command.push_str(more);
            }
            _ => step.prints.push(line.to_owned()),
        }
    }
}

#[test]
fn a_section_has_its_commands_with_their_lines() {
    let text =
        "## A\n```console\n$ cat <<END\n> x\n> END\nx\n$ true\n```\n```sh\n$ no\n```\n## B\n";
    let sections = sections(text);
    let [a] = &sections[..] else {
        panic!("{} sections", sections.len());
    };
    assert_eq!(a.title, "A");
    assert_eq!(a.steps[0].command, "cat <<END\nx\nEND");
    assert_eq!(a.steps[0].prints, ["x"]);
    assert_eq!(a.steps[1].command, "true");
    assert!(a.steps[1].prints.is_empty());
}
