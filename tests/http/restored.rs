//! Processes are killed and the database is replaced by an older one, again and again, while a
//! service, a worker, commands and users run: what was acknowledged since is there, and what
//! was given out before is good for nothing.
//!
//! A database is replaced in one of the ways that are safe while others use it: its shell's
//! `.restore`; `cp` over the file and `rm` of its log, while nobody writes; `mv` of the file, `rm`
//! of its log, and then `mv` of the backup. In any other order a process may open the one file with
//! the log of the other.
//!
//! `SERIAL_GATE_RESTORES` sets how many rounds there are; the long run has 50.

use std::fs;
use std::io::ErrorKind;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::{scope, sleep};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;
use rusqlite::config::DbConfig;
use serde_json::json;

use crate::support::Gate;
use crate::support::service::access_token;
use crate::support::service::{Service, ask_with_token};
use crate::support::users::{
    Given, Random, Told, User, check_claims, check_integrity, check_what_holds_or_lets_in,
};

const USERS: u64 = 5;

/// Triggers that record jobs which started too early, and end a task with its job.
const TRIGGERS: &str = "
    CREATE TABLE too_early (job INTEGER);
    CREATE TRIGGER too_early AFTER UPDATE OF status ON jobs WHEN NEW.status = 'running' AND NEW.agent = 'analyst'
        AND EXISTS (SELECT 1 FROM tasks WHERE repo = NEW.repo AND id < NEW.task_id AND stage != 'done')
    BEGIN INSERT INTO too_early VALUES (NEW.id); END;
    CREATE TRIGGER worked AFTER UPDATE OF status ON jobs WHEN NEW.status = 'done' AND NEW.gate_worker = 'work'
    BEGIN UPDATE tasks SET stage = 'done' WHERE id = NEW.task_id; END;";

/// What happens in a round.
#[derive(Debug, Clone, Copy)]
enum Event {
    Kill,
    RenameAwayAndBack,
    Restore,
    CopyOver,
    Move,
}

const EVENTS: [Event; 5] = [
    Event::Kill,
    Event::Restore,
    Event::RenameAwayAndBack,
    Event::CopyOver,
    Event::Move,
];

#[test]
fn a_service_that_nobody_asks_keeps_nobody_from_a_copy_that_was_put_over_its_file() {
    let gate = Gate::new();
    access_token(&gate, "ops", "operator");
    let copy = gate.path("copy.db");
    gate.sqlite()
        .execute("VACUUM INTO ?1", [copy.to_str().unwrap()])
        .unwrap();
    let service = Service::on(gate.clone());
    service.get("/queue").is(401);
    fs::copy(copy, gate.database()).unwrap();
    for end in ["-wal", "-shm"] {
        fs::remove_file(gate.path(&format!("serial-gate.db{end}"))).unwrap();
    }
    gate.run(&["task", "add", "alpha"]).succeeds();
}

#[test]
fn killed_and_restored_again_and_again_it_keeps_what_it_said_and_forgets_what_it_gave() {
    let rounds = std::env::var("SERIAL_GATE_RESTORES").map_or(10, |rounds| rounds.parse().unwrap());
    let gate = Gate::new();
    gate.sqlite().execute_batch(TRIGGERS).unwrap();
    let access = access_token(&gate, "ops", "operator");
    let mut world = World {
        service: Service::on(gate.clone()),
        worker: work(&gate),
        access,
        told: Arc::default(),
        undoing: Arc::default(),
        random: Random::new(5),
        gate,
    };
    let is_over = AtomicBool::new(false);
    scope(|scope| {
        let _over = Over(&is_over);
        for n in 0..USERS {
            let mut user = world.user(n);
            let is_over = &is_over;
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    user.step();
                }
            });
        }
        let (gate, is_over) = (world.gate.clone(), &is_over);
        scope.spawn(move || kill_commands(&gate, is_over));
        let mut backup = world.back_up();
        for round in 0..rounds {
            sleep(Duration::from_millis(300 + world.random.below(500)));
            let event = EVENTS[round % EVENTS.len()];
            world.make_happen(event, &backup);
            sleep(Duration::from_millis(300 + world.random.below(500)));
            world.check(event);
            if world.random.below(2) == 0 {
                backup = world.back_up();
            }
        }
    });
    world.goes_on();
}

