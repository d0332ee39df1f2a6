//! SQLite's plans: which index each part of a claim uses. A changed plan makes claims slow long
//! before a result is wrong.

use jiff::Timestamp;
use rusqlite::StatementStatus;
use serial_gate::clause::{Clause, Dialect, Footprint, Rendered, Table};
use serial_gate::gate::Rule;
use serial_gate::model::Settings;
use serial_gate::queue::{Options, Queue};
use serial_gate::store::{Error, FinishedStages};

use crate::support::Gate;

/// The steps of the claim's query for the default policy, on a database of a given history.
fn steps(gate: &Gate, rules: Option<&str>) -> Vec<String> {
    let settings = Settings {
        enabled: true,
        repos: String::new(),
        freeze_enabled: true,
        rules: rules.map(Into::into),
    };
    let mut queue = Queue::open(
        &gate.database(),
        Rule::built_in(settings),
        Options::default(),
    )
    .unwrap();
    let clause = queue
        .clause(Timestamp::UNIX_EPOCH)
        .unwrap()
        .rendered
        .clone();
    plan(gate, &clause)
}

/// The steps of the claim's query over the whole queue.
fn plan(gate: &Gate, clause: &Rendered) -> Vec<String> {
    plans(gate, clause).swap_remove(0)
}

/// The steps of each of a claim's queries.
fn plans(gate: &Gate, clause: &Rendered) -> Vec<Vec<String>> {
    let plans = gate.store().claim_plans(clause).unwrap().into_iter();
    let of_rows = |step: &String| !step.starts_with("CORRELATED") && !step.starts_with("SCALAR");
    plans
        .map(|steps| steps.into_iter().filter(of_rows).collect())
        .collect()
}

const INTENDED: [&str; 3] = [
    "SCAN jobs USING INDEX serial_gate_jobs_queued",
    "SEARCH g1 USING INDEX serial_gate_tasks_unfinished (repo=? AND id<?)",
    "SEARCH g2 USING INDEX serial_gate_freezes_active (repo=?)",
];

#[test]
fn a_claim_reads_the_queue_in_order_and_no_finished_task() {
    assert_eq!(steps(&Gate::new(), None), INTENDED);
}

const DEFAULT: &str = "AND NOT ( jobs.agent = 'analyst' AND (
    EXISTS (SELECT 1 FROM tasks t2 WHERE t2.repo = jobs.repo AND t2.id < jobs.task_id AND t2.stage \
    != 'done')
    OR EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo AND f.cleared_at IS NULL) ) )";

/// Searches only, and nothing is sorted.
fn assert_candidates_go_by_their_indexes(gate: &Gate) {
    let plans = plans(gate, &rendered(DEFAULT));
    let sub_selects = &INTENDED[1..];
    let by = |step: &str| -> Vec<String> {
        [&[step], sub_selects]
            .concat()
            .iter()
            .map(|step| (*step).to_owned())
            .collect()
    };
    let index = "SEARCH serial_gate_index USING COVERING INDEX \
        sqlite_autoindex_serial_gate_index_1 (clause=?)";
    let marks = "SEARCH serial_gate_dirty USING PRIMARY KEY (idx=?)";
    let any = "SEARCH serial_gate_partition USING COVERING INDEX serial_gate_partition_job (idx=?)";
    let first = "SEARCH serial_gate_partition USING INDEX serial_gate_partition_job (idx=?)";
    let of_agent = "SEARCH serial_gate_partition USING COVERING INDEX serial_gate_partition_agent \
        (idx=? AND agent=?)";
    let own = [
        &[index, any, marks][..],
        &[index, of_agent, marks],
        &[index],
        &[marks],
        &[first],
        &[of_agent],
    ];
    let own = own.map(<[&str]>::to_vec);
    assert_eq!(
        plans[1..9],
        [
            by("SEARCH jobs USING INDEX serial_gate_jobs_partitions (repo=? AND agent=?)"),
            by("SEARCH jobs USING COVERING INDEX serial_gate_jobs_lines (repo=? AND agent=?)"),
            by(
                "SEARCH jobs USING COVERING INDEX serial_gate_jobs_lines (repo=? AND agent=? AND \
                 task_id>?)"
            ),
            by(
                "SEARCH jobs USING COVERING INDEX serial_gate_jobs_lines (repo=? AND agent=? AND \
                 task_id>?)"
            ),
            by("SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)"),
            by("SEARCH jobs USING INDEX serial_gate_jobs_partitions (repo=?)"),
            by("SEARCH jobs USING INDEX serial_gate_jobs_partitions (repo=? AND agent>?)"),
            by("SEARCH jobs USING INDEX serial_gate_jobs_partitions (repo=? AND agent>?)"),
        ]
    );
    assert_eq!(plans[9..15], own);
    let of_tables = |steps: &Vec<String>| -> Vec<String> {
        let by_table = |step: &&String| !step.contains("subquery") && step.starts_with("S");
        let steps = steps.iter().filter(by_table);
        steps
            .filter(|step| !step.ends_with("CONSTANT ROW"))
            .cloned()
            .collect()
    };
    let repos = "SEARCH jobs USING COVERING INDEX serial_gate_jobs_partitions (repo>?)";
    let candidates = "SEARCH serial_gate_partition USING PRIMARY KEY (idx=? AND no_repo=?";
    assert_eq!(
        of_tables(&plans[15]),
        [repos.into(), format!("{candidates})")]
    );
    assert_eq!(
        of_tables(&plans[16]),
        [repos.into(), format!("{candidates} AND repo>?)")]
    );
    let leases = |condition| {
        format!("SEARCH jobs USING INDEX serial_gate_jobs_leased (gate_lease_until{condition}?)")
    };
    let expired = leases("<").replace("INDEX", "COVERING INDEX");
    // The few unfinished tasks with a pull request.
    let merged = [
        "SCAN serial_gate_pull",
        "SEARCH jobs USING INDEX serial_gate_jobs_task (task_id=?)",
    ];
    let [pulls, of_task] = merged.map(str::to_owned);
    assert_eq!(of_tables(&plans[17]), [expired, pulls, of_task]);
    assert_eq!(of_tables(&plans[18]), [leases(">")]);
    assert_eq!(plans.len(), 19);
}

