//! Files that want to hurt: each is read or refused at once, and what is said about it can be shown.

mod explosions;
mod large;
mod random;

use std::time::{Duration, Instant};

use super::*;

/// Far less than an explosion takes, or a walk over the file for each of its characters (256 KiB squared is a minute). The slowest
/// of these files takes a tenth of it in a debug build; tests share a busy machine.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Most that is said about one file, in bytes: a hundred errors and as many warnings with their hints.
const SAID_BYTES_MAX: usize = 250_000;

/// Reads a text as often as it takes to be sure, and checks what has to hold for every text there is. Returns what is said
/// about it.
#[track_caller]
fn judge(text: &str) -> String {
    let (first, second) = (read_text(text), read_text(text));
    assert_eq!(first.diagnostics, second.diagnostics, "reading is a function of the text");
    assert_eq!(format!("{:?}", first.spec), format!("{:?}", second.spec), "reading is a function of the text");
    assert_eq!((&first.variables_used, &first.timezone), (&second.variables_used, &second.timezone));
    for diagnostic in &first.diagnostics {
        assert!(is_inside(text, diagnostic.position), "there is no such place: {diagnostic:?} in\n{text:?}");
        let parts = [Some(&diagnostic.message), Some(&diagnostic.path), diagnostic.hint.as_ref()];
        for part in parts.into_iter().flatten() {
            assert!(!part.chars().any(char::is_control), "a terminal would be steered by {part:?}");
        }
    }
    let said: Vec<String> = first.diagnostics.iter().map(Diagnostic::to_string).collect();
    let said = said.join("\n");
    assert!(said.len() < SAID_BYTES_MAX, "{} bytes are said", said.len());
    said
}

/// Reads an env file as often: whatever is in it, the place of what is said is in the compose file.
#[track_caller]
fn judge_env_file(text: &str) {
    let compose = with_service("env_file: f.env");
    let (app, variables, env_files) = (AppName::new("nightly").unwrap(), map(&VARIABLES), map(&[("f.env", text)]));
    let file = ComposeFile {
        dialect: Dialect::PRESENT,
        app: &app,
        file_name: "f",
        text: &compose,
        variables: &variables,
        env_files: &env_files,
        timezone_default: TIMEZONE_DEFAULT,
    };
    let zones = TimeZoneDatabase::bundled();
    let first = read(&file, &zones);
    for diagnostic in &first.diagnostics {
        assert!(is_inside(&compose, diagnostic.position), "there is no such place: {diagnostic:?}");
        assert!(!diagnostic.message.chars().any(char::is_control), "{diagnostic:?}");
    }
    let second = read(&ComposeFile { variables: &first.variables_used, ..file }, &zones);
    assert_eq!(first.diagnostics, second.diagnostics, "with the variables that it used it reads the same");
    assert_eq!(format!("{:?}", first.spec), format!("{:?}", second.spec), "{text:?}");
}

/// Whether a cursor can go there. The end of a line is a place too, and so is the line after the last line feed.
fn is_inside(text: &str, Position { line, column, .. }: Position) -> bool {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let line = line.checked_sub(1).and_then(|index| text.split('\n').nth(index));
    line.is_some_and(|line| (1..=line.chars().count() + 1).contains(&column))
}

/// Reads a text, and makes sure that it takes hardly any time: the best of three, because the machine may be busy.
#[track_caller]
fn read_at_once(text: &str) -> String {
    let said = judge(text);
    let taken = std::iter::repeat_with(|| time_of(text)).take(3).find(|taken| *taken < AT_ONCE);
    let beginning: String = text.chars().take(200).collect();
    assert!(taken.is_some(), "reading takes more than {AT_ONCE:?}: {beginning}...");
    said
}

#[expect(clippy::disallowed_methods, reason = "a test may look at a clock; what it tests may not")]
fn time_of(text: &str) -> Duration {
    let begun = Instant::now();
    std::hint::black_box(read_text(text));
    begun.elapsed()
}
