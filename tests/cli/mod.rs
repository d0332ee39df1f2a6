//! The command line.

mod address;
mod bad_input;
mod command_line;
mod configuration;
mod policy_new;
mod policy_new_c;
mod policy_workflow;
mod streams;
