//! A file with every key, its default and its meaning, all of it commented out.

use std::fmt::Write as _;

use super::keys::{self, Key, MESH, SECTIONS};

/// Columns of a comment.
const COLUMNS: usize = 100;

/// What a section is about.
fn about(section: &str) -> &'static str {
    match section {
        MESH => {
            "Where the mesh is. Schedulers, agents and the page of this host go by it, and so do commands that are told nothing else."
        }
        "scheduler" => "`tickmesh scheduler`",
        "agent" => "`tickmesh agent`",
        "web" => "`tickmesh web`: the page, the HTTP API and the metrics",
        _ => {
            "`tickmesh up`: all of it in one process, with a nats-server of its own. Every key of [agent] can stand here, too: `up` does not go by that section."
        }
    }
}

/// Returns the file.
pub(crate) fn text() -> String {
    let mut text = String::from(HEAD);
    for section in [MESH].into_iter().chain(SECTIONS) {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{}[{section}]\n", commented(about(section)));
        let told: Vec<String> = if section == "up" { names_of("agent") } else { Vec::new() };
        for key in keys::of(section).iter().filter(|key| key.name == "log_format" || !told.contains(&key.name)) {
            let _ = write!(text, "\n{}# {}\n", commented(&meaning(key)), line(key));
        }
    }
    text
}

fn names_of(section: &str) -> Vec<String> {
    keys::of(section).into_iter().map(|key| key.name).collect()
}

const HEAD: &str = "\
# Settings of tickmesh on this host. Flags count more than variables of the environment, and those more than this file:
# `tickmesh config` prints what counts and from where. Every key has its default, or an example if it has none.
# A change counts from the next start of the process: `systemctl restart tickmesh-agent`.
";

/// Meaning and variable.
fn meaning(key: &Key) -> String {
    let help = key.argument.get_help().map(ToString::to_string).unwrap_or_default();
    let possible = key.possible();
    let possible = if possible.is_empty() { String::new() } else { format!(" One of: {}.", possible.join(", ")) };
    let several = if key.is_list() { ", separated by commas" } else { "" };
    format!("{}.{possible} Variable: {}{several}.", help.trim_end_matches('.'), key.variable)
}

/// The key with its default, or with the name of its value.
fn line(key: &Key) -> String {
    let defaults = key.argument.get_default_values().iter().filter_map(|value| value.to_str());
    let values: Vec<String> = defaults.map(quoted).collect();
    let value = match (values.first(), key.is_list(), key.is_switch()) {
        (_, _, true) => "false".to_owned(),
        (Some(value), false, false) => value.clone(),
        (_, true, _) => format!("[{}]", values.join(", ")),
        (None, false, false) => placeholder(key),
    };
    format!("{} = {value}", key.name)
}

/// A value as TOML has it.
fn quoted(text: &str) -> String {
    match text.parse::<u64>() {
        Ok(_) => text.to_owned(),
        Err(_) => format!("{text:?}"),
    }
}

/// What stands where there is no default.
fn placeholder(key: &Key) -> String {
    let name = key.argument.get_value_names().and_then(|names| names.first()).map_or("VALUE", |name| name.as_str());
    match key.possible().first() {
        Some(first) => quoted(first),
        None if ["COUNT", "PORT", "SHARES"].contains(&name) => "0".to_owned(),
        None => quoted(name),
    }
}

/// Comment lines of a text.
fn commented(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > COLUMNS {
            lines.push_str(&line);
            lines.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    lines + &line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::file::SettingsFile;

    #[test]
    fn the_page_in_the_docs_has_the_whole_file() {
        let page = include_str!("../../../../docs/reference/configuration.md");
        let (_, rest) = page.split_once("```toml\n").unwrap();
        let (block, _) = rest.split_once("```").unwrap();
        assert_eq!(block, text(), "docs/reference/configuration.md must have what `tickmesh config --defaults` prints");
    }

    /// Every key that has a default can be put in force as it stands.
    #[test]
    fn defaults_are_valid_when_they_are_put_in_force() {
        for section in [MESH].into_iter().chain(SECTIONS) {
            for key in keys::of(section) {
                for value in key.argument.get_default_values() {
                    assert_eq!(key.problem(value.to_str().unwrap()), None, "{section}.{}", key.name);
                }
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tickmesh.toml");
        std::fs::write(&path, text()).unwrap();
        SettingsFile::read(Some(&path)).unwrap().ensure_all_valid().unwrap();
    }
}
