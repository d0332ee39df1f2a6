//! The page for people, its forms, its login, and the events that keep it up to date.

mod branch;
pub mod dashboard;
pub mod events;
pub mod forms;
pub mod login;
mod visible;
mod work;
