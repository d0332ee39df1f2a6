//! The `git` program, as far as branches are cut with it.
//!
//! Owns every call of it. It keeps nothing between two cuts: a repository of its own that a killed process left half
//! written would stand in the way of the next one. Only the commit itself is fetched, where the remote can do so.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use super::plain::configure;
use super::{Error, Project};
use crate::alerts::SECRET_VARIABLES;
use crate::child::{self, Ended};

/// How long one step may take.
const LIMIT: Duration = Duration::from_secs(300);

/// How much of what git says is read.
const SAID: u64 = 64 << 10;

/// Git, for the remote of a project.
pub(super) struct Git<'a> {
    pub project: &'a Project,
    /// Whether whoever wants the branch still does.
    goes_on: &'a mut dyn FnMut() -> bool,
    /// How long one step may take.
    limit: Duration,
    /// Whether git may fetch what it left out, when it comes across it.
    completes: bool,
    /// How the remote names its commits, as far as that is known. A user may have another default.
    hash: &'static str,
}

impl<'a> Git<'a> {
    pub(super) fn of(project: &'a Project, goes_on: &'a mut dyn FnMut() -> bool) -> Git<'a> {
        Git {
            project,
            goes_on,
            limit: LIMIT,
            completes: true,
            hash: "sha1",
        }
    }

    /// The same for a look, with less time for each step. It uses what was fetched.
    pub(super) fn for_a_look(self, limit: Duration) -> Git<'a> {
        Git {
            limit,
            completes: false,
            ..self
        }
    }

    /// Whether a name can be a branch's.
    pub(super) fn is_branch_name(&mut self, name: &str) -> Result<bool, Error> {
        let reference = head(name);
        let checked = self.run(None, &["check-ref-format", &reference])?;
        match checked.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(self.failed("check the name of the branch", checked)),
        }
    }

    /// The tip of a branch of the remote, if it has that branch.
    pub(super) fn tip(&mut self, branch: &str) -> Result<Option<String>, Error> {
        let (what, reference) = ("read the branches of the remote", head(branch));
        let args = ["ls-remote", "--quiet", &self.project.remote, &reference];
        let listed = self.step(what, None, &args)?;
        // It also lists what ends like the name.
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

    /// A branch of the remote whose name begins with this one's and a `/`, or the other way round: git keeps no two such.
    pub(super) fn in_the_way_of(&mut self, branch: &str) -> Result<Option<String>, Error> {
        let own = head(branch);
        let below = format!("{own}/*");
        let above = branch.match_indices('/').map(|(at, _)| at);
        let above = above.filter_map(|at| branch.get(..at)).map(head);
        let asked: Vec<String> = above.chain([below]).collect();
        let mut args = vec!["ls-remote", "--quiet", &self.project.remote];
        args.extend(asked.iter().map(String::as_str));
        let listed = self.step("read the branches of the remote", None, &args)?;
        let names = listed.lines().filter_map(|line| line.split_once('\t'));
        let is_in_the_way = |name: &&str| {
            let begins = |long: &str, short: &str| {
                long.strip_prefix(short)
                    .is_some_and(|rest| rest.starts_with('/'))
            };
            begins(name, &own) || begins(&own, name)
        };
        let found = names.map(|(_, name)| name).find(is_in_the_way);
        Ok(found.map(|name| name.strip_prefix(HEADS).unwrap_or(name).to_owned()))
    }

    /// Fetches the tip of a branch into an empty folder, and returns it.
    pub(super) fn fetch(&mut self, folder: &Path, branch: &str) -> Result<String, Error> {
        let what = FETCH;
        self.prepare(folder)?;
        let reference = head(branch);
        let fetch = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--depth=1",
            "--filter=tree:0",
            REMOTE,
            &reference,
        ];
        self.step(what, Some(folder), &fetch)?;
        self.fetched(folder)
    }

    /// Makes a repository in an empty folder.
    pub(super) fn prepare(&mut self, folder: &Path) -> Result<(), Error> {
        let init = ["init", "--quiet", "--bare", "--template="];
        self.step(FETCH, Some(folder), &init)?;
        // Named, so that git keeps what it leaves out for later: without a name it cannot leave out anything.
        let remote = self.project.remote.clone();
        self.step(FETCH, Some(folder), &["remote", "add", REMOTE, &remote])
            .map(drop)
    }

    /// The commit that was fetched last.
    pub(super) fn fetched(&mut self, folder: &Path) -> Result<String, Error> {
        let verify = ["rev-parse", "--verify", "FETCH_HEAD^{commit}"];
        let commit = self.step(FETCH, Some(folder), &verify)?;
        Ok(commit.trim().to_owned())
    }

    /// Makes a branch of the remote at a commit that was fetched into this folder. Fails if it is there by now.
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
            Ok(ran.printed)
        } else {
            Err(self.failed(what, ran))
        }
    }

    pub(super) fn failed(&self, what: &'static str, ran: Ran) -> Error {
        let said = in_one_line(&ran.said, &self.project.remote);
        Error::Git {
            what,
            repo: self.project.repo.clone(),
            said: if said.is_empty() {
                ran.status.to_string()
            } else {
                said
            },
        }
    }

    pub(super) fn run(&mut self, folder: Option<&Path>, args: &[&str]) -> Result<Ran, Error> {
        let file = || tempfile::tempfile().map_err(Error::NoGit);
        let (mut printed, mut said) = (file()?, file()?);
        let clone = |file: &File| file.try_clone().map_err(Error::NoGit);
        let mut command = Command::new("git");
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(clone(&printed)?)
            .stderr(clone(&said)?)
            // Nobody is there to type a password, and its words are read.
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_DEFAULT_HASH", self.hash)
            .env("GIT_NO_LAZY_FETCH", if self.completes { "0" } else { "1" })
            .env("LC_ALL", "C");
        configure(&mut command);
        for variable in REPOSITORY_VARIABLES.iter().chain(&SECRET_VARIABLES) {
            command.env_remove(variable);
        }
        // The folder stays as it is, for a remote that is a path in it.
        if let Some(folder) = folder {
            command.env("GIT_DIR", folder);
        }
        match child::run(&mut command, Some(self.limit), self.goes_on).map_err(Error::NoGit)? {
            Ended::Exited(status) => Ok(Ran {
                status,
                printed: read(&mut printed)?,
                said: read(&mut said)?,
            }),
            Ended::OutOfTime => Err(Error::Slow {
                what: "do its work for the remote",
                repo: self.project.repo.clone(),
                seconds: self.limit.as_secs(),
            }),
            Ended::Stopped => Err(Error::GivenUp),
        }
    }
}

