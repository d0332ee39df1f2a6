//! The order of the commits, and an oracle that goes through it with a rule of its own.
//!
//! A trigger writes what a transaction has changed into a log at its commit, under a lock, so that
//! the order of the log is the order of the commits. The oracle knows neither the clause nor the
//! heads.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Instant;

use postgres::Client;

/// A trigger that waits for the commit, and then writes the row into the log.
pub(super) const LOG: &str = "
    CREATE TABLE log (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind text, id bigint,
        repo text, word text, agent text, task bigint, fence bigint, is_gone boolean);
    CREATE FUNCTION write_down() RETURNS trigger LANGUAGE plpgsql
        SET lock_timeout = 0 SET search_path FROM CURRENT AS $$
     DECLARE r jsonb;
     BEGIN
        PERFORM pg_advisory_xact_lock(hashtextextended(TG_TABLE_SCHEMA, 1));
        r := to_jsonb(CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END);
        INSERT INTO log (kind, id, repo, word, agent, task, fence, is_gone)
        VALUES (TG_TABLE_NAME, (r->>'id')::bigint, r->>'repo',
            coalesce(r->>'stage', r->>'status', r->>'cleared_at'), r->>'agent',
            (r->>'task_id')::bigint, coalesce((r->>'gate_fence')::bigint, 0), TG_OP = 'DELETE');
        RETURN NULL;
     END $$;
    CREATE CONSTRAINT TRIGGER write_down AFTER INSERT OR UPDATE OR DELETE ON tasks
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION write_down();
    CREATE CONSTRAINT TRIGGER write_down AFTER INSERT OR UPDATE OR DELETE ON jobs
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION write_down();
    CREATE CONSTRAINT TRIGGER write_down AFTER INSERT OR UPDATE OR DELETE ON repo_freeze
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION write_down();";

/// A claim as its session saw it.
pub(super) struct Given {
    pub job: i64,
    pub fence: i64,
    pub begun: Instant,
    pub ended: Instant,
}

/// A freeze as its session saw it: from the answer to its commit, until its end was asked for.
pub(super) struct Frozen {
    pub repo: String,
    pub from: Instant,
    pub until: Instant,
}

#[derive(Default)]
pub(super) struct Seen {
    pub given: Vec<Given>,
    pub frozen: Vec<Frozen>,
}

/// A job, as the log has it.
struct Job {
    repo: String,
    status: String,
    is_gated: bool,
    task: i64,
    fence: i64,
    claimed: i64,
}

/// The queue, one commit after another.
#[derive(Default)]
pub(super) struct Oracle {
    /// The repo and the place in the log where it was opened, of each task that is not done.
    open: HashMap<i64, (String, i64)>,
    open_of: HashMap<String, BTreeSet<i64>>,
    jobs: HashMap<i64, Job>,
    running_of: HashMap<String, HashSet<i64>>,
    frozen: HashMap<String, HashSet<i64>>,
    /// The repo of each gated claim of this epoch, by job and fence.
    given: HashMap<(i64, i64), String>,
    pub claims: u64,
    /// Claims of an earlier task that came after a later one was started.
    pub late: u64,
}

impl Oracle {
    /// Goes through the log, and empties it.
    pub fn read(&mut self, plain: &mut Client) {
        let sql = "SELECT seq, kind, id, repo, word, agent, task, fence, is_gone FROM log
            ORDER BY seq";
        for row in plain.query(sql, &[]).unwrap() {
            let (seq, kind, id): (i64, String, i64) = (row.get(0), row.get(1), row.get(2));
            let (repo, word): (String, Option<String>) = (row.get(3), row.get(4));
            let is_gone: bool = row.get(8);
            match kind.as_str() {
                "tasks" => self.task(seq, id, repo, is_gone || word.as_deref() == Some("done")),
                "repo_freeze" => {
                    let frozen = self.frozen.entry(repo).or_default();
                    if word.is_none() {
                        frozen.insert(id);
                    } else {
                        frozen.remove(&id);
                    }
                }
                _ if is_gone => {
                    self.jobs.remove(&id);
                }
                _ => {
                    let agent: String = row.get(5);
                    let job = Job {
                        repo,
                        status: word.unwrap(),
                        is_gated: agent == "analyst",
                        task: row.get(6),
                        fence: row.get(7),
                        claimed: seq,
                    };
                    self.job(id, job);
                }
            }
        }
        plain.batch_execute("TRUNCATE log").unwrap();
    }

    fn task(&mut self, seq: i64, id: i64, repo: String, is_done: bool) {
        if let Some((before, _)) = self.open.remove(&id) {
            self.open_of.entry(before).or_default().remove(&id);
        }
        if !is_done {
            self.open_of.entry(repo.clone()).or_default().insert(id);
            self.open.insert(id, (repo, seq));
        }
    }

