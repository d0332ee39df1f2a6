//! Power cuts at random moments of a random run: nothing that was acknowledged is missing, and what
//! was given out is good for nothing else.
//!
//! `SERIAL_GATE_POWER_CUTS` sets how many cuts each run has; the long run has 500.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;

use crate::support::Gate;
use crate::support::disk::Disk;
use crate::support::service::Service;
use crate::support::service::access_token;
use crate::support::users::{
    Given, Random, Told, User, check_claims, check_integrity, check_what_holds_or_lets_in,
};

fn cuts(usual: u64) -> u64 {
    std::env::var("SERIAL_GATE_POWER_CUTS").map_or(usual, |cuts| cuts.parse().unwrap())
}

/// The durability of changes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Durability {
    Full,
    Normal,
}

impl Durability {
    fn options(self) -> &'static [&'static str] {
        match self {
            Durability::Full => &[],
            Durability::Normal => &["--durability", "normal"],
        }
    }

    /// A service on a queue like that, and an operator's token.
    fn service(self) -> (Disk, Service, String) {
        let (disk, gate) = Disk::with_queue();
        if self == Durability::Normal {
            gate.write("serial-gate.toml", "durability = \"normal\"\n");
        }
        let access = access_token(&gate, "ops", "operator");
        (disk, Service::on(gate), access)
    }
}

#[test]
fn after_each_answer_everything_that_was_acknowledged_survives_a_power_cut() {
    let (disk, service, access) = Durability::Full.service();
    let mut user = User::new(&service, &access, "kim", 7);
    let mut random = Random::new(8);
    for _ in 0..cuts(60) {
        user.step();
        check(
            &user.told(),
            &cut(&disk, &service.gate, &mut random),
            Durability::Full,
        );
    }
    assert!(user.told().ended.len() > 3, "{:?}", user.told());
}

#[test]
fn with_normal_durability_what_holds_or_lets_in_survives_a_power_cut() {
    let (disk, service, access) = Durability::Normal.service();
    let mut user = User::new(&service, &access, "kim", 21);
    user.options = Durability::Normal.options();
    let mut random = Random::new(22);
    for n in 0..cuts(60) {
        match n % 2 {
            0 => user.step(),
            _ => user.step_that_holds_or_lets_in(),
        }
        check(
            &user.told(),
            &cut(&disk, &service.gate, &mut random),
            Durability::Normal,
        );
    }
    let told = user.told();
    let kinds = [
        told.freezes.len(),
        told.generations.len(),
        told.deploys.len(),
    ];
    assert!(!kinds.contains(&0) && !told.revoked.is_empty(), "{told:?}");
}

#[test]
fn with_normal_durability_the_last_claims_are_lost() {
    let (disk, service, access) = Durability::Normal.service();
    let mut user = User::new(&service, &access, "kim", 1);
    for _ in 0..20 {
        user.add_task();
    }
    user.claim();
    let left = disk.after_a_power_cut();
    assert_eq!(number(&left.sqlite(), "SELECT count(*) FROM tasks"), 0);
}

#[test]
fn in_the_midst_of_many_users_everything_that_was_acknowledged_survives_a_power_cut() {
    let (disk, service, access) = Durability::Full.service();
    let told: Arc<Mutex<Told>> = Arc::default();
    let is_over = AtomicBool::new(false);
    let mut random = Random::new(3);
    thread::scope(|scope| {
        let _over = Over(&is_over);
        for n in 0..6 {
            let mut user = User::new(&service, &access, &format!("user-{n}"), 100 + n);
            user.told = Arc::clone(&told);
            let is_over = &is_over;
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    user.step();
                }
            });
        }
        let mut cuts = cuts(20);
        // Even on a slow machine, some jobs have ended.
        while cuts > 0 || told.lock().unwrap().ended.len() < 20 {
            cuts = cuts.saturating_sub(1);
            thread::sleep(Duration::from_millis(random.below(100)));
            // A change that is acknowledged later may be there, too. Nothing is undone before the cut.
            let told = told.lock().unwrap();
            let (told, left): (Told, Gate) = (told.clone(), cut(&disk, &service.gate, &mut random));
            check(&told, &left, Durability::Full);
        }
    });
}

/// Ends the users even if a check fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn cut(disk: &Disk, gate: &Gate, random: &mut Random) -> Gate {
    match random.below(2) {
        0 => disk.after_a_power_cut(),
        _ => disk.after_a_power_cut_with_main_file_of(gate),
    }
}

#[track_caller]
fn check(told: &Told, left: &Gate, durability: Durability) {
    let sqlite = left.sqlite();
    check_integrity(&sqlite);
    check_what_holds_or_lets_in(told, &sqlite);
    if durability == Durability::Full {
        check_claims(told, &sqlite);
    }
    go_on(told, left, durability);
}

/// All remaining jobs are claimed, without the gate: no token or fence is given twice, and
/// earlier ones are not valid for another claim.
#[track_caller]
fn go_on(told: &Told, left: &Gate, durability: Durability) {
    let ran = left.run(&["--enabled", "false", "claim", "--max", "10000", "--json"]);
    assert!(matches!(ran.code, Some(0 | 3)), "{}", ran.stderr);
    let again: Vec<Given> = ran.json_lines().iter().map(Given::from).collect();
    let tokens: BTreeSet<&str> = told
        .given
        .iter()
        .map(|given| given.token.as_str())
        .collect();
    for new in &again {
        assert!(
            !tokens.contains(new.token.as_str()),
            "the token of job {} came again",
            new.job
        );
        let mut earlier = told.given.iter().filter(|given| given.job == new.job);
        assert!(
            earlier.all(|given| given.fence < new.fence),
            "the fence of job {} came again: {new:?}",
            new.job
        );
    }
    let finish = |given: &Given| {
        let id = given.job.to_string();
        left.run(&["job", "finish", &id, "--token", &given.token])
    };
    let is_claimed_again = |given: &&Given| again.iter().any(|new| new.job == given.job);
    if let Some(old) = told.given.iter().rev().find(is_claimed_again) {
        finish(old).exits(1);
        let sql = "SELECT count(*) FROM jobs WHERE status = 'running' AND id = ?1";
        let runs: i64 = left
            .sqlite()
            .query_row(sql, [old.job], |row| row.get(0))
            .unwrap();
        assert_eq!(runs, 1, "an old token has ended job {}", old.job);
    }
    let is_held = |given: &&Given| !told.ended.contains_key(&given.job);
    if durability == Durability::Full
        && let Some(good) = told.live.values().rev().find(is_held)
        && !is_claimed_again(&good)
    {
        // Its holder may have requested another end in the meantime, which is kept.
        let ran = finish(good);
        assert!(
            ran.code == Some(0) || ran.stderr.contains("has ended"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn a_token_of_access_that_was_shown_is_good_after_a_power_cut_and_a_revoked_one_is_not() {
    let (disk, service, access) = Durability::Normal.service();
    let other = access_token(&service.gate, "kim", "worker");
    service
        .gate
        .run(&["--durability", "normal", "token", "revoke", "kim"])
        .succeeds();
    let left = Service::on(disk.after_a_power_cut());
    let ask = |token: &str| {
        let asked = left.request("POST", "/v1/tasks").token(token);
        asked.json(&json!({"repo": "alpha"})).send().status
    };
    assert_eq!([ask(&access), ask(&other)], [201, 401]);
}

fn number(sqlite: &Connection, sql: &str) -> i64 {
    sqlite.query_row(sql, [], |row| row.get(0)).unwrap()
}
