//! The API: a file for each resource. A handler reads a request, has the queue do it, and answers.

pub mod age;
pub mod audit;
pub mod background;
pub mod claims;
pub mod deploys;
mod figures;
pub mod freezes;
pub mod health;
mod hook_news;
pub mod hooks;
mod idempotency;
pub mod jobs;
pub mod lists;
pub mod metrics;
pub mod policy;
pub mod proposals;
pub mod queue;
mod ready;
pub mod tasks;
