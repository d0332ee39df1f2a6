//! A worker: claims a job, has its branch cut, runs a command with it, and ends it by how the command ended.
//!
//! Owns the order of these steps, and what becomes of a job when one of them fails. Leaves the claim to `queue`, the cut to
//! `branch`, the command to `child`. Callers rely on this: a job is ended only by whoever holds its claim, a command whose
//! claim is lost is ended, and a worker that is told to stop leaves no job behind that nobody works on.

mod command;
mod error;
mod keeper;
mod waiting;

pub use error::Error;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::backoff::backoff;
use crate::branch::{self, Project};
use crate::child::{Ended, plainly};
use crate::queue::{self, Claimant, Queue, with_causes};
use crate::store::{Act, Claim, Claimed, Ending, TaskBranch};
use command::AtFault;
use keeper::Keeper;
use waiting::Waiting;

/// How long it takes until something that failed in the queue is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// How often the bases are looked at while no job ends.
const LOOK_AT_BASES: Duration = Duration::from_secs(60);

/// How much time is between two looks at them, however many jobs end meanwhile: each asks every remote.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

/// How a worker works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// The agent whose jobs it does.
    pub agent: String,
    /// The program to run, and its arguments.
    pub command: (OsString, Vec<OsString>),
    /// What the program finds in its environment besides its job: how to act under what this process was told.
    pub environment: Vec<(&'static str, OsString)>,
    /// How many jobs at a time.
    pub parallel: u32,
    /// After how many jobs it ends; none means never.
    pub max: Option<u64>,
    /// How long a claim lasts without a heartbeat.
    pub lease: Duration,
    /// How long a command may take; none means any time.
    pub timeout: Option<Duration>,
    /// Where branches are cut.
    pub projects: Vec<Project>,
    /// How often a branch is tried to cut before its job has failed.
    pub tries: u32,
    /// How long the first failed try delays the next one. Each later one takes twice as long.
    pub retry_after: Duration,
}

/// What a worker was told from outside.
#[derive(Debug, Default)]
pub struct Told {
    drain: AtomicBool,
    stop: AtomicBool,
}

