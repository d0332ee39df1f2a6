//! The numbers that people know freezes by.

use std::thread;
use std::time::Duration;

use super::{Queue, RULE, count};

#[test]
fn every_freeze_has_a_number_of_its_own_that_grows_with_the_time() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut plain = queue.plain();
                for _ in 0..100 {
                    plain
                        .batch_execute("INSERT INTO repo_freeze (repo) VALUES ('a')")
                        .unwrap();
                }
            });
        }
    });
    let mut plain = queue.plain();
    let distinct = "SELECT count(DISTINCT gate_number) FROM repo_freeze";
    assert_eq!(count(&mut plain, distinct), 400);
    let now = "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    let behind = format!("SELECT {now} - min(gate_number) FROM repo_freeze");
    let behind = count(&mut plain, &behind);
    assert!(behind < 60_000, "{behind} ms behind the time");
    let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
        AND pid = pg_backend_pid()";
    assert_eq!(count(&mut plain, held), 0);
    // The last numbers are lost with a restored backup.
    plain
        .batch_execute("SELECT setval('serial_gate_freeze_number', 7)")
        .unwrap();
    let highest = "SELECT max(gate_number) FROM repo_freeze";
    let before = count(&mut plain, highest);
    thread::sleep(Duration::from_millis(1100));
    plain
        .batch_execute("UPDATE repo_freeze SET cleared_at = 'now'; INSERT INTO repo_freeze (repo) VALUES ('b')")
        .unwrap();
    let new = "SELECT gate_number FROM repo_freeze WHERE cleared_at IS NULL";
    let number = count(&mut plain, new);
    assert!(number > before, "{number} after {before}");
    plain
        .batch_execute("UPDATE repo_freeze SET cleared_at = 'now'")
        .unwrap();
    plain
        .batch_execute("UPDATE repo_freeze SET cleared_at = NULL WHERE id = 1")
        .unwrap();
    assert!(count(&mut plain, new) > number);
}
