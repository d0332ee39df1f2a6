//! Lowers sub-selects.
//!
//! Owns their three forms, `EXISTS (SELECT 1 ...)`, `(SELECT min(...) ...)` and `(SELECT count(*)
//! ...)`, and the tie to the job. Leaves names to `scope`, conditions to `lower`, and where a count
//! may stand to `count`. sqlparser's structs are taken apart without `..`, as in `lower`.
//! Invariant: a sub-select has one table of the contract, one plain filter, and is tied to the job.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
    GroupByExpr, Ident, ObjectName, ObjectNamePart, Query, Select as SelectSyntax, SelectFlavor,
    SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins, Value as Constant, ValueWithSpan,
};
use sqlparser::tokenizer::Location;

use super::lower::predicate;
use super::parse;
use super::refusal::{Refusal, echo, shorten};
use super::scope::{Scope, Scopes};
use super::tree::{Cell, End, Extreme, Row, Select};

/// A sub-select taken apart, before its names are looked up.
struct Parts {
    at: Location,
    item: Expr,
    from: TableFactor,
    filter: Expr,
}

/// Lowers `SELECT 1 FROM ...`.
pub(crate) fn exists(scopes: &mut Scopes, query: Query) -> Result<Select, Refusal> {
    let Parts {
        at,
        item,
        from,
        filter,
    } = take_apart(query)?;
    match &item {
        Expr::Value(ValueWithSpan {
            value: Constant::Number(digits, false),
            span: _,
        }) if digits == "1" => {}
        other => return Err(select_list(parse::start(other))),
    }
    let (table, alias) = table_and_alias(from, at)?;
    let scope = scopes.enter(&table, alias.as_ref())?;
    filtered(scopes, scope, filter, at)
}

/// Lowers `SELECT min(alias.column) FROM ...`.
pub(crate) fn extreme(scopes: &mut Scopes, query: Query) -> Result<Extreme, Refusal> {
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
    let (table, alias) = table_and_alias(from, at)?;
    let scope = scopes.enter(&table, alias.as_ref())?;
    let Cell { row, column } = scopes.cell(&path, item_at)?;
    if row != Row::Sub(scope.number) {
        return Err(select_list(item_at));
    }
    let select = filtered(scopes, scope, filter, at)?;
    Ok(Extreme {
        end,
        column,
        select,
    })
}

/// Lowers `SELECT count(*) FROM ...`.
pub(crate) fn counted(scopes: &mut Scopes, query: Query) -> Result<Select, Refusal> {
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
    match call(function, item_at)? {
        (name, Some(FunctionArgExpr::Wildcard)) if name == "count" => {}
        _ => {
            let what = "`count` of something else than `*` stands";
            let remedy = "write `count(*)`, which counts the rows that pass the `WHERE`";
            return Err(Refusal::new("count", what, remedy, item_at));
        }
    }
    let (table, alias) = table_and_alias(from, at)?;
    let scope = scopes.enter(&table, alias.as_ref())?;
    filtered(scopes, scope, filter, at)
}

/// Lowers the filter inside its scope, which ends here, and checks the tie.
fn filtered(
    scopes: &mut Scopes,
    scope: Scope,
    filter: Expr,
    at: Location,
) -> Result<Select, Refusal> {
    let filter = Box::new(predicate(scopes, filter)?);
    scopes.leave();
    let Scope {
        name,
        number,
        table,
    } = scope;
    let select = Select {
        number,
        table,
        filter,
    };
    match select.is_tied() {
        true => Ok(select),
        false => Err(untied(
            &format!(
                "add `AND {}.repo = jobs.repo` to its `WHERE`",
                shorten(&name)
            ),
            at,
        )),
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
        return Err(untied("add `WHERE alias.repo = jobs.repo`", at));
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
    let (name, argument) = call(function, at)?;
    let end = match name.as_str() {
        "min" => End::Min,
        "max" => End::Max,
        other => {
            let what = format!("the function {} is not in the language", echo(other));
            let remedy = "write `min(alias.column)`, `max(alias.column)` or `count(*)`";
            return Err(Refusal::new("function", what, remedy, at));
        }
    };
    match argument {
        Some(FunctionArgExpr::Expr(Expr::CompoundIdentifier(path))) => Ok((end, path)),
        _ => Err(select_list(at)),
    }
}

/// The name of a call in lower case, and its argument if there is exactly one and nothing beside
/// it.
fn call(function: Function, at: Location) -> Result<(String, Option<FunctionArgExpr>), Refusal> {
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
    let is_alone = args.len() == 1 && clauses.is_empty() && within_group.is_empty();
    let argument = match args.pop() {
        Some(FunctionArg::Unnamed(argument)) if is_alone => Some(argument),
        _ => None,
    };
    Ok((name.to_string().to_ascii_lowercase(), argument))
}

fn select_list(at: Location) -> Refusal {
    let remedy = "write `EXISTS (SELECT 1 FROM ...)`, `(SELECT min(alias.column) FROM ...)` or `(SELECT count(*) FROM ...) >= 3`";
    Refusal::new(
        "select-list",
        "another select list than `1`, `min`, `max` or `count(*)` stands",
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

fn untied(remedy: &str, at: Location) -> Refusal {
    Refusal::new(
        "untied-sub-select",
        "a sub-select that is not tied to the job stands",
        remedy,
        at,
    )
}
