//! Random clauses of the whole language, printed with random parentheses and letters, and random
//! garbage.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serial_gate::clause::{Clause, Dialect};

use crate::clause::states::{Sqlite, postgres, postgres_differences, raw};

type Text = BoxedStrategy<String>;

/// The columns in scope by type, from the outer row inward.
#[derive(Clone)]
struct Scope {
    integers: Vec<String>,
    texts: Vec<String>,
    depth: usize,
}

impl Scope {
    fn job() -> Scope {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Scope {
            integers: names(&["jobs.id", "jobs.task_id", "JOBS.Id"]),
            texts: names(&["jobs.repo", "jobs.agent", "jobs.status"]),
            depth: 0,
        }
    }

    fn inside(&self, alias: &str, integers: &[&str], texts: &[&str]) -> Scope {
        let mut scope = self.clone();
        scope
            .integers
            .extend(integers.iter().map(|name| format!("{alias}.{name}")));
        scope
            .texts
            .extend(texts.iter().map(|name| format!("{alias}.{name}")));
        scope.depth += 1;
        scope
    }
}

fn one_of(texts: &[&str]) -> Text {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    prop::sample::select(texts).boxed()
}

fn literal(is_integer: bool) -> Text {
    if is_integer {
        one_of(&[
            "NULL",
            "0",
            "1",
            "2",
            "3",
            "-1",
            "4",
            "-9223372036854775808",
            "9223372036854775807",
            "null",
        ])
    } else {
        one_of(&[
            "NULL",
            "''",
            "'a'",
            "'A'",
            "'B'",
            "'done'",
            "'analyst'",
            "'it''s'",
            "'x\\'",
            "'queued'",
            "'hotfix'",
        ])
    }
}

fn value(scope: &Scope, is_integer: bool) -> Text {
    let columns = if is_integer {
        &scope.integers
    } else {
        &scope.texts
    };
    let plain = prop_oneof![
        4 => prop::sample::select(columns.clone()),
        2 => literal(is_integer),
    ];
    let value = if scope.depth < 2 {
        prop_oneof![8 => plain, 1 => extreme(scope, is_integer)].boxed()
    } else {
        plain.boxed()
    };
    (value, prop::bool::weighted(0.1))
        .prop_map(|(value, parens)| if parens { format!("({value})") } else { value })
        .boxed()
}

/// A sub-select from its table to its `WHERE`: head text, scope inside, and ties to choose from.
fn source(scope: &Scope) -> Vec<(String, String, Scope, Vec<String>)> {
    let alias = format!("s{}", scope.depth);
    let source = |from: String, name: &str, integers: &[&str], texts: &[&str], ties: &[&str]| {
        let ties = ties.iter().map(|tie| tie.replace('$', name)).collect();
        (
            from,
            name.to_owned(),
            scope.inside(name, integers, texts),
            ties,
        )
    };
    let task_ties = [
        "$.repo = jobs.repo",
        "jobs.repo = $.repo",
        "($.id = jobs.task_id)",
        "jobs.agent = $.repo",
    ];
    let job_ties = [
        "$.repo = jobs.repo",
        "jobs.task_id = $.task_id",
        "$.id = jobs.id",
    ];
    let mut sources = vec![
        source(
            format!("tasks {alias}"),
            &alias,
            &["id"],
            &["repo", "stage", "work_item_id", "gate_label"],
            &task_ties,
        ),
        source(
            format!("jobs AS {alias}"),
            &alias,
            &["id", "task_id"],
            &["repo", "agent", "status"],
            &job_ties,
        ),
        source(
            format!("repo_freeze {alias}"),
            &alias,
            &["id"],
            &["repo", "cleared_at", "reason"],
            &["$.repo = jobs.repo"],
        ),
    ];
    if scope.depth == 0 {
        sources.push(source(
            "Tasks".to_owned(),
            "tasks",
            &["id"],
            &["repo", "stage", "gate_label"],
            &task_ties,
        ));
    }
    sources
}

