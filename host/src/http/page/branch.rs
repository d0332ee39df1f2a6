//! What the pages show of a task's work item, branch and pull request.
//!
//! Leaves the words to the worker's room. Callers rely on this: only an address that is safe in a
//! page becomes a link.

use jiff::Timestamp;
use serial_gate::printable::as_it_is;
use serial_gate::store::{Pull, PullState, TaskBranch};
use serial_gate::worker::branch::{Project, base_words, is_link, pull_words, short};

use super::markup::Markup;
use super::work::sentence;

pub(super) struct Branch {
    pub(super) name: String,
    /// Where the forge shows it.
    pub(super) url: Option<String>,
    pub(super) is_cut: bool,
    pub(super) base: String,
    pub(super) commit: String,
    pub(super) base_words: Option<Markup>,
    pub(super) pull: Option<PullLine>,
}

pub(super) struct PullLine {
    pub(super) words: Markup,
    pub(super) class: &'static str,
    pub(super) url: Option<String>,
}

impl Branch {
    pub(super) fn of(branch: &TaskBranch, project: Option<&Project>, now: Timestamp) -> Branch {
        Branch {
            name: branch.name.clone(),
            url: project.and_then(|project| project.link_of_branch(&branch.name, &branch.base)),
            is_cut: branch.cut_at.is_some(),
            base: branch.base.clone(),
            commit: short(&branch.base_commit),
            base_words: base_words(branch, now, &as_it_is).map(|words| sentence(&words)),
            pull: branch.pull_request.as_ref().map(pull),
        }
    }
}

fn pull(pull: &Pull) -> PullLine {
    let without_url = Pull {
        url: None,
        ..pull.clone()
    };
    PullLine {
        words: sentence(&pull_words(&without_url, &as_it_is)),
        class: match pull.state {
            PullState::Closed => "held",
            PullState::Open | PullState::Merged => "free",
        },
        url: pull.url.clone().filter(|url| is_link(url)),
    }
}
