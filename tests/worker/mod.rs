//! `work`: the real binary, real commands, and real bare repositories.

mod agents;
mod bases;
mod branches;
mod commands;
mod killed;
mod lines;
mod names;
mod output;
mod pipeline;
mod projects;
mod settings;
mod trouble;
mod unmerged;
