//! The bases of a worker's projects: where they are now.
//!
//! Owns when they are looked at: once in a while, and soon after a job has ended. Leaves the look
//! itself to `branch`. It never stops a worker: what cannot be found out is said in the log.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::{Open, Worker, branch};
use crate::error::with_causes;

/// How often the bases are looked at while no job ends.
const LOOK_AT_BASES: Duration = Duration::from_secs(60);

/// How much time is between two looks at them, however many jobs end meanwhile: each asks every
/// remote.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

impl Worker<'_> {
    /// Looks at the bases once in a while and soon after a job, until no part is left.
    pub(super) fn watch_bases(&self, open: Open<'_>, ended: &Receiver<()>) {
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

    /// `said` is what was said of each repo's base last: a remote that is away for hours is
    /// reported once.
    fn look_at_bases(&self, open: Open<'_>, said: &mut BTreeMap<String, String>) {
        if self.setup.projects.is_empty() {
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
        let mut cancelled = || self.shutdown.is_draining();
        for project in &self.setup.projects {
            let now = (self.clock)();
            let store = queue.store_mut();
            let looked = branch::look_at_base(store, project, &finished, now, &mut cancelled);
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
}