/// Ends the users even if a check fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct World {
    gate: Gate,
    service: Service,
    worker: Child,
    access: String,
    told: Arc<Mutex<Told>>,
    undoing: Arc<RwLock<()>>,
    random: Random,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.worker.kill();
        let _ = self.worker.wait();
    }
}

/// A copy of the database, and what was acknowledged before it was made.
struct BackedUp {
    name: &'static str,
    told: Told,
}

impl World {
    fn user(&self, n: u64) -> User {
        let mut user = User::new(&self.service, &self.access, &format!("user-{n}"), 50 + n);
        user.told = Arc::clone(&self.told);
        user.undoing = Arc::clone(&self.undoing);
        user.is_patient = true;
        user
    }

    fn back_up(&self) -> BackedUp {
        let _nobody_undoes = self.undoing.write().unwrap();
        let told = self.told.lock().unwrap();
        let name = "backup.db";
        let path = self.gate.path(name);
        let _ = fs::remove_file(&path);
        let live = self.gate.sqlite();
        live.execute("VACUUM INTO ?1", [path.to_str().unwrap()])
            .unwrap();
        BackedUp {
            name,
            told: told.clone(),
        }
    }

    fn make_happen(&mut self, event: Event, backup: &BackedUp) {
        let undoing = Arc::clone(&self.undoing);
        match event {
            Event::Kill => {
                self.worker.kill().unwrap();
                self.service.kill_and_start_again();
                return;
            }
            Event::RenameAwayAndBack => return self.rename_away_and_back(),
            Event::Restore | Event::CopyOver | Event::Move => {}
        }
        let _nobody_undoes = undoing.write().unwrap();
        let told = Arc::clone(&self.told);
        let mut told = told.lock().unwrap();
        match event {
            Event::Restore => self.restore(backup),
            Event::CopyOver => self.copy_over(backup),
            _ => self.move_there(backup),
        }
        let given = std::mem::take(&mut told.given);
        *told = Told {
            replaced: told.replaced + 1,
            void: void_in(
                &Connection::open(self.gate.path(backup.name)).unwrap(),
                &given,
            ),
            given,
            ..backup.told.clone()
        };
    }

    fn restore(&self, backup: &BackedUp) {
        let from = Connection::open(self.gate.path(backup.name)).unwrap();
        let mut to = self.gate.sqlite();
        let backup = Backup::new(&from, &mut to).unwrap();
        // All of it at once.
        let pause = Duration::from_millis(5);
        backup.run_to_completion(i32::MAX, pause, None).unwrap();
    }

    fn copy_over(&self, backup: &BackedUp) {
        let sqlite = self.gate.sqlite();
        // With an empty log, no process is about to write it into the file.
        sqlite
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .unwrap();
        sqlite.execute_batch("BEGIN IMMEDIATE").unwrap();
        fs::copy(self.gate.path(backup.name), self.gate.database()).unwrap();
        for end in ["-wal", "-shm"] {
            self.remove(end);
        }
        sqlite
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .unwrap();
    }

    fn move_there(&self, backup: &BackedUp) {
        let new = self.gate.path("new.db");
        fs::copy(self.gate.path(backup.name), &new).unwrap();
        fs::rename(self.gate.database(), self.gate.path("old.db")).unwrap();
        for end in ["-wal", "-shm"] {
            self.remove(end);
        }
        fs::rename(new, self.gate.database()).unwrap();
    }

