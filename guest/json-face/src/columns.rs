//! The contract's tables, made of rows.
//!
//! Owns the order of rows and the symbols. Callers rely on this: rows are in the order of their ids,
//! each id once, and each text has one symbol.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::object::Object;
use crate::request::{Freeze, Id, Job, Task, Text};

/// Each text once, in the order in which they came.
#[derive(Default)]
pub struct Symbols<'a> {
    numbers: BTreeMap<&'a str, u32>,
    pub text: String,
    ends: Vec<u32>,
}

impl<'a> Symbols<'a> {
    /// A column of rows.
    pub fn column<R>(&mut self, rows: &'a [R], value: impl Fn(&'a R) -> &'a Text<'a>) -> Vec<u32> {
        let symbol = |row| value(row).as_deref().map_or(0, |text| self.symbol(text));
        rows.iter().map(symbol).collect()
    }

    fn symbol(&mut self, text: &'a str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        // Neither the texts nor their number reach 2^32, which is all the memory there is.
        self.text.push_str(text);
        self.ends
            .push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
        let number = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        self.numbers.insert(text, number);
        number
    }

    /// Where each text ends, with NULL's as the first.
    pub fn ends(&self) -> Vec<u32> {
        core::iter::once(0)
            .chain(self.ends.iter().copied())
            .collect()
    }
}

/// A row with an id.
pub trait Row {
    const TABLE: &'static str;

    fn id(&self) -> Id;
}

impl Row for Task<'_> {
    const TABLE: &'static str = "tasks";

    fn id(&self) -> Id {
        self.id
    }
}

impl Row for Job<'_> {
    const TABLE: &'static str = "jobs";

    fn id(&self) -> Id {
        self.id
    }
}

impl Row for Freeze<'_> {
    const TABLE: &'static str = "freezes";

    fn id(&self) -> Id {
        self.id
    }
}

/// The rows in the order of their ids.
pub fn sorted<R: Row>(rows: Vec<Object<R>>) -> Result<Vec<R>, String> {
    let mut rows: Vec<R> = rows.into_iter().map(|Object(row)| row).collect();
    rows.sort_by_key(Row::id);
    let twice = rows.windows(2).find_map(|pair| match pair {
        [one, other] if one.id() == other.id() => Some(one.id()),
        _ => None,
    });
    match twice {
        Some(Id(id)) => Err(format!(
            "invalid-request: two rows of `{}` have the id \"{id}\": give each row once",
            R::TABLE
        )),
        None => Ok(rows),
    }
}
