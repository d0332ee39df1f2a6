//! A copy of the state, to be changed as an operator would change the real one.
//!
//! Owns the two changes: finishing a task, and clearing a repo's freezes. Leaves the questions to
//! `explain`.

use std::collections::BTreeMap;
use std::iter::zip;

use crate::model::{NULL, Snapshot, Symbol};

/// A state that can be changed as an operator would change it.
pub(super) struct WhatIf {
    pub state: Snapshot,
    done: Symbol,
    repos: BTreeMap<i64, Symbol>,
}

impl WhatIf {
    pub fn new(mut state: Snapshot, done: &str) -> WhatIf {
        let known = state.symbols.iter().find(|(_, text)| *text == done);
        let known = known.map(|(symbol, _)| symbol);
        let done = known.unwrap_or_else(|| state.symbols.push(done));
        let rows = zip(&state.freezes.id, &state.freezes.repo);
        let with_repo = rows.filter(|(_, repo)| **repo != NULL);
        let repos = with_repo.map(|(id, repo)| (*id, *repo)).collect();
        WhatIf { state, done, repos }
    }

    /// Finishes a task. False when that changes nothing.
    pub fn finish(&mut self, id: i64) -> bool {
        let tasks = &mut self.state.tasks;
        let stage = zip(&tasks.id, &mut tasks.stage)
            .find(|(task, stage)| **task == id && **stage != self.done);
        stage.map(|(_, stage)| *stage = self.done).is_some()
    }

    /// Clears every freeze of the repo of this freeze, and returns the repo's name; none when that
    /// changes nothing.
    pub fn unfreeze(&mut self, id: i64) -> Option<String> {
        let repo = *self.repos.get(&id)?;
        let mut changed = false;
        let freezes = &mut self.state.freezes;
        let of_repo = zip(&freezes.repo, &mut freezes.cleared_at);
        for (_, cleared_at) in of_repo.filter(|(frozen, _)| **frozen == repo) {
            if *cleared_at == NULL {
                // Any value clears it.
                *cleared_at = repo;
                changed = true;
            }
        }
        let name = self.state.symbols.text(repo)?;
        changed.then(|| name.to_owned())
    }
}
