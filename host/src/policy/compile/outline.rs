//! What a component is made of, read before anything is compiled.
//!
//! Owns the counting against `caps`, and the names that the component imports and exports. It
//! validates nothing and keeps no function: the compiler reads the same bytes again. Callers rely
//! on this: the time grows only with the component's size, and the memory only with the names that
//! it imports and exports.

use std::collections::BTreeMap;

use wasmparser::{BinaryReaderError, ComponentExternalKind, ComponentTypeRef, ElementItems};
use wasmparser::{FunctionBody, Operator, Parser, Payload};

use super::caps::{self, Cap, Excess};
use crate::policy::Error;
use crate::policy::contract::Border;

/// Counts a component's parts, and reads the names at its border.
///
/// # Errors
///
/// When it breaks a cap, or cannot be read at all.
pub(in crate::policy) fn border(bytes: &[u8]) -> Result<Border, Error> {
    caps::BYTES.allow(size(bytes.len()))?;
    let mut border = Border::default();
    let mut counts = Counts::default();
    let mut depth = 0u64;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(broken)?;
        match &payload {
            Payload::Version { .. } => {
                depth = depth.saturating_add(1);
                caps::DEPTH.allow(depth)?;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 1 {
            add_names(&payload, &mut border)?;
        }
        counts.add_all(payload)?;
    }
    Ok(border)
}

fn add_names(payload: &Payload<'_>, border: &mut Border) -> Result<(), Error> {
    match payload {
        Payload::ComponentImportSection(section) => {
            caps::NAMES.allow(section.count().into())?;
            for import in section.clone() {
                let import = import.map_err(broken)?;
                let is_interface = matches!(import.ty, ComponentTypeRef::Instance(_));
                border.imports.push((import.name.name.into(), is_interface));
            }
        }
        Payload::ComponentExportSection(section) => {
            caps::NAMES.allow(section.count().into())?;
            for export in section.clone() {
                let export = export.map_err(broken)?;
                let is_interface = export.kind == ComponentExternalKind::Instance;
                border.exports.push((export.name.name.into(), is_interface));
            }
        }
        _ => {}
    }
    Ok(())
}

/// How much a component has of everything, by the cap's words.
#[derive(Default)]
struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    /// Refuses the first that is too much.
    fn add(&mut self, cap: &'static Cap, more: impl Into<u64>) -> Result<(), Excess> {
        let found = self.0.entry(cap.what).or_default();
        *found = found.saturating_add(more.into());
        cap.allow(*found)
    }

    fn add_types(&mut self, count: u32, bytes: usize) -> Result<(), Excess> {
        self.add(&caps::TYPES, count)?;
        self.add(&caps::TYPE_BYTES, size(bytes))
    }

    fn add_all(&mut self, payload: Payload<'_>) -> Result<(), Error> {
        use Payload::*;
        match payload {
            ModuleSection { .. } | ComponentSection { .. } => self.add(&caps::PARTS, 1u64)?,
            InstanceSection(section) => self.add(&caps::INSTANCES, section.count())?,
            ComponentInstanceSection(section) => self.add(&caps::INSTANCES, section.count())?,
            TypeSection(section) => self.add_types(section.count(), section.range().len())?,
            CoreTypeSection(section) => self.add_types(section.count(), section.range().len())?,
            ComponentTypeSection(section) => {
                self.add_types(section.count(), section.range().len())?
            }
            ImportSection(section) => self.add(&caps::NAMES, section.count())?,
            ExportSection(section) => self.add(&caps::NAMES, section.count())?,
            ComponentImportSection(section) => self.add(&caps::NAMES, section.count())?,
            ComponentExportSection(section) => self.add(&caps::NAMES, section.count())?,
            ComponentAliasSection(section) => self.add(&caps::ALIASES, section.count())?,
            ComponentCanonicalSection(section) => self.add(&caps::ALIASES, section.count())?,
            FunctionSection(section) => self.add(&caps::FUNCTIONS, section.count())?,
            GlobalSection(section) => self.add(&caps::GLOBALS, section.count())?,
            DataSection(section) => self.add(&caps::DATA, section.count())?,
            TableSection(section) => {
                for table in section {
                    self.add(&caps::TABLE_ENTRIES, table.map_err(broken)?.ty.initial)?;
                }
            }
            ElementSection(section) => {
                for element in section {
                    let count = match element.map_err(broken)?.items {
                        ElementItems::Functions(items) => items.count(),
                        ElementItems::Expressions(_, items) => items.count(),
                    };
                    self.add(&caps::ELEMENTS, count)?;
                }
            }
            CodeSectionStart { size, .. } => self.add(&caps::CODE, size)?,
            CodeSectionEntry(body) => check_function(&body)?,
            _ => {}
        }
        Ok(())
    }
}

/// Counts what makes the compilation of one function take more than its size says.
fn check_function(body: &FunctionBody<'_>) -> Result<(), Error> {
    caps::BODY.allow(size(body.range().len()))?;
    let mut locals = 0u64;
    for declared in body.get_locals_reader().map_err(broken)? {
        locals = locals.saturating_add(declared.map_err(broken)?.0.into());
        caps::LOCALS.allow(locals)?;
    }
    let (mut targets, mut blocks, mut loops) = (0u64, 0u64, 0u64);
    // Whether each of the blocks that are open is a loop.
    let mut open = Vec::new();
    let mut operators = body.get_operators_reader().map_err(broken)?;
    while !operators.eof() {
        let is_loop = match operators.read().map_err(broken)? {
            Operator::Loop { .. } => true,
            Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => false,
            Operator::End => {
                if open.pop() == Some(true) {
                    loops = loops.saturating_sub(1);
                }
                continue;
            }
            Operator::BrTable { targets: table } => {
                targets = targets.saturating_add(table.len().into());
                caps::TARGETS.allow(targets)?;
                continue;
            }
            _ => continue,
        };
        open.push(is_loop);
        caps::NESTING.allow(size(open.len()))?;
        if is_loop {
            loops = loops.saturating_add(1);
            caps::LOOPS.allow(loops)?;
            caps::LOCALS_BY_LOOPS.allow(locals.saturating_mul(loops))?;
        }
        blocks = blocks.saturating_add(1);
        caps::LOCALS_BY_BLOCKS.allow(locals.saturating_mul(blocks))?;
    }
    Ok(())
}

fn size(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn broken(cause: BinaryReaderError) -> Error {
    Error::Compile(cause.into())
}