impl Told {
    /// The first time: take no more jobs. The second time: end the commands, and put their jobs back.
    pub fn end(&self) {
        if self.drain.swap(true, Ordering::Relaxed) {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    /// Takes no more jobs.
    fn drain(&self) {
        self.drain.store(true, Ordering::Relaxed);
    }

    fn is_to_drain(&self) -> bool {
        self.drain.load(Ordering::Relaxed)
    }

    fn is_to_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Opens the queue.
type Open<'a> = &'a (dyn Fn() -> Result<Queue, Error> + Sync);

/// What a worker has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Jobs that were done.
    pub done: u64,
    /// Jobs that failed.
    pub failed: u64,
    /// Jobs whose branch could not be cut yet, which are tried again later.
    pub put_off: u64,
    /// Jobs that were put back, or whose claim was lost.
    pub given_up: u64,
}

/// What became of a job.
enum Outcome {
    Done,
    Failed,
    PutOff,
    GivenUp,
}

/// A worker with all that its parts share.
struct Worker<'a> {
    settings: &'a Settings,
    told: &'a Told,
    clock: &'a (dyn Fn() -> Timestamp + Sync),
    /// How many jobs may still be taken.
    left: AtomicU64,
    tally: Mutex<Tally>,
}

/// Works until it is told to end, or has done as many jobs as it should. `open` opens the queue, once for each job at a time.
///
/// # Errors
///
/// When the projects cannot be used, the queue cannot be opened, or the command cannot be started.
pub fn work(
    open: Open<'_>,
    settings: &Settings,
    told: &Told,
    clock: &(dyn Fn() -> Timestamp + Sync),
) -> Result<Tally, Error> {
    branch::check(&settings.projects)?;
    let worker = Worker {
        settings,
        told,
        clock,
        left: AtomicU64::new(settings.max.unwrap_or(u64::MAX)),
        tally: Mutex::default(),
    };
    let mut queues = Vec::new();
    for _ in 0..settings.parallel {
        queues.push(open()?);
    }
    thread::scope(|scope| {
        let worker = &worker;
        let (ended, jobs) = mpsc::channel();
        thread::Builder::new()
            .name("bases".into())
            .spawn_scoped(scope, move || worker.watch_bases(open, &jobs))
            .map_err(Error::Thread)?;
        let mut parts = Vec::new();
        for (number, queue) in (1..).zip(queues) {
            let name = match settings.parallel {
                1 => settings.name.clone(),
                _ => format!("{}-{number}", settings.name),
            };
            let ended = ended.clone();
            let part = thread::Builder::new().name(name.clone());
            // One part speaks for all: they wait for the same.
            let speaks = number == 1;
            match part.spawn_scoped(scope, move || worker.part(queue, &name, speaks, &ended)) {
                Ok(part) => parts.push(part),
                Err(cause) => {
                    // Those that run finish what they do.
                    told.drain();
                    return Err(Error::Thread(cause));
                }
            }
        }
        drop(ended);
        let ends = parts.into_iter().map(|part| part.join());
        let ends: Vec<_> = ends.map(|end| end.unwrap_or(Err(Error::Ended))).collect();
        ends.into_iter().collect::<Result<(), Error>>()
    })?;
    Ok(*worker.tally.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Worker<'_> {
    /// One job after another.
    fn part(
        &self,
        mut queue: Queue,
        name: &str,
        speaks: bool,
        ended: &Sender<()>,
    ) -> Result<(), Error> {
        let claimant = Claimant {
            worker: name,
            agent: Some(&self.settings.agent),
        };
        let mut waiting = Waiting::new(&self.settings.agent, speaks);
        let is_over = || self.told.is_to_drain();
        while !is_over() && self.take_place() {
            let is_enough = || is_over() || waiting.is_due((self.clock)());
            match queue.wait_for_job(&self.clock, claimant, self.settings.lease, &is_enough) {
                Ok(Some(job)) => {
                    let outcome = self.job(&mut queue, &job, name).inspect_err(|_| {
                        // The other parts have the same command.
                        self.told.drain();
                    })?;
                    self.count(&outcome);
                    // Nobody listens where there is no base to look at.
                    let _ = ended.send(());
                    waiting.begin((self.clock)());
                }
                Ok(None) => {
                    self.give_place_back();
                    if !is_over() {
                        waiting.say(&mut queue, (self.clock)());
                    }
                }
                Err(error) => {
                    tracing::error!("nothing is claimed: {}", with_causes(&error));
                    self.give_place_back();
                    thread::sleep(PAUSE);
                }
            }
        }
        Ok(())
    }

    fn job(&self, queue: &mut Queue, job: &Claimed, name: &str) -> Result<Outcome, Error> {
        let database = queue.store().database().clone();
        let mut hand = InHand {
            queue,
            claim: job.claim(),
            worker: name,
            clock: self.clock,
        };
        let (claim, lease) = (hand.claim, self.settings.lease);
        let mut keeper = match Keeper::of(&database, self.told, self.clock, claim, name, lease) {
            Ok(keeper) => keeper,
            Err(error) => return Ok(hand.put_back_and_pause(with_causes(&error))),
        };
        let project = branch::project_of(&self.settings.projects, job.repo.as_deref());
        let branch = match self.prepare(&mut hand, project, job, &mut keeper) {
            Ok(branch) => branch,
            Err(error) => return Ok(self.put_off(&mut hand, &error, &keeper)),
        };
        tracing::info!("job {} of {}: begun", job.id, of(job));
        let mut command =
            match command::of(self.settings, job, project, branch.as_ref(), &database.path) {
                Ok(command) => command,
                Err(error) => return Ok(hand.put_back_and_pause(plainly(&error))),
            };
        let ran = crate::child::run(&mut command, self.settings.timeout, &mut || {
            hand.queue.store().let_go_of_moved_files();
            keeper.goes_on()
        });
        let ended = match ran {
            Ok(Ended::Exited(status)) if status.success() => Ok(()),
            // Whoever ends the worker may end all its processes: the job has not failed.
            Ok(Ended::Exited(status)) if status.signal().is_some() && self.told.is_to_drain() => {
                let why = format!("its command ended with {status} as its worker was stopped");
                return Ok(hand.put_back(&why));
            }
            Ok(Ended::Exited(status)) => Err(format!("the command ended with {status}")),
            Ok(Ended::OutOfTime) => {
                let limit = self.settings.timeout.unwrap_or_default();
                Err(format!(
                    "the command was ended after {} s",
                    limit.as_secs_f32()
                ))
            }
            Ok(Ended::Stopped) if keeper.has_lost() => return Ok(Outcome::GivenUp),
            Ok(Ended::Stopped | Ended::Asked) => return Ok(hand.put_back("its worker was stopped")),
            Err(cause) => match command::at_fault(&cause) {
                AtFault::Command => {
                    hand.put_back("its worker's command cannot be run");
                    let program = self.settings.command.0.clone();
                    return Err(Error::Command { program, cause });
                }
                AtFault::Job => Err(command::unfit(&cause).into()),
                AtFault::Machine => return Ok(hand.put_back_and_pause(plainly(&cause))),
            },
        };
        Ok(self.end(&mut hand, ended, &mut keeper))
    }

    /// The task's branch: cut now if it was not yet and there is a project; none if there is neither, or the job works in
    /// another repo than its task.
    fn prepare(
        &self,
        hand: &mut InHand<'_>,
        project: Option<&Project>,
        job: &Claimed,
        keeper: &mut Keeper<'_>,
    ) -> Result<Option<TaskBranch>, branch::Error> {
        let Some(task) = job.task_id else {
            return Ok(None);
        };
        let (store, claim) = (hand.queue.store(), hand.claim);
        if store.task(task)?.is_none_or(|task| task.repo != job.repo) {
            return Ok(None);
        }
        let Some(project) = project else {
            return Ok(store.branch(task)?.filter(|branch| branch.cut_at.is_some()));
        };
        let mut goes_on = || keeper.goes_on();
        branch::cut(store, project, claim, task, &self.clock, &mut goes_on).map(Some)
    }

    /// A job whose branch was not cut goes back to its place and is tried again later, each time later, and has failed after
    /// some tries.
    fn put_off(
        &self,
        hand: &mut InHand<'_>,
        error: &branch::Error,
        keeper: &Keeper<'_>,
    ) -> Outcome {
        let job = hand.claim.job;
        if keeper.has_lost() {
            return Outcome::GivenUp;
        }
        if self.told.is_to_stop() {
            return hand.put_back("its worker was stopped");
        }
        let said = format!("its branch could not be cut: {}", with_causes(error));
        let put_off = |hand: &mut InHand<'_>| -> Result<Outcome, queue::Error> {
            let tries = hand.queue.store().times_put_off(job)?.saturating_add(1);
            if error.is_for_good() || tries >= self.settings.tries {
                let failed = Ending::Failed { error: Some(&said) };
                let act = hand.act();
                hand.queue.store().end_job(act, hand.claim, failed)?;
                tracing::warn!("job {job} has failed: {said}");
                return Ok(Outcome::Failed);
            }
            let delay = backoff(self.settings.retry_after, &format!("job {job}"), tries);
            let act = hand.act();
            hand.queue.put_off(act, hand.claim, delay, &said)?;
            tracing::warn!(
                "job {job} is put off for {} s: {said}",
                delay.as_secs_f32().ceil()
            );
            Ok(Outcome::PutOff)
        };
        put_off(hand).unwrap_or_else(|error| {
            tracing::error!(
                "job {job} comes back when its lease runs out: {}",
                with_causes(&error)
            );
            Outcome::GivenUp
        })
    }

    /// Ends a job, and tries again for as long as its claim lasts.
    fn end(
        &self,
        hand: &mut InHand<'_>,
        ended: Result<(), String>,
        keeper: &mut Keeper<'_>,
    ) -> Outcome {
        let job = hand.claim.job;
        let ending = match &ended {
            Ok(()) => Ending::Done,
            Err(error) => Ending::Failed { error: Some(error) },
        };
        loop {
            let act = hand.act();
            match hand.queue.store().end_job(act, hand.claim, ending) {
                Ok(()) => break,
                Err(error) if error.is_about_the_claim() || !keeper.goes_on() => {
                    tracing::warn!(
                        "job {job} has ended and nobody was told: {}",
                        with_causes(&error)
                    );
                    return Outcome::GivenUp;
                }
                Err(error) => {
                    tracing::warn!(
                        "job {job} has ended and is not ended yet: {}",
                        with_causes(&error)
                    );
                    thread::sleep(PAUSE);
                }
            }
        }
        match ended {
            Ok(()) => {
                tracing::info!("job {job}: done");
                Outcome::Done
            }
            Err(error) => {
                tracing::warn!("job {job} has failed: {error}");
                Outcome::Failed
            }
        }
    }

    /// Looks at the bases once in a while and soon after a job, until no part is left.
    fn watch_bases(&self, open: Open<'_>, ended: &Receiver<()>) {
        let mut said = BTreeMap::new();
        loop {
            self.look_at_bases(open, &mut said);
            let looked = Instant::now();
            let (mut wait, mut is_due) = (LOOK_AT_BASES, false);
            loop {
                match ended.recv_timeout(wait.saturating_sub(looked.elapsed())) {
                    Ok(()) => (wait, is_due) = (BETWEEN_LOOKS, true),
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => {
                        if is_due {
                            self.look_at_bases(open, &mut said);
                        }
                        return;
                    }
                }
            }
        }
    }

    /// `said` is what was said of each repo's base last: a remote that is away for hours is told of once.
    fn look_at_bases(&self, open: Open<'_>, said: &mut BTreeMap<String, String>) {
        if self.settings.projects.is_empty() {
            return;
        }
        let opened = open().and_then(|mut queue| {
            let finished = queue.finished_stages()?;
            Ok((queue, finished))
        });
        let (mut queue, finished) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tracing::warn!("the bases are not looked at: {}", with_causes(&error));
                return;
            }
        };
        let mut goes_on = || !self.told.is_to_drain();
        for project in &self.settings.projects {
            let now = (self.clock)();
            let store = queue.store();
            let looked = branch::look_at_base(store, project, &finished, now, &mut goes_on);
            let repo = project.repo.escape_debug();
            match looked {
                Ok(()) => {
                    if said.remove(&project.repo).is_some() {
                        tracing::info!("the base of `{repo}` can be looked at again");
                    }
                }
                Err(branch::Error::GivenUp) => {}
                Err(error) => {
                    let error = with_causes(&error);
                    if said.get(&project.repo) != Some(&error) {
                        tracing::warn!("the base of `{repo}` was not looked at: {error}");
                        said.insert(project.repo.clone(), error);
                    }
                }
            }
        }
    }

    fn take_place(&self) -> bool {
        let take = |left: u64| left.checked_sub(1);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        self.left.fetch_update(set, fetch, take).is_ok()
    }

    fn give_place_back(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self, outcome: &Outcome) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let count = match outcome {
            Outcome::Done => &mut tally.done,
            Outcome::Failed => &mut tally.failed,
            Outcome::PutOff => &mut tally.put_off,
            Outcome::GivenUp => &mut tally.given_up,
        };
        *count = count.saturating_add(1);
    }
}

