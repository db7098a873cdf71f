//! The keys that there are: one for each long flag of a process.

use clap::{
    Arg, ArgAction, Command,
    builder::{OsStr, StyledStr},
};

use super::{file::SettingsFile, variable};
use crate::{cli::Cli, exit::BadInput, login::LoginKey};

/// Sections with the flags of a command. `[mesh]` beside them says where the mesh is.
pub(crate) const SECTIONS: [&str; 4] = ["scheduler", "agent", "web", "up"];
/// The section of what says where the mesh is.
pub(crate) const MESH: &str = "mesh";
/// The keys of that section, the flag and the variable of each; those of a login beside them.
const MESH_KEYS: [(&str, &str, &str); 2] =
    [("nats", "nats", "TICKMESH_NATS_URL"), ("namespace", "namespace", "TICKMESH_NAMESPACE")];

/// Between the values of a variable whose flag may be repeated.
const SEPARATOR: char = ',';

/// A key of the file.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// Name below its section.
    pub name: String,
    /// Long flag, without hyphens.
    pub flag: String,
    /// Variable of the environment.
    pub variable: String,
    /// The flag, as clap knows it.
    pub argument: Arg,
}

impl Key {
    /// Whether there may be several values.
    pub(crate) fn is_list(&self) -> bool {
        is_list(&self.argument)
    }

    /// Whether the value is true or false.
    pub(crate) fn is_switch(&self) -> bool {
        matches!(self.argument.get_action(), ArgAction::SetTrue)
    }

    /// Whether the variable says something.
    pub(crate) fn is_in_environment(&self) -> Result<bool, BadInput> {
        variable(&self.variable).map(|value| value.is_some())
    }

    /// Returns what is wrong with a value, in the words that the flag has for it.
    pub(crate) fn problem(&self, value: &str) -> Option<String> {
        if self.is_switch() {
            return (!["true", "false"].contains(&value)).then(|| "it is `true` or `false`".to_owned());
        }
        // Alone: a flag that needs another one is checked with all that counts, later.
        let argument = Arg::new("value").long("value").action(ArgAction::Set);
        let argument = argument.value_parser(self.argument.get_value_parser().clone());
        let command = Command::new("settings").no_binary_name(true).arg(argument);
        let error = command.try_get_matches_from([format!("--value={value}")]).err()?;
        if let Some(cause) = std::error::Error::source(&error) {
            return Some(cause.to_string());
        }
        let possible: Vec<String> = self.possible();
        Some(if possible.is_empty() {
            "it must not be empty".to_owned()
        } else {
            format!("it is one of {}", possible.join(", "))
        })
    }

    /// The values that there are, if they can be listed.
    pub(crate) fn possible(&self) -> Vec<String> {
        let values = self.argument.get_possible_values();
        values.iter().filter(|it| !it.is_hide_set()).map(|it| it.get_name().to_owned()).collect()
    }
}

/// Returns the keys of a section, in the order of the flags in `--help`.
pub(crate) fn of(section: &str) -> Vec<Key> {
    let command = <Cli as clap::CommandFactory>::command();
    if section == MESH {
        let key = |(name, flag, variable): (&str, &str, &str)| {
            let argument = command.get_arguments().find(|it| it.get_long() == Some(flag))?.clone();
            Some(Key { name: name.to_owned(), flag: flag.to_owned(), variable: variable.to_owned(), argument })
        };
        let login = LoginKey::ALL.map(|key| (key.name(), key.flag(), key.variable()));
        return MESH_KEYS.into_iter().chain(login).filter_map(key).collect();
    }
    let subcommand = command.find_subcommand(section).into_iter();
    subcommand.flat_map(Command::get_arguments).filter_map(|argument| key(section, argument)).collect()
}

fn key(section: &str, argument: &Arg) -> Option<Key> {
    let flag = argument.get_long().filter(|flag| *flag != "help")?;
    let name = flag.replace('-', "_");
    let variable = format!("TICKMESH_{section}_{name}").to_uppercase();
    Some(Key { name, flag: flag.to_owned(), variable, argument: argument.clone() })
}

fn is_list(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Append)
}

/// Gives every flag of a process its variable. Flags that may be repeated get theirs in [`with_settings`]: clap would cut
/// what is typed at the separator, too.
pub(crate) fn with_variables(mut command: Command) -> Command {
    for section in SECTIONS {
        command = command.mut_subcommand(section, |subcommand| {
            subcommand.mut_args(|argument| {
                let Some(key) = key(section, &argument) else { return argument };
                if key.is_list() {
                    return with_words(argument, &format!(" [env: {}, separated by commas]", key.variable));
                }
                // A variable that is set to nothing is not set, as files of units have it.
                match std::env::var_os(&key.variable) {
                    Some(value) if value.is_empty() => argument,
                    Some(_) | None => argument.env(key.variable).hide_env_values(true),
                }
            })
        });
    }
    command
}

/// Adds words to both helps of a flag.
fn with_words(argument: Arg, words: &str) -> Arg {
    let text = |help: Option<&StyledStr>| help.map(|help| format!("{help}{words}"));
    let (short, long) = (text(argument.get_help()), text(argument.get_long_help()));
    let argument = argument.help(short.unwrap_or_default());
    match long {
        Some(long) => argument.long_help(long),
        None => argument,
    }
}

/// Gives the flags of a process what the file and variables with several values say, as defaults.
pub(crate) fn with_settings(command: Command, section: &'static str, file: &SettingsFile) -> Result<Command, BadInput> {
    let mut defaults: Vec<(String, Vec<String>)> = Vec::new();
    for key in of(section) {
        let stated = if key.is_list() { variable(&key.variable)? } else { None };
        let stated = match stated {
            Some(text) => Some(split(&key, &text)?),
            None => file.values(section, &key.name),
        };
        if let Some(values) = stated.filter(|values| !values.is_empty()) {
            defaults.push((key.flag, values));
        }
    }
    Ok(command.mut_subcommand(section, |subcommand| {
        subcommand.mut_args(|argument| {
            let found = defaults.iter().find(|(flag, _)| Some(flag.as_str()) == argument.get_long());
            match found {
                Some((_, values)) => argument.default_values(values.iter().map(OsStr::from)),
                None => argument,
            }
        })
    }))
}

/// The values of a variable whose flag may be repeated.
fn split(key: &Key, text: &str) -> Result<Vec<String>, BadInput> {
    let values: Vec<String> =
        text.split(SEPARATOR).map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect();
    for value in &values {
        if let Some(problem) = key.problem(value) {
            return Err(BadInput::new(format!("{} has `{value}`: {problem}", key.variable)));
        }
    }
    Ok(values)
}
