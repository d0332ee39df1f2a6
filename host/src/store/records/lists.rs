//! Lists of rows, newest first, a page at a time.
//!
//! Owns how a page is read. Leaves the columns and the filters to `task_list`, `job_list` and
//! `freeze_list`. Callers rely on this: the pages of a list have each row that fits once, while
//! rows are added meanwhile, which come before all of them; and a page looks at [`LOOKED_AT`] rows
//! at most, whatever the filter, so that it may be short, or empty, although another one follows.

use crate::store::Error;
use crate::store::engine::{Row, ToValue, Tx, Value};

/// How many rows are looked at for a page.
pub const LOOKED_AT: u32 = 100_000;

/// The rows are looked at in parts, the first one small, because most pages are full soon.
const FIRST_PART: u32 = 1_000;

/// A way to the rows that reads no more than this of them is taken before a walk over all.
const FEW: u32 = 10_000;

/// Which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageOf {
    /// Only rows before this one; none for the newest.
    pub before: Option<i64>,
    /// How many rows a page has at most.
    pub limit: u32,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows, the newest first.
    pub rows: Vec<T>,
    /// The next page is before this row; none if this was the last one.
    pub next: Option<i64>,
}

/// A way to some rows of the table by an index.
pub(crate) struct Way<'a> {
    /// The words that pin the index.
    pub by_index: String,
    /// What the rows fit; `$D` is the value.
    pub condition: &'static str,
    pub value: Option<Value<'a>>,
    /// Whether the index has them in the order of their ids.
    pub is_in_order: bool,
}

/// A list of rows.
pub(crate) struct Listing<'a> {
    pub table: &'static str,
    /// What is read of each row. `$1`, … are `values`.
    pub columns: String,
    /// Joins after the table.
    pub joined: &'static str,
    pub values: Vec<Value<'a>>,
    pub conditions: Vec<String>,
    /// Whether `read` leaves rows out that fit the conditions.
    pub filters_later: bool,
}

impl<'a> Listing<'a> {
    /// Adds a condition; `$V` is its value.
    pub fn only(&mut self, condition: &str, value: &'a (impl ToValue + ?Sized)) {
        self.values.push(value.to_value());
        let number = format!("${}", self.values.len());
        self.conditions.push(condition.replace("$V", &number));
    }