    fn job(&mut self, id: i64, job: Job) {
        let before = self.jobs.get(&id);
        let is_claim = before.is_some_and(|before| job.fence > before.fence);
        if is_claim {
            assert_eq!(before.unwrap().status, "queued", "job {id} was given twice");
            self.claims += 1;
            if job.is_gated {
                self.may_begin(id, &job);
            }
            self.given.insert(
                (id, job.fence),
                if job.is_gated {
                    job.repo.clone()
                } else {
                    String::new()
                },
            );
        }
        let running = self.running_of.entry(job.repo.clone()).or_default();
        if job.status == "running" && job.is_gated {
            running.insert(id);
        } else {
            running.remove(&id);
        }
        self.jobs.insert(id, job);
    }

    /// The rule, in words of its own.
    fn may_begin(&mut self, id: i64, job: &Job) {
        let earliest = self.open_of.get(&job.repo).and_then(|open| open.first());
        assert!(
            earliest.is_none_or(|earliest| *earliest >= job.task),
            "job {id} of task {} began before task {earliest:?} was done",
            job.task
        );
        let frozen = self.frozen.get(&job.repo).map_or(0, HashSet::len);
        assert_eq!(frozen, 0, "job {id} began in a frozen repo");
        for other in self.running_of.get(&job.repo).into_iter().flatten() {
            let other = &self.jobs[other];
            if other.task == job.task || !self.open.contains_key(&other.task) {
                continue;
            }
            let (_, opened) = &self.open[&job.task];
            assert!(
                *opened > other.claimed,
                "tasks {} and {} are active at a time",
                job.task,
                other.task
            );
            self.late += 1;
        }
    }

    /// What the sessions saw agrees with the log.
    pub fn compare(&mut self, seen: &[Seen]) {
        let mut count = 0;
        for given in seen.iter().flat_map(|seen| &seen.given) {
            count += 1;
            let known = self.given.get(&(given.job, given.fence));
            assert!(
                known.is_some(),
                "a claim that was answered is not committed"
            );
            let repo = known.unwrap();
            let is_broken = |frozen: &&Frozen| {
                frozen.repo == *repo && frozen.from < given.begun && given.ended < frozen.until
            };
            let broken = seen.iter().flat_map(|seen| &seen.frozen).find(is_broken);
            assert!(
                broken.is_none(),
                "job {} began after a freeze was answered",
                given.job
            );
        }
        assert_eq!(
            count,
            self.given.len(),
            "a job was given to two sessions, or to none"
        );
        self.given.clear();
    }
}

/// A job of `alpha`, as the log has it.
fn gated(task: i64, status: &str, fence: i64) -> Job {
    Job {
        repo: "alpha".into(),
        status: status.into(),
        is_gated: true,
        task,
        fence,
        claimed: fence,
    }
}

/// An oracle that knows two open tasks of `alpha`, each with a queued job of its number.
fn two_tasks() -> Oracle {
    let mut oracle = Oracle::default();
    for id in [1, 2] {
        oracle.task(0, id, "alpha".into(), false);
        oracle.job(id, gated(id, "queued", 0));
    }
    oracle
}

/// What happens to the oracle's queue.
type History<'a> = &'a dyn Fn(&mut Oracle);

#[test]
fn the_oracle_finds_each_fault() {
    let now = Instant::now();
    let given = |fence| Given {
        job: 1,
        fence,
        begun: now,
        ended: now,
    };
    let faults: [(&str, History<'_>); 6] = [
        ("job 1 was given twice", &|oracle| {
            oracle.job(1, gated(1, "running", 1));
            oracle.job(1, gated(1, "running", 2));
        }),
        (
            "job 2 of task 2 began before task Some(1) was done",
            &|oracle| {
                oracle.job(2, gated(2, "running", 1));
            },
        ),
        ("job 1 began in a frozen repo", &|oracle| {
            oracle.frozen.entry("alpha".into()).or_default().insert(7);
            oracle.job(1, gated(1, "running", 1));
        }),
        ("a claim that was answered is not committed", &|oracle| {
            let given = vec![given(1)];
            oracle.compare(&[Seen {
                given,
                frozen: Vec::new(),
            }]);
        }),
        ("a job was given to two sessions, or to none", &|oracle| {
            oracle.job(1, gated(1, "running", 1));
            oracle.compare(&[]);
        }),
        ("job 1 began after a freeze was answered", &|oracle| {
            oracle.job(1, gated(1, "running", 1));
            let second = std::time::Duration::from_secs(1);
            let frozen = Frozen {
                repo: "alpha".into(),
                from: now.checked_sub(second).unwrap(),
                until: now.checked_add(second).unwrap(),
            };
            oracle.compare(&[Seen {
                given: vec![given(1)],
                frozen: vec![frozen],
            }]);
        }),
    ];
    for (fault, history) in faults {
        let mut oracle = two_tasks();
        let run = std::panic::AssertUnwindSafe(|| history(&mut oracle));
        let found = std::panic::catch_unwind(run).unwrap_err();
        let text = found.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| found.downcast_ref::<&str>().copied());
        assert!(text.unwrap().contains(fault), "{text:?}");
    }
}
