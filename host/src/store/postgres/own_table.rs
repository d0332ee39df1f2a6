//! What a table of the gate's own consists of, and the statements that make it.
//!
//! Leaves which tables there are to `own_tables`.

use super::schema::{Column, create_table};

/// A table of the gate's own.
pub(crate) struct Own {
    pub name: &'static str,
    pub columns: &'static [Column],
    /// The columns of its primary key, where no single column is one.
    pub key: &'static str,
    /// Storage parameters.
    pub with: &'static str,
    /// Its first row.
    pub row: &'static str,
}

impl Own {
    /// The statements that make it, in a schema that is quoted already.
    pub(crate) fn create(&self, schema: &str) -> String {
        let Own { name, row, .. } = self;
        let mut create = create_table(schema, name, self.columns, self.key, self.with);
        if !row.is_empty() {
            create.push_str(&format!("INSERT INTO {schema}.{name} {row};"));
        }
        create
    }
}

/// A table without settings and rows.
pub(super) const fn table(
    name: &'static str,
    columns: &'static [Column],
    key: &'static str,
) -> Own {
    Own {
        name,
        columns,
        key,
        with: "",
        row: "",
    }
}