#[test]
fn a_candidate_is_found_by_searches_and_nothing_is_sorted() {
    assert_candidates_go_by_their_indexes(&Gate::new());
}

#[test]
fn statistics_over_many_finished_tasks_do_not_change_the_plan() {
    let gate = Gate::new();
    add_history(&gate);
    assert_eq!(steps(&gate, None), INTENDED);
    assert_candidates_go_by_their_indexes(&gate);
}

/// Many finished tasks and cleared freezes, which SQLite knows of.
fn add_history(gate: &Gate) {
    gate.sqlite()
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
             INSERT INTO tasks (repo, stage)
             SELECT 'repo-' || (i % 10), CASE WHEN i % 500 = 0 THEN 'review' ELSE 'done' END FROM n;
             INSERT INTO jobs (task_id, repo, agent) SELECT id, repo, 'analyst' FROM tasks;
             INSERT INTO repo_freeze (repo, cleared_at) SELECT repo, 'then' FROM tasks LIMIT 1000;
             ANALYZE;",
        )
        .unwrap();
}

#[test]
fn other_finished_stages_are_looked_up_by_repo() {
    let rules = r#"{"finished_stages":["done","merged"]}"#;
    let by_repo = "SEARCH g1 USING COVERING INDEX serial_gate_tasks_repo (repo=?)";
    assert_eq!(
        steps(&Gate::new(), Some(rules)),
        [INTENDED[0], by_repo, INTENDED[2]]
    );
}

#[test]
fn the_heads_of_the_waiting_lines_are_found_by_searches() {
    let gate = Gate::new();
    let scans = |gate: &Gate| {
        let mut plan = gate.store().head_plan().unwrap();
        plan.retain(|step| step.starts_with("SCAN"));
        plan
    };
    let of_what_was_found = ["SCAN CONSTANT ROW", "SCAN line", "SCAN line"];
    assert_eq!(scans(&gate), of_what_was_found);
    add_history(&gate);
    assert_eq!(scans(&gate), of_what_was_found);
}

fn rendered(clause: &str) -> Rendered {
    Clause::accept(clause).unwrap().render(Dialect::Sqlite)
}

/// How many unfinished tasks there are before the job's.
const AHEAD: &str = "(SELECT count(*) FROM tasks t
    WHERE t.repo = jobs.repo AND t.id < jobs.task_id AND t.stage <> 'done')";

fn check(gate: &Gate, clause: &Rendered) -> Result<(), Error> {
    gate.store().check_clause(clause)
}

