//! Calls of the `git` program.
//!
//! Owns every call. No repository is kept between two cuts, because a killed process could leave it
//! half written. Leaves git's environment to `environment`. Callers rely on this: only the commit
//! itself is fetched, if the remote supports that.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::name::is_below;
use super::output::Output;
use super::plain::{GitSettings, settings};
use super::said::{advice, in_one_line, shown_remote};
use super::{Error, Project, environment};
use crate::worker::child::{self, Ended};

/// How long one step may take.
const LIMIT: Duration = Duration::from_secs(300);

/// The most bytes that are kept of the standard output.
const PRINTED: usize = 1 << 20;

/// The most bytes that are kept of the standard error.
const SAID: usize = 64 << 10;

/// The largest size of a fetch. Remotes that support partial fetches send some kilobytes.
const LARGEST: u64 = 4 << 30;

/// How often to look at that size.
const LOOK_AT_SIZE: Duration = Duration::from_secs(1);

/// Git, for the remote of a project.
pub(super) struct Git<'a> {
    pub project: &'a Project,
    /// Returns true when the branch is no longer wanted.
    cancelled: &'a mut dyn FnMut() -> bool,
    /// How long one step may take.
    limit: Duration,
    /// Whether git may fetch missing objects when it needs them.
    completes: bool,
    /// The remote's hash, once it is known. The user's default may be another.
    hash: &'static str,
    /// The user's settings, once they were read.
    user: Option<User>,
}

/// The user's settings, and a temporary folder for them.
struct User {
    settings: GitSettings,
    folder: TempDir,
}

