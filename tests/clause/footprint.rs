//! Which rows can matter to a clause, and that a snapshot of these is enough.

use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rusqlite::Connection;
use serial_gate::clause::{Clause, Dialect, Footprint, Rendered, Table};
use serial_gate::gate::default_settings;
use serial_gate::model::Snapshot;
use serial_gate::queue::Queue;
use serial_gate::store::{Actor, Store};

use crate::clause::states::fill;
use crate::clause::trees::{accepted, clauses};
use crate::support::random::Rng;

/// One line for each source of rows: the table, the job's columns, and the condition.
fn footprint(text: &str) -> String {
    lines(&Clause::accept(text).unwrap().footprint())
}

fn lines(footprint: &Footprint) -> String {
    let of_table = |table: Table| {
        let sources = footprint.sources(table, Dialect::Sqlite).into_iter();
        sources.map(move |source| {
            let (columns, condition) = (source.job_columns.join(", "), source.condition);
            format!("{} by {columns}: {condition}\n", table.name())
        })
    };
    Table::ALL.into_iter().flat_map(of_table).collect()
}

#[test]
fn what_a_filter_demands_of_its_own_row_limits_the_rows_that_can_matter() {
    let default = "AND NOT ( jobs.agent = 'analyst' AND (
        EXISTS (SELECT 1 FROM tasks t2 WHERE t2.repo = jobs.repo AND t2.id < jobs.task_id AND t2.stage != 'done')
        OR EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo AND f.cleared_at IS NULL) ) )";
    insta::assert_snapshot!(footprint(default), @r#"
    tasks by repo: (("g1"."repo" = "jobs"."repo") AND ("g1"."stage" <> 'done'))
    repo_freeze by repo: (("g2"."repo" = "jobs"."repo") AND ("g2"."cleared_at" IS NULL))
    "#);
    insta::assert_snapshot!(footprint(
        "(SELECT count(*) FROM tasks t WHERE t.repo = jobs.repo AND t.id = jobs.task_id AND (t.stage = 'a' OR t.id > 7)) < 3
        AND jobs.task_id <= (SELECT min(j.task_id) FROM jobs j WHERE jobs.repo = j.repo AND NOT j.status = 'done')"
    ), @r#"
    tasks by repo, task_id: (("g1"."repo" = "jobs"."repo") AND ("g1"."id" = "jobs"."task_id") AND (("g1"."stage" = 'a') OR ("g1"."id" > 7)))
    jobs by repo: (("jobs"."repo" = "g2"."repo") AND (NOT ("g2"."status" = 'done')))
    "#);
}

#[test]
fn what_depends_on_another_row_or_is_under_an_or_limits_nothing() {
    insta::assert_snapshot!(footprint(
        "EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo
            AND (t.stage = 'a' OR jobs.agent = 'x') AND t.stage <> jobs.status AND NOT (t.id = jobs.task_id)
            AND t.id < (SELECT max(u.id) FROM tasks u WHERE u.id = jobs.task_id AND u.stage = t.stage AND u.id > 0))"
    ), @r#"
    tasks by repo: (("g1"."repo" = "jobs"."repo"))
    tasks by task_id: (("g2"."id" = "jobs"."task_id") AND ("g2"."id" > 0))
    "#);
}

#[test]
fn any_clause_can_be_tied_by_an_indexed_column_to_a_job_s_of_its_type() {
    insta::assert_snapshot!(lines(&Footprint::of_every_clause()), @r#"
    tasks by id: ("g1"."id" = "jobs"."id")
    tasks by task_id: ("g1"."id" = "jobs"."task_id")
    tasks by repo: ("g1"."repo" = "jobs"."repo")
    tasks by agent: ("g1"."repo" = "jobs"."agent")
    tasks by status: ("g1"."repo" = "jobs"."status")
    jobs by id: ("g1"."id" = "jobs"."id")
    jobs by task_id: ("g1"."id" = "jobs"."task_id")
    jobs by id: ("g1"."task_id" = "jobs"."id")
    jobs by task_id: ("g1"."task_id" = "jobs"."task_id")
    jobs by repo: ("g1"."repo" = "jobs"."repo")
    jobs by agent: ("g1"."repo" = "jobs"."agent")
    jobs by status: ("g1"."repo" = "jobs"."status")
    repo_freeze by id: ("g1"."id" = "jobs"."id")
    repo_freeze by task_id: ("g1"."id" = "jobs"."task_id")
    repo_freeze by repo: ("g1"."repo" = "jobs"."repo")
    repo_freeze by agent: ("g1"."repo" = "jobs"."agent")
    repo_freeze by status: ("g1"."repo" = "jobs"."status")
    "#);
}

#[test]
fn a_clause_is_told_apart_from_another_and_counted_once() {
    let of = |text: &str| Clause::accept(text).unwrap().footprint();
    let frozen = "NOT EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo)";
    let mut both = of(frozen);
    both.extend(of(frozen));
    assert_eq!(both, of(frozen));
    both.extend(of(
        "NOT EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo)",
    ));
    assert_eq!(both.sources(Table::Tasks, Dialect::Sqlite).len(), 1);
    assert_eq!(of("jobs.agent = 'x'"), Footprint::default());
}

/// A prepared queue with a random state.
struct State {
    store: Store,
    sqlite: Connection,
}

impl State {
    fn new(path: &Path, rng: &mut Rng) -> State {
        let sqlite = Connection::open(path).unwrap();
        fill(&sqlite, rng);
        let actor = Actor {
            now: jiff::Timestamp::UNIX_EPOCH,
            who: "",
            why: "",
        };
        Queue::init(path, &default_settings(), actor).unwrap();
        State {
            store: Store::open(path).unwrap(),
            sqlite,
        }
    }

    /// The verdicts on the queued jobs, with all rows and with those of the snapshot only, and how
    /// many rows that are less.
    fn verdicts(&mut self, clause: &Clause) -> ([Vec<Verdict>; 2], usize) {
        let rendered = clause.render(Dialect::Sqlite);
        let seen = self.store.snapshot(&clause.footprint(), None).unwrap();
        let transaction = self.sqlite.transaction().unwrap();
        let with_all = verdicts(&transaction, &rendered);
        let deleted = delete_the_others(&transaction, &seen);
        let with_seen = verdicts(&transaction, &rendered);
        ([with_all, with_seen], deleted)
    }
}

/// A job's id and the clause's truth value.
type Verdict = (i64, Option<bool>);

fn verdicts(connection: &Connection, clause: &Rendered) -> Vec<Verdict> {
    let sql = format!("SELECT id, {clause} FROM jobs WHERE status = 'queued' ORDER BY id");
    let mut query = connection.prepare(&sql).unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

fn delete_the_others(connection: &Connection, seen: &Snapshot) -> usize {
    let tables = [
        ("tasks", &seen.tasks.id),
        ("jobs", &seen.jobs.id),
        ("repo_freeze", &seen.freezes.id),
    ];
    let delete = |(table, ids): &(&str, &Vec<i64>)| {
        assert!(ids.is_sorted_by(|one, next| one < next), "{table}: {ids:?}");
        let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
        let sql = format!("DELETE FROM {table} WHERE id NOT IN ({})", ids.join(", "));
        connection.execute(&sql, []).unwrap()
    };
    tables.iter().map(delete).sum()
}

const STATES: usize = 8;

#[test]
fn rows_outside_the_footprint_make_no_difference_to_any_clause() {
    let cases = std::env::var("SERIAL_GATE_FOOTPRINT")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(2_000);
    let folder = tempfile::tempdir().unwrap();
    let mut rng = Rng::new(0xfa2);
    let states = (0..STATES).map(|number| {
        let path = folder.path().join(format!("{number}.db"));
        State::new(&path, &mut rng)
    });
    let states = std::cell::RefCell::new(states.collect::<Vec<_>>());
    let (compared, deleted) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&clauses(), |text| {
        let Some(clause) = accepted(&text)? else {
            return Ok(());
        };
        for state in states.borrow_mut().iter_mut() {
            let ([with_all, with_seen], less) = state.verdicts(&clause);
            prop_assert_eq!(&with_all, &with_seen, "{}", lines(&clause.footprint()));
            compared.set(compared.get() + with_all.len());
            deleted.set(deleted.get() + less);
        }
        Ok(())
    });
    outcome.unwrap();
    let (compared, deleted) = (compared.get(), deleted.get());
    println!("{compared} verdicts compared, {deleted} rows outside the footprint, 0 differences");
    assert!(deleted > 0, "no row was ever outside the footprint");
}
