//! The claim of a real host: one statement, functions that may be missing, and what a host is told
//! when the server has not answered.

use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use postgres::{Client, Transaction};
use serial_gate_clause::{Clause, Dialect};

use super::{RULE, add, until_it_waits};
use crate::gate::{Rule, default_settings};
use crate::queue::{Options, Queue};
use crate::store::engine::Tx;
use crate::store::postgres::prepare_tests::Base;
use crate::store::records::holding::claim_row;
use crate::store::records::outcome::TaskOutcome;
use crate::store::records::task_end::{Running, TaskEnd};
use crate::store::records::tasks::NewTask;
use crate::store::{
    Actor, Claim, Claimed, Error, HeadClaim, Lease, Problem, Scanned, Shaped, Store,
};

/// A prepared database with jobs that may be claimed, and a host.
fn queue() -> Option<(Base, Store)> {
    let base = Base::new()?;
    base.init().unwrap();
    base.run(
        "INSERT INTO tasks (repo, stage) SELECT 'r' || n, 'analysis' FROM generate_series(1, 9) n;
         INSERT INTO jobs (task_id, repo, agent) SELECT id, repo, 'analyst' FROM tasks",
    );
    let store = Store::open(base.database("")).unwrap();
    Some((base, store))
}

fn lease() -> Lease<'static> {
    Lease {
        worker: "w",
        agents: &[],
        generation: None,
        now: Timestamp::now(),
        lease: Duration::from_secs(60),
    }
}

fn claim(store: &mut Store) -> Result<Option<Claimed>, Error> {
    let accepted = Clause::accept(RULE).unwrap();
    let partitions = accepted.partitions().unwrap();
    let shaped = Shaped {
        clause: &accepted.render(Dialect::Postgres),
        digest: "1234",
        gated: &partitions.gated,
        reads: &partitions.reads,
    };
    store.claim_head(shaped, lease()).map(|claim| match claim {
        HeadClaim::Claimed(job) => Some(job),
        _ => None,
    })
}

#[test]
fn a_claim_is_one_statement_that_commits_itself() {
    let Some((base, mut store)) = queue() else {
        return;
    };
    assert_eq!(claim(&mut store).unwrap().unwrap().id, 1);
    let job = claim(&mut store).unwrap().unwrap();
    let claimed = format!(
        "SELECT count(*) FROM jobs WHERE id = {} AND gate_worker = 'w'",
        job.id
    );
    assert_eq!(base.number(&claimed), 1);
    let last = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND state = 'idle' AND query LIKE 'SELECT job, task%serial_gate_claim%'";
    assert_eq!(base.number(last), 1);
}

#[test]
fn a_database_whose_transactions_are_serializable_has_claims_all_the_same() {
    let Some((base, store)) = queue() else { return };
    drop(store);
    let name = &base.name;
    base.run(&format!(
        "ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"
    ));
    let mut store = Store::open(base.database("")).unwrap();
    for job in 1..4 {
        assert_eq!(claim(&mut store).unwrap().unwrap().id, job);
    }
}

