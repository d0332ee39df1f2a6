//! The parser's sub-selects.
//!
//! Owns their three forms, `EXISTS (SELECT 1 ...)`, `(SELECT min(...) ...)` and `(SELECT count(*)
//! ...)`, and the tie to the job. Leaves names to `scope`, conditions and the place of a count to
//! `parse`.
//! Invariant: a sub-select has one table of the contract, one plain filter, and is tied to the job.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use super::lex::{Token, TokenKind};
use super::parse::{Expression, Parser, Term};
use super::refusal::{Position, Refusal, echo, shorten};
use super::scope::Scope;
use super::tokens::{dotted, unexpected};
use super::tree::{Cell, End, Extreme, Predicate, Row, Select, Value};
use super::vocabulary::Keyword;

/// What a sub-select returns: whether there is a row, how many rows there are, or one end of a
/// column.
enum Item<'t> {
    Row,
    Count,
    Extreme(End, Vec<Token<'t>>),
}

impl<'t> Parser<'t> {
    /// `(SELECT 1 FROM ...)`, behind `EXISTS`.
    pub(crate) fn exists_select(&mut self) -> Result<Expression<'t>, Refusal> {
        self.tokens.expect(TokenKind::Open)?;
        if self.tokens.peek().kind == TokenKind::Open
            && let Some(select) = self.tokens.inner_select()
        {
            let what = "sub-select in more parentheses than one";
            let remedy = "write `EXISTS (SELECT 1 FROM tasks t WHERE ...)`";
            return Err(Refusal::new("sub-select", what, remedy, select.at));
        }
        let select = self.tokens.expect(TokenKind::Keyword(Keyword::Select))?;
        self.select(select.at, true)
    }

    /// A sub-select behind the `SELECT` at this position, with the parenthesis that closes it.
    pub(crate) fn select(
        &mut self,
        at: Position,
        is_exists: bool,
    ) -> Result<Expression<'t>, Refusal> {
        let first = self.item_start(at)?;
        let item = match is_exists {
            true if first.text == "1" => Item::Row,
            false if first.kind == TokenKind::Name => self.call(first)?,
            _ => return Err(select_list(first.at)),
        };
        let scope = self.enter(at, first.at)?;
        let column = match &item {
            Item::Extreme(_, path) => match self.scopes.cell(path, first.at)? {
                Cell { row, column } if row == Row::Sub(scope.number) => Some(column),
                _ => return Err(select_list(first.at)),
            },
            Item::Row | Item::Count => None,
        };
        let select = self.filtered(scope, at)?;
        let term = match (item, column) {
            (Item::Extreme(end, _), Some(column)) => {
                let extreme = Extreme {
                    end,
                    column,
                    select,
                };
                Term::Value(Value::Extreme(Box::new(extreme)))
            }
            (Item::Count, _) => Term::Count(select),
            _ => Term::Condition(Predicate::Exists(select)),
        };
        Ok(Expression { at, term })
    }

    /// The first token of the select list.
    fn item_start(&mut self, at: Position) -> Result<Token<'t>, Refusal> {
        let first = self.tokens.next();
        let starts_value = match first.kind {
            TokenKind::Name | TokenKind::Integer(_) | TokenKind::String | TokenKind::Open => true,
            TokenKind::Keyword(keyword) => matches!(
                keyword,
                Keyword::Null | Keyword::True | Keyword::False | Keyword::Not | Keyword::Exists
            ),
            _ => false,
        };
        match self.tokens.peek().kind {
            _ if !starts_value => Err(unexpected(first)),
            TokenKind::Keyword(Keyword::Where) | TokenKind::Close => Err(without_table(at)),
            _ => Ok(first),
        }
    }

    /// A call of `min`, `max` or `count`.
    fn call(&mut self, first: Token<'t>) -> Result<Item<'t>, Refusal> {
        let name = dotted(&self.tokens.path(first)?).to_ascii_lowercase();
        if self.tokens.peek().kind != TokenKind::Open {
            return Err(select_list(first.at));
        }
        self.tokens.next();
        let argument = self.tokens.next();
        let item = match name.as_str() {
            "count" if argument.kind == TokenKind::Star => Some(Item::Count),
            "count" => None,
            "min" | "max" if argument.kind != TokenKind::Name => None,
            "min" | "max" => {
                let end = if name == "min" { End::Min } else { End::Max };
                let path = self.tokens.path(argument)?;
                (path.len() > 1).then_some(Item::Extreme(end, path))
            }
            other => {
                let what = format!("the function {} is not in the language", echo(other));
                let remedy = "write `min(alias.column)`, `max(alias.column)` or `count(*)`";
                return Err(Refusal::new("function", what, remedy, first.at));
            }
        };
        match item {
            Some(item) if self.tokens.peek().kind != TokenKind::Comma => {
                self.tokens.expect(TokenKind::Close)?;
                Ok(item)
            }
            _ if name == "count" => {
                let what = "`count` of something other than `*`";
                let remedy = "write `count(*)`, which counts the rows that pass the `WHERE`";
                Err(Refusal::new("count", what, remedy, first.at))
            }
            _ => Err(select_list(first.at)),
        }
    }

    /// Reads `FROM tasks t WHERE`, and brings the row into scope.
    fn enter(&mut self, at: Position, item: Position) -> Result<Scope, Refusal> {
        match self.tokens.peek().kind {
            TokenKind::Keyword(Keyword::From) => self.tokens.next(),
            TokenKind::Keyword(Keyword::Where) | TokenKind::Close => {
                return Err(without_table(at));
            }
            TokenKind::Keyword(Keyword::As) | TokenKind::Comma | TokenKind::Name => {
                return Err(select_list(at));
            }
            _ => return Err(select_list(item)),
        };
        let (table, alias) = self.table(at)?;
        match self.tokens.peek().kind {
            TokenKind::Comma => {
                let what = "sub-select over several tables";
                let remedy = "write one table per sub-select and nest a second `EXISTS`";
                return Err(Refusal::new("join", what, remedy, at));
            }
            TokenKind::Close => return Err(untied("add `WHERE alias.repo = jobs.repo`", at)),
            _ => self.tokens.expect(TokenKind::Keyword(Keyword::Where))?,
        };
        self.scopes.enter(table, alias)
    }

    fn table(&mut self, at: Position) -> Result<(Token<'t>, Option<Token<'t>>), Refusal> {
        let not_a_table = || {
            let what = "sub-select from something other than a table";
            Refusal::new("table", what, "write `FROM tasks t`", at)
        };
        if self.tokens.peek().kind == TokenKind::Open && self.tokens.inner_select().is_some() {
            return Err(not_a_table());
        }
        let table = self.tokens.expect(TokenKind::Name)?;
        let path = self.tokens.path(table)?;
        if self.tokens.peek().kind == TokenKind::Open {
            return Err(not_a_table());
        }
        if path.len() > 1 {
            let (what, remedy) = ("table name with a schema", "write the table's name alone");
            return Err(Refusal::new("schema", what, remedy, at));
        }
        let alias = match self.tokens.take(Keyword::As) {
            Some(_) => Some(self.tokens.word()?),
            None if self.tokens.peek().kind == TokenKind::Name => Some(self.tokens.next()),
            None => None,
        };
        if alias.is_some() && self.tokens.peek().kind == TokenKind::Open {
            let (what, remedy) = (
                "alias with a list of columns",
                "write a plain alias, as in `tasks t`",
            );
            return Err(Refusal::new("alias", what, remedy, at));
        }
        Ok((table, alias))
    }

    /// Reads the filter and the parenthesis behind it, where the scope ends, and checks the tie.
    fn filtered(&mut self, scope: Scope, at: Position) -> Result<Select, Refusal> {
        let filter = Box::new(self.predicate()?);
        self.tokens.expect(TokenKind::Close)?;
        self.scopes.leave();
        let select = Select {
            number: scope.number,
            table: scope.table,
            filter,
        };
        if select.is_tied() {
            return Ok(select);
        }
        let name = shorten(&scope.name);
        let remedy = format!("add `AND {name}.repo = jobs.repo` to its `WHERE`");
        Err(untied(&remedy, at))
    }
}

fn select_list(at: Position) -> Refusal {
    let what = "select list other than `1`, `min`, `max` or `count(*)`";
    let remedy = "write `EXISTS (SELECT 1 FROM ...)`, `(SELECT min(alias.column) FROM ...)` or \
                  `(SELECT count(*) FROM ...) >= 3`";
    Refusal::new("select-list", what, remedy, at)
}

fn without_table(at: Position) -> Refusal {
    let (what, remedy) = (
        "sub-select without a table",
        "write `FROM tasks t WHERE ...`",
    );
    Refusal::new("table", what, remedy, at)
}

fn untied(remedy: &str, at: Position) -> Refusal {
    let what = "sub-select that is not tied to the job";
    Refusal::new("untied-sub-select", what, remedy, at)
}