fn filter(scope: &Scope, ties: Vec<String>) -> Text {
    (
        prop::sample::select(ties),
        prop::option::of(predicate(scope, 1)),
        any::<bool>(),
    )
        .prop_map(|(tie, rest, tie_first)| match rest {
            None => tie,
            Some(rest) if tie_first => format!("{tie} AND ({rest})"),
            Some(rest) => format!("(({rest}) AND {tie})"),
        })
        .boxed()
}

fn extreme(scope: &Scope, is_integer: bool) -> Text {
    let selects = source(scope).into_iter().map(|(from, name, inside, ties)| {
        let column = if is_integer { "id" } else { "repo" };
        (one_of(&["min", "max", "MIN"]), filter(&inside, ties)).prop_map(move |(end, filter)| {
            format!("(SELECT {end}({name}.{column}) FROM {from} WHERE {filter})")
        })
    });
    prop::strategy::Union::new(selects.map(Strategy::boxed)).boxed()
}

fn exists(scope: &Scope) -> Text {
    let selects = source(scope).into_iter().map(|(from, _, inside, ties)| {
        (one_of(&["", "NOT ", "not "]), filter(&inside, ties)).prop_map(move |(not, filter)| {
            format!("{not}EXISTS (SELECT 1 FROM {from} WHERE {filter})")
        })
    });
    prop::strategy::Union::new(selects.map(Strategy::boxed)).boxed()
}

fn count(scope: &Scope) -> Text {
    let selects = source(scope).into_iter().map(|(from, _, inside, ties)| {
        let call = one_of(&["count(*)", "COUNT(*)", "count ( * )"]);
        let operator = one_of(&["=", "<>", "!=", "<", "<=", ">", ">="]);
        // Few rows are there to be counted.
        let number = one_of(&["0", "1", "1", "2", "2", "3", "(4)", "1000"]);
        (call, filter(&inside, ties), operator, number, any::<bool>()).prop_map(
            move |(call, filter, operator, number, parens)| {
                let count = format!("(SELECT {call} FROM {from} WHERE {filter})");
                let count = if parens { format!("({count})") } else { count };
                format!("{count} {operator} {number}")
            },
        )
    });
    prop::strategy::Union::new(selects.map(Strategy::boxed)).boxed()
}

fn comparison(scope: &Scope, is_integer: bool) -> Text {
    let value = || value(scope, is_integer);
    let not = || one_of(&["", "NOT ", " not "]);
    let operator = one_of(&["=", "<>", "!=", "<", "<=", ">", ">="]);
    let list = prop::collection::vec(literal(is_integer), 1..4);
    prop_oneof![
        4 => (value(), operator, value()).prop_map(|(left, operator, right)| format!("{left} {operator} {right}")),
        2 => (value(), not(), list).prop_map(|(value, not, list)| format!("{value} {not}IN ({})", list.join(", "))),
        2 => (value(), not(), value(), value()).prop_map(|(value, not, low, high)| format!("{value} {not}BETWEEN {low} AND {high}")),
        2 => (value(), not()).prop_map(|(value, not)| format!("{value} IS {not}NULL")),
    ]
    .boxed()
}

/// Operators are joined without parentheses most of the time: precedence is what is tested.
fn predicate(scope: &Scope, size: u32) -> Text {
    let mut leaf = prop_oneof![
        5 => comparison(scope, true),
        5 => comparison(scope, false),
        1 => one_of(&["TRUE", "FALSE"]),
    ]
    .boxed();
    if scope.depth < 2 {
        leaf = prop_oneof![6 => leaf, 2 => exists(scope), 2 => count(scope)].boxed();
    }
    leaf.prop_recursive(size, 12, 3, |inner| {
        prop_oneof![
            3 => (inner.clone(), one_of(&["AND", "OR", "and", "Or"]), inner.clone())
                .prop_map(|(left, operator, right)| format!("{left} {operator} {right}")),
            2 => inner.clone().prop_map(|inner| format!("NOT {inner}")),
            2 => inner.prop_map(|inner| format!("({inner})")),
        ]
    })
    .boxed()
}

/// Random clauses of the whole language.
pub fn clauses() -> Text {
    predicate(&Scope::job(), 3)
}