#[test]
fn a_role_that_may_create_no_function_claims_by_those_that_are_there() {
    let Some((base, mut owner)) = queue() else {
        return;
    };
    let role = format!("serial_gate_claims_{}", std::process::id());
    base.run(&format!(
        "CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC;
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"
    ));
    let mut worker = Store::open(base.database_of(&role)).unwrap();
    let missing = claim(&mut worker).unwrap_err();
    assert!(
        matches!(missing.problem(), Some(Problem::NoFunctions)),
        "{missing:?}"
    );
    assert_eq!(claim(&mut owner).unwrap().unwrap().id, 1);
    assert_eq!(claim(&mut worker).unwrap().unwrap().id, 2);
    drop(worker);
    base.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn a_warning_of_another_program_s_trigger_is_no_warning_about_the_commit() {
    let Some((base, mut store)) = queue() else {
        return;
    };
    base.run(
        "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE WARNING 'a job is claimed'; RETURN NEW; END $$;
         CREATE TRIGGER warn BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION warn()",
    );
    assert_eq!(claim(&mut store).unwrap().unwrap().id, 1);
}

#[test]
fn a_claim_whose_connection_is_lost_may_have_been_made_or_not() {
    let Some((base, mut store)) = queue() else {
        return;
    };
    assert!(claim(&mut store).unwrap().is_some());
    base.run(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;
         CREATE TRIGGER die BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION die()",
    );
    let lost = claim(&mut store).unwrap_err();
    assert!(
        matches!(lost.problem(), Some(Problem::Unknown(_))),
        "{lost:?}"
    );
    base.run("DROP TRIGGER die ON jobs");
    assert_eq!(claim(&mut store).unwrap().unwrap().id, 2);
}

#[test]
fn a_look_at_a_claim_locks_no_row_and_waits_for_none() {
    let Some((base, mut store)) = queue() else {
        return;
    };
    let job = claim(&mut store).unwrap().unwrap();
    let held = Claim {
        job: job.id,
        token: &job.token,
    };
    let mut plain = base.client();
    let mut open = plain.transaction().unwrap();
    open.execute("SELECT 1 FROM jobs FOR UPDATE", &[]).unwrap();
    let row = |tx: &dyn Tx| claim_row(tx, job.id).map(|row| row.status);
    for status in [
        store.check_claim(held).map(|()| Some("running".into())),
        store.read(row),
        store.read_one_state(row),
        store.ask(row),
    ] {
        assert_eq!(status.unwrap().as_deref(), Some("running"));
    }
    // A change has to wait, and here it may not.
    store.wait_for_others(false).unwrap();
    assert!(matches!(
        store.write(row).unwrap_err().problem(),
        Some(Problem::Locked)
    ));
}

#[test]
fn a_step_that_only_reads_has_its_answer_although_a_statement_failed_and_a_change_has_none() {
    let Some((_base, mut store)) = queue() else {
        return;
    };
    let step = |tx: &dyn Tx| {
        assert!(tx.exists("SELECT 1 WHERE 1 / 0 = 0", &[]).is_err());
        Ok(7)
    };
    for answer in [
        store.read(step),
        store.read_one_state(step),
        store.ask(step),
    ] {
        assert_eq!(answer.unwrap(), 7);
    }
    assert!(matches!(store.write(step), Err(Error::GroupEnded)));
    assert!(store.read(|tx| tx.exists("SELECT 1", &[])).unwrap());
}

#[test]
fn a_first_claim_does_not_wait_until_a_repo_is_left_alone() {
    let Some((base, mut store)) = queue() else {
        return;
    };
    let mut plain = base.client();
    let mut open = plain.transaction().unwrap();
    open.execute(
        "INSERT INTO tasks (repo, stage) VALUES ('r1', 'analysis')",
        &[],
    )
    .unwrap();
    assert_eq!(claim(&mut store).unwrap().unwrap().id, 2);
    open.commit().unwrap();
    assert_eq!(claim(&mut store).unwrap().unwrap().id, 1);
}

#[test]
fn a_task_that_a_host_adds_holds_later_ones_from_the_moment_that_it_has_its_id() {
    let Some((base, mut store)) = queue() else {
        return;
    };
    // An id is given out before any trigger fires. This one fires before the gate's.
    base.run(
        "UPDATE tasks SET stage = 'done'; UPDATE jobs SET status = 'done';
         CREATE FUNCTION delay() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.work_item_id = 'slow' THEN PERFORM pg_advisory_xact_lock(7); END IF;
            RETURN NEW; END $$;
         CREATE TRIGGER a_delay BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION delay()",
    );
    let (mut plain, mut delay) = (base.client(), base.client());
    delay.batch_execute("SELECT pg_advisory_lock(7)").unwrap();
    let mut host = Store::open(base.database("")).unwrap();
    let slow = NewTask {
        repo: "r1",
        work_item: Some("slow"),
        stage: "analysis",
        agent: "analyst",
        label: None,
    };
    thread::scope(|scope| {
        let adding = scope.spawn(|| host.add_task(Timestamp::now(), slow).unwrap());
        let here = "database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        until_it_waits(&mut plain, &format!("{here} AND classid = 0 AND objid = 7"));
        let (later, _) = add(&mut plain, "r1", "analyst");
        let claiming = scope.spawn(|| claim(&mut store).unwrap().unwrap());
        until_it_waits(&mut plain, &format!("{here} AND classid <> 0"));
        delay.batch_execute("SELECT pg_advisory_unlock(7)").unwrap();
        let earlier = adding.join().unwrap();
        assert!(earlier.task_id < later);
        assert_eq!(claiming.join().unwrap().id, earlier.job_id);
    });
}

#[test]
fn the_end_of_a_task_waits_for_a_claim_of_its_job_and_then_is_refused_because_it_runs() {
    let Some((base, mut store)) = queue() else {
        return;
    };
    let (mut plain, mut other) = (base.client(), base.client());
    let mut claim = other.transaction().unwrap();
    let claimed = "UPDATE jobs SET status = 'running', gate_worker = 'other' WHERE id = 1";
    claim.execute(claimed, &[]).unwrap();
    let end = TaskEnd {
        outcome: TaskOutcome::Done,
        stage: "done",
        running: Running::default(),
    };
    let actor = Actor {
        now: Timestamp::now(),
        who: "tests",
        why: "a test",
    };
    thread::scope(|scope| {
        let ending = scope.spawn(|| store.end_tasks(actor, &[1], end));
        until_it_waits(&mut plain, "locktype = 'transactionid'");
        claim.commit().unwrap();
        let refused = ending.join().unwrap();
        assert!(
            matches!(refused, Err(Error::TaskRuns { job: 1, .. })),
            "{refused:?}"
        );
    });
}

/// Another program's transaction that writes a task of a repo.
fn writing<'a>(plain: &'a mut Client, repo: &str) -> Transaction<'a> {
    let mut open = plain.transaction().unwrap();
    let task = "INSERT INTO tasks (repo, stage) VALUES ($1, 'analysis')";
    open.execute(task, &[&repo]).unwrap();
    open
}