#[test]
fn a_count_goes_by_an_index() {
    let gate = Gate::new();
    let clause = rendered(&format!("{AHEAD} < 3"));
    assert_eq!(
        plan(&gate, &clause),
        [
            INTENDED[0],
            "CO-ROUTINE c1",
            "SEARCH g1 USING INDEX serial_gate_tasks_unfinished (repo=? AND id<?)",
            "SCAN c1"
        ]
    );
    check(&gate, &clause).unwrap();
}

#[test]
fn a_count_that_would_read_a_whole_table_is_refused() {
    let gate = Gate::new();
    let mut store = gate.store();
    gate.sqlite()
        .execute_batch("DROP INDEX serial_gate_tasks_repo; DROP INDEX serial_gate_tasks_unfinished")
        .unwrap();
    let all = "(SELECT count(*) FROM tasks t WHERE t.repo = jobs.repo) < 3";
    let refused = store.check_clause(&rendered(all));
    assert!(
        matches!(&refused, Err(Error::Scan { plan }) if plan == "SCAN g1"),
        "{refused:?}"
    );
}

#[test]
fn a_count_visits_no_more_rows_than_its_number_and_one() {
    let gate = Gate::new();
    gate.sqlite()
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
             INSERT INTO tasks (repo, stage) SELECT 'alpha', 'review' FROM n;
             INSERT INTO jobs (task_id, repo, agent) VALUES (20000, 'alpha', 'analyst');",
        )
        .unwrap();
    let connection = gate.sqlite();
    for comparison in ["= 3", "<> 3", "< 3", "<= 3", "> 3", ">= 3"] {
        let clause = rendered(&format!("{AHEAD} {comparison}"));
        let mut query = connection
            .prepare(&format!("SELECT id FROM jobs WHERE {clause}"))
            .unwrap();
        let is_claimable = query.exists([]).unwrap();
        assert_eq!(
            is_claimable,
            ["<> 3", "> 3", ">= 3"].contains(&comparison),
            "{comparison}"
        );
        let instructions = query.get_status(StatementStatus::VmStep);
        assert!(instructions < 200, "{comparison}: {instructions}");
    }
}

/// The steps of a snapshot's queries that read a table of the orchestrator.
fn snapshot_plans(gate: &Gate, reach: &Footprint) -> Vec<Vec<String>> {
    let plans = gate.store().snapshot_plans(reach);
    // A scan of the values in `jobs` is next to them: the result of the first step.
    let reads = |step: &String| step.starts_with("SEARCH") || step.starts_with("SCAN jobs ");
    let plans = plans.unwrap().into_iter();
    plans
        .map(|steps| steps.into_iter().filter(reads).collect())
        .collect()
}

#[test]
fn a_snapshot_reads_no_job_that_ended_no_finished_task_and_no_cleared_freeze() {
    let gate = Gate::new();
    let reach = Clause::accept(DEFAULT).unwrap().footprint();
    let queued = "SCAN jobs USING COVERING INDEX serial_gate_jobs_lines";
    let intended = [
        vec![queued],
        vec![
            queued,
            "SEARCH g1 USING INDEX serial_gate_tasks_unfinished (repo=?)",
        ],
        vec![queued, INTENDED[2]],
    ];
    assert_eq!(snapshot_plans(&gate, &reach), intended);
    add_history(&gate);
    assert_eq!(snapshot_plans(&gate, &reach), intended);
}

#[test]
fn a_snapshot_for_every_clause_searches_by_indexes_that_are_there() {
    let gate = Gate::new();
    add_history(&gate);
    let running =
        "NOT EXISTS (SELECT 1 FROM jobs j WHERE j.repo = jobs.repo AND j.status = 'running')";
    for reach in [
        Footprint::of_every_clause(),
        Clause::accept(running).unwrap().footprint(),
    ] {
        let steps = snapshot_plans(&gate, &reach).concat();
        let is_search =
            |step: &&String| step.starts_with("SEARCH g1") && !step.contains("AUTOMATIC");
        let searches = steps.iter().filter(is_search).count();
        let sources = Table::ALL.map(|table| reach.sources(table, Dialect::Sqlite).len());
        assert_eq!(searches, sources.iter().sum::<usize>(), "{steps:#?}");
    }
}

#[test]
fn a_clause_may_read_a_column_whose_default_is_a_function() {
    let since =
        "EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo AND f.frozen_at < '2026')";
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    check(&gate, &rendered(since)).unwrap();
    assert_eq!(
        gate.store()
            .claimable(&rendered(&format!("NOT {since}")))
            .unwrap(),
        [1]
    );
}

