//! The look-ups of known names: each step is a search in an index, however many rows there are.

use crate::support::Gate;

fn steps(gate: &Gate, sql: &str) -> Vec<String> {
    let connection = gate.sqlite();
    let mut query = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap();
    let steps = query.query_map([], |row| row.get(3)).unwrap();
    steps.map(Result::unwrap).collect()
}

#[test]
fn a_known_name_is_found_by_an_index() {
    let gate = Gate::new();
    for (table, column) in [
        ("tasks", "repo"),
        ("jobs", "repo"),
        ("repo_freeze", "repo"),
        ("serial_gate_deploy", "repo"),
        ("jobs", "agent || ''"),
    ] {
        for sql in [
            format!("SELECT 1 FROM {table} WHERE {column} = 'a' LIMIT 1"),
            format!("SELECT min({column}) FROM {table} WHERE {column} > 'a'"),
        ] {
            let steps = steps(&gate, &sql);
            let is_search = |step: &String| step.starts_with("SEARCH") && step.contains("INDEX");
            assert!(steps.iter().all(is_search), "{sql}: {steps:?}");
        }
    }
}

#[test]
fn no_other_statement_takes_the_index_of_agents() {
    let gate = Gate::new();
    let sql = "SELECT repo FROM jobs WHERE status = 'queued' AND agent = 'analyst' AND repo != ''";
    let steps = steps(&gate, sql);
    assert!(
        !steps
            .iter()
            .any(|step| step.contains("serial_gate_jobs_agent")),
        "{steps:?}"
    );
}
