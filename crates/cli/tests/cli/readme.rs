//! What the README shows is what a reader gets.

use std::collections::BTreeSet;

use crate::command::{Place, repository_file};

fn readme() -> String {
    std::fs::read_to_string(repository_file("README.md")).unwrap()
}

/// The fenced blocks of that language.
fn blocks(language: &str) -> Vec<String> {
    let readme = readme();
    let fence = format!("```{language}\n");
    let parts = readme.split(fence.as_str()).skip(1);
    parts.map(|part| part.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// A line without what differs from one time to the next: numbers, and the padding that depends on them.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    for character in line.trim_end().chars() {
        let character = if character.is_ascii_digit() { '#' } else { character };
        if !(matches!(character, '#' | ' ') && shape.ends_with(character)) {
            shape.push(character);
        }
    }
    shape
}

/// Every line of the README's demo is a line of a real one.
#[track_caller]
pub(crate) fn check_demo(real: &str) {
    let real: BTreeSet<String> = real.lines().map(shape).collect();
    let shown = blocks("text").remove(0);
    for line in shown.lines().filter(|line| !line.is_empty() && *line != "...") {
        assert!(real.contains(&shape(line)), "the demo does not print {line:?}, but {real:#?}");
    }
}

#[test]
fn the_first_compose_file_is_an_app() {
    let said = Place::alone().run_with_input(&["validate", "-"], &blocks("yaml")[0]).expect(0);
    assert!(said.contains("*/5 * * * * *"), "{said}");
}

#[test]
fn every_command_that_the_readme_names_exists() {
    let readme = readme();
    let after_name = readme.split("tickmesh ").skip(1);
    let words = after_name.map(|rest| rest.split(|character: char| !character.is_ascii_lowercase()).next().unwrap());
    let known = [
        "scheduler",
        "agent",
        "validate",
        "apply",
        "ls",
        "show",
        "run",
        "runs",
        "logs",
        "cancel",
        "retry",
        "queue",
        "pause",
        "agents",
        "next",
    ];
    let commands: BTreeSet<&str> = words.filter(|word| known.contains(word) || *word == "up").collect();
    assert!(commands.len() == known.len() + 1, "the README leaves out a command: it has {commands:?}");
    for command in commands {
        Place::alone().run(&[command, "--help"]).expect(0);
    }
}
