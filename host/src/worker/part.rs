//! A part of a worker: one job after another, on one connection.
//!
//! Owns when the next job is claimed, and when the part ends. Leaves the job itself to `job`.

use std::sync::mpsc::Sender;
use std::thread;

use super::idle::Idle;
use super::{Error, PAUSE, Worker};
use crate::error::with_causes;
use crate::queue::{Claimant, Queue};

impl Worker<'_> {
    pub(super) fn part(
        &self,
        mut queue: Queue,
        name: &str,
        speaks: bool,
        ended: &Sender<()>,
    ) -> Result<(), Error> {
        let claimant = Claimant {
            worker: name,
            agents: &self.setup.agents,
        };
        let mut idle = Idle::new(&self.setup.agents, speaks);
        let is_draining = || self.shutdown.is_draining();
        while !is_draining() && self.take_place() {
            let is_enough = || is_draining() || idle.is_due((self.clock)());
            match queue.wait_for_job(&self.clock, claimant, self.setup.lease, &is_enough) {
                Ok(Some(job)) => {
                    let outcome = self.job(&mut queue, &job, name).inspect_err(|_| {
                        // The other parts run the same command.
                        self.shutdown.drain();
                    })?;
                    self.count(&outcome);
                    // This fails if the thread that looks at the bases has ended.
                    let _ = ended.send(());
                    idle.begin((self.clock)());
                }
                Ok(None) => {
                    self.give_place_back();
                    if !is_draining() {
                        idle.say(&mut queue, (self.clock)());
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
}
