//! `demo`: a tour of the gate.
use super::output::Output;
use super::{Error, Outcome};
use clap::Args;
/// Take a tour
#[derive(Args)]
pub struct Demo {}
impl Demo {
    pub fn run(self, _o: &mut Output) -> Result<Outcome, Error> {
        Ok(Outcome::Done)
    }
}
