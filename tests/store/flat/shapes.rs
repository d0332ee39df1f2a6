//! Random clauses with a proven shape × random states: a claim by candidates takes the job that a
//! plain scan takes.

use serial_gate::clause::Clause;

use super::operations::{some_agents, write};
use super::{Rule, other_program};
use crate::support::Gate;
use crate::support::engine::{Engine, Program};
use crate::support::random::Rng;

/// For which truth value of the condition, and on which side of a place, the whole clause needs it
/// to be closed. What goes by the place is mostly chosen so; that is what makes many clauses that
/// have a shape and go by the order of tasks.
#[derive(Clone, Copy)]
struct Aim {
    truth: bool,
    after: bool,
}

/// A condition of the language, mostly of the kind that rules are made of. `rows` are the rows in
/// scope besides the job.
fn condition(rng: &mut Rng, rows: &[Row], aim: Aim, size: usize) -> String {
    let not = Aim {
        truth: !aim.truth,
        ..aim
    };
    let inner = |rng: &mut Rng| condition(rng, rows, aim, size - 1);
    let subselect = if rows.len() == 2 { 0 } else { 6 };
    match rng.below(if size == 0 { 9 } else { 15 + subselect }) {
        0 => of_texts(
            rng,
            "jobs.agent",
            &["'analyst'", "'developer'", "'a'", "'B'", "NULL"],
        ),
        1 => of_texts(rng, "jobs.repo", &["'a'", "'b'", "'A'", "''", "NULL"]),
        2 if rows.is_empty() => of_extreme(rng, aim),
        2..=4 => of_place(rng, rows, aim),
        5 if rng.below(3) == 0 => (*rng.pick(&["TRUE", "FALSE", "jobs.status = 'queued'"])).into(),
        5..=8 => of_rows(rng, rows),
        9..=10 => format!("NOT ({})", condition(rng, rows, not, size - 1)),
        11..=12 => format!("({} AND {})", inner(rng), inner(rng)),
        13..=14 => format!("({} OR {})", inner(rng), inner(rng)),
        15..=18 => format!(
            "EXISTS (SELECT 1 {})",
            select(rng, rows, aim.truth == aim.after, size - 1)
        ),
        _ => {
            let operator = *rng.pick(&["<", "<=", "<", "<=", ">", ">=", "=", "<>"]);
            let is_of_many = operator.starts_with('>');
            let after = (is_of_many == aim.truth) == aim.after;
            format!(
                "(SELECT count(*) {}) {operator} {}",
                select(rng, rows, after, size - 1),
                rng.below(4)
            )
        }
    }
}

#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    table: &'static str,
}

const TABLES: [&str; 4] = ["tasks", "tasks", "jobs", "repo_freeze"];

fn select(rng: &mut Rng, rows: &[Row], after: bool, size: usize) -> String {
    let name = ["g", "h", "i"][rows.len()];
    let row = Row {
        name,
        table: TABLES[rng.below(TABLES.len())],
    };
    let rows: Vec<Row> = rows.iter().copied().chain([row]).collect();
    let tie = if rng.below(30) == 0 {
        format!("{name}.repo = jobs.agent")
    } else {
        format!("{name}.repo = jobs.repo")
    };
    let aim = Aim { truth: true, after };
    let condition = match rng.below(3) {
        0 => condition(rng, &rows, aim, size.min(2)),
        _ => format!(
            "{} AND {}",
            of_place(rng, &rows, aim),
            condition(rng, &rows, aim, size.min(2))
        ),
    };
    format!("FROM {} {name} WHERE {tie} AND ({condition})", row.table)
}

fn of_texts(rng: &mut Rng, column: &str, texts: &[&str]) -> String {
    let (text, other) = (*rng.pick(texts), *rng.pick(texts));
    match rng.below(6) {
        0..=1 => format!("{column} = {text}"),
        2 => format!(
            "{column} {} {text}",
            rng.pick(&["<>", "<", ">=", "<=", ">"])
        ),
        3 => format!("{column} {}IN ({text}, {other})", rng.pick(&["", "NOT "])),
        4 => format!("{column} IS {}NULL", rng.pick(&["", "NOT "])),
        _ => format!(
            "{column} {}BETWEEN {text} AND {other}",
            rng.pick(&["", "NOT "])
        ),
    }
}

