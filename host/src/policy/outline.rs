//! What a component is made of, read before anything is compiled.
//!
//! Owns the counting against `caps`, and the names that the component imports and exports. It
//! validates nothing and keeps no function: that is the compiler's, which reads the same bytes
//! again. Callers rely on this: the time grows with the component's size and with nothing else, and
//! no more memory is taken than for the names at the top.

use wasmparser::{ComponentExternalKind, ComponentTypeRef, ElementItems, FunctionBody, Operator};
use wasmparser::{Parser, Payload};

use super::Error;
use super::caps::{self, Count, Excess};

/// The names at a component's border.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// What it imports, and whether each is an interface.
    pub imports: Vec<(String, bool)>,
    /// What it exports, and whether each is an interface.
    pub exports: Vec<(String, bool)>,
}

/// What a component has of everything.
struct Counts {
    parts: Count,
    instances: Count,
    types: Count,
    type_bytes: Count,
    names: Count,
    aliases: Count,
    functions: Count,
    code: Count,
    globals: Count,
    table_entries: Count,
    data: Count,
    elements: Count,
}

impl Outline {
    /// Reads a component.
    ///
    /// # Errors
    ///
    /// When it breaks a cap, or cannot be read at all.
    pub(super) fn read(bytes: &[u8]) -> Result<Outline, Error> {
        caps::BYTES.allow(size(bytes.len()))?;
        let mut outline = Outline::default();
        let mut counts = Counts::new();
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
                outline.add_names(&payload)?;
            }
            counts.add(payload)?;
        }
        Ok(outline)
    }

    fn add_names(&mut self, payload: &Payload<'_>) -> Result<(), Error> {
        match payload {
            Payload::ComponentImportSection(section) => {
                caps::NAMES.allow(section.count().into())?;
                for import in section.clone() {
                    let import = import.map_err(broken)?;
                    let is_interface = matches!(import.ty, ComponentTypeRef::Instance(_));
                    self.imports.push((import.name.name.into(), is_interface));
                }
            }
            Payload::ComponentExportSection(section) => {
                caps::NAMES.allow(section.count().into())?;
                for export in section.clone() {
                    let export = export.map_err(broken)?;
                    let is_interface = export.kind == ComponentExternalKind::Instance;
                    self.exports.push((export.name.name.into(), is_interface));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Counts {
    fn new() -> Counts {
        Counts {
            parts: Count::of(&caps::PARTS),
            instances: Count::of(&caps::INSTANCES),
            types: Count::of(&caps::TYPES),
            type_bytes: Count::of(&caps::TYPE_BYTES),
            names: Count::of(&caps::NAMES),
            aliases: Count::of(&caps::ALIASES),
            functions: Count::of(&caps::FUNCTIONS),
            code: Count::of(&caps::CODE),
            globals: Count::of(&caps::GLOBALS),
            table_entries: Count::of(&caps::TABLE_ENTRIES),
            data: Count::of(&caps::DATA),
            elements: Count::of(&caps::ELEMENTS),
        }
    }

    fn add(&mut self, payload: Payload<'_>) -> Result<(), Error> {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                self.parts.add(1)?
            }
            Payload::InstanceSection(section) => self.instances.add(section.count().into())?,
            Payload::ComponentInstanceSection(section) => {
                self.instances.add(section.count().into())?;
            }
            Payload::TypeSection(section) => {
                self.add_types(section.count(), section.range().len())?;
            }
            Payload::CoreTypeSection(section) => {
                self.add_types(section.count(), section.range().len())?;
            }
            Payload::ComponentTypeSection(section) => {
                self.add_types(section.count(), section.range().len())?;
            }
            Payload::ImportSection(section) => self.names.add(section.count().into())?,
            Payload::ExportSection(section) => self.names.add(section.count().into())?,
            Payload::ComponentImportSection(section) => self.names.add(section.count().into())?,
            Payload::ComponentExportSection(section) => self.names.add(section.count().into())?,
            Payload::ComponentAliasSection(section) => self.aliases.add(section.count().into())?,
            Payload::ComponentCanonicalSection(section) => {
                self.aliases.add(section.count().into())?;
            }
            Payload::FunctionSection(section) => self.functions.add(section.count().into())?,
            Payload::GlobalSection(section) => self.globals.add(section.count().into())?,
            Payload::TableSection(section) => {
                for table in section {
                    self.table_entries.add(table.map_err(broken)?.ty.initial)?;
                }
            }
            Payload::DataSection(section) => self.data.add(section.count().into())?,
            Payload::ElementSection(section) => {
                for element in section {
                    self.elements.add(match element.map_err(broken)?.items {
                        ElementItems::Functions(items) => items.count().into(),
                        ElementItems::Expressions(_, items) => items.count().into(),
                    })?;
                }
            }
            Payload::CodeSectionStart { size, .. } => self.code.add(size.into())?,
            Payload::CodeSectionEntry(body) => function(&body)?,
            _ => {}
        }
        Ok(())
    }

    fn add_types(&mut self, count: u32, bytes: usize) -> Result<(), Excess> {
        self.types.add(count.into())?;
        self.type_bytes.add(size(bytes))
    }
}

/// Counts what makes the compilation of one function take more than its size says.
fn function(body: &FunctionBody<'_>) -> Result<(), Error> {
    caps::BODY.allow(size(body.range().len()))?;
    let mut locals = Count::of(&caps::LOCALS);
    let mut all_locals = 0u64;
    for declared in body.get_locals_reader().map_err(broken)? {
        let count = u64::from(declared.map_err(broken)?.0);
        all_locals = all_locals.saturating_add(count);
        locals.add(count)?;
    }
    let mut targets = Count::of(&caps::TARGETS);
    let (mut blocks, mut loops) = (0u64, 0u64);
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
                targets.add(table.len().into())?;
                continue;
            }
            _ => continue,
        };
        open.push(is_loop);
        caps::NESTING.allow(size(open.len()))?;
        if is_loop {
            loops = loops.saturating_add(1);
            caps::LOOPS.allow(loops)?;
            caps::LOCALS_BY_LOOPS.allow(all_locals.saturating_mul(loops))?;
        }
        blocks = blocks.saturating_add(1);
        caps::LOCALS_BY_BLOCKS.allow(all_locals.saturating_mul(blocks))?;
    }
    Ok(())
}

fn size(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn broken(cause: wasmparser::BinaryReaderError) -> Error {
    Error::Compile(cause.into())
}
