//! The plans of the records' queries: which index answers each.

use super::{history, life, open_work, overview, waiting, work};
use crate::store::{Error, FinishedStages, Store};

impl Store {
    /// The steps of the database's plan for the query that finds heads.
    pub fn head_plan(&mut self) -> Result<Vec<String>, Error> {
        self.read(|tx| tx.plan(&waiting::first_jobs(tx)))
    }

    /// The steps of the database's plan for each query of the history.
    pub fn history_plans(&mut self) -> Result<Vec<Vec<String>>, Error> {
        self.read(|tx| {
            let queries = history::queries(tx).into_iter().chain(life::queries(tx));
            queries.map(|query| tx.plan(&query)).collect()
        })
    }

    /// The steps of the database's plan for each query of the work of a task, and of that of all
    /// repos.
    pub fn work_plans(&mut self) -> Result<Vec<Vec<String>>, Error> {
        self.read(|tx| {
            let mut queries = work::queries(tx);
            queries.extend(open_work::queries_of_counts(tx));
            queries.extend(open_work::queries_of_list(tx));
            queries.iter().map(|query| tx.plan(query)).collect()
        })
    }

    /// The steps of the database's plan for each query of an overview and its details.
    pub fn overview_plans(&mut self, finished: &FinishedStages) -> Result<Vec<Vec<String>>, Error> {
        self.read(|tx| {
            let queries = overview::queries(tx, finished);
            queries.iter().map(|query| tx.plan(query)).collect()
        })
    }
}
