//! The documents, and their blocks.
//!
//! Owns what is prose and what is a block. A block may be indented, as in a list, and its fence may
//! be longer than three characters, so that it can hold another fence. The second word after a
//! fence is the name of a file: the block is written to it before the next command of its section.

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

/// A part of a document.
pub enum Part<'a> {
    Prose(&'a str),
    Block(Block<'a>),
}

/// The text between two fences.
pub struct Block<'a> {
    pub language: &'a str,
    pub file: Option<&'a str>,
    /// The number of its first fence's line.
    pub at: usize,
    pub lines: Vec<&'a str>,
}

impl Block<'_> {
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

const SPACE: [char; 2] = [' ', '\t'];

/// The first fence of a block.
struct Fence<'a> {
    indent: usize,
    mark: char,
    length: usize,
    info: &'a str,
}

impl Fence<'_> {
    fn of(line: &str) -> Option<Fence<'_>> {
        let rest = line.trim_start_matches(SPACE);
        let mark = rest.chars().next().filter(|mark| "`~".contains(*mark))?;
        let info = rest.trim_start_matches(mark);
        let length = rest.len() - info.len();
        let is_inline = mark == '`' && info.contains('`');
        (length >= 3 && !is_inline).then(|| Fence {
            indent: line.len() - rest.len(),
            mark,
            length,
            info: info.trim(),
        })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        Fence::of(line).is_some_and(|other| {
            other.mark == self.mark && other.length >= self.length && other.info.is_empty()
        })
    }

    /// A line of the block without the block's indentation.
    fn inside<'a>(&self, line: &'a str) -> &'a str {
        let spaces = line.len() - line.trim_start_matches(SPACE).len();
        &line[spaces.min(self.indent)..]
    }
}

/// The parts of a document in their order.
pub fn parts(text: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let Some(fence) = Fence::of(line) else {
            let marks = |letter: char| letter.is_ascii_digit() || " \t>*+-.)".contains(letter);
            if Fence::of(line.trim_start_matches(marks)).is_some() {
                let at = at + 1;
                return Err(format!("line {at}: only spaces may be before a fence"));
            }
            parts.push(Part::Prose(line));
            continue;
        };
        let mut words = fence.info.split_whitespace();
        let mut block = Block {
            language: words.next().unwrap_or_default(),
            file: words.next(),
            at: at + 1,
            lines: Vec::new(),
        };
        loop {
            let Some((_, line)) = lines.next() else {
                return Err(format!("line {}: the block has no end", block.at));
            };
            if fence.is_closed_by(line) {
                break;
            }
            block.lines.push(fence.inside(line));
        }
        parts.push(Part::Block(block));
    }
    Ok(parts)
}

/// The commands under one `##` heading.
#[derive(Debug)]
pub struct Section<'a> {
    pub title: &'a str,
    pub steps: Vec<Step>,
}

/// A command, and the lines that it prints.
#[derive(Debug)]
pub struct Step {
    pub command: String,
    pub prints: Vec<String>,
    /// The file that it writes, and the line of its block.
    file: Option<(usize, String)>,
}

/// The sections that have commands.
pub fn sections(text: &str) -> Result<Vec<Section<'_>>, String> {
    let mut sections = Vec::new();
    let mut section = Section::called("");
    for part in parts(text)? {
        match part {
            Part::Prose(line) => {
                if let Some(title) = line.strip_prefix("## ") {
                    sections.push(std::mem::replace(&mut section, Section::called(title)));
                }
            }
            Part::Block(block) if block.language == "console" => section.add(&block)?,
            Part::Block(block) => section.steps.extend(Step::writing(&block)),
        }
    }
    sections.push(section);
    for section in &sections {
        section.check()?;
    }
    sections.retain(|section| !section.steps.is_empty());
    Ok(sections)
}

