//! The whole system: many processes, power cuts, and one story from the first task to a reopened
//! repo.

mod life;
mod pooler;
#[cfg(target_os = "linux")]
mod power_cut;
mod processes;
mod story;
