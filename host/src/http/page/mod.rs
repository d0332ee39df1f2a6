//! The pages for people, their forms, the login, and the events that keep them up to date.

pub mod activity;
pub mod assets;
mod branch;
pub mod events;
pub mod forms;
mod life;
mod links;
pub mod login;
mod markup;
pub mod overview;
mod pager;
mod past;
mod pictures;
pub mod policy;
pub mod refusal;
pub mod repo;
mod row;
pub mod task;
mod visible;
mod visitor;
mod work;
