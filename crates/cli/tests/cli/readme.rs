//! What the README shows is what a reader gets.

use std::collections::BTreeSet;

use crate::command::{Place, repository_file};

fn readme() -> String {
    std::fs::read_to_string(repository_file("README.md")).unwrap()
}

/// The fenced blocks of that language.
pub(crate) fn blocks(language: &str) -> Vec<String> {
    let readme = readme();
    let fence = format!("```{language}\n");
    let parts = readme.split(fence.as_str()).skip(1);
    parts.map(|part| part.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// A line without what differs from one time to the next: numbers, and the padding that depends on them.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    // The namespace of a demo ends with random hexadecimal digits.
    let line = line.split_once("namespace demo-").map_or(line, |(before, _)| before);
    for character in line.trim_end().chars() {
        let character = if character.is_ascii_digit() { '#' } else { character };
        if !(matches!(character, '#' | ' ') && shape.ends_with(character)) {
            shape.push(character);
        }
    }
    shape
}

/// Every line of the recorded demo is a line of a real one, but for the command and for what is left out.
#[track_caller]
pub(crate) fn check_demo(real: &str) {
    let real: BTreeSet<String> = real.lines().map(shape).collect();
    let recorded = std::fs::read_to_string(repository_file("docs/images/demo.svg")).unwrap();
    let lines: Vec<&str> = recorded.split("</text>").filter_map(|part| part.rsplit('>').next()).collect();
    assert!(lines.len() > 15, "the recording has {lines:?}");
    for line in lines.into_iter().filter(|line| !line.trim().is_empty() && !["...", "$ make demo"].contains(line)) {
        assert!(real.contains(&shape(line)), "the demo does not print {line:?}, but {real:#?}");
    }
}

/// The page that lists every command.
fn commands_page() -> String {
    std::fs::read_to_string(repository_file("docs/reference/commands.md")).unwrap()
}

#[test]
fn the_first_compose_file_is_an_app() {
    let said = Place::alone().run_with_input(&["validate", "-"], &blocks("yaml")[0]).expect(0);
    assert!(said.contains("*/10 * * * * *"), "{said}");
}

/// What stands behind the program's name.
fn commands_named(page: &str) -> BTreeSet<String> {
    let after_name = page.split("tickmesh ").skip(1);
    after_name.map(|rest| rest.split(|it: char| !it.is_ascii_lowercase()).next().unwrap().to_owned()).collect()
}

/// The commands of `tickmesh --help`.
fn commands_of_help() -> BTreeSet<String> {
    let help = Place::alone().run(&["--help"]).expect(0);
    let names = help.lines().filter_map(|line| line.strip_prefix("  ")?.split_once("  ")?.0.split(' ').next());
    names.filter(|name| name.chars().all(|it| it.is_ascii_lowercase()) && *name != "help").map(str::to_owned).collect()
}

#[test]
fn the_page_of_commands_has_every_command() {
    let (commands, page) = (commands_of_help(), commands_page());
    assert!(commands.len() > 25, "{commands:?}");
    // A row may name several: `tickmesh pause APP`, `resume APP`.
    let rows: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('|').next()).collect();
    let words: BTreeSet<&str> = rows.iter().flat_map(|row| row.split([' ', '`'])).collect();
    let missing: Vec<&String> = commands.iter().filter(|command| !words.contains(command.as_str())).collect();
    assert!(missing.is_empty(), "docs/reference/commands.md leaves out {missing:?}");
}

#[test]
fn every_command_that_the_readme_names_exists() {
    let commands = commands_of_help();
    // Sentences have the name, too; what looks like a command is in backticks or a block of commands.
    let readme = readme();
    let quoted: String = readme.split('`').skip(1).step_by(2).map(|text| format!("{text}\n")).collect();
    let blocks: String =
        readme.lines().filter_map(|line| line.strip_prefix("    ")).map(|it| format!("{it}\n")).collect();
    let named = commands_named(&(quoted + &blocks));
    assert!(named.len() >= 10, "{named:?}");
    for command in named.iter().filter(|command| !command.is_empty()) {
        assert!(commands.contains(command), "there is no `tickmesh {command}`");
    }
}

/// Each of these lines is on the page of commands, which a test runs; `[..]` stands there for what differs each time.
#[test]
fn the_failed_run_of_the_readme_is_that_of_the_page() {
    let (page, shown) = (commands_page(), blocks("console").remove(0));
    let is_on_page = |line: &str| {
        page.lines().any(|said| {
            let mut rest = line.trim_end();
            let mut parts = said.trim_end().split("[..]");
            let begins = parts.next().and_then(|part| rest.strip_prefix(part));
            begins.is_some_and(|after| {
                rest = after;
                parts.all(|part| rest.find(part).map(|at| rest = &rest[at + part.len()..]).is_some()) && rest.is_empty()
            })
        })
    };
    for line in shown.lines().filter(|line| !line.trim().is_empty() && line.trim() != "...") {
        assert!(is_on_page(line), "docs/reference/commands.md does not have {line:?}");
    }
}
