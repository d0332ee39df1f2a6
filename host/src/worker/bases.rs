//! Keeps track of the bases of a worker's projects.
//!
//! Owns when to look at them: every minute, and soon after a job has ended. Leaves the look itself
//! to `branch`. Callers rely on this: a look that fails is logged, and never stops a worker.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::{Open, Worker, branch};
use crate::error::with_causes;

/// How often to look while no job ends.
const LOOK_AT_BASES: Duration = Duration::from_secs(60);

/// The shortest time between two looks, because each look asks every remote.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

impl Worker<'_> {
    /// Looks at the bases until all parts have ended.
    pub(super) fn watch_bases(&self, open: Open<'_>, ended: &Receiver<()>) {
        let mut logged = BTreeMap::new();
        loop {
            self.look_at_bases(open, &mut logged);
            let looked = Instant::now();
            let (mut wait, mut is_due) = (LOOK_AT_BASES, false);
            loop {
                match ended.recv_timeout(wait.saturating_sub(looked.elapsed())) {
                    Ok(()) => (wait, is_due) = (BETWEEN_LOOKS, true),
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => {
                        if is_due {
                            self.look_at_bases(open, &mut logged);
                        }
                        return;
                    }
                }
            }
        }
    }

    /// `logged` is the last error of each repo: a remote that is down for hours is logged once.
    fn look_at_bases(&self, open: Open<'_>, logged: &mut BTreeMap<String, String>) {
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
                tracing::warn!("cannot look at the bases: {}", with_causes(&error));
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
                    if logged.remove(&project.repo).is_some() {
                        tracing::info!("the base of `{repo}` can be looked at again");
                    }
                }
                Err(branch::Error::GivenUp) => {}
                Err(error) => {
                    let error = with_causes(&error);
                    if logged.get(&project.repo) != Some(&error) {
                        tracing::warn!("cannot look at the base of `{repo}`: {error}");
                        logged.insert(project.repo.clone(), error);
                    }
                }
            }
        }
    }
}
