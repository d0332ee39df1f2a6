//! Lowers sub-selects, and knows which rows a name can mean.
//!
//! Owns the two forms of a sub-select, the rows in scope, aliases, and the tie to the job. Leaves conditions to `lower`.
//! Invariant: an alias means one row wherever it is in scope, so renaming aliases cannot change what a column means.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
    GroupByExpr, Ident, ObjectName, ObjectNamePart, Query, Select as SelectSyntax, SelectFlavor,
    SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins, Value as Constant, ValueWithSpan,
};
use sqlparser::tokenizer::Location;

use super::contract::{Column, Table};
use super::lower::predicate;
use super::parse;
use super::refusal::{Refusal, echo};
use super::tree::{Cell, End, Extreme, Row, Select};

/// The rows in scope while a clause is lowered. The job itself is always in scope.
#[derive(Default)]
pub(crate) struct Scopes {
    open: Vec<Scope>,
    reads: Vec<Table>,
}

struct Scope {
    name: String,
    number: usize,
    table: Table,
}

/// A sub-select taken apart, before its names are looked up.
struct Parts {
    at: Location,
    item: Expr,
    from: TableFactor,
    filter: Expr,
}

impl Scopes {
    /// The table of each sub-select so far, in the order of the text.
    pub(crate) fn into_reads(self) -> Vec<Table> {
        self.reads
    }

    /// Lowers `SELECT 1 FROM ...`.
    pub(crate) fn exists(&mut self, query: Query) -> Result<Select, Refusal> {
        let Parts {
            at,
            item,
            from,
            filter,
        } = take_apart(query)?;
        let is_one = matches!(&item,
            Expr::Value(ValueWithSpan { value: Constant::Number(digits, false), span: _ }) if digits == "1");
        if !is_one {
            return Err(select_list(parse::start(&item)));
        }
        self.enter(from, at)?;
        self.leave(filter, at)
    }

    /// Lowers `SELECT min(alias.column) FROM ...`.
    pub(crate) fn extreme(&mut self, query: Query) -> Result<Extreme, Refusal> {
        let Parts {
            at,
            item,
            from,
            filter,
        } = take_apart(query)?;
        let item_at = parse::start(&item);
        let Expr::Function(function) = item else {
            return Err(select_list(item_at));
        };
        let (end, path) = end_and_column(function, item_at)?;
        let number = self.enter(from, at)?;
        let Cell { row, column } = self.cell(&path, item_at)?;
        if row != Row::Sub(number) {
            return Err(select_list(item_at));
        }
        Ok(Extreme {
            end,
            column,
            select: self.leave(filter, at)?,
        })
    }

    /// The column that a path means.
    pub(crate) fn cell(&self, path: &[Ident], at: Location) -> Result<Cell, Refusal> {
        let [row, column] = path else {
            let remedy = "write `jobs.agent`, without the schema";
            return Err(Refusal::new(
                "schema",
                "a name of more than two parts stands",
                remedy,
                at,
            ));
        };
        let row_name = row.value.to_ascii_lowercase();
        let sub = self.open.iter().find(|scope| scope.name == row_name);
        let (row, table) = match sub {
            Some(scope) => (Row::Sub(scope.number), scope.table),
            None if row_name == Table::Jobs.name() => (Row::Job, Table::Jobs),
            None => {
                let what = format!("the row {} is not in scope", echo(&row.value));
                return Err(Refusal::new(
                    "scope",
                    what,
                    "write `jobs`, or the alias of the sub-select around it",
                    at,
                ));
            }
        };
        let column_name = column.value.to_ascii_lowercase();
        match table
            .columns()
            .iter()
            .find(|column| column.name() == column_name)
        {
            Some(&column) => Ok(Cell { row, column }),
            None => {
                let what = format!(
                    "the column {} is not readable by a policy",
                    echo(&column.value)
                );
                Err(Refusal::new(
                    "column",
                    what,
                    format!("write one of {}", column_names(table)),
                    at,
                ))
            }
        }
    }

    /// Brings the sub-select's row into scope and returns its number.
    fn enter(&mut self, from: TableFactor, at: Location) -> Result<usize, Refusal> {
        let (table_name, alias) = table_and_alias(from, at)?;
        let at = table_name.span.start;
        let Some(table) = Table::named(&table_name.value.to_ascii_lowercase()) else {
            let what = format!(
                "the table {} is not readable by a policy",
                echo(&table_name.value)
            );
            return Err(Refusal::new(
                "table",
                what,
                "write `tasks`, `jobs` or `repo_freeze`",
                at,
            ));
        };
        let name = alias
            .as_ref()
            .unwrap_or(&table_name)
            .value
            .to_ascii_lowercase();
        let hides_table =
            Table::named(&name).is_some_and(|named| named != table || named == Table::Jobs);
        if hides_table || self.open.iter().any(|scope| scope.name == name) {
            let what = format!(
                "the name {} already means another row or table",
                echo(&name)
            );
            let at = alias.map_or(at, |alias| alias.span.start);
            return Err(Refusal::new(
                "alias",
                what,
                "give the sub-select's table an alias of its own",
                at,
            ));
        }
        self.reads.push(table);
        let number = self.reads.len();
        self.open.push(Scope {
            name,
            number,
            table,
        });
        Ok(number)
    }

    /// Lowers the filter, checks the tie, and takes the row out of scope again.
    fn leave(&mut self, filter: Expr, at: Location) -> Result<Select, Refusal> {
        let filter = Box::new(predicate(self, filter)?);
        let Some(Scope {
            name,
            number,
            table,
        }) = self.open.pop()
        else {
            return Err(not_plain(at));
        };
        let select = Select {
            number,
            table,
            filter,
        };
        if select.is_tied() {
            return Ok(select);
        }
        let remedy = format!(
            "add `AND {}.repo = jobs.repo` to its `WHERE`",
            name.chars().take(40).collect::<String>()
        );
        Err(Refusal::new(
            "untied-sub-select",
            "a sub-select that is not tied to the job stands",
            remedy,
            at,
        ))
    }
}

