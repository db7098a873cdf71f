//! How the command line meets people: its commands in groups, and tips for words that other tools use.

use std::{ffi::OsString, fmt::Write as _};

use clap::{
    Command, Error,
    builder::StyledStr,
    error::{ContextKind, ContextValue, ErrorKind},
};

/// The commands by what people want to do, in the order of `--help`.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Apps", &["apply", "diff", "validate", "ls", "show", "pause", "resume", "history", "rollback", "rm"]),
    ("Runs", &["run", "runs", "logs", "cancel", "retry", "queue"]),
    ("Schedules", &["next", "explain"]),
    ("Mesh", &["doctor", "agents", "leader", "events"]),
    ("Processes", &["demo", "up", "scheduler", "agent", "web"]),
];
/// The group of everything else.
const OTHER: &str = "Other";

/// Words that are no command, and what to type instead.
const TIPS: [(&[&str], &str); 7] = [
    (&["down"], "Ctrl-C stops `tickmesh up`; `tickmesh rm APP` removes an app"),
    (&["login", "use"], "`tickmesh context add NAME --nats URL` names a mesh; or use `--nats URL`"),
    (&["drain", "undrain", "forget", "prune"], "`tickmesh agent` has it: `tickmesh agent drain NAME`"),
    (&["exec", "attach", "shell"], "`tickmesh logs APP -f` follows the output of a run"),
    (&["edit", "set", "update", "replace"], "edit the file, then `tickmesh apply FILE`"),
    (&["step-down", "elect"], "`tickmesh leader step-down` hands over leadership"),
    (&["restart"], "`tickmesh run APP` starts a run; `tickmesh retry APP/RUN` repeats what failed"),
];
/// Letters that may be wrong in a command that is suggested.
const TYPING_ERRORS_MAX: usize = 2;

/// Returns the command with its subcommands in groups.
pub(crate) fn grouped(command: Command) -> Command {
    let groups = groups(&command);
    command.help_template(format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{groups}{heading}Options:{heading:#}\n{{options}}{{after-help}}",
        heading = Command::new("").get_styles().get_header(),
    ))
}

/// Returns the list of groups as `--help` shows it.
fn groups(command: &Command) -> String {
    let (styles, mut text) = (command.get_styles(), String::new());
    let shown: Vec<&Command> = command.get_subcommands().filter(|it| !it.is_hide_set()).collect();
    let width = shown.iter().map(|it| it.get_name().len()).max().unwrap_or(0);
    let other = |name: &str| GROUPS.iter().all(|(_, names)| !names.contains(&name));
    let rest: Vec<&str> = shown.iter().map(|it| it.get_name()).filter(|name| other(name)).collect();
    for (title, names) in GROUPS.iter().copied().chain([(OTHER, rest.as_slice())]) {
        let (heading, literal) = (styles.get_header(), styles.get_literal());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{heading}{title}:{heading:#}");
        for name in names {
            let about = shown.iter().find(|it| it.get_name() == *name).and_then(|it| it.get_about());
            let about = about.map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {literal}{name:width$}{literal:#}  {about}");
        }
        text.push('\n');
    }
    text
}

/// Returns the error with a tip that fits, or with none: a wrong one is worse.
pub(crate) fn with_tip(mut error: Error) -> Error {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return error;
    }
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand).cloned() else { return error };
    let suggested = error.remove(ContextKind::SuggestedSubcommand);
    if let Some(tip) = tip(&typed) {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]));
    } else if let Some(ContextValue::Strings(mut near)) = suggested {
        near.retain(|name| strsim::damerau_levenshtein(name, &typed) <= TYPING_ERRORS_MAX);
        if !near.is_empty() {
            error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(near));
        }
    }
    error
}

/// Returns the error with the usage of the command as its help has it. The library lists what stands in the environment as if it
/// had to be typed.
pub(crate) fn with_usage(mut error: Error, mut command: Command, arguments: &[OsString]) -> Error {
    if error.get(ContextKind::Usage).is_none() {
        return error;
    }
    // Names and usages of subcommands are put together by that.
    command.build();
    let mut meant = &command;
    for typed in arguments.iter().skip(1).filter_map(|argument| argument.to_str()) {
        meant = meant.find_subcommand(typed).unwrap_or(meant);
    }
    let usage = meant.clone().render_usage();
    error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    error
}

fn tip(typed: &str) -> Option<&'static str> {
    TIPS.iter().find(|(words, _)| words.contains(&typed)).map(|(_, tip)| *tip)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn usage_asks_for_nothing_that_is_in_the_environment() {
        let arguments = ["tickmesh", "--nats", "nats://n1", "show"].map(OsString::from);
        let error = Cli::command().try_get_matches_from(&arguments).unwrap_err();
        let text = with_usage(error, Cli::command(), &arguments).to_string();
        assert!(text.contains("Usage: tickmesh show [OPTIONS] <APP[/RUN]>"), "{text}");
    }

    #[test]
    fn every_command_is_in_one_group() {
        let command = Cli::command();
        let groups = anstream::adapter::strip_str(&groups(&command)).to_string();
        for subcommand in command.get_subcommands().filter(|it| !it.is_hide_set()) {
            let line = format!("  {} ", subcommand.get_name());
            let listed = groups.lines().filter(|it| it.starts_with(&line)).count();
            assert_eq!(listed, 1, "{} in\n{groups}", subcommand.get_name());
        }
        for name in GROUPS.iter().flat_map(|(_, names)| *names) {
            assert!(command.find_subcommand(name).is_some(), "{name} is no command");
        }
    }

    #[test]
    fn help_texts_fit_on_a_line() {
        for subcommand in Cli::command().get_subcommands().filter(|it| !it.is_hide_set()) {
            let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
            assert!((1..60).contains(&about.len()), "{}: {about}", subcommand.get_name());
        }
    }

    #[track_caller]
    fn check(typed: &str, expected: Option<&str>) {
        let error = Cli::command().try_get_matches_from(["tickmesh", typed]).unwrap_err();
        let said = with_tip(error).to_string();
        match expected {
            Some(expected) => assert!(said.contains(expected), "{typed}: {said}"),
            None => assert!(!said.contains("tip:"), "{typed}: {said}"),
        }
    }

    #[test]
    fn tips_are_true_or_absent() {
        check("down", Some("Ctrl-C stops"));
        check("drain", Some("tickmesh agent drain NAME"));
        check("shwo", Some("'show'"));
        check("aply", Some("'apply'"));
        check("frobnicate", None);
    }

    /// What people type first, of docker, kubectl and nomad.
    #[test]
    fn habits_of_other_tools_work() {
        let lines = [
            "ps",
            "list",
            "get nightly",
            "status",
            "jobs",
            "describe nightly",
            "inspect nightly/1",
            "apply -f a.yml",
            "create -f a.yml",
            "rm -f nightly",
            "delete nightly",
            "remove nightly",
            "stop nightly",
            "kill nightly/1",
            "start nightly",
            "trigger nightly",
            "suspend nightly",
            "disable nightly",
            "unpause nightly",
            "enable nightly",
            "logs -n 10 nightly",
            "runs -n 5 nightly",
            "events -n 5",
            "ls --status failed",
            "ls nightly",
            "ls --watch",
            "pause a b",
            "pause --all",
            "nodes",
            "agent ls",
            "agent show host-1",
            "plan a.yml",
            "lint a.yml",
        ];
        for line in lines {
            let words = ["tickmesh"].into_iter().chain(line.split(' '));
            let parsed = Cli::command().try_get_matches_from(words);
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }
}
