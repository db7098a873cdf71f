//! `tickmesh`: the command people type, and the only crate that knows all others.
//!
//! A command takes its arguments (`commands/`), talks to the mesh (`connect`), turns what it learned into plain data
//! (`views/`) and shows that (`output`). Data goes to stdout, talk to stderr, and how it went to the exit code (`exit`).

mod cli;
mod commands;
mod compose_file;
mod connect;
mod env_files;
mod escape;
mod exit;
#[cfg(test)]
mod fixture;
mod local;
mod logging;
mod nats_server;
mod output;
mod parts;
mod requests;
mod target;
mod transcript;
mod views;
mod when;
mod zones;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    commands::run(cli::Cli::parse()).into()
}