impl<'a> Git<'a> {
    pub(super) fn of(project: &'a Project, cancelled: &'a mut dyn FnMut() -> bool) -> Git<'a> {
        Git {
            project,
            cancelled,
            limit: LIMIT,
            completes: true,
            hash: "sha1",
            user: None,
        }
    }

    /// For a look at a base: with less time for each step, and without fetching missing objects.
    pub(super) fn for_a_look(self, limit: Duration) -> Git<'a> {
        Git {
            limit,
            completes: false,
            ..self
        }
    }

    /// Whether git accepts a name for a branch.
    pub(super) fn is_branch_name(&mut self, name: &str) -> Result<bool, Error> {
        let reference = head(name);
        let checked = self.run(None, &["check-ref-format", &reference])?;
        match checked.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(self.failed("check the name of the branch", checked)),
        }
    }

    /// The tip of a branch of the remote, if there is such a branch.
    pub(super) fn tip(&mut self, branch: &str) -> Result<Option<String>, Error> {
        let reference = head(branch);
        let args = ["ls-remote", "--quiet", &self.project.remote, &reference];
        let listed = self.step(READ, None, &args)?;
        // `ls-remote` also lists references that only end with the pattern.
        let mut lines = listed.lines().filter_map(|line| line.split_once('\t'));
        let found = lines.find(|(_, name)| *name == reference);
        if let Some((commit, _)) = found {
            self.hash = if commit.len() > SHA1 {
                "sha256"
            } else {
                "sha1"
            };
        }
        Ok(found.map(|(commit, _)| commit.to_owned()))
    }

    /// The branches of the remote that have a new branch's name, or collide with it.
    pub(super) fn place_of(&mut self, branch: &str) -> Result<AtRemote, Error> {
        let own = head(branch);
        let above = branch.match_indices('/').map(|(at, _)| at);
        let above = above.filter_map(|at| branch.get(..at)).map(head);
        let others = [
            format!("{own}/*"),
            format!("{HEADS}{}", in_any_case(branch)),
        ];
        let asked: Vec<String> = above.chain(others).collect();
        let mut args = vec!["ls-remote", "--quiet", &self.project.remote];
        args.extend(asked.iter().map(String::as_str));
        args.push(&own);
        let listed = self.step(READ, None, &args)?;
        let mut place = AtRemote::default();
        for (commit, name) in listed.lines().filter_map(|line| line.split_once('\t')) {
            let Some(name) = name.strip_prefix(HEADS) else {
                continue;
            };
            if name == branch {
                place.commit = Some(commit.to_owned());
            } else if is_below(name, branch) || is_below(branch, name) {
                place.in_the_way = Some(name.to_owned());
            } else if name.eq_ignore_ascii_case(branch) {
                place.alike = Some(name.to_owned());
            }
        }
        Ok(place)
    }

    /// Fetches the tip of a branch into an empty folder, and returns it.
    pub(super) fn fetch(&mut self, folder: &Path, branch: &str) -> Result<String, Error> {
        self.prepare(folder)?;
        self.step(FETCH, Some(folder), &fetch("--depth=1", &head(branch)))?;
        self.fetched(folder)
    }

    /// Makes a repository in an empty folder.
    pub(super) fn prepare(&mut self, folder: &Path) -> Result<(), Error> {
        let init = ["init", "--quiet", "--bare", "--template="];
        self.step(FETCH, Some(folder), &init)?;
        // Git makes partial fetches only from a named remote.
        let remote = self.project.remote.clone();
        self.step(FETCH, Some(folder), &["remote", "add", REMOTE, &remote])
            .map(drop)
    }

    /// The last fetched commit.
    pub(super) fn fetched(&mut self, folder: &Path) -> Result<String, Error> {
        let verify = ["rev-parse", "--verify", "FETCH_HEAD^{commit}"];
        let commit = self.step(FETCH, Some(folder), &verify)?;
        Ok(commit.trim().to_owned())
    }

    /// Creates a branch of the remote at a commit that was fetched into this folder. Fails if the
    /// branch exists.
    pub(super) fn push(&mut self, folder: &Path, commit: &str, branch: &str) -> Result<(), Error> {
        let reference = head(branch);
        let (absent, refspec) = (
            format!("--force-with-lease={reference}:"),
            format!("{commit}:{reference}"),
        );
        let push = ["push", "--quiet", "--no-verify", &absent, REMOTE, &refspec];
        self.step("push the branch to the remote", Some(folder), &push)
            .map(drop)
    }

    pub(super) fn step(
        &mut self,
        what: &'static str,
        folder: Option<&Path>,
        args: &[&str],
    ) -> Result<String, Error> {
        let ran = self.run(folder, args)?;
        if ran.status.success() {
            Ok(String::from_utf8_lossy(&ran.printed).into_owned())
        } else {
            Err(self.failed(what, ran))
        }
    }

    pub(super) fn failed(&self, what: &'static str, ran: Ran) -> Error {
        let said = in_one_line(&ran.said, &self.project.remote);
        Error::Git {
            what,
            repo: self.project.repo.clone(),
            remote: shown_remote(&self.project.remote),
            advice: advice(&said),
            said: if said.is_empty() {
                ran.status.to_string()
            } else {
                said
            },
        }
    }

    pub(super) fn run(&mut self, folder: Option<&Path>, args: &[&str]) -> Result<Ran, Error> {
        let user = match self.user.take() {
            Some(user) => user,
            None => self.read_user()?,
        };
        let mut command = Command::new(GIT);
        command.args(args);
        environment::clear(&mut command);
        let file = user.folder.path().join(CONFIG);
        environment::configure(&mut command, &user.settings, &file, &self.project.remote);
        // Git must not use the current folder as a repository: its settings may be another user's.
        let nowhere = user.folder.path().join(NOWHERE);
        command
            .env("GIT_DIR", folder.unwrap_or(&nowhere))
            .env("GIT_DEFAULT_HASH", self.hash)
            .env("GIT_NO_LAZY_FETCH", if self.completes { "0" } else { "1" });
        self.user = Some(user);
        self.end_of(command, folder)
    }

    /// Reads the user's settings for this remote.
    fn read_user(&mut self) -> Result<User, Error> {
        let folder = tempfile::tempdir().map_err(Error::NoFolder)?;
        let mut command = Command::new(GIT);
        environment::clear(&mut command);
        // Some settings depend on the remote's address.
        let origin = format!("remote.{REMOTE}.url={}", self.project.remote);
        command
            .args(["-c", &origin, "config", "--list", "--show-scope", "-z"])
            .env("GIT_DIR", folder.path().join(NOWHERE));
        let listed = self.end_of(command, None)?;
        if !listed.status.success() {
            return Err(self.failed(
                "read the settings of this worker's user for the remote",
                listed,
            ));
        }
        if listed.is_cut {
            return Err(Error::ManySettings);
        }
        let settings = settings(&listed.printed, &self.project.remote);
        std::fs::write(folder.path().join(CONFIG), &settings.file).map_err(Error::NoFolder)?;
        Ok(User { settings, folder })
    }

    /// Runs a command to its end.
    fn end_of(&mut self, mut command: Command, folder: Option<&Path>) -> Result<Ran, Error> {
        let (mut printed, to_printed) = Output::new(PRINTED).map_err(Error::NoGit)?;
        let (mut said, to_said) = Output::new(SAID).map_err(Error::NoGit)?;
        command
            .stdin(Stdio::null())
            .stdout(to_printed)
            .stderr(to_said);
        let (mut looked, mut is_large) = (Instant::now(), false);
        let mut cancelled = || {
            printed.take_in();
            said.take_in();
            if looked.elapsed() >= LOOK_AT_SIZE {
                looked = Instant::now();
                is_large |= folder.is_some_and(|folder| size(folder) > LARGEST);
            }
            is_large || (self.cancelled)()
        };
        let ended = child::run_unattended(&mut command, Some(self.limit), &mut cancelled);
        let repo = || self.project.repo.clone();
        match ended.map_err(Error::NoGit)? {
            Ended::Exited(status) => {
                let ((printed, is_cut), (said, _)) = (printed.end(), said.end());
                Ok(Ran {
                    status,
                    printed,
                    is_cut,
                    said: String::from_utf8_lossy(&said).into_owned(),
                })
            }
            Ended::OutOfTime => Err(Error::Slow {
                what: "do its work for the remote",
                repo: repo(),
                seconds: self.limit.as_secs(),
            }),
            Ended::Asked => Err(Error::Asked(repo())),
            Ended::Stopped if is_large => Err(Error::Large {
                repo: repo(),
                gigabytes: LARGEST >> 30,
            }),
            Ended::Stopped => Err(Error::GivenUp),
        }
    }
}

