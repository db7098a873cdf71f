//! `tickmesh`: the command people type, and the only crate that knows all others.
//!
//! A command takes its arguments (`commands/`), talks to the mesh (`connect`), gets plain data from `tickmesh_client`, makes text of it
//! (`views/`) and shows that (`output`). Data goes to stdout, talk to stderr, and how it went to the exit code (`exit`).

mod backup_file;
mod build;
mod cli;
mod commands;
mod completion;
mod compose_file;
mod connect;
mod consent;
mod contexts;
mod env_files;
mod escape;
mod examples;
mod exit;
mod habits;
mod inputs;
mod local;
mod logging;
mod login;
mod naming;
mod nats_server;
mod output;
mod parts;
mod process_metrics;
mod secret_file;
mod settings;
mod source_diff;
mod target;
mod variables;
mod views;

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::CompleteEnv;

use self::settings::Refused;

/// Messages are allocated and freed by the thousand, on all threads: the C library's own allocator takes a fifth more processor time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Where a shell asks what could be typed next, that is answered, and all.
    CompleteEnv::with_factory(cli::Cli::command).complete();
    match settings::read(std::env::args_os()) {
        Ok(typed) => commands::run(typed).into(),
        Err(Refused::Typed(error)) => habits::with_tip(error).exit(),
        Err(Refused::Settings(error)) => commands::judged(Err(error)).into(),
    }
}
