//! docs/tutorials and docs/how-to: every command of them is run, and prints what is written there.
//!
//! The commands of a page stand in blocks of the language `console`, each after `$ `, with what it prints below it. A word behind
//! the language says more: `exit=1` is the exit code of the block's last command, `background` is a command that goes on until the
//! page is over, `not-run` is a block that no test can run (another host, systemd), of which there are exactly [`NOT_RUN`].
//!
//! Of what is printed, times, measures and padding may differ, `…` stands for anything within a line, and `...` for any lines. A block
//! of the language `yaml` is part of a file in examples/, unless it is `foreign`.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tickmesh_testkit::{nats::Server, wait::wait_until};

use crate::{
    command::{Place, repository_file},
    part::Part,
};

/// Long enough for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Blocks that no test runs. Who adds one has to say so here.
const NOT_RUN: usize = 24;

struct Block {
    language: String,
    words: Vec<String>,
    text: String,
}

impl Block {
    fn is(&self, word: &str) -> bool {
        self.words.iter().any(|it| it == word)
    }

    fn exit_code(&self) -> i32 {
        let code = self.words.iter().find_map(|word| word.strip_prefix("exit="));
        code.map_or(0, |code| code.parse().unwrap())
    }

    /// Each command with the lines that it is said to print.
    fn steps(&self) -> Vec<(String, Vec<&str>)> {
        let mut steps: Vec<(String, Vec<&str>)> = Vec::new();
        let mut goes_on = false;
        for line in self.text.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push((command.to_owned(), Vec::new()));
            } else if goes_on {
                let (command, _) = steps.last_mut().unwrap();
                command.push('\n');
                command.push_str(line);
            } else {
                let (_, printed) = steps.last_mut().expect("a block begins with a command");
                printed.push(line);
                continue;
            }
            goes_on = line.ends_with('\\');
        }
        steps
    }
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.trim_start().strip_prefix("```") else { continue };
        let mut words = info.split_whitespace().map(str::to_owned);
        let language = words.next().unwrap_or_default();
        let text: Vec<&str> = lines.by_ref().take_while(|line| line.trim_start() != "```").collect();
        blocks.push(Block { language, words: words.collect(), text: text.join("\n") });
    }
    blocks
}

/// The pages of a folder of docs/, in the order of their names.
fn pages(folder: &str) -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> =
        fs::read_dir(repository_file(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    pages
}

fn guides() -> Vec<PathBuf> {
    [pages("docs/tutorials"), pages("docs/how-to")].concat()
}

/// A line without what differs from one time to the next.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    for word in line.split_whitespace() {
        // 7, 1.25s, 2026-11-27T02:30:00+01:00, 1/3; without the brackets and commas around it
        let bare = word.trim_matches(|it: char| "(),:".contains(it));
        let number = bare.chars().all(|it| it.is_ascii_digit() || ".:+-/smhdTZµuGMKiB%".contains(it));
        // A plain number counts something, and is what the page says.
        let plain = bare.chars().all(|it| it.is_ascii_digit());
        let number = number && !plain && bare.contains(|it: char| it.is_ascii_digit());
        let word = if number { word.replace(bare, "#") } else { word.to_owned() };
        // The port of an address.
        let word = if word.contains("://") { word.trim_end_matches(|it: char| it.is_ascii_digit()) } else { &word };
        shape.push_str(word);
        shape.push(' ');
    }
    shape
}

/// Whether a line is what a page says: `…` is anything.
fn is_like(line: &str, said: &str) -> bool {
    let (line, said) = (shape(line), shape(said));
    let mut parts = said.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default().trim_end()) else { return false };
    let parts: Vec<&str> = parts.map(str::trim).collect();
    for (place, part) in parts.iter().enumerate() {
        if place + 1 == parts.len() && !part.is_empty() {
            return rest.trim_end().ends_with(part);
        }
        let Some(found) = rest.find(part) else { return false };
        rest = &rest[found + part.len()..];
    }
    !parts.is_empty() || rest.trim().is_empty()
}