/// A condition on the job's place in the order of tasks.
fn of_place(rng: &mut Rng, rows: &[Row], aim: Aim) -> String {
    let other = |rng: &mut Rng| match rows.last() {
        Some(Row {
            name,
            table: "jobs",
        }) if rng.below(2) == 0 => format!("{name}.task_id"),
        Some(Row { name, .. }) if rng.below(4) > 0 => format!("{name}.id"),
        _ => (*rng.pick(&["0", "2", "3", "5", "NULL"])).into(),
    };
    if rng.below(4) > 0 {
        let (less, more) = (*rng.pick(&["<", "<="]), *rng.pick(&[">", ">="]));
        let place_first = rng.below(3) == 0;
        return match (aim.after, aim.truth) {
            (true, _) if rng.below(6) == 0 => {
                format!(
                    "jobs.task_id IS {}NULL",
                    if aim.truth { "NOT " } else { "" }
                )
            }
            (true, true) if place_first => format!("jobs.task_id {more} {}", other(rng)),
            (true, true) => format!("{} {less} jobs.task_id", other(rng)),
            (true, false) if place_first => format!("jobs.task_id {less} {}", other(rng)),
            (true, false) => format!("{} {more} jobs.task_id", other(rng)),
            (false, truth) => format!("jobs.task_id IS {}NULL", if truth { "" } else { "NOT " }),
        };
    }
    let operator = *rng.pick(&["<", "<=", ">", ">=", "=", "<>"]);
    match rng.below(6) {
        0..=1 => format!("{} {operator} jobs.task_id", other(rng)),
        2 => format!("jobs.task_id {operator} {}", other(rng)),
        3 => format!(
            "{} {}BETWEEN {} AND jobs.task_id",
            other(rng),
            rng.pick(&["", "NOT "]),
            other(rng)
        ),
        4 => format!("jobs.id {operator} {}", rng.pick(&["3", "5", "7"])),
        _ => format!(
            "jobs.task_id {}BETWEEN {} AND {}",
            rng.pick(&["", "NOT "]),
            other(rng),
            other(rng)
        ),
    }
}

/// A condition on the least or the greatest of some ids, which may depend on the job's place too.
fn of_extreme(rng: &mut Rng, aim: Aim) -> String {
    let row = Row {
        name: "m",
        table: "tasks",
    };
    let place = of_place(rng, &[row], aim);
    format!(
        "(SELECT {}(m.id) FROM tasks m WHERE m.repo = jobs.repo AND {}) {} {}",
        rng.pick(&["min", "max"]),
        rng.pick(&["m.stage = 'done'", place.as_str()]),
        rng.pick(&["=", "<", ">="]),
        rng.pick(&["2", "3", "jobs.task_id"]),
    )
}

/// A condition on a row of a sub-select; on the job, where there is none.
fn of_rows(rng: &mut Rng, rows: &[Row]) -> String {
    match rows.last() {
        Some(Row {
            name,
            table: "tasks",
        }) => of_texts(rng, &format!("{name}.stage"), &["'done'", "'review'", "''"]),
        Some(Row {
            name,
            table: "jobs",
        }) => match rng.below(3) {
            0 => format!("{name}.agent {} jobs.agent", rng.pick(&["=", "<>"])),
            1 => of_texts(rng, &format!("{name}.agent"), &["'analyst'", "'developer'"]),
            _ => of_texts(
                rng,
                &format!("{name}.status"),
                &["'queued'", "'running'", "'done'"],
            ),
        },
        Some(Row { name, .. }) => of_texts(
            rng,
            &format!("{name}.cleared_at"),
            &["NULL", "'then'", "''"],
        ),
        None => of_texts(rng, "jobs.agent", &["'analyst'", "'developer'"]),
    }
}

/// Random clauses: those with a shape, of which some go by the order of tasks.
pub(super) struct Clauses {
    rng: Rng,
    without_shape: usize,
}

impl Clauses {
    pub(super) fn new(seed: u64) -> Clauses {
        Clauses {
            rng: Rng::new(seed),
            without_shape: 0,
        }
    }

