//! What a queue says of its jobs: who waits for what, and what the next claim does.

mod agreement_in_use;
mod history;
mod lines;
mod long_line;
mod names;
mod one_moment;
mod one_repo_s_failure;
mod overview;
mod promises;
mod stuck;
mod waiters;
