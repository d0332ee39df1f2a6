//! How long the reads take with many jobs. Prints it, and finds nothing wrong.

use std::time::Instant;

use serial_gate::queue::Span;
use serial_gate::store::sql_time;

use super::now;
use crate::support::Gate;
use crate::support::engine::Engine;

#[test]
#[ignore = "prints figures, and finds nothing wrong"]
fn figures_of_the_history() {
    for (jobs, repos) in [(100_000, 1), (100_000, 2_000)] {
        let gate = Gate::new();
        let fill = match Engine::under_test() {
            Engine::Sqlite => format!(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {jobs} * 10)
                 INSERT INTO jobs (task_id, repo, agent, status, created_at, gate_claimed_at,
                    gate_ended_at, gate_worker, gate_attempt)
                 SELECT i, 'repo-' || (i % {repos}), 'analyst',
                    CASE i % 10 WHEN 0 THEN 'failed' WHEN 1 THEN 'cancelled' ELSE 'done' END,
                    datetime(d, '-900 seconds'), datetime(d, '-300 seconds'), d, 'worker-17', 1
                 FROM (SELECT i, datetime('{}', '-' || (i * 86400.0 / {jobs}) || ' seconds') AS d FROM n)",
                sql_time(now())
            ),
            Engine::Postgres => format!(
                "INSERT INTO jobs (task_id, repo, agent, status, created_at, gate_claimed_at,
                    gate_ended_at, gate_worker, gate_attempt)
                 SELECT i, 'repo-' || (i % {repos}), 'analyst',
                    CASE i % 10 WHEN 0 THEN 'failed' WHEN 1 THEN 'cancelled' ELSE 'done' END,
                    to_char(d - interval '900 seconds', 'YYYY-MM-DD HH24:MI:SS'),
                    to_char(d - interval '300 seconds', 'YYYY-MM-DD HH24:MI:SS'),
                    to_char(d, 'YYYY-MM-DD HH24:MI:SS'), 'worker-17', 1
                 FROM (SELECT i, timestamp '{}' - make_interval(secs => i * 86400.0 / {jobs}) AS d
                    FROM generate_series(1, {jobs} * 10) AS i) AS n",
                sql_time(now())
            ),
        };
        gate.program().run(fill);
        let mut queue = gate.queue();
        for analysed in [false, true] {
            if analysed {
                gate.program().run("ANALYZE");
            }
            println!("{jobs} jobs a day for ten days in {repos} repos, statistics: {analysed}");
            let time = |what: &str, read: &mut dyn FnMut() -> usize| {
                read();
                let begun = Instant::now();
                let found = read();
                println!("  {what}: {:?} ({found})", begun.elapsed());
            };
            for span in [Span::Day, Span::Week] {
                for repo in [Some("repo-0"), None] {
                    time(&format!("activity {span:?} {repo:?}"), &mut || {
                        let activity = queue.activity(now(), span, repo).unwrap();
                        activity.buckets.iter().map(|it| it.done + it.failed).sum()
                    });
                }
                time(&format!("history {span:?}"), &mut || {
                    let history = queue.repo_history(now(), span, "repo-0").unwrap();
                    history.working.stretches.len() + history.waiting.stretches.len()
                });
            }
        }
        for plan in gate.store().history_plans().unwrap() {
            println!("{plan:#?}");
        }
    }
}
