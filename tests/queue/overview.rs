//! The overview of all repos: the same facts as the state has, in the order of need.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::Timestamp;
use serial_gate::model::Settings;
use serial_gate::queue::{Overview, OverviewFilter, Queue, RepoRow, RepoStanding, Sort};

use crate::support::Gate;
use crate::support::engine::{Engine, literal};
use crate::support::random::Rng;

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

/// Names that compare, fold or print in odd ways.
const REPOS: [&str; 14] = [
    "a",
    "A",
    "a ",
    "a/b",
    "b",
    "team-3",
    "team-10",
    "TEAM-10",
    "o'brien",
    "\"quoted\\",
    "line\nbreak",
    "日本",
    "ß%_",
    "[\"x\"]",
];

const STAGES: [Option<&str>; 8] = [
    Some("analysis"),
    Some("development"),
    Some("merge"),
    Some("done"),
    Some("merged"),
    Some("Done"),
    Some(""),
    None,
];

fn text(text: Option<&str>) -> String {
    text.map_or("NULL".into(), literal)
}

/// A time of this day, a time ahead, no time, or none.
fn time(rng: &mut Rng) -> String {
    match rng.below(8) {
        0 => "NULL".into(),
        1 => "'soon'".into(),
        2 => "'2027-01-01 00:00:00'".into(),
        _ => format!("'2026-11-23 {:02}:{:02}:00'", rng.below(12), rng.below(60)),
    }
}

/// Random rows: unfinished and finished tasks, jobs in every state, freezes.
fn random_rows(rng: &mut Rng) -> String {
    let mut sql = "BEGIN; DELETE FROM tasks; DELETE FROM jobs; DELETE FROM repo_freeze;
        DELETE FROM serial_gate_head;"
        .to_owned();
    let repo = |rng: &mut Rng| match rng.below(12) {
        0 => "NULL".to_owned(),
        1 => "''".to_owned(),
        _ => literal(rng.pick::<&str>(&REPOS)),
    };
    let mut of_task = Vec::new();
    for id in 1..=rng.below(25) {
        let (repo, stage) = (repo(rng), text(*rng.pick(&STAGES)));
        let set = match rng.below(3) {
            0 => format!("{stage}, '2026-11-23 01:00:00'"),
            1 => "'other', '2026-11-23 01:00:00'".into(),
            _ => "NULL, NULL".into(),
        };
        let item = text(Some(format!("W-{id}").as_str()).filter(|_| rng.below(4) > 0));
        write!(
            sql,
            "INSERT INTO tasks (id, work_item_id, repo, stage, gate_stage, gate_stage_at)
             VALUES ({id}, {item}, {repo}, {stage}, {set});"
        )
        .unwrap();
        of_task.push(repo);
    }
    for id in 1..=rng.below(40) {
        let (task, own) = match rng.below(of_task.len() + 1) {
            0 => ("NULL".into(), "NULL".into()),
            task => (task.to_string(), of_task[task - 1].clone()),
        };
        let repo = if rng.below(6) == 0 { repo(rng) } else { own };
        let agents = [Some("analyst"), Some("analyst"), Some("developer"), None];
        let agent = text(*rng.pick(&agents));
        let (status, lease) = match rng.below(12) {
            0..4 => ("'queued'", "NULL, NULL, NULL"),
            4 => ("'running'", "'w-1', '2026-11-23 12:30:00', NULL"),
            5 => ("'running'", "'w-1', '2026-11-23 11:30:00', NULL"),
            6 => ("'running'", "NULL, '2026-11-23 12:30:00', 1"),
            7 => ("'running'", "NULL, NULL, NULL"),
            8 => ("'failed'", "'w-1', NULL, NULL"),
            9 => ("'done'", "'w-1', NULL, NULL"),
            10 => ("'paused'", "NULL, NULL, NULL"),
            _ => ("NULL", "NULL, NULL, NULL"),
        };
        let created = time(rng);
        write!(
            sql,
            "INSERT INTO jobs (id, task_id, repo, agent, status, created_at, gate_claimed_at,
                gate_worker, gate_lease_until, gate_put_off)
             VALUES ({id}, {task}, {repo}, {agent}, {status}, {created},
                '2026-11-23 11:0{}:00', {lease});",
            rng.below(10)
        )
        .unwrap();
        if rng.below(5) == 0 {
            write!(
                sql,
                "INSERT INTO serial_gate_head (job, repo, task, created_at, since)
                 VALUES ({id}, {repo}, {task}, {created}, '2026-11-23 00:30:00');"
            )
            .unwrap();
        }
    }
    for _ in 0..rng.below(8) {
        let cleared = *rng.pick(&["NULL", "NULL", "'2026-11-23 10:00:00'"]);
        write!(
            sql,
            "INSERT INTO repo_freeze (repo, frozen_at, reason, cleared_at)
             VALUES ({}, {}, {}, {cleared});",
            literal(rng.pick::<&str>(&REPOS)),
            time(rng),
            text(*rng.pick(&[Some("bad deploy"), None]))
        )
        .unwrap();
    }
    sql + "COMMIT"
}