/// Whether these lines are what a page says: `...` are any lines.
fn are_like(lines: &[&str], said: &[&str]) -> bool {
    match said.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first.trim() == "..." => {
            (0..=lines.len()).any(|skipped| are_like(&lines[skipped..], rest))
        }
        Some((first, rest)) => {
            lines.split_first().is_some_and(|(line, lines)| is_like(line, first) && are_like(lines, rest))
        }
    }
}

/// Where a page is read: a folder with the files of examples/, and what was started and set by the page.
struct Desk<'a> {
    page: String,
    place: &'a Place,
    variables: Vec<(String, String)>,
    started: Vec<Child>,
}

impl Desk<'_> {
    fn command(&self, line: &str) -> Command {
        let mut shell = Command::new("sh");
        let program = Path::new(env!("CARGO_BIN_EXE_tickmesh")).parent().unwrap();
        let tools = repository_file(".tools");
        let path = std::env::var("PATH").unwrap();
        shell.args(["-c", line]).current_dir(self.place.folder.path()).stdin(Stdio::null());
        shell.env("PATH", format!("{}:{tools}:{path}", program.display()));
        // All that a command of this place has, for those that the shell starts.
        for (name, value) in self.place.command(&[]).get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.envs(self.variables.iter().map(|(name, value)| (name, value)));
        shell
    }

    fn run(&mut self, block: &Block) {
        let steps = block.steps();
        for (number, (line, said)) in steps.iter().enumerate() {
            let code = if number + 1 == steps.len() { block.exit_code() } else { 0 };
            if block.is("background") {
                self.start(line, said);
            } else if let Some((name, value)) = line.strip_prefix("export ").and_then(|line| line.split_once('=')) {
                // What `up` says differs from what the page says that it says, and is taken when it says it.
                if !self.variables.iter().any(|(set, _)| set == name) {
                    self.variables.push((name.to_owned(), value.to_owned()));
                }
            } else {
                self.check(line, said, code);
            }
        }
    }

    fn check(&self, line: &str, said: &[&str], code: i32) {
        let output = self.command(&format!("{{ {line}\n}} 2>&1")).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = printed.trim_end().lines().collect();
        let page = &self.page;
        assert_eq!(output.status.code(), Some(code), "{page}: $ {line}\n{printed}");
        assert!(
            said.is_empty() || are_like(&lines, said),
            "{page}: $ {line}\n-- prints:\n{printed}-- and the page says:\n{}",
            said.join("\n")
        );
    }

    /// Starts what goes on, and waits until it has said what the page says.
    fn start(&mut self, line: &str, said: &[&str]) {
        let mut command = self.command(&format!("exec {line} 2>&1"));
        let mut child = command.process_group(0).stdout(Stdio::piped()).spawn().unwrap();
        let printed = BufReader::new(child.stdout.take().unwrap()).lines();
        self.started.push(child);
        let (sender, lines) = mpsc::channel();
        // Nobody listens any more once the page is over.
        std::thread::spawn(move || printed.for_each(|line| _ = sender.send(line.unwrap())));
        // What goes to stdout and what goes to stderr may change places.
        let mut printed: Vec<String> = Vec::new();
        for said in said {
            let line = loop {
                if let Some(line) = printed.iter().find(|line| is_like(line, said)) {
                    break line.clone();
                }
                let next = lines.recv_timeout(PATIENCE);
                printed.push(next.unwrap_or_else(|_| panic!("{line} says {printed:#?}, and never: {said}")));
            };
            if let Some((name, value)) = line.strip_prefix("export ").and_then(|line| line.split_once('=')) {
                self.variables.push((name.to_owned(), value.to_owned()));
            }
        }
    }
}

impl Drop for Desk<'_> {
    fn drop(&mut self) {
        for mut child in self.started.drain(..) {
            let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw).unwrap();
            _ = kill_process_group(group, Signal::INT);
            _ = child.wait();
        }
    }
}

