//! A clause as `sqlparser` reads it, by its own tokens and its own grammar, as a tree of ours.
//!
//! It knows the constructs of the language and the names of the contract. It knows no type, no tie
//! and no limit, so it maps more than ours accepts.

use serial_gate_clause::tree::{
    Cell, Comparison, End, Extreme, Literal, Predicate, Row, Select, Value,
};
use serial_gate_clause::{Column, Table};
use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, InTarget,
    ObjectNamePart, Query, SelectItem, SetExpr, TableFactor, UnaryOperator, Value as Constant,
};
use sqlparser::dialect::AnsiDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

/// Why a text has no tree.
#[derive(Debug, PartialEq)]
pub enum Unmapped {
    /// `sqlparser` does not accept it.
    Syntax,
    /// It has another construct than those of the language.
    Outside,
}

use Unmapped::Outside;

/// The tree of a text; `None` if there is nothing in it.
pub fn read_by_sqlparser(text: &str) -> Result<Option<Predicate>, Unmapped> {
    let syntax = |_| Unmapped::Syntax;
    let parser = Parser::new(&AnsiDialect {}).with_recursion_limit(2_000);
    let mut parser = parser.try_with_sql(text).map_err(syntax)?;
    if parser.peek_token_ref().token == Token::EOF {
        return Ok(None);
    }
    let _has_and = parser.parse_keyword(Keyword::AND);
    let expression = parser.parse_expr().map_err(syntax)?;
    if parser.peek_token_ref().token != Token::EOF {
        return Err(Unmapped::Syntax);
    }
    Mapping::default().predicate(&expression).map(Some)
}

/// The rows in scope: names, numbers and tables.
#[derive(Default)]
struct Mapping {
    open: Vec<(String, usize, Table)>,
    selects: usize,
}

/// What a sub-select is for.
enum Item {
    Row,
    Count,
    Extreme(End, Cell),
}

enum Operand {
    Value(Value),
    Count(Select),
}

