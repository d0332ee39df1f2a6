//! The command line.

mod address;
mod bad_input;
mod command_line;
mod configuration;
mod policy_new;
mod policy_workflow;
mod streams;
