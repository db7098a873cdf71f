//! Settings of the processes that go on until they are stopped: flags, before variables of the environment, before the file
//! `/etc/tickmesh/tickmesh.toml`.
//!
//! Every long flag of `scheduler`, `agent`, `web` and `up` has a variable and a key, by one rule (`keys`): `--allow-path` of `agent`
//! is `TICKMESH_AGENT_ALLOW_PATH` and `allow_path` below `[agent]`. What the file says is given to clap as the default of
//! the flag, so that one parser checks all three.

pub(crate) mod file;
pub(crate) mod keys;
mod problem;
pub(crate) mod template;

use std::{ffi::OsString, path::PathBuf};

use clap::{ArgMatches, Command, CommandFactory as _, FromArgMatches as _};

use self::file::SettingsFile;
use crate::{cli::Cli, examples, exit::BadInput, habits};

/// The file, unless another one is named.
pub(crate) const FILE_DEFAULT: &str = "/etc/tickmesh/tickmesh.toml";
/// Names another file.
const FILE_VARIABLE: &str = "TICKMESH_CONFIG";

/// The option that names the file.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct FileFlag {
    /// Settings of this host [default: /etc/tickmesh/tickmesh.toml, if it is there]
    #[arg(
        long = "config",
        global = true,
        env = FILE_VARIABLE,
        hide_env_values = true,
        value_name = "FILE",
        help_heading = "Mesh"
    )]
    pub config: Option<PathBuf>,
}

/// What was typed makes no sense.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The command line does not.
    Typed(clap::Error),
    /// A variable or the file does not.
    Settings(anyhow::Error),
}

impl From<clap::Error> for Refused {
    fn from(error: clap::Error) -> Self {
        Self::Typed(error)
    }
}

impl From<anyhow::Error> for Refused {
    fn from(error: anyhow::Error) -> Self {
        Self::Settings(error)
    }
}

/// The command line as it can be typed.
pub(crate) fn command() -> Command {
    keys::with_variables(habits::grouped(examples::with_examples(Cli::command())))
}

/// Reads what was typed, and what the environment and the file say where nothing was typed.
pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Refused> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let plainly = |error| habits::with_usage(error, command(), &arguments);
    let matches = command().try_get_matches_from(&arguments).map_err(plainly)?;
    let Some(section) = section_of(&matches) else { return Ok(Cli::from_arg_matches(&matches)?) };
    let file = SettingsFile::read(matches.get_one("config"))?;
    file.ensure_valid(section)?;
    let command = keys::with_settings(command(), section, &file).map_err(anyhow::Error::new)?;
    let matches = command.try_get_matches_from(&arguments).map_err(plainly)?;
    Ok(Cli::from_arg_matches(&matches)?)
}

/// The section that a command goes by. Commands that end by themselves have none, and look at `[mesh]` only.
fn section_of(matches: &ArgMatches) -> Option<&'static str> {
    let (name, of_command) = matches.subcommand()?;
    let is_process = of_command.subcommand_name().is_none();
    keys::SECTIONS.into_iter().find(|section| *section == name && is_process)
}

/// What a variable says, if it is set to something.
fn variable(name: &str) -> Result<Option<String>, BadInput> {
    match std::env::var(name) {
        Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(BadInput::new(format!("{name} is no text"))),
    }
}
