//! `demo`: a tour of the gate, with the real policy on a real database that is gone afterwards.
//!
//! Owns the story and its words. Everything that it shows comes from the queue.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serial_gate::gate::{Overrides, Rule, default_settings};
use serial_gate::queue::{NewFreeze, Options, Queue, Running};
use serial_gate::store::{Act, Claimed, Database, Durability, Ending, NewTask};

use super::output::{Output, Tone, toned};
use super::queue::print;
use super::{Error, Outcome};

const LEASE: Duration = Duration::from_secs(1800);

/// Take a tour: two repos, a batch of tasks, what is held and why, a freeze and an unfreeze
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate demo")]
pub struct Demo {}

struct Tour<'a> {
    queue: Queue,
    output: &'a mut Output,
}

impl Demo {
    pub fn run(self, output: &mut Output) -> Result<Outcome, Error> {
        let folder = tempfile::tempdir().map_err(|cause| Error::Write {
            path: tempfile::env::temp_dir(),
            cause,
        })?;
        // Nothing of it is to outlive a power cut.
        let database = Database::new(folder.path().join("demo.db"), Durability::Normal);
        Queue::init(&database, &default_settings(), operator("a tour"))?;
        let rule = Rule::Active(Overrides::default());
        let queue = Queue::open(&database, rule, Options::default())?;
        Tour { queue, output }.run()?;
        Ok(Outcome::Done)
    }
}

impl Tour<'_> {
    fn run(mut self) -> Result<(), Error> {
        self.say(
            "Three tasks arrive for `alpha` and one for `beta`. Each queues a job for an analyst.",
        )?;
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

        self.say("Workers claim what they can: the first task of each repo. The others would start from a base\nthat lacks the code of the task before them, so they are held.")?;
        let first = self.claim()?;
        self.claim()?;
        self.claim()?;
        self.show()?;

        self.say("The analyst of A-1 finishes; A-1 is developed, reviewed, merged and done. A-2 may start, A-3 not yet.")?;
        if let Some(first) = first {
            self.queue
                .store_mut()
                .end_job(operator(""), first.claim(), Ending::Done)?;
        }
        let done = self.queue.finished_stages()?;
        let merged = operator("A-1 is merged");
        self.queue
            .move_tasks(merged, &[1], done.first(), Running::default())?;
        self.show()?;

        self.say(
            "The deploy of A-1 goes bad. A freeze closes `alpha` until an operator clears it.",
        )?;
        let degraded = operator("the deploy of A-1 is degraded");
        let freeze = NewFreeze {
            repo: "alpha",
            work_item: Some("A-1"),
            new: false,
        };
        self.queue.freeze(degraded, freeze)?;
        self.claim()?;
        self.show()?;

        self.say("The operator has looked into it, and unfreezes.")?;
        let unfreeze = operator("the deploy was looked into");
        self.queue.store_mut().unfreeze(unfreeze, "alpha", None)?;
        self.claim()?;
        self.show()?;

        self.say("That is the gate. Nothing of this tour is left on the disk. Your own queue begins with\n`serial-gate init` and `serial-gate task add REPO`.")
    }

    fn say(&mut self, text: &str) -> Result<(), Error> {
        if self.output.json {
            return Ok(self.output.json_line(&serde_json::json!({ "say": text }))?);
        }
        Ok(self.output.line(toned(Tone::Heading, text))?)
    }

    fn claim(&mut self) -> Result<Option<Claimed>, Error> {
        let claimed = self.queue.claim(Timestamp::now(), "demo", LEASE)?;
        if self.output.json {
            self.output
                .json_line(&serde_json::json!({ "claim": claimed }))?;
        } else {
            self.output.line(match &claimed {
                Some(job) => toned(
                    Tone::Free,
                    format!("  claim → job {}, {}", job.id, about(job)),
                ),
                None => toned(Tone::Held, "  claim → nothing: every queued job is held"),
            })?;
        }
        Ok(claimed)
    }

    fn show(&mut self) -> Result<(), Error> {
        let state = self.queue.state(Timestamp::now(), &[])?;
        if self.output.json {
            return print(&state, None, self.output);
        }
        self.output.line("")?;
        print(&state, None, self.output)?;
        Ok(self.output.line("")?)
    }
}

fn operator(why: &str) -> Act<'_> {
    Act {
        now: Timestamp::now(),
        who: "demo",
        why,
    }
}

fn about(job: &Claimed) -> String {
    let name = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    format!("{} of `{}`", name(&job.work_item_id), name(&job.repo))
}