/// A clause, unless it is longer than one may be.
pub fn accepted(text: &str) -> Result<Option<Clause>, TestCaseError> {
    match Clause::accept(text) {
        Ok(clause) => Ok(Some(clause)),
        Err(refusal)
            if ["too-many-sub-selects", "too-many-operators"].contains(&refusal.construct()) =>
        {
            Ok(None)
        }
        Err(refusal) => Err(TestCaseError::fail(refusal.to_string())),
    }
}

/// The counts of a printed clause, as a policy writes them. No literal of a tree looks like one.
fn unlimited(rendered: &str) -> String {
    let counts = rendered.replace("count(*) FROM (SELECT 1 FROM", "count(*) FROM");
    let mut parts = counts.split(" LIMIT ");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        // `3) AS c1)`: the second parenthesis is the policy's.
        let (end, _) = part.match_indices(')').nth(1).unwrap();
        text.push_str(&part[end..]);
    }
    text
}

#[test]
fn a_random_tree_means_the_same_raw_and_rendered() {
    let cases = std::env::var("SERIAL_GATE_TREES")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(2_000);
    let sqlite = Sqlite::new();
    let for_postgres = RefCell::new(Vec::new());
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&clauses(), |text| {
        let Some(clause) = accepted(&text)? else {
            return Ok(());
        };
        let rendered = clause.render(Dialect::Sqlite);
        let original = sqlite
            .verdicts(&raw(&text))
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        let verdicts = sqlite
            .verdicts(rendered.as_str())
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(&original, &verdicts, "{}", rendered);
        // Our own text is of the language too, but for its quotes and the limits of its counts.
        let again = Clause::accept(&unlimited(&rendered.as_str().replace('"', "")));
        let again = again.map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
        prop_assert_eq!(again.render(Dialect::Sqlite), rendered);
        for_postgres
            .borrow_mut()
            .push((clause.render(Dialect::Postgres).to_string(), verdicts));
        Ok(())
    });
    outcome.unwrap();
    let for_postgres = for_postgres.into_inner();
    let rows: usize = for_postgres
        .iter()
        .flat_map(|(_, verdicts)| verdicts)
        .map(String::len)
        .sum();
    println!(
        "sqlite: {} trees, {rows} rows compared, 0 differences",
        for_postgres.len()
    );
    if let Some(conninfo) = postgres() {
        let differences = postgres_differences(&conninfo, "trees", &for_postgres);
        println!(
            "postgres: {} trees, {rows} rows compared, {} differences",
            for_postgres.len(),
            differences.len()
        );
        assert!(
            differences.is_empty(),
            "{}",
            differences
                .iter()
                .take(10)
                .cloned()
                .collect::<Vec<_>>()
                .join("\n")
        );
    }
}

proptest! {
    #![proptest_config(Config { cases: 4_000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = Clause::accept(&text);
    }

    #[test]
    fn no_text_of_the_language_s_characters_panics(text in "[a-z.,()'<>=!0-9 \n\\-]{0,80}") {
        let _ = Clause::accept(&text);
    }

    #[test]
    fn no_order_of_the_language_s_words_panics(
        words in prop::collection::vec(prop::sample::select(vec![
            "AND", "OR", "NOT", "IN", "BETWEEN", "IS", "NULL", "TRUE", "EXISTS", "SELECT", "FROM", "WHERE", "AS", "min", "count", "*", "jobs",
            "tasks", "t", "jobs.id", "t.repo", "jobs.repo", "=", "<", "(", ")", ",", ".", "1", "-1", "'a'",
        ]), 0..40)
    ) {
        let _ = Clause::accept(&words.join(" "));
    }

    #[test]
    fn a_string_is_one_literal_whatever_it_holds(text in "[ -~]{0,40}") {
        let clause = Clause::accept(&format!("jobs.repo = '{}'", text.replace('\'', "''"))).unwrap();
        let rendered = clause.render(Dialect::Sqlite);
        let sqlite = rusqlite::Connection::open_in_memory().unwrap();
        sqlite.execute_batch("CREATE TABLE jobs (repo TEXT)").unwrap();
        sqlite.execute("INSERT INTO jobs VALUES (?1)", [&text]).unwrap();
        let same: bool = sqlite.query_row(&format!("SELECT {rendered} FROM jobs"), [], |row| row.get(0)).unwrap();
        prop_assert!(same);
    }
}
