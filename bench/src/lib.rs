//! What the benches share: taking turns, percentiles, the report.
//!
//! A bench is a program in `benches/`, started by `cargo bench`. It builds its contestants, lets
//! them take turns in a [`Contest`], and writes a [`Report`] to `bench/results/`, which names the
//! machine and the command. Nothing here knows what is measured.

mod contest;
mod machine;
mod report;

pub use contest::{Contest, Times, timed};
pub use machine::machine;
pub use report::{Report, duration, ratio};
