//! What people call things by: tasks by their work item, and lists of tasks and jobs.

mod tasks;
