//! `tickmesh completions`: what makes a shell complete commands, options and names of apps.

use anyhow::Context as _;
use clap::ValueEnum;
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use super::Session;
use crate::exit::Exit;

/// The variable with which a shell asks: see [`clap_complete::CompleteEnv`].
const VARIABLE: &str = "COMPLETE";
const PROGRAM: &str = "tickmesh";

/// What `completions` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// A shell that can be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

/// Prints a script for the shell.
pub(crate) fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    let written = match args.shell {
        Shell::Bash => Bash.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script),
        Shell::Zsh => Zsh.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script),
        Shell::Fish => Fish.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script),
    };
    written.context("cannot write the script")?;
    session.output.raw(&script)?;
    Ok(Exit::Success)
}