fn take_apart(query: Query) -> Result<Parts, Refusal> {
    let at = parse::query_start(&query);
    let Query {
        with: None,
        body,
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks,
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators,
    } = query
    else {
        return Err(not_plain(at));
    };
    let SetExpr::Select(select) = *body else {
        return Err(not_plain(at));
    };
    let SelectSyntax {
        select_token: _,
        optimizer_hints,
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        mut projection,
        exclude: None,
        into: None,
        mut from,
        lateral_views,
        prewhere: None,
        selection,
        connect_by,
        group_by: GroupByExpr::Expressions(group_by, group_by_modifiers),
        cluster_by,
        distribute_by,
        sort_by,
        having: None,
        named_window,
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    } = *select
    else {
        return Err(not_plain(at));
    };
    let is_plain = locks.is_empty()
        && pipe_operators.is_empty()
        && optimizer_hints.is_empty()
        && lateral_views.is_empty()
        && connect_by.is_empty()
        && group_by.is_empty()
        && group_by_modifiers.is_empty()
        && cluster_by.is_empty()
        && distribute_by.is_empty()
        && sort_by.is_empty()
        && named_window.is_empty();
    if !is_plain {
        return Err(not_plain(at));
    }
    let (Some(SelectItem::UnnamedExpr(item)), true) = (projection.pop(), projection.is_empty())
    else {
        return Err(select_list(at));
    };
    let Some(TableWithJoins { relation, joins }) = from.pop() else {
        return Err(Refusal::new(
            "table",
            "a sub-select without a table stands",
            "write `FROM tasks t WHERE ...`",
            at,
        ));
    };
    if !from.is_empty() || !joins.is_empty() {
        let remedy = "write one table per sub-select and nest a second `EXISTS`";
        return Err(Refusal::new(
            "join",
            "a sub-select over several tables stands",
            remedy,
            at,
        ));
    }
    let Some(filter) = selection else {
        let remedy = "add `WHERE alias.repo = jobs.repo`";
        return Err(Refusal::new(
            "untied-sub-select",
            "a sub-select that is not tied to the job stands",
            remedy,
            at,
        ));
    };
    Ok(Parts {
        at,
        item,
        from: relation,
        filter,
    })
}

fn table_and_alias(from: TableFactor, at: Location) -> Result<(Ident, Option<Ident>), Refusal> {
    let not_a_table = || {
        Refusal::new(
            "table",
            "a sub-select from something else than a table stands",
            "write `FROM tasks t`",
            at,
        )
    };
    let TableFactor::Table {
        name: ObjectName(mut path),
        alias,
        args: None,
        with_hints,
        version: None,
        with_ordinality: false,
        partitions,
        json_path: None,
        sample: None,
        index_directives,
        inheritance: None,
    } = from
    else {
        return Err(not_a_table());
    };
    if !with_hints.is_empty() || !partitions.is_empty() || !index_directives.is_empty() {
        return Err(not_a_table());
    }
    let Some(ObjectNamePart::Identifier(table)) = path.pop() else {
        return Err(not_a_table());
    };
    if !path.is_empty() {
        return Err(Refusal::new(
            "schema",
            "a table with a schema stands",
            "write the table's name alone",
            at,
        ));
    }
    match alias {
        None => Ok((table, None)),
        Some(TableAlias {
            explicit: _,
            name,
            columns,
            at: None,
        }) if columns.is_empty() => Ok((table, Some(name))),
        Some(_) => Err(Refusal::new(
            "alias",
            "an alias with a list stands",
            "write a plain alias, as in `tasks t`",
            at,
        )),
    }
}

fn end_and_column(function: Function, at: Location) -> Result<(End, Vec<Ident>), Refusal> {
    let Function {
        name,
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args:
            FunctionArguments::List(FunctionArgumentList {
                duplicate_treatment: None,
                mut args,
                clauses,
            }),
        within_group,
        filter: None,
        null_treatment: None,
        over: None,
    } = function
    else {
        return Err(select_list(at));
    };
    let end = match name.to_string().to_ascii_lowercase().as_str() {
        "min" => End::Min,
        "max" => End::Max,
        other => {
            let what = format!("the function {} is not in the language", echo(other));
            return Err(Refusal::new(
                "function",
                what,
                "write `min(alias.column)` or `max(alias.column)`",
                at,
            ));
        }
    };
    match (
        args.pop(),
        args.is_empty() && clauses.is_empty() && within_group.is_empty(),
    ) {
        (
            Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::CompoundIdentifier(path)))),
            true,
        ) => Ok((end, path)),
        _ => Err(select_list(at)),
    }
}

fn column_names(table: Table) -> String {
    let names: Vec<String> = table
        .columns()
        .iter()
        .copied()
        .map(Column::name)
        .map(echo)
        .collect();
    names.join(", ")
}

fn select_list(at: Location) -> Refusal {
    let remedy = "write `EXISTS (SELECT 1 FROM ...)` or `(SELECT min(alias.column) FROM ...)`";
    Refusal::new(
        "select-list",
        "another select list than `1`, `min` or `max` stands",
        remedy,
        at,
    )
}

fn not_plain(at: Location) -> Refusal {
    let remedy = "write `SELECT 1 FROM tasks t WHERE ...` and nothing around it";
    Refusal::new(
        "sub-select",
        "a sub-select that is not plain stands",
        remedy,
        at,
    )
}