    pub(super) fn next(&mut self) -> Rule {
        loop {
            let aim = Aim {
                truth: true,
                after: false,
            };
            let text = condition(&mut self.rng, &[], aim, 4);
            if Clause::accept(&text).is_err() {
                continue;
            }
            match Rule::flat(&text) {
                Some(rule) => return rule,
                None => self.without_shape += 1,
            }
        }
    }
}

/// A state in which most jobs are in one line: few repos and agents, and a place in the order of
/// tasks for each.
fn fill(rng: &mut Rng, program: &Program) {
    let mut sql = "BEGIN; DELETE FROM tasks; DELETE FROM jobs; DELETE FROM repo_freeze;".to_owned();
    for id in 1..=6 {
        let repo = rng.pick(&["'a'", "'a'", "'a'", "'b'", "NULL"]);
        let stage = rng.pick(&["'done'", "'review'", "'review'", "''", "NULL"]);
        if rng.below(4) > 0 {
            sql += &format!("INSERT INTO tasks (id, repo, stage) VALUES ({id}, {repo}, {stage});");
        }
    }
    for id in 1..=16 {
        let repo = rng.pick(&["'a'", "'a'", "'a'", "'a'", "'a'", "'a'", "'b'", "NULL"]);
        let agent = rng.pick(&[
            "'analyst'",
            "'analyst'",
            "'analyst'",
            "'developer'",
            "'a'",
            "NULL",
        ]);
        let status = rng.pick(&["'queued'", "'queued'", "'queued'", "'running'"]);
        // PostgreSQL keeps numbers only.
        let tasks = ["1", "2", "3", "4", "5", "6", "7", "0", "NULL", "2.5", "'x'"];
        let task = rng.pick(match Engine::under_test() {
            Engine::Sqlite => &tasks[..],
            Engine::Postgres => &tasks[..9],
        });
        sql += &format!(
            "INSERT INTO jobs (id, task_id, repo, agent, status) VALUES ({id}, {task}, {repo}, \
             {agent}, {status});"
        );
    }
    for _ in 0..rng.below(3) {
        let (repo, cleared) = (rng.pick(&["'a'", "'b'"]), rng.pick(&["NULL", "'then'"]));
        sql += &format!("INSERT INTO repo_freeze (repo, cleared_at) VALUES ({repo}, {cleared});");
    }
    program.run(sql + "COMMIT");
}

#[test]
fn a_claim_by_candidates_takes_the_job_that_a_plain_scan_takes() {
    let clauses = std::env::var("SERIAL_GATE_SHAPES").ok();
    // A server makes functions for each.
    let usual = match Engine::under_test() {
        Engine::Sqlite => 2_000,
        Engine::Postgres => 200,
    };
    let clauses: usize = clauses.map_or(usual, |count| count.parse().unwrap());
    let gate = Gate::new();
    let program = other_program(&gate);
    let mut store = gate.store();
    let mut rng = Rng::new(0x5AFE);
    let mut random = Clauses::new(0xC1A5);
    let (mut ordered, mut claimed, mut passed_over) = (0, 0, 0);
    for _ in 0..clauses {
        let rule = random.next();
        ordered += usize::from(rule.text.contains("task_id"));
        fill(&mut rng, &program);
        loop {
            let queued: Option<i64> =
                program.maybe("SELECT min(id) FROM jobs WHERE status = 'queued'");
            let agents = some_agents(&mut rng);
            let first = rule.first(&program, &agents);
            assert_eq!(rule.claim(&mut store, &agents), first, "{}", rule.text);
            assert_eq!(rule.held_ungated(&program), None, "{}", rule.text);
            match first {
                None if agents.is_empty() => break,
                None => continue,
                Some(_) => {}
            }
            claimed += 1;
            passed_over += usize::from(first != queued);
            if rng.below(2) == 0 {
                let _ = program.try_run(&write(&mut rng));
            }
        }
    }
    assert!(ordered * 4 > clauses && claimed > clauses && passed_over > clauses);
    println!(
        "{clauses} clauses with a shape, {ordered} of them go by the order of tasks, {} had none; \
         {claimed} jobs claimed, {passed_over} past a held one",
        random.without_shape
    );
}
