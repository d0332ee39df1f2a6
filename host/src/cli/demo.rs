//! `demo`: a tour of the gate, with the real policy on a real database that is removed at the end.
//!
//! Owns the story. Everything that it shows comes from the queue. Each step is printed as it
//! happens.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use serial_gate::gate::{Overrides, Rule, default_settings};
use serial_gate::queue::{NewFreeze, Options, Queue, Running};
use serial_gate::store::{Actor, Claimed, Database, Durability, Ending, Location, NewTask};

use super::Error;
use super::options::Shared;
use super::output::{Report, Tone, toned};
use super::queue::describe;
use super::verb::Verb;

const LEASE: Duration = Duration::from_secs(1800);

const ARRIVAL: &str = "\
Three tasks arrive for `alpha` and one for `beta`. Each queues a job for an analyst.";

const CLAIMS: &str = "\
Workers claim what they can: the first task of each repo. The others are held: they would
start from a base that lacks the code of the task before them.";

const MERGED: &str = "\
The analyst of A-1 finishes; A-1 is developed, reviewed, merged and done. A-2 may start,
but not yet A-3.";

const DEGRADED: &str = "\
The deploy of A-1 goes bad. A freeze closes `alpha` until an operator clears it.";

const CLEARED: &str = "The operator has looked into it, and unfreezes.";

const END: &str = "\
That is the gate. This tour leaves nothing on the disk. Start your own queue with
`serial-gate init` and `serial-gate task add REPO`.";

/// Take a tour: two repos, a batch of tasks, what is held and why, a freeze and an unfreeze
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate demo")]
pub struct Demo {}

struct Tour {
    queue: Queue,
    json: bool,
}

impl Verb for Demo {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let folder = tempfile::tempdir().map_err(Error::write(&tempfile::env::temp_dir()))?;
        // Nothing here has to survive a power cut.
        let database = Database::new(
            Location::from(&folder.path().join("demo.db")),
            Durability::Normal,
        );
        Queue::init(&database, &default_settings(), operator("a tour"))?;
        let rule = Rule::Active(Overrides::default());
        let queue = Queue::open(&database, rule, Options::default())?;
        let json = shared.json;
        Tour { queue, json }.run()?;
        Ok(shared.report())
    }
}

impl Tour {
    fn run(mut self) -> Result<(), Error> {
        self.say(ARRIVAL)?;
        for (repo, work_item) in [
            ("alpha", "A-1"),
            ("alpha", "A-2"),
            ("alpha", "A-3"),
            ("beta", "B-1"),
        ] {
            let task = NewTask {
                repo,
                work_item: Some(work_item),
                stage: "analysis",
                agent: "analyst",
                label: None,
            };
            self.queue.store_mut().add_task(Timestamp::now(), task)?;
        }
        self.show()?;

        self.say(CLAIMS)?;
        let first = self.claim()?;
        self.claim()?;
        self.claim()?;
        self.show()?;

        self.say(MERGED)?;
        if let Some(first) = first {
            self.queue
                .end_job(operator(""), first.claim(), Ending::Done)?;
        }
        let done = self.queue.finished_stages()?;
        let merged = operator("A-1 is merged");
        let running = Running::default();
        self.queue.move_tasks(merged, &[1], done.first(), running)?;
        self.show()?;

        self.say(DEGRADED)?;
        let degraded = operator("the deploy of A-1 is degraded");
        let freeze = NewFreeze {
            repo: "alpha",
            work_item: Some("A-1"),
            until: None,
            new: false,
        };
        self.queue.freeze(degraded, freeze)?;
        self.claim()?;
        self.show()?;

        self.say(CLEARED)?;
        let unfreeze = operator("the deploy was looked into");
        self.queue.store_mut().unfreeze(unfreeze, "alpha", None)?;
        self.claim()?;
        self.show()?;

        self.say(END)
    }

    fn say(&self, text: &str) -> Result<(), Error> {
        let mut report = Report::new(self.json);
        report.json(&json!({ "say": text }));
        report.line(toned(Tone::Heading, text));
        report.print()?;
        Ok(())
    }

    fn claim(&mut self) -> Result<Option<Claimed>, Error> {
        let claimed = self.queue.claim(Timestamp::now(), "demo", LEASE)?;
        let mut report = Report::new(self.json);
        report.json(&json!({ "claim": claimed }));
        report.line(match &claimed {
            Some(job) => toned(
                Tone::Free,
                format!("  claim → job {}, {}", job.id, about(job)),
            ),
            None => toned(Tone::Held, "  claim → nothing: every queued job is held"),
        });
        report.print()?;
        Ok(claimed)
    }

    fn show(&mut self) -> Result<(), Error> {
        let state = self.queue.state(Timestamp::now(), &[])?;
        let mut report = Report::new(self.json);
        report.line("");
        describe(&state, None, &mut report);
        report.line("");
        report.print()?;
        Ok(())
    }
}

fn operator(why: &str) -> Actor<'_> {
    Actor {
        now: Timestamp::now(),
        who: "demo",
        why,
    }
}

fn about(job: &Claimed) -> String {
    let name = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    format!("{} of `{}`", name(&job.work_item_id), name(&job.repo))
}