impl<'a> Section<'a> {
    fn called(title: &'a str) -> Section<'a> {
        let steps = Vec::new();
        Section { title, steps }
    }

    fn add(&mut self, block: &Block<'_>) -> Result<(), String> {
        let before = self.steps.len();
        for (below, line) in block.lines.iter().enumerate() {
            if let Some(command) = line.strip_prefix("$ ") {
                self.steps.push(Step {
                    command: command.to_owned(),
                    prints: Vec::new(),
                    file: None,
                });
                continue;
            }
            let Some(step) = self.steps[before..].last_mut() else {
                let at = block.at + 1 + below;
                return Err(format!(
                    "line {at}: a console block begins with a command, as in `$ true`"
                ));
            };
            match line.strip_prefix("> ") {
                Some(more) if step.prints.is_empty() => {
                    step.command.push('\n');
                    step.command.push_str(more);
                }
                _ => step.prints.push((*line).to_owned()),
            }
        }
        Ok(())
    }

    /// A file that no command uses says nothing about whether it is right.
    fn check(&self) -> Result<(), String> {
        for (at, step) in self.steps.iter().enumerate() {
            let Some((line, file)) = &step.file else {
                continue;
            };
            let mut later = self.steps[at + 1..].iter();
            if !later.any(|step| step.command.contains(file)) {
                return Err(format!("line {line}: no command uses `{file}`"));
            }
        }
        Ok(())
    }
}

impl Step {
    /// The command that writes a block to its file, if it has one.
    fn writing(block: &Block<'_>) -> Option<Step> {
        let file = block.file?.to_owned();
        let text = block.text();
        Some(Step {
            command: format!("cat > '{file}' <<'{END_OF_FILE}'\n{text}{END_OF_FILE}"),
            prints: Vec::new(),
            file: Some((block.at, file)),
        })
    }
}

/// Not a line of any document.
const END_OF_FILE: &str = "--- the file has ended ---";

#[test]
fn a_section_has_its_commands_with_their_lines() {
    let text =
        "## A\n```console\n$ cat <<END\n> x\n> END\nx\n$ true\n```\n```sh\n$ no\n```\n## B\n";
    let sections = sections(text).unwrap();
    let [a] = &sections[..] else {
        panic!("{} sections", sections.len());
    };
    assert_eq!(a.title, "A");
    assert_eq!(a.steps[0].command, "cat <<END\nx\nEND");
    assert_eq!(a.steps[0].prints, ["x"]);
    assert_eq!(a.steps[1].command, "true");
    assert!(a.steps[1].prints.is_empty());
}

#[test]
fn an_indented_block_is_read_without_its_indentation() {
    let text = "- a list\n  ```console\n  $ printf 'a\\n  b\\n'\n  a\n    b\n  ```\n";
    let sections = sections(text).unwrap();
    assert_eq!(sections[0].steps[0].command, "printf 'a\\n  b\\n'");
    assert_eq!(sections[0].steps[0].prints, ["a", "  b"]);
    let with_tabs = super::sections("\t```console\n\t$ true\n\t```\n").unwrap();
    assert_eq!(with_tabs[0].steps[0].command, "true");
}

#[test]
fn a_longer_fence_holds_a_shorter_one_and_a_tilde_is_a_fence_too() {
    for fence in ["````", "~~~"] {
        let text = format!("{fence}md\n```console\n$ false\n```\n## no heading\n{fence}\n## A\n");
        let parts = parts(&text).unwrap();
        let [Part::Block(block), Part::Prose("## A")] = &parts[..] else {
            panic!("{} parts", parts.len());
        };
        assert_eq!(block.lines[0], "```console");
        assert!(sections(&text).unwrap().is_empty());
    }
}

#[test]
fn a_block_that_is_not_as_it_should_be_is_named_by_its_line() {
    for (text, fault) in [
        (
            "a\n\n> ```console\n> $ true\n> ```\n",
            "line 3: only spaces may be before a fence",
        ),
        (
            "1. ```console\n   $ true\n   ```\n",
            "line 1: only spaces may be before a fence",
        ),
        ("a\n```console\n$ true\n", "line 2: the block has no end"),
        (
            "```console\n$ true\n```\n```console\nx\n```\n",
            "line 5: a console block begins with a command, as in `$ true`",
        ),
        (
            "```python a.py\n```\n```console\n$ true\n```\n",
            "line 1: no command uses `a.py`",
        ),
        (
            "```python a.py\n```\n## B\n```console\n$ python3 a.py\n```\n",
            "line 1: no command uses `a.py`",
        ),
    ] {
        assert_eq!(sections(text).unwrap_err(), fault);
    }
}

#[test]
fn a_block_with_a_file_s_name_is_that_file_for_the_next_command() {
    let text = "```sh a.sh\necho '$HOME'\n```\n```console\n$ bash a.sh\n$HOME\n```\n";
    let sections = sections(text).unwrap();
    let mut session = super::Session::with(None);
    for step in &sections[0].steps {
        session.run(step).unwrap();
    }
}
