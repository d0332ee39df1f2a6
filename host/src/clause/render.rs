//! Prints the typed tree as SQL for one database.
//!
//! Owns quoting, escaping, aliases and the differences between the databases. Leaves the names to
//! `contract`. The outer row is `jobs`, the tables of sub-selects are `g1`, `g2`, ...: names that
//! no policy chose. Every operation stands in its own parentheses, so no precedence is relied on.
//! Invariant: both texts have the same three-valued truth value on every row of equal tables.

use std::fmt;

use super::Dialect;
use super::contract::Kind;
use super::tree::{Cell, Comparison, End, Extreme, Literal, Predicate, Row, Select, Value};

/// SQL that this room printed: a boolean expression in parentheses, or `TRUE` for the empty clause
/// (DESIGN section 8).
///
/// There is no other way to make one, so whoever takes a `&Rendered` cannot splice a policy's text
/// by mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered(String);

impl Rendered {
    /// The SQL text, without a leading `AND`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Prints a clause; `None` is the empty one.
pub(super) fn render(predicate: Option<&Predicate>, dialect: Dialect) -> Rendered {
    let mut printer = Printer {
        sql: String::new(),
        dialect,
    };
    match predicate {
        Some(predicate) => printer.predicate(predicate),
        None => printer.put("TRUE"),
    }
    Rendered(printer.sql)
}

/// What the row of a sub-select is called.
pub(super) fn name(number: usize) -> String {
    format!("g{number}")
}

struct Printer {
    sql: String,
    dialect: Dialect,
}

impl Printer {
    fn put(&mut self, text: &str) {
        self.sql.push_str(text);
    }

    fn predicate(&mut self, predicate: &Predicate) {
        self.put("(");
        match predicate {
            Predicate::Constant(true) => self.put("TRUE"),
            Predicate::Constant(false) => self.put("FALSE"),
            Predicate::Not(inner) => {
                self.put("NOT ");
                self.predicate(inner);
            }
            Predicate::All(terms) => self.chain(terms, " AND "),
            Predicate::Any(terms) => self.chain(terms, " OR "),
            Predicate::Compare {
                left,
                comparison,
                right,
            } => {
                match comparison {
                    Comparison::Equal | Comparison::NotEqual => self.value(left),
                    _ => self.ordered(left, [left, right]),
                }
                self.comparison(*comparison);
                self.value(right);
            }
            Predicate::InList {
                value,
                items,
                negated,
            } => {
                self.value(value);
                self.put(if *negated { " NOT IN (" } else { " IN (" });
                for (index, item) in items.iter().enumerate() {
                    self.put(if index == 0 { "" } else { ", " });
                    self.literal(item);
                }
                self.put(")");
            }
            Predicate::Between {
                value,
                low,
                high,
                negated,
            } => {
                self.ordered(value, [value, low, high]);
                self.put(if *negated {
                    " NOT BETWEEN "
                } else {
                    " BETWEEN "
                });
                self.value(low);
                self.put(" AND ");
                self.value(high);
            }
            Predicate::IsNull { value, negated } => {
                self.value(value);
                self.put(if *negated { " IS NOT NULL" } else { " IS NULL" });
            }
            Predicate::Exists(select) => {
                self.put("EXISTS (SELECT 1");
                self.rest_of_select(select);
                self.put(")");
            }
            Predicate::Count {
                select,
                comparison,
                number,
            } => {
                self.count(select, *number);
                self.comparison(*comparison);
                self.put(&number.to_string());
            }
        }
        self.put(")");
    }

    fn chain(&mut self, terms: &[Predicate], operator: &str) {
        for (index, term) in terms.iter().enumerate() {
            self.put(if index == 0 { "" } else { operator });
            self.predicate(term);
        }
    }

    fn comparison(&mut self, comparison: Comparison) {
        self.put(match comparison {
            Comparison::Equal => " = ",
            Comparison::NotEqual => " <> ",
            Comparison::Less => " < ",
            Comparison::LessOrEqual => " <= ",
            Comparison::Greater => " > ",
            Comparison::GreaterOrEqual => " >= ",
        });
    }

    /// The count as far as its comparison with `number` can tell: every count above the number
    /// compares like the next one. The limit keeps a repo with many rows from being read to its
    /// end. PostgreSQL before 16 wants a name for the inner select; no column goes by it.
    fn count(&mut self, select: &Select, number: u16) {
        self.put("(SELECT count(*) FROM (SELECT 1");
        self.rest_of_select(select);
        let (limit, name) = (number.saturating_add(1), select.number);
        self.put(&format!(" LIMIT {limit}) AS \"c{name}\")"));
    }

    /// The first operand of an order comparison of `operands`. PostgreSQL orders text by the
    /// column's collation, SQLite by bytes; one explicit collation decides for the whole
    /// comparison.
    fn ordered<const N: usize>(&mut self, first: &Value, operands: [&Value; N]) {
        self.value(first);
        if operands
            .iter()
            .any(|operand| operand.kind() == Some(Kind::Text))
        {
            self.collate();
        }
    }

    fn collate(&mut self) {
        if self.dialect == Dialect::Postgres {
            self.put(" COLLATE \"C\"");
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Literal(literal) => self.literal(literal),
            Value::Cell(cell) => self.cell(*cell),
            Value::Extreme(extreme) => self.extreme(extreme),
        }
    }

    /// On PostgreSQL a text is collated inside, for its order, and outside, since what a sub-select
    /// hands out is weaker than an explicit collation, and two weak ones that differ are an error.
    fn extreme(&mut self, extreme: &Extreme) {
        let Extreme {
            end,
            column,
            select,
        } = extreme;
        let is_text = column.kind() == Kind::Text;
        self.put(if is_text { "((SELECT " } else { "(SELECT " });
        self.put(match end {
            End::Min => "min(",
            End::Max => "max(",
        });
        self.cell(Cell {
            row: Row::Sub(select.number),
            column: *column,
        });
        if is_text {
            self.collate();
        }
        self.put(")");
        self.rest_of_select(select);
        self.put(")");
        if is_text {
            self.collate();
            self.put(")");
        }
    }

    fn rest_of_select(&mut self, select: &Select) {
        let Select {
            number,
            table,
            filter,
        } = select;
        self.put(&format!(
            " FROM \"{}\" AS \"{}\" WHERE ",
            table.name(),
            name(*number)
        ));
        self.predicate(filter);
    }

    fn cell(&mut self, cell: Cell) {
        let column = cell.column.name();
        match cell.row {
            Row::Job => self.put(&format!("\"jobs\".\"{column}\"")),
            Row::Sub(number) => self.put(&format!("\"{}\".\"{column}\"", name(number))),
        }
    }

    fn literal(&mut self, literal: &Literal) {
        match (literal, self.dialect) {
            (Literal::Null, _) => self.put("NULL"),
            // PostgreSQL reads the digits before the sign, where the smallest integer is a numeric.
            (Literal::Integer(i64::MIN), Dialect::Postgres) => {
                self.put("(-9223372036854775807 - 1)")
            }
            (Literal::Integer(integer), _) => self.put(&integer.to_string()),
            // Inside `E''` a backslash means the same whatever `standard_conforming_strings` says.
            (Literal::Text(text), Dialect::Postgres) if text.contains('\\') => {
                self.put(&format!(
                    "E'{}'",
                    text.replace('\\', "\\\\").replace('\'', "''")
                ));
            }
            (Literal::Text(text), _) => self.put(&format!("'{}'", text.replace('\'', "''"))),
        }
    }
}
