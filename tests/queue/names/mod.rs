//! What people call things by: tasks by their work item, and lists of tasks, jobs and freezes.

mod freezes;
mod lists;
mod repos;
mod tasks;
