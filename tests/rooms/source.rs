//! Rust sources, read far enough to tell which file names which.
//!
//! Owns the reading: `use` and paths in code, with `crate`, `super`, `self` and re-exports followed
//! to the file they mean. The rules are in `mod.rs`. A call of a method names no file, so it is not
//! seen here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path in the code, from the root of the house.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    path: Vec<String>,
    /// The name that a `use` gives it here.
    alias: Option<String>,
    /// A re-export passes a name on and needs nothing of it.
    is_passed_on: bool,
}

/// A file of the house.
pub struct Source {
    /// From the folder of the sources: `store/jobs.rs`.
    pub file: String,
    /// As a module: `store`, `jobs`.
    pub module: Vec<String>,
    pub lines: usize,
    /// Every word of the code, without comments and texts.
    words: BTreeSet<String>,
    named: Vec<Named>,
}

impl Source {
    fn read(path: &Path, folder: &Path, root: &[&str]) -> Source {
        let text = fs::read_to_string(path).unwrap();
        let tokens: TokenStream = text.parse().unwrap();
        let inside = path.strip_prefix(folder).unwrap();
        let mut module: Vec<String> = root.iter().map(|&name| name.to_owned()).collect();
        module.extend(inside.with_extension("").iter().map(|part| {
            let part = part.to_str().unwrap();
            part.to_owned()
        }));
        if matches!(
            module.last().map(String::as_str),
            Some("mod" | "lib" | "main")
        ) {
            module.pop();
        }
        let mut source = Source {
            file: [root.join("/"), inside.to_str().unwrap().to_owned()]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join("/"),
            module,
            lines: text.lines().count(),
            words: BTreeSet::new(),
            named: Vec::new(),
        };
        let module = source.module.clone();
        source.read_module(tokens, root, &module);
        source
    }

    fn read_module(&mut self, tokens: TokenStream, root: &[&str], module: &[String]) {
        let mut words = Vec::new();
        self.flatten(tokens, &mut words, root, module);
        let mut at = 0;
        while at < words.len() {
            let is_inner = at > 0 && matches!(words[at - 1].as_str(), "::" | ".");
            let (begin, mut found) = (at, Vec::new());
            at += 1;
            if words[begin] == "use" && words.get(at).is_some_and(|next| next != "<") {
                tree(&words, &mut at, &[], &mut found);
            } else if is_word(&words[begin]) && !is_inner {
                let mut path = vec![words[begin].clone()];
                while words.get(at).is_some_and(|word| word == "::")
                    && words.get(at + 1).is_some_and(|word| is_word(word))
                {
                    path.push(words[at + 1].clone());
                    at += 2;
                }
                // A plain name may be a variable's, and a module's is no import of it.
                if path.len() > 1 {
                    found.push((path, None));
                }
            }
            let before = words[..begin].iter().rev().take(4);
            let is_passed_on = words[begin] == "use"
                && before
                    .take_while(|word| !matches!(word.as_str(), ";" | "{" | "}" | "]"))
                    .any(|word| word == "pub");
            for (path, alias) in found {
                if let Some(path) = from_the_root(&path, root, module) {
                    self.named.push(Named {
                        path,
                        alias,
                        is_passed_on,
                    });
                }
            }
        }
    }

    /// The words of a module, with `::` as one. Modules within it are read as their own; its tests
    /// are left out.
    fn flatten(
        &mut self,
        tokens: TokenStream,
        words: &mut Vec<String>,
        root: &[&str],
        module: &[String],
    ) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => {
                    let inner = match words.as_slice() {
                        [.., keyword, name] if keyword == "mod" => Some(name.clone()),
                        _ => None,
                    };
                    match (inner, group.delimiter()) {
                        (Some(name), Delimiter::Brace) => {
                            if name != "tests" {
                                let module = [module, &[name]].concat();
                                self.read_module(group.stream(), root, &module);
                            }
                        }
                        (_, delimiter) => {
                            let (open, close) = match delimiter {
                                Delimiter::Brace => ("{", "}"),
                                Delimiter::Bracket => ("[", "]"),
                                _ => ("(", ")"),
                            };
                            words.push(open.into());
                            self.flatten(group.stream(), words, root, module);
                            words.push(close.into());
                        }
                    }
                }
                TokenTree::Punct(punct) => match (words.last_mut(), punct.as_char()) {
                    (Some(last), ':') if last == ":" => last.push(':'),
                    (_, punct) => words.push(punct.into()),
                },
                TokenTree::Ident(ident) => {
                    self.words.insert(ident.to_string());
                    words.push(ident.to_string());
                }
                TokenTree::Literal(_) => words.push("\"".into()),
            }
        }
    }

    pub fn has(&self, word: &str) -> bool {
        self.words.contains(word)
    }

    /// The room: the first folder, or the file itself.
    pub fn room(&self) -> &str {
        self.module.first().map_or("", String::as_str)
    }
}