#[test]
fn every_command_of_the_guides_does_what_they_say() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    let _leader = Part::start(&place, &["scheduler"], "leading");
    let _standby = Part::start(&place, &["scheduler"], "standing by");
    let hosts = ["host-1", "host-2", "host-3"];
    let _agents = hosts.map(|name| {
        let arguments = ["agent", "--name", name, "--slots", "4", "--label", "disk=ssd", "--label", "role=backup"];
        Part::start(&place, &arguments, "agent starts")
    });
    wait_until("the agents", PATIENCE, || place.run(&["agents"]).stdout.matches("ready").count() == hosts.len());
    for file in pages("examples") {
        fs::copy(&file, place.folder.path().join(file.file_name().unwrap())).unwrap();
    }
    place.write("token", "a-token-of-enough-bytes");
    let wanted = std::env::var("TICKMESH_GUIDE").unwrap_or_default();
    for page in guides().into_iter().filter(|page| page.display().to_string().contains(&wanted)) {
        let began = std::time::Instant::now();
        let text = fs::read_to_string(&page).unwrap();
        let name = page.file_name().unwrap().display().to_string();
        let mut desk = Desk { page: name.clone(), place: &place, variables: Vec::new(), started: Vec::new() };
        for block in blocks(&text).iter().filter(|block| block.language == "console" && !block.is("not-run")) {
            desk.run(block);
        }
        drop(desk);
        // The next page begins with a mesh that has no apps.
        for app in place.run(&["ls", "-o", "name"]).expect(0).lines() {
            place.run(&["cancel", app, "--force"]);
            place.run(&["rm", app]).expect(0);
        }
        println!("{name}: {:.1?}", began.elapsed());
    }
    for host in hosts {
        place.run(&["agent", "prune", "--name", host]).expect(0);
    }
}

#[test]
fn what_no_test_runs_of_the_guides_is_counted() {
    let all = guides().into_iter().flat_map(|page| blocks(&fs::read_to_string(page).unwrap()));
    let (not_run, run): (Vec<Block>, Vec<Block>) =
        all.filter(|block| block.language == "console").partition(|block| block.is("not-run"));
    assert_eq!(not_run.len(), NOT_RUN, "blocks that are not run");
    assert!(run.len() > 2 * NOT_RUN, "only {} blocks are run", run.len());
    // A command that stands in another kind of block would be run by nobody.
    for page in guides() {
        let text = fs::read_to_string(&page).unwrap();
        let stray = text.lines().find(|line| line.starts_with("    tickmesh ") || line.starts_with("    $ "));
        assert_eq!(stray, None, "{}", page.display());
        let known = ["console", "yaml", "json", "text", "ini", "nginx", "toml", "hcl", "caddyfile"];
        let strange = blocks(&text).into_iter().find(|block| !known.contains(&block.language.as_str()));
        assert!(strange.is_none_or(|block| panic!("{}: {}", page.display(), block.language)));
    }
}

#[test]
fn every_file_that_the_guides_show_is_an_example() {
    let examples: Vec<String> = pages("examples").iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    for page in guides().into_iter().chain([repository_file("README.md").into()]) {
        for block in blocks(&fs::read_to_string(&page).unwrap()) {
            let shown = block.language == "yaml" && !block.is("foreign");
            let found = || examples.iter().any(|example| example.contains(&block.text));
            assert!(!shown || found(), "{}: no file of examples/ has this:\n{}", page.display(), block.text);
        }
    }
}

#[test]
fn every_example_is_applied_to_a_mesh() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    let _leader = Part::start(&place, &["scheduler"], "leading");
    let apps = |suffix: &str| {
        let names = pages("examples").into_iter().filter(|file| file.extension().is_some_and(|it| it == suffix));
        let app = |file: PathBuf| match file.file_stem().unwrap().display().to_string() {
            // The one stack: its job is the app.
            stack if stack == "shop" => format!("{stack}-greet"),
            app => app,
        };
        names.map(app).collect::<Vec<_>>()
    };
    let mut expected = apps("yml");
    // The job of a stack is an app named after the folder and the service.
    expected.iter_mut().filter(|name| *name == "stack").for_each(|name| *name = "examples-greet".to_owned());
    expected.sort();
    assert!(expected.len() >= 5, "{expected:?}");
    place.run(&["apply", &repository_file("examples")]).expect(0);
    wait_until("the leader to have all of them", PATIENCE, || {
        let known = place.run(&["ls", "-o", "name"]).expect(0);
        let states = place.run(&["ls", "-o", "json"]).json();
        let valid = states.as_array().unwrap().iter().all(|app| app["state"] != "invalid");
        valid && known.lines().eq(expected.iter().map(String::as_str))
    });
}