    /// Leaves out rows that are older than this by a time in the gate's own form. Of the others,
    /// `read` has to decide.
    pub fn not_older(&mut self, column: &str, since: &'a str) {
        let text = format!("CAST({column} AS TEXT)");
        let condition = format!(
            "NOT coalesce(length({text}) = 19 AND substr({text}, 11, 1) = ' ' AND {text} < $V,
             1 = 0)"
        );
        self.filters_later = true;
        self.only(&condition, since);
    }

    /// Reads a page. `read` gives a row's id, and the row if it fits.
    pub fn page<T>(
        self,
        tx: &dyn Tx,
        ways: Vec<Way<'a>>,
        page: PageOf,
        read: impl Fn(Row<'_>) -> Result<(i64, Option<T>), Error>,
    ) -> Result<Page<T>, Error> {
        let way = self.way(tx, ways)?;
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let (mut rows, mut before) = (Vec::<(i64, T)>::new(), page.before.unwrap_or(i64::MAX));
        let (mut part, mut looked) = (FIRST_PART, 0);
        while looked < LOOKED_AT {
            // One more, to know whether there is a next page.
            let wanted = match self.filters_later {
                false => limit.saturating_add(1),
                true => usize::try_from(part)
                    .unwrap_or(usize::MAX)
                    .max(limit.saturating_add(1)),
            };
            let sql = self.sql(tx, way.as_ref());
            let mut values = self.values.clone();
            values.extend([before.to_value(), part.to_value(), wanted.to_value()]);
            values.extend(way.iter().flat_map(|way| way.value));
            let found = tx.rows(&sql, &values, &read)?;
            let is_cut = found.len() == wanted;
            let last = found.last().map(|(id, _)| *id);
            for (id, row) in found {
                let Some(row) = row else { continue };
                if rows.len() == limit {
                    let next = rows.last().map(|(id, _)| *id);
                    return Ok(Page {
                        rows: rows.into_iter().map(|(_, row)| row).collect(),
                        next,
                    });
                }
                rows.push((id, row));
            }
            if let Some(last) = last.filter(|_| is_cut) {
                // Rows were left out after they were read: the rest of this part comes first.
                before = last;
                looked = looked.saturating_add(u32::try_from(wanted).unwrap_or(u32::MAX));
                if self.filters_later {
                    part = part.saturating_mul(4).min(LOOKED_AT);
                }
                continue;
            }
            let (lowest, count) = self.part(tx, way.as_ref(), before, part)?;
            match lowest.filter(|_| count == i64::from(part)) {
                Some(lowest) => before = lowest,
                None => {
                    return Ok(Page {
                        rows: rows.into_iter().map(|(_, row)| row).collect(),
                        next: None,
                    });
                }
            }
            looked = looked.saturating_add(part);
            part = part.saturating_mul(4).min(LOOKED_AT);
        }
        Ok(Page {
            rows: rows.into_iter().map(|(_, row)| row).collect(),
            next: Some(before),
        })
    }

    /// The first way that leads to the rows in their order, or to few of them; none for a walk over
    /// all.
    fn way(&self, tx: &dyn Tx, ways: Vec<Way<'a>>) -> Result<Option<Way<'a>>, Error> {
        for way in ways {
            let sql = format!(
                "SELECT 1 FROM {} {} WHERE {} LIMIT 1 OFFSET {FEW}",
                self.table,
                way.by_index,
                way.condition.replace("$D", "$1")
            );
            let value: Vec<Value<'_>> = way.value.into_iter().collect();
            if way.is_in_order || !tx.exists(&sql, &value)? {
                return Ok(Some(way));
            }
        }
        Ok(None)
    }

    /// The ids of a part of the rows. The parameters are the row that they are before, how many they
    /// are, and the value of the way.
    fn looked(&self, way: Option<&Way<'_>>, parameters: [usize; 3]) -> String {
        let [before, part, value] = parameters;
        let (by_index, condition) = match way {
            None => ("", String::new()),
            Some(way) => {
                let condition = way.condition.replace("$D", &format!("${value}"));
                (way.by_index.as_str(), format!("AND {condition}"))
            }
        };
        format!(
            "SELECT id FROM {} {by_index} WHERE id < ${before} {condition}
             ORDER BY id DESC LIMIT ${part}",
            self.table
        )
    }

    fn sql(&self, tx: &dyn Tx, way: Option<&Way<'_>>) -> String {
        let (table, values) = (self.table, self.values.len());
        let conditions = match self.conditions.join(" AND ") {
            none if none.is_empty() => none,
            all => format!("WHERE {all}"),
        };
        format!(
            "SELECT {} FROM ({}) AS looked {} {table} ON {table}.id = looked.id {}
             {conditions} ORDER BY looked.id DESC LIMIT ${}",
            self.columns,
            self.looked(way, [values + 1, values + 2, values + 4]),
            tx.then_join(),
            self.joined,
            values + 3
        )
    }

    /// The lowest id of a part, and how many rows it has.
    fn part(
        &self,
        tx: &dyn Tx,
        way: Option<&Way<'_>>,
        before: i64,
        part: u32,
    ) -> Result<(Option<i64>, i64), Error> {
        let looked = self.looked(way, [1, 2, 3]);
        let sql = format!("SELECT min(id), count(*) FROM ({looked}) AS looked");
        let mut values = vec![before.to_value(), part.to_value()];
        values.extend(way.iter().flat_map(|way| way.value));
        tx.only(&sql, &values, |row| Ok((row.get(0)?, row.get(1)?)))
    }
}
