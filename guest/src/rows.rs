//! Builds a snapshot from rows and texts, for tests.
//!
//! It checks nothing: the symbols of the rows must be in the snapshot.

use crate::snapshot::{Freeze, Freezes, Job, Jobs, Symbol, Symbols, Task, TaskRef, Tasks};

/// The first text gets the symbol 1.
impl<'a> FromIterator<&'a str> for Symbols {
    fn from_iter<T: IntoIterator<Item = &'a str>>(texts: T) -> Symbols {
        let mut symbols = Symbols::default();
        symbols.ends.push(0);
        for text in texts {
            symbols.text.push_str(text);
            let end = u32::try_from(symbols.text.len()).unwrap_or(u32::MAX);
            symbols.ends.push(end);
        }
        symbols
    }
}

impl FromIterator<Task> for Tasks {
    fn from_iter<T: IntoIterator<Item = Task>>(rows: T) -> Tasks {
        let mut tasks = Tasks::default();
        for task in rows {
            tasks.id.push(task.id);
            tasks.repo.push(column(task.repo));
            tasks.stage.push(column(task.stage));
            tasks.label.push(column(task.label));
        }
        tasks
    }
}

impl FromIterator<Job> for Jobs {
    fn from_iter<T: IntoIterator<Item = Job>>(rows: T) -> Jobs {
        let mut jobs = Jobs::default();
        for job in rows {
            let (number, kind) = match job.task_id {
                None => (0, 0),
                Some(TaskRef::Id(id)) => (id, 1),
                Some(TaskRef::BeforeId(id)) => (id, 2),
                Some(TaskRef::AfterEveryId) => (0, 3),
            };
            jobs.id.push(job.id);
            jobs.task_id.push(number);
            jobs.task_id_kind.push(kind);
            jobs.repo.push(column(job.repo));
            jobs.agent.push(column(job.agent));
            jobs.status.push(column(job.status));
        }
        jobs
    }
}

impl FromIterator<Freeze> for Freezes {
    fn from_iter<T: IntoIterator<Item = Freeze>>(rows: T) -> Freezes {
        let mut freezes = Freezes::default();
        for freeze in rows {
            freezes.id.push(freeze.id);
            freezes.repo.push(column(freeze.repo));
            freezes.cleared_at.push(column(freeze.cleared_at));
        }
        freezes
    }
}

/// 0 is NULL.
fn column(symbol: Option<Symbol>) -> u32 {
    symbol.map_or(0, Symbol::get)
}