impl Mapping {
    fn predicate(&mut self, expression: &Expr) -> Result<Predicate, Unmapped> {
        match expression {
            Expr::Nested(inner) => self.predicate(inner),
            Expr::Value(constant) => match constant.value {
                Constant::Boolean(constant) => Ok(Predicate::Constant(constant)),
                _ => Err(Outside),
            },
            Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr,
            } => Ok(Predicate::Not(Box::new(self.predicate(expr)?))),
            Expr::BinaryOp {
                left,
                op: BinaryOperator::And,
                right,
            } => {
                let terms = [self.predicate(left)?, self.predicate(right)?].into_iter();
                let terms = terms.flat_map(|term| match term {
                    Predicate::All(terms) => terms,
                    other => vec![other],
                });
                Ok(Predicate::All(terms.collect()))
            }
            Expr::BinaryOp {
                left,
                op: BinaryOperator::Or,
                right,
            } => {
                let terms = [self.predicate(left)?, self.predicate(right)?].into_iter();
                let terms = terms.flat_map(|term| match term {
                    Predicate::Any(terms) => terms,
                    other => vec![other],
                });
                Ok(Predicate::Any(terms.collect()))
            }
            Expr::BinaryOp { left, op, right } => self.compare(left, comparison(op)?, right),
            Expr::IsNull(value) => Ok(Predicate::IsNull {
                value: self.value(value)?,
                negated: false,
            }),
            Expr::IsNotNull(value) => Ok(Predicate::IsNull {
                value: self.value(value)?,
                negated: true,
            }),
            Expr::Between {
                expr,
                negated,
                low,
                high,
            } => Ok(Predicate::Between {
                value: self.value(expr)?,
                low: self.value(low)?,
                high: self.value(high)?,
                negated: *negated,
            }),
            Expr::In {
                expr,
                target: InTarget::List(items),
                negated,
                global: false,
            } => {
                let value = self.value(expr)?;
                let items = items.iter().map(|item| match self.value(item)? {
                    Value::Literal(literal) => Ok(literal),
                    _ => Err(Outside),
                });
                Ok(Predicate::InList {
                    value,
                    items: items.collect::<Result<_, _>>()?,
                    negated: *negated,
                })
            }
            Expr::Exists { subquery, negated } => {
                let (Item::Row, select) = self.select(subquery)? else {
                    return Err(Outside);
                };
                let exists = Predicate::Exists(select);
                Ok(match negated {
                    true => Predicate::Not(Box::new(exists)),
                    false => exists,
                })
            }
            _ => Err(Outside),
        }
    }

    fn compare(
        &mut self,
        left: &Expr,
        comparison: Comparison,
        right: &Expr,
    ) -> Result<Predicate, Unmapped> {
        match self.operand(left)? {
            Operand::Count(select) => {
                let Value::Literal(Literal::Integer(number @ 0..=1_000)) = self.value(right)?
                else {
                    return Err(Outside);
                };
                Ok(Predicate::Count {
                    select,
                    comparison,
                    number: number.try_into().unwrap(),
                })
            }
            Operand::Value(left) => Ok(Predicate::Compare {
                left,
                comparison,
                right: self.value(right)?,
            }),
        }
    }

    fn value(&mut self, expression: &Expr) -> Result<Value, Unmapped> {
        match self.operand(expression)? {
            Operand::Value(value) => Ok(value),
            Operand::Count(_) => Err(Outside),
        }
    }

    fn operand(&mut self, expression: &Expr) -> Result<Operand, Unmapped> {
        let literal = |literal| Ok(Operand::Value(Value::Literal(literal)));
        match expression {
            Expr::Nested(inner) => self.operand(inner),
            Expr::CompoundIdentifier(path) => Ok(Operand::Value(Value::Cell(self.cell(path)?))),
            Expr::Value(constant) => match &constant.value {
                Constant::Null => literal(Literal::Null),
                Constant::SingleQuotedString(text) => literal(Literal::Text(text.clone())),
                Constant::Number(digits, false) => literal(integer(digits, "")?),
                _ => Err(Outside),
            },
            Expr::UnaryOp {
                op: UnaryOperator::Minus,
                expr,
            } => match &**expr {
                Expr::Value(constant) => match &constant.value {
                    Constant::Number(digits, false) => literal(integer(digits, "-")?),
                    _ => Err(Outside),
                },
                _ => Err(Outside),
            },
            Expr::Subquery(query) => match self.select(query)? {
                (Item::Count, select) => Ok(Operand::Count(select)),
                (Item::Extreme(end, cell), select) if cell.row == Row::Sub(select.number) => {
                    let column = cell.column;
                    Ok(Operand::Value(Value::Extreme(Box::new(Extreme {
                        end,
                        column,
                        select,
                    }))))
                }
                _ => Err(Outside),
            },
            _ => Err(Outside),
        }
    }

    /// The structs of `sqlparser` have many fields more; the text of a query without them is short.
    fn select(&mut self, query: &Query) -> Result<(Item, Select), Unmapped> {
        let SetExpr::Select(select) = &*query.body else {
            return Err(Outside);
        };
        let ([SelectItem::UnnamedExpr(item)], [from], Some(filter)) = (
            select.projection.as_slice(),
            select.from.as_slice(),
            &select.selection,
        ) else {
            return Err(Outside);
        };
        let plain = format!("SELECT {item} FROM {from} WHERE {filter}");
        if !from.joins.is_empty() || query.to_string() != plain {
            return Err(Outside);
        }
        let (name, table) = table(&from.relation)?;
        self.selects += 1;
        let number = self.selects;
        self.open.push((name, number, table));
        let item = self.item(item)?;
        let filter = Box::new(self.predicate(filter)?);
        self.open.pop();
        let select = Select {
            number,
            table,
            filter,
        };
        Ok((item, select))
    }

    fn item(&self, item: &Expr) -> Result<Item, Unmapped> {
        let function = match item {
            Expr::Value(constant) => match &constant.value {
                Constant::Number(digits, false) if digits == "1" => return Ok(Item::Row),
                _ => return Err(Outside),
            },
            Expr::Function(function) => function,
            _ => return Err(Outside),
        };
        let FunctionArguments::List(arguments) = &function.args else {
            return Err(Outside);
        };
        let [FunctionArg::Unnamed(argument)] = arguments.args.as_slice() else {
            return Err(Outside);
        };
        let name = function.name.to_string();
        if function.to_string() != format!("{name}({argument})") {
            return Err(Outside);
        }
        match (name.to_ascii_lowercase().as_str(), argument) {
            ("count", FunctionArgExpr::Wildcard) => Ok(Item::Count),
            ("min", FunctionArgExpr::Expr(Expr::CompoundIdentifier(path))) => {
                Ok(Item::Extreme(End::Min, self.cell(path)?))
            }
            ("max", FunctionArgExpr::Expr(Expr::CompoundIdentifier(path))) => {
                Ok(Item::Extreme(End::Max, self.cell(path)?))
            }
            _ => Err(Outside),
        }
    }

    fn cell(&self, path: &[Ident]) -> Result<Cell, Unmapped> {
        let [row, column] = path else {
            return Err(Outside);
        };
        let (row, column) = (plain(row)?, plain(column)?);
        let mut open = self.open.iter().rev();
        let (row, table) = match open.find(|(name, ..)| *name == row) {
            Some((_, number, table)) => (Row::Sub(*number), *table),
            None if row == "jobs" => (Row::Job, Table::Jobs),
            None => return Err(Outside),
        };
        let mut columns = table.columns().iter().copied();
        let column = columns.find(|own: &Column| own.name() == column);
        let column = column.ok_or(Outside)?;
        Ok(Cell { row, column })
    }
}

