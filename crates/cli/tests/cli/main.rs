//! The command as people and scripts use it: arguments in; stdout, stderr and exit code out.

#![expect(clippy::unwrap_used, reason = "all of this is tests, helpers included, and a test fails by panicking")]

mod alone;
mod backup;
mod command;
mod commands;
mod damage;
mod far;
mod files;
mod fleet;
mod guides;
mod leader;
mod like_compose;
mod like_compose_files;
mod local;
mod lost_store;
mod mesh;
mod nodes;
mod packages;
mod page;
mod part;
mod process_metrics;
mod readme;
mod restored;
mod schedulers;
mod secrets;
mod settings;
mod stack;
mod stack_networks;
mod user;
