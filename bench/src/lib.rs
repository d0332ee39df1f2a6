//! What the benches share: taking turns, percentiles, the report.
//!
//! A bench is a program of its own in `benches/`, started by `cargo bench`. It builds its contestants,
//! lets a [`Contest`] take turns between them, and writes a [`Report`] to `bench/results/`, with the
//! machine and the command that gave it. Nothing here knows what is measured.

mod contest;
mod machine;
mod report;

pub use contest::{Contest, Times, timed};
pub use machine::machine;
pub use report::{Report, duration, ratio};