/// A claimed job, and what it takes to let it go.
struct InHand<'a> {
    queue: &'a mut Queue,
    claim: Claim<'a>,
    worker: &'a str,
    clock: &'a (dyn Fn() -> Timestamp + Sync),
}

impl<'a> InHand<'a> {
    fn act(&self) -> Act<'a> {
        Act {
            now: (self.clock)(),
            who: self.worker,
            why: "",
        }
    }

    fn put_back(&mut self, why: &str) -> Outcome {
        let (act, job) = (self.act(), self.claim.job);
        match self.queue.put_back(act, self.claim, Some(why)) {
            Ok(()) => tracing::warn!("job {job} is put back: {why}"),
            Err(error) => tracing::error!(
                "job {job} comes back when its lease runs out: {}",
                with_causes(&error)
            ),
        }
        Outcome::GivenUp
    }

    /// The machine cannot run it now: nobody gains by asking for it again at once.
    fn put_back_and_pause(&mut self, cause: String) -> Outcome {
        let why = format!("its worker could not run its command: {cause}");
        let outcome = self.put_back(&why);
        thread::sleep(PAUSE);
        outcome
    }
}

/// A job's task and repo, for the log.
fn of(job: &Claimed) -> String {
    let task = || job.task_id.map(|task| format!("task {task}"));
    let name = job.work_item_id.clone().or_else(task);
    let (name, repo) = (name.unwrap_or_default(), job.repo.as_deref());
    let (name, repo) = (name.escape_debug(), repo.unwrap_or_default().escape_debug());
    format!("`{name}` in `{repo}`")
}