/// The steps that read a table, of plans. The others read what was found.
fn of_tables(plans: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let found = [
        "active",
        "json_each",
        "latest",
        "numbered",
        "(subquery",
        "given",
        "found",
        "firsts",
        "line",
    ];
    let is_of_table = |step: &String| {
        let mut words = step.split(' ');
        let reads = words
            .next()
            .is_some_and(|step| matches!(step, "SCAN" | "SEARCH"));
        let table = words.next().unwrap_or_default();
        reads && table != "CONSTANT" && !found.iter().any(|found| table.starts_with(found))
    };
    let plans = plans.into_iter();
    plans
        .map(|steps| steps.into_iter().filter(is_of_table).collect())
        .collect()
}

#[test]
fn an_overview_searches_in_indexes_whatever_the_history() {
    let gate = Gate::new();
    // What is open is read as a whole, from an index of just that.
    let scans = |finished: &[&str]| {
        let finished = finished.iter().map(|stage| (*stage).to_owned()).collect();
        let plans = gate.store().overview_plans(&FinishedStages::new(finished));
        let mut scans = of_tables(plans.unwrap()).concat();
        scans.retain(|step| step.starts_with("SCAN"));
        scans
    };
    let of_what_is_open = [
        "SCAN jobs USING INDEX serial_gate_jobs_leased",
        "SCAN repo_freeze USING INDEX serial_gate_freezes_active",
        "SCAN jobs USING COVERING INDEX serial_gate_jobs_partitions",
    ];
    for _ in 0..2 {
        assert_eq!(scans(&["done"]), of_what_is_open);
        assert_eq!(scans(&["done", "merged"]), of_what_is_open);
        add_history(&gate);
    }
}

#[test]
fn the_work_of_a_task_and_of_all_repos_is_found_by_indexes_whatever_the_history() {
    let gate = Gate::new();
    let work_plans = || of_tables(gate.store().work_plans().unwrap());
    let are_by_index = || {
        // All of these indexes is read, which are of the jobs that run, failed, or have another
        // program's status.
        let partial = ["leased", "failed", "foreign"];
        let is_by_index = |step: &String| {
            let scans = partial.map(|index| format!("serial_gate_jobs_{index}"));
            step.starts_with("SEARCH")
                || step.starts_with("SCAN jobs USING")
                    && scans.iter().any(|index| step.contains(index))
        };
        let plans = work_plans();
        assert!(plans.concat().iter().all(is_by_index), "{plans:#?}");
        let of_one_task = plans.iter().take(4).flatten();
        let scans: Vec<_> = of_one_task
            .filter(|step| step.starts_with("SCAN"))
            .collect();
        assert!(scans.is_empty(), "{scans:?}");
    };
    are_by_index();
    add_history(&gate);
    are_by_index();
}

#[test]
fn the_history_is_found_by_indexes_whatever_it_is() {
    let gate = Gate::new();
    let are_by_index = || {
        let plans = gate.store().history_plans().unwrap();
        let of_tables = plans.concat().into_iter().filter(|step| {
            step.starts_with("SEARCH") || step.starts_with("SCAN") && !step.contains("CONSTANT ROW")
        });
        let others: Vec<String> = of_tables
            .filter(|step| !step.starts_with("SEARCH"))
            .collect();
        // What was found, and the jobs that run.
        let running = "SCAN jobs USING INDEX serial_gate_jobs_leased";
        let is_meant = |step: &String| step == "SCAN found" || step == running;
        assert!(others.iter().all(is_meant), "{others:?}");
        assert_eq!(others.iter().filter(|step| *step == running).count(), 1);
    };
    are_by_index();
    add_history(&gate);
    are_by_index();
}

#[test]
fn no_other_statement_takes_the_index_of_the_jobs_that_ended() {
    let gate = Gate::new();
    add_history(&gate);
    for sql in [
        "SELECT id FROM jobs WHERE repo = 'repo-1' AND status = 'done'",
        "SELECT id FROM jobs WHERE repo = 'repo-1' AND gate_claimed_at > '2026'",
        "SELECT min(repo) FROM jobs WHERE repo > ''",
        "UPDATE jobs SET status = 'done', gate_ended_at = '2026' WHERE repo = 'repo-1'",
    ] {
        let connection = gate.sqlite();
        let mut query = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let steps = query.query_map([], |row| row.get(3)).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        let takes = |step: &String| step.contains("serial_gate_jobs_ended");
        assert!(!steps.iter().any(takes), "{steps:?}");
    }
}