const GIT: &str = "git";

/// The file with the user's settings, in their temporary folder.
const CONFIG: &str = "config";

/// A name in that folder that does not exist.
const NOWHERE: &str = "nowhere";

const READ: &str = "read the branches of the remote";

const REMOTE: &str = "origin";

pub(super) const FETCH: &str = "fetch the base from the remote";

const HEADS: &str = "refs/heads/";

/// The length of a SHA-1 commit's name.
pub(super) const SHA1: usize = 40;

/// The branches of the remote that have a new branch's name, or collide with it.
#[derive(Default)]
pub(super) struct AtRemote {
    /// The commit of a branch of that name.
    pub commit: Option<String>,
    /// A branch whose name is a folder of this one's, or the reverse.
    pub in_the_way: Option<String>,
    /// A branch whose name differs only in upper and lower case.
    pub alike: Option<String>,
}

/// How a call of git ended.
pub(super) struct Ran {
    pub status: ExitStatus,
    printed: Vec<u8>,
    is_cut: bool,
    said: String,
}

/// Fetches commits without their files.
pub(super) fn fetch<'a>(history: &'a str, what: &'a str) -> [&'a str; 7] {
    [
        "fetch",
        "--quiet",
        "--no-tags",
        history,
        "--filter=tree:0",
        REMOTE,
        what,
    ]
}

pub(super) fn head(branch: &str) -> String {
    format!("{HEADS}{branch}")
}

/// A pattern of `git ls-remote` that ignores case. A branch's name contains none of the pattern's
/// special characters.
fn in_any_case(branch: &str) -> String {
    let mut pattern = String::new();
    for letter in branch.chars() {
        if letter.is_ascii_alphabetic() {
            let (small, capital) = (letter.to_ascii_lowercase(), letter.to_ascii_uppercase());
            pattern.extend(['[', small, capital, ']']);
        } else {
            pattern.push(letter);
        }
    }
    pattern
}

/// The size of the files in a folder. A file that cannot be read has been removed in the meantime.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => size(&entry.path()),
        _ => entry.metadata().map_or(0, |found| found.len()),
    });
    sizes.fold(0, u64::saturating_add)
}
