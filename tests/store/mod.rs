//! The database: a job's life, the flat claim, foreign tables, and what happens to the file.

mod adoption;
mod claiming;
mod clocks;
mod effects;
mod files;
mod flat;
mod freezes;
mod journal;
mod plans;
mod refused_rows;
mod tasks;
mod tokens;