#[test]
fn a_claim_that_others_delay_too_long_names_their_processes() {
    let Some((base, mut store)) = queue() else {
        return;
    };
    base.run("UPDATE jobs SET status = 'done' WHERE repo <> 'r1'");
    let mut plain = base.client();
    let sql = "SELECT pg_backend_pid()";
    let pid: i32 = plain.query_one(sql, &[]).unwrap().get(0);
    let open = writing(&mut plain, "r1");
    let busy = claim(&mut store).unwrap_err();
    let is_it = |pids: &Vec<i64>| *pids == [i64::from(pid)];
    assert!(
        matches!(busy.problem(), Some(Problem::Busy(pids)) if is_it(pids)),
        "{busy:?}"
    );
    open.rollback().unwrap();
    assert_eq!(claim(&mut store).unwrap().unwrap().id, 1);
}

#[test]
fn a_worker_waits_for_a_job_although_others_delay_a_claim() {
    let Some((base, store)) = queue() else { return };
    drop(store);
    base.run("UPDATE jobs SET status = 'done' WHERE repo <> 'r1'");
    let mut plain = base.client();
    let open = writing(&mut plain, "r1");
    let rule = Rule::built_in(default_settings());
    let mut queue = Queue::open(base.database(""), rule, Options::default()).unwrap();
    thread::scope(|scope| {
        let claim = scope.spawn(|| {
            let lease = Duration::from_secs(60);
            let never = || false;
            queue.wait_for_job(&Timestamp::now, "w".into(), lease, &never)
        });
        thread::sleep(Duration::from_secs(3));
        open.rollback().unwrap();
        assert_eq!(claim.join().unwrap().unwrap().unwrap().id, 1);
    });
}

#[test]
fn a_claim_fails_when_the_server_hides_rows_that_the_rule_needs() {
    let Some((base, mut store)) = queue() else {
        return;
    };
    let role = format!("serial_gate_hidden_{}", std::process::id());
    base.run(&format!(
        "CREATE ROLE {role} LOGIN;
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"
    ));
    assert_eq!(claim(&mut store).unwrap().unwrap().id, 1);
    let mut worker = Store::open(base.database_of(&role)).unwrap();
    assert_eq!(claim(&mut worker).unwrap().unwrap().id, 2);
    base.run("ALTER TABLE tasks ENABLE ROW LEVEL SECURITY");
    for refused in [
        claim(&mut worker).map(drop),
        worker
            .claimable(&Clause::accept(RULE).unwrap().render(Dialect::Postgres))
            .map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert!(
            matches!(refused.problem(), Some(Problem::NotAllowed(_))),
            "{refused:?}"
        );
    }
    drop(worker);
    base.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn of_the_clauses_without_heads_only_the_newest_keep_their_functions() {
    let Some((base, mut store)) = queue() else {
        return;
    };
    for number in 1..8 {
        let accepted = Clause::accept(&format!("AND jobs.id >= {number}")).unwrap();
        let scanned = Scanned {
            clause: &accepted.render(Dialect::Postgres),
            digest: &format!("{number:04x}"),
            gated: &accepted.gated(),
            reads_own_repo_only: true,
        };
        assert!(store.claim(scanned, lease()).unwrap().is_some());
    }
    let functions = "SELECT count(*) FROM pg_proc WHERE proname LIKE 'serial\\_gate\\_scan\\_%'";
    assert_eq!(base.number(functions), 4);
}