fn is_word(word: &str) -> bool {
    word.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// The leaves of the tree of a `use`, each with the name that it has from here on.
fn tree(
    words: &[String],
    at: &mut usize,
    before: &[String],
    found: &mut Vec<(Vec<String>, Option<String>)>,
) {
    let mut path = before.to_vec();
    let mut alias = None;
    while let Some(word) = words.get(*at) {
        *at += 1;
        match word.as_str() {
            "::" => {}
            "{" => {
                while words.get(*at).is_some_and(|word| word != "}") {
                    tree(words, at, &path, found);
                    *at += usize::from(words.get(*at).is_some_and(|word| word == ","));
                }
                *at += 1;
                return;
            }
            "," | "}" | ";" => {
                *at -= 1;
                break;
            }
            "as" => {
                alias = words.get(*at).cloned();
                *at += 1;
            }
            "self" if !path.is_empty() => {}
            "*" => {
                found.push((path, None));
                return;
            }
            word => path.push(word.into()),
        }
    }
    let alias = alias.or_else(|| path.last().cloned());
    found.push((path, alias));
}

/// A path from the root of the house; none if it leads to another crate, or is a plain name.
fn from_the_root(path: &[String], root: &[&str], module: &[String]) -> Option<Vec<String>> {
    let root = || root.iter().map(|&name| name.to_owned()).collect();
    let (first, mut rest) = path.split_first()?;
    let mut whole: Vec<String> = match first.as_str() {
        "crate" => root(),
        "serial_gate" => Vec::new(),
        "serial_gate_clause" => vec!["clause".into()],
        "self" => module.to_vec(),
        "super" => {
            let ups = 1 + rest.iter().take_while(|next| *next == "super").count();
            rest = rest.get(ups - 1..)?;
            module.get(..module.len().checked_sub(ups)?)?.to_vec()
        }
        // A child of this module, if there is one of this name.
        _ => {
            rest = path;
            module.to_vec()
        }
    };
    whole.extend(rest.iter().cloned());
    Some(whole)
}

/// Every file of the host in a checkout.
pub struct House {
    pub sources: Vec<Source>,
    modules: BTreeMap<Vec<String>, usize>,
}

impl House {
    pub fn read(checkout: &Path) -> House {
        let mut sources = Vec::new();
        for (folder, root) in [("host/src", &[][..]), ("host/clause/src", &["clause"][..])] {
            let folder = checkout.join(folder);
            // A template is the code of a new policy, and no module of the host.
            let is_module = |path: &PathBuf| !path.iter().any(|part| part == "template");
            for path in rust_files(&folder).into_iter().filter(is_module) {
                sources.push(Source::read(&path, &folder, root));
            }
        }
        let modules = sources.iter().enumerate();
        let modules = modules
            .filter(|(_, source)| !source.module.is_empty())
            .map(|(at, source)| (source.module.clone(), at))
            .collect();
        House { sources, modules }
    }

    /// The files that a file needs.
    pub fn needed_by(&self, source: &Source) -> BTreeSet<usize> {
        source
            .named
            .iter()
            .filter(|named| !named.is_passed_on)
            .filter_map(|named| self.file_of(&named.path, 8))
            .filter(|&file| self.sources[file].file != source.file)
            .collect()
    }

    /// The file in which something is, followed through so many re-exports.
    fn file_of(&self, path: &[String], most: usize) -> Option<usize> {
        let known = (1..=path.len()).rev();
        let (length, file) = known
            .filter_map(|length| Some((length, *self.modules.get(&path[..length])?)))
            .next()?;
        let Some(name) = path.get(length) else {
            return Some(file);
        };
        let passed_on = |named: &&Named| named.alias.as_ref() == Some(name);
        let named = self.sources[file].named.iter().find(passed_on);
        match named {
            Some(named) if most > 0 => self.file_of(&named.path, most - 1).or(Some(file)),
            _ => Some(file),
        }
    }
}

/// The Rust files in a folder and below it, in order; none if it is not there.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