    fn remove(&self, end: &str) {
        match fs::remove_file(self.gate.path(&format!("serial-gate.db{end}"))) {
            Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
    }

    /// No process finds the file without its log.
    fn rename_away_and_back(&self) {
        let rename = |from: &str, to: &str, end: &str| {
            let path = |name: &str| self.gate.path(&format!("{name}{end}"));
            match fs::rename(path(from), path(to)) {
                Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error}"),
                _ => {}
            }
        };
        for end in ["", "-wal", "-shm"] {
            rename("serial-gate.db", "away.db", end);
        }
        sleep(Duration::from_millis(100));
        for end in ["-wal", "-shm", ""] {
            rename("away.db", "serial-gate.db", end);
        }
    }

    fn check(&mut self, event: Event) {
        println!("{event:?}");
        let _nobody_undoes = self.undoing.write().unwrap();
        let told = self.told.lock().unwrap();
        let sqlite = self.gate.sqlite();
        check_integrity(&sqlite);
        check_what_holds_or_lets_in(&told, &sqlite);
        check_claims(&told, &sqlite);
        let too_early: i64 = sqlite
            .query_row("SELECT count(*) FROM too_early", [], |row| row.get(0))
            .unwrap();
        assert_eq!(too_early, 0);
        let mut fences = told.given.clone();
        fences.sort_by_key(|given| (given.job, given.fence));
        let again = fences
            .windows(2)
            .find(|two| (two[0].job, two[0].fence) == (two[1].job, two[1].fence));
        assert_eq!(again, None, "a fence came again");
        for given in told.void.iter().rev().take(3) {
            self.is_refused(given);
        }
        if self.worker.try_wait().unwrap().is_some() {
            self.worker = work(&self.gate);
        }
    }

    /// While the service opens what is there now, it may have to be asked again.
    #[track_caller]
    fn is_refused(&self, given: &Given) {
        let path = format!("/v1/jobs/{}/finish", given.job);
        let body = json!({"token": given.token});
        let ask = || {
            let asked = ask_with_token(&self.service.address, &self.access, "POST", &path, &body);
            asked.unwrap().status
        };
        let mut status = ask();
        for _ in 0..50 {
            if status != 503 {
                break;
            }
            sleep(Duration::from_millis(100));
            status = ask();
        }
        assert!(matches!(status, 404 | 409), "{given:?}: {status}");
    }

    fn goes_on(&self) {
        let told = self.told.lock().unwrap();
        println!("{} claims", told.given.len());
        let task = json!({"repo": "last"});
        let added = ask_with_token(
            &self.service.address,
            &self.access,
            "POST",
            "/v1/tasks",
            &task,
        );
        let id = added.unwrap().is(201).json()["task_id"].as_i64();
        let sqlite = self.gate.sqlite();
        let mut query = sqlite.prepare("SELECT 1 FROM tasks WHERE id = ?1").unwrap();
        assert!(query.exists([id]).unwrap());
    }
}

/// The claims that the backup does not have.
fn void_in(backup: &Connection, given: &[Given]) -> Vec<Given> {
    let mut query = backup
        .prepare("SELECT 1 FROM jobs WHERE id = ?1 AND gate_token = ?2")
        .unwrap();
    let is_void = |given: &&Given| !query.exists((given.job, &given.token)).unwrap();
    given.iter().filter(is_void).cloned().collect()
}

fn work(gate: &Gate) -> Child {
    let mut worker = gate.command(&[
        "work", "--agent", "analyst", "--worker", "work", "--", "true",
    ]);
    worker
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Commands that are killed while they run.
fn kill_commands(gate: &Gate, is_over: &AtomicBool) {
    let mut random = Random::new(9);
    while !is_over.load(Ordering::Relaxed) {
        let verb = match random.below(3) {
            0 => &["task", "add", "repo-1"][..],
            1 => &["claim", "--worker", "killed"],
            _ => &["freeze", "nobody", "--new", "--reason", "r"],
        };
        let mut command = gate.command(verb);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        sleep(Duration::from_millis(random.below(30)));
        child.kill().unwrap();
        child.wait().unwrap();
        sleep(Duration::from_millis(random.below(60)));
    }
}