fn settings(rng: &mut Rng) -> Settings {
    let rules = [
        None,
        Some(r#"{"finished_stages":["done","merged"]}"#),
        Some(r#"{"finished_stages":["merged"]}"#),
        Some(r#"{"finished_stages":["nothing"],"gated_agents":["developer"]}"#),
    ];
    Settings {
        enabled: rng.below(8) > 0,
        repos: (*rng.pick(&["", "", "", "a, team-10"])).into(),
        freeze_enabled: rng.below(6) > 0,
        rules: rng.pick(&rules).map(Into::into),
    }
}

fn by_name(overview: &Overview) -> BTreeMap<&str, &RepoRow> {
    let rows = overview.repos.iter();
    rows.map(|row| (row.name.as_str(), row)).collect()
}

/// The first queued job of each repo in the claim's order, and how many there are.
fn queued(gate: &Gate) -> BTreeMap<String, (i64, usize)> {
    let sql = "SELECT coalesce(repo, ''), min(id), count(*) FROM jobs
        WHERE status = 'queued' GROUP BY 1";
    let rows = gate.program().rows(sql).into_iter();
    rows.map(|row| {
        let number = |at: usize| row[at].as_ref().unwrap().parse::<i64>().unwrap();
        let jobs = usize::try_from(number(2)).unwrap();
        (row[0].clone().unwrap(), (number(1), jobs))
    })
    .collect()
}

fn has_the_facts_of_the_state(gate: &Gate, queue: &mut Queue, case: &str) {
    let overview = queue.overview(now()).unwrap();
    let state = queue.state(now(), &[]).unwrap();
    let rows = by_name(&overview);
    let queued = queued(gate);
    assert_eq!(overview.enabled, state.enabled, "{case}");
    assert_eq!(overview.switches, state.switches, "{case}");
    assert_eq!(overview.without_repo.jobs, state.others.jobs, "{case}");
    for (repo, of_state) in &state.per_repo {
        let row = rows.get(repo.as_str());
        let row = row.unwrap_or_else(|| panic!("{case}: {repo:?} is missing"));
        let what = format!("{case}: {repo:?}\n{row:#?}\n{of_state:#?}");
        let active = row.active.as_ref();
        let of_state_active = of_state.active_task.as_ref();
        assert_eq!(
            active.map(|active| (active.id, &active.stage, &active.work_item_id)),
            of_state_active.map(|active| {
                let task = &active.task;
                (task.id, &task.stage, &task.work_item_id)
            }),
            "{what}"
        );
        assert_eq!(
            active.map(|active| active.state),
            of_state_active.map(|active| active.work.as_ref().unwrap().state()),
            "{what}"
        );
        // With the layer off, the state shows no freeze, and the overview shows it with a note.
        let freeze = row.freeze.as_ref();
        let is_off = !state.freeze_enabled;
        assert!(
            freeze.is_none_or(|freeze| !is_off || freeze.note.is_some()),
            "{what}"
        );
        let freeze = freeze.filter(|_| !is_off);
        assert_eq!(freeze.is_some(), of_state.frozen, "{what}");
        assert_eq!(
            freeze.map(|freeze| (freeze.number, freeze.since, &freeze.reason)),
            of_state
                .freeze_id
                .map(|id| (id, of_state.frozen_since, &of_state.frozen_reason)),
            "{what}"
        );
        let further = freeze.map_or(0, |freeze| freeze.active - 1);
        assert_eq!(further, of_state.further_freezes.count, "{what}");
        if let Some(note) = freeze.and_then(|freeze| freeze.note.as_ref()) {
            // Where the clause lets none through, the state also looks at the jobs of the repo.
            assert_eq!(Some(note), of_state.freeze_note.as_ref(), "{what}");
        }
        assert_eq!(Some(&row.jobs), of_state.jobs.as_ref(), "{what}");
        let first = queued.get(repo);
        assert_eq!(row.waiting, first.map_or(0, |first| first.1), "{what}");
        let waiting = of_state.waiting.first();
        if let (Some(waiting), Some(first)) = (waiting, first)
            && waiting.job.job_id == first.0
        {
            assert_eq!(row.first_waiting_since, waiting.since, "{what}");
        }
    }
    let in_lines = |row: &RepoRow| {
        let of_state = state.per_repo.get(&row.name);
        of_state.map_or(0, |of_state| of_state.waiting.len())
    };
    let in_lines: usize = overview.repos.iter().map(in_lines).sum();
    let others = state.others.claimable + state.others.held.len();
    assert_eq!(overview.totals.waiting, in_lines + others, "{case}");
    // What the state leaves out is quiet.
    for row in &overview.repos {
        if !state.per_repo.contains_key(&row.name) {
            assert_eq!(row.freeze, None, "{case}: {row:#?}");
            assert_eq!(row.jobs, Default::default(), "{case}: {row:#?}");
        }
    }
    let names: Vec<String> = overview.repos.iter().map(|row| row.name.clone()).collect();
    let details = queue.overview_details(now(), &names).unwrap();
    assert_eq!(details.len(), names.len(), "{case}");
    for row in &overview.repos {
        let of_repo = &details[&row.name];
        if let Some(of_state) = state.per_repo.get(&row.name) {
            assert_eq!(of_repo.active, of_state.active_task, "{case}: {row:#?}");
        }
        assert_eq!(
            of_repo.waiting.len(),
            row.waiting.min(3),
            "{case}: {row:#?}"
        );
        let since = of_repo.waiting.first().and_then(|first| first.since);
        assert_eq!(since, row.first_waiting_since, "{case}: {row:#?}");
        let ids: Vec<i64> = of_repo.waiting.iter().map(|job| job.job_id).collect();
        assert!(ids.is_sorted(), "{case}: {ids:?}");
        if let Some(first) = ids.first() {
            assert_eq!(*first, queued[&row.name].0, "{case}");
        }
    }
}

#[test]
fn the_overview_and_its_details_have_the_facts_of_the_state() {
    let gate = Gate::new();
    let set = [
        "pipeline",
        "set",
        "analysis=analyst",
        "development=developer",
    ];
    gate.run(&set).succeeds();
    let other = gate.program();
    other.without_flushes();
    let mut queue = gate.queue();
    for seed in 0..Engine::cases(150) {
        let mut rng = Rng::new(seed.into());
        other.run(random_rows(&mut rng));
        let settings = settings(&mut rng);
        let case = format!("seed {seed}, {settings:?}");
        queue.set_settings(settings);
        has_the_facts_of_the_state(&gate, &mut queue, &case);
    }
}

/// A repo for each way to stand, each with a sentence about it.
fn one_of_each() -> Gate {
    let gate = Gate::new();
    let set = [
        "pipeline",
        "set",
        "analysis=analyst",
        "development=developer",
    ];
    gate.run(&set).succeeds();
    let task = |id: u32, repo: &str, stage: &str, hour: u32| {
        format!(
            "INSERT INTO tasks (id, work_item_id, repo, stage, gate_stage, gate_stage_at)
             VALUES ({id}, 'W-{id}', '{repo}', '{stage}', '{stage}', '2026-11-23 0{hour}:00:00');"
        )
    };
    let job = |task: u32, repo: &str, status: &str, at: &str, lease: &str| {
        format!(
            "INSERT INTO jobs (task_id, repo, agent, status, created_at, gate_claimed_at,
                gate_worker, gate_lease_until)
             VALUES ({task}, '{repo}', 'analyst', '{status}', '2026-11-23 {at}',
                '2026-11-23 {at}', 'w-1', {lease});"
        )
    };
    let freeze = |repo: &str, at: &str| {
        format!("INSERT INTO repo_freeze (repo, frozen_at) VALUES ('{repo}', '2026-11-23 {at}');")
    };
    let (on, over) = ("'2026-11-23 12:30:00'", "'2026-11-23 11:30:00'");
    let sql = [
        freeze("frozen", "09:00:00"),
        freeze("frozen-twice", "07:00:00"),
        freeze("frozen-twice", "08:00:00"),
        task(1, "failed", "analysis", 1),
        job(1, "failed", "failed", "10:00:00", "NULL"),
        freeze("failed", "11:00:00"),
        "UPDATE repo_freeze SET cleared_at = '2026-11-23 11:01:00' WHERE repo = 'failed';".into(),
        task(2, "lapsed", "analysis", 1),
        job(2, "lapsed", "running", "11:00:00", over),
        task(3, "without-a-job", "analysis", 2),
        task(4, "ended", "development", 3),
        job(4, "ended", "done", "10:00:00", "NULL"),
        task(5, "foreign", "analysis", 4),
        job(5, "foreign", "paused", "10:00:00", "NULL"),
        task(6, "merge-10", "merge", 5),
        job(6, "merge-10", "done", "10:00:00", "NULL"),
        task(7, "merge-9", "merge", 5),
        task(8, "merge-9", "analysis", 5),
        job(8, "merge-9", "queued", "06:00:00", "NULL"),
        task(9, "waits-2", "analysis", 1),
        job(9, "waits-2", "queued", "05:00:00", "NULL"),
        task(10, "waits-10", "analysis", 1),
        job(10, "waits-10", "queued", "04:00:00", "NULL"),
        task(11, "waits-3", "analysis", 1),
        job(11, "waits-3", "queued", "05:00:00", "NULL"),
        task(12, "runs", "analysis", 1),
        job(12, "runs", "running", "11:30:00", on),
        task(13, "runs", "analysis", 1),
        job(13, "runs", "queued", "01:00:00", "NULL"),
        task(14, "idle", "done", 1),
        job(14, "idle", "failed", "01:00:00", "NULL"),
        job(14, "", "queued", "01:00:00", "NULL"),
    ];
    gate.program()
        .run(format!("BEGIN; {} COMMIT", sql.concat()));
    gate
}

fn line(row: &RepoRow) -> String {
    let since = row.since.map(|since| since.strftime("%H:%M").to_string());
    format!(
        "{}: {} since {}",
        row.name,
        row.standing.name(),
        since.unwrap_or_else(|| "?".into())
    )
}

fn lines(rows: &[&RepoRow]) -> Vec<String> {
    rows.iter().map(|row| line(row)).collect()
}

#[test]
fn what_needs_people_comes_first_and_of_that_what_has_needed_them_for_longest() {
    let gate = one_of_each();
    let overview = gate.queue().overview(now()).unwrap();
    let rows: Vec<&RepoRow> = overview.repos.iter().collect();
    assert_eq!(
        lines(&rows),
        [
            "frozen-twice: frozen since 08:00",
            "frozen: frozen since 09:00",
            "failed: failed since 10:00",
            "without-a-job: stuck since 02:00",
            "ended: stuck since 03:00",
            "foreign: stuck since 04:00",
            "lapsed: stuck since 11:00",
            "merge-9: to_merge since 05:00",
            "merge-10: to_merge since 05:00",
            "waits-10: waiting since 04:00",
            "waits-2: waiting since 05:00",
            "waits-3: waiting since 05:00",
            "runs: running since 11:30",
            "idle: idle since ?",
        ]
    );
    let totals = &overview.totals;
    assert_eq!(
        (totals.repos, totals.frozen, totals.stuck, totals.to_merge),
        (14, 2, 4, 2)
    );
    assert_eq!(
        (
            totals.failed,
            totals.running,
            totals.put_off,
            totals.waiting
        ),
        (1, 1, 0, 6)
    );
    assert_eq!(overview.without_repo.waiting, 1);
}

#[test]
fn a_freeze_that_holds_nothing_is_told_and_does_not_come_first() {
    let gate = one_of_each();
    let mut queue = gate.queue();
    let mut settings = queue.settings().clone();
    settings.repos = "frozen".into();
    queue.set_settings(settings.clone());
    let overview = queue.overview(now()).unwrap();
    let rows = by_name(&overview);
    assert_eq!(rows["frozen"].standing, RepoStanding::Frozen);
    let out_of_scope = rows["frozen-twice"];
    assert_eq!(out_of_scope.standing, RepoStanding::Idle);
    let freeze = out_of_scope.freeze.as_ref().unwrap();
    assert_eq!(freeze.active, 2);
    assert_eq!(
        freeze.note.as_deref(),
        Some("it is out of the gate's scope (`frozen`): its tasks start all the same")
    );
    settings.repos = String::new();
    settings.freeze_enabled = false;
    queue.set_settings(settings);
    let overview = queue.overview(now()).unwrap();
    assert_eq!(overview.totals.frozen, 0);
    assert!(by_name(&overview)["frozen"].freeze.is_some());
    assert_eq!(
        overview.switches,
        ["freezes are switched off: no freeze holds a job"]
    );
}

#[test]
fn repos_are_found_by_a_part_of_their_name_or_of_their_active_work_item() {
    let gate = one_of_each();
    let overview = gate.queue().overview(now()).unwrap();
    let found = |text: &str, standing| {
        let filter = OverviewFilter {
            text: Some(text.into()),
            standing,
            sort: Sort::Need,
        };
        let rows = overview.filtered(&filter).into_iter();
        rows.map(|row| row.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(found("FROZ", None), ["frozen-twice", "frozen"]);
    assert_eq!(found("w-12", None), ["runs"]);
    assert_eq!(found("W-13", None), [""; 0], "it is not active");
    assert_eq!(
        found("", Some(RepoStanding::ToMerge)),
        ["merge-9", "merge-10"]
    );
    assert_eq!(found("10", Some(RepoStanding::Waiting)), ["waits-10"]);
}

#[test]
fn repos_are_sorted_by_name_by_length_and_by_age_of_their_line() {
    let gate = one_of_each();
    let overview = gate.queue().overview(now()).unwrap();
    let first = |sort, rows: usize| {
        let filter = OverviewFilter {
            sort,
            ..OverviewFilter::default()
        };
        let sorted = overview.filtered(&filter);
        let names = sorted.iter().map(|row| row.name.clone());
        names.take(rows).collect::<Vec<_>>()
    };
    assert_eq!(
        first(Sort::Name, 14)[..8],
        [
            "ended",
            "failed",
            "foreign",
            "frozen",
            "frozen-twice",
            "idle",
            "lapsed",
            "merge-9"
        ]
    );
    assert_eq!(
        first(Sort::Waiting, 5),
        ["merge-9", "runs", "waits-2", "waits-3", "waits-10"]
    );
    assert_eq!(
        first(Sort::Oldest, 5),
        ["runs", "waits-10", "waits-2", "waits-3", "merge-9"]
    );
}

#[test]
fn configured_repos_and_those_with_old_rows_only_are_there() {
    let gate = Gate::new();
    gate.program().run(
        "INSERT INTO repo_freeze (repo, cleared_at) VALUES ('once-frozen', '2026-01-01 00:00:00');
         INSERT INTO tasks (repo, stage) VALUES ('Once-Busy', 'done'), ('', 'analysis'),
            (NULL, 'analysis')",
    );
    let options = serial_gate::queue::Options {
        repos: vec!["configured".into()],
        ..Default::default()
    };
    let rule = serial_gate::gate::Rule::Active(Default::default());
    let mut queue = Queue::open(gate.place(), rule, options).unwrap();
    let overview = queue.overview(now()).unwrap();
    let rows: Vec<&RepoRow> = overview.repos.iter().collect();
    assert_eq!(
        lines(&rows),
        [
            "configured: idle since ?",
            "Once-Busy: idle since ?",
            "once-frozen: idle since ?"
        ]
    );
    assert_eq!(queue.overview_details(now(), &[]).unwrap().len(), 0);
}

#[test]
fn a_database_that_cannot_be_read_is_an_error() {
    let gate = one_of_each();
    let mut queue = gate.queue();
    gate.program()
        .run("ALTER TABLE repo_freeze RENAME TO elsewhere");
    assert!(queue.overview(now()).is_err());
}

/// Many finished tasks and ended jobs, some of which failed, and what the database knows of them.
fn add_history(gate: &Gate) {
    let program = gate.program();
    let rows = "INSERT INTO tasks (id, repo, stage)
            WITH RECURSIVE n (i) AS (SELECT 1001 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
            SELECT i, 'old-' || (i % 50), 'done' FROM n;
         INSERT INTO jobs (id, task_id, repo, agent, status)
            SELECT id, id, repo, 'analyst', CASE WHEN id % 50 = 0 THEN 'failed' ELSE 'done' END
            FROM tasks WHERE id > 1000;";
    match Engine::under_test() {
        Engine::Sqlite => program.run(format!("BEGIN; {rows} COMMIT; ANALYZE tasks; ANALYZE jobs")),
        Engine::Postgres => program.run(format!(
            "ALTER TABLE tasks DISABLE TRIGGER USER; ALTER TABLE jobs DISABLE TRIGGER USER; {rows}
             DO $$ DECLARE trigger record; BEGIN
                FOR trigger IN SELECT tgname, tgrelid::regclass AS of FROM pg_trigger
                    WHERE tgrelid IN ('tasks'::regclass, 'jobs'::regclass) AND NOT tgisinternal
                LOOP EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', trigger.of,
                    trigger.tgname);
                END LOOP; END $$;
             ANALYZE tasks; ANALYZE jobs"
        )),
    };
}

#[test]
fn no_statement_reads_the_history() {
    let gate = one_of_each();
    add_history(&gate);
    for stages in [&["done"][..], &["done", "merged"]] {
        let stages = stages.iter().map(|stage| (*stage).to_owned()).collect();
        let finished = serial_gate::store::FinishedStages::new(stages);
        let plans = gate.store().overview_plans(&finished).unwrap();
        for plan in plans {
            let reads_it_all = |step: &String| {
                let of = |words: &str| {
                    let (_, table) = step.split_once(words)?;
                    let table = table.split(' ').next()?;
                    Some(["tasks", "jobs"].contains(&table) && !step.contains("USING"))
                };
                of("Seq Scan on ").or(of("SCAN ")).unwrap_or(false)
            };
            assert!(!plan.iter().any(reads_it_all), "{plan:#?}");
        }
    }
    let overview = gate.queue().overview(now()).unwrap();
    assert_eq!((overview.totals.repos, overview.totals.failed), (64, 1));
}

#[test]
fn names_are_in_the_order_in_which_people_read_them() {
    let gate = Gate::new();
    // Names that differ only in case or in leading zeros are in the order of their bytes.
    let names = [
        "2",
        "10",
        "99999999999999999999999999",
        "100000000000000000000000000",
        "a",
        "Team-2/x",
        "team-02/x",
        "team-2/x",
        "team-3",
        "team-3b",
        "team-10",
        "team-10-1",
        "TEAM-11",
        "é2",
        "é10",
        "日本",
        "日本2",
    ];
    let insert = |name: &&str| format!("INSERT INTO tasks (repo) VALUES ({});", literal(name));
    gate.program()
        .run(names.iter().rev().map(insert).collect::<String>());
    let overview = gate.queue().overview(now()).unwrap();
    let sorted = overview.repos.iter().map(|row| row.name.as_str());
    assert_eq!(sorted.collect::<Vec<_>>(), names);
}