pub(super) const REMOTE: &str = "origin";

pub(super) const FETCH: &str = "fetch the base from the remote";

const HEADS: &str = "refs/heads/";

/// How long a commit's name is, by the older hash.
pub(super) const SHA1: usize = 40;

/// Those of a repository that this process may have been started in, as a hook of it for example.
const REPOSITORY_VARIABLES: [&str; 7] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
];

/// How a call of git ended.
pub(super) struct Ran {
    pub status: ExitStatus,
    printed: String,
    said: String,
}

pub(super) fn head(branch: &str) -> String {
    format!("{HEADS}{branch}")
}

/// What git said, which may be a remote's words, without an address that may have a password in it: the remote's, or one
/// that it was led to.
fn in_one_line(said: &str, remote: &str) -> String {
    let said = without_users(&said.replace(remote, "the remote"));
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join("; ");
    let printed = |letter: char| if letter.is_control() { ' ' } else { letter };
    line.chars().map(printed).take(1_000).collect()
}

/// A text whose addresses name nobody: `https://user:password@host` becomes `https://host`.
fn without_users(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_end = |letter: char| letter == '/' || letter.is_whitespace();
        let authority = part.split(is_end).next().unwrap_or_default();
        let user = authority.rfind('@').map_or(0, |at| at + 1);
        shown += "://";
        shown += part.get(user..).unwrap_or_default();
    }
    shown
}

fn read(file: &mut File) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let read = file
        .rewind()
        .and_then(|()| file.take(SAID).read_to_end(&mut bytes));
    read.map_err(Error::NoGit)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_said_has_no_password_in_it() {
        for (said, shown) in [
            (
                "fatal: unable to access 'https://u:secret@host/x/'",
                "fatal: unable to access 'https://host/x/'",
            ),
            ("no 'https://u:pa'ss@host'", "no 'https://host'"),
            (
                "see ssh://git@host and https://a@b:c@host/d",
                "see ssh://host and https://host/d",
            ),
            (
                "mail me@host about http://host/@team",
                "mail me@host about http://host/@team",
            ),
            ("no access to http://u:p@r/", "no access to the remote"),
        ] {
            assert_eq!(in_one_line(said, "http://u:p@r/"), shown);
        }
    }
}