/// The name and the table of a sub-select's row.
fn table(relation: &TableFactor) -> Result<(String, Table), Unmapped> {
    let TableFactor::Table { name, alias, .. } = relation else {
        return Err(Outside);
    };
    let [ObjectNamePart::Identifier(table)] = name.0.as_slice() else {
        return Err(Outside);
    };
    let table_name = plain(table)?;
    let name = match alias {
        None => table_name.clone(),
        Some(alias) => plain(&alias.name)?,
    };
    let bare = match alias {
        None => table.to_string(),
        Some(alias) if alias.explicit => format!("{table} AS {}", alias.name),
        Some(alias) => format!("{table} {}", alias.name),
    };
    let mut tables = Table::ALL.into_iter();
    let found = tables.find(|known| known.name() == table_name);
    match found {
        Some(table) if relation.to_string() == bare => Ok((name, table)),
        _ => Err(Outside),
    }
}

fn plain(name: &Ident) -> Result<String, Unmapped> {
    match name.quote_style {
        None => Ok(name.value.to_ascii_lowercase()),
        Some(_) => Err(Outside),
    }
}

fn integer(digits: &str, sign: &str) -> Result<Literal, Unmapped> {
    let integer = format!("{sign}{digits}").parse();
    integer.map(Literal::Integer).map_err(|_| Outside)
}

fn comparison(operator: &BinaryOperator) -> Result<Comparison, Unmapped> {
    match operator {
        BinaryOperator::Eq => Ok(Comparison::Equal),
        BinaryOperator::NotEq => Ok(Comparison::NotEqual),
        BinaryOperator::Lt => Ok(Comparison::Less),
        BinaryOperator::LtEq => Ok(Comparison::LessOrEqual),
        BinaryOperator::Gt => Ok(Comparison::Greater),
        BinaryOperator::GtEq => Ok(Comparison::GreaterOrEqual),
        _ => Err(Outside),
    }
}
