//! Expressions and zone names that nobody would write: each is read or refused at once, always the same, and the error can be
//! shown and points into the text.

use std::time::Duration;

use proptest::{prelude::*, sample::select};
use tickmesh_core::schedule::{Schedule, zone};

use crate::{ZONES, instant, random::expression, time_of};

/// Far less than a walk over a text of this size for each of its characters takes.
const AT_ONCE: Duration = Duration::from_millis(100);
/// As large as a compose file may be.
const TEXT_BYTES: usize = 256 * 1024;
/// Longest error: a line or two of a terminal, and the longest expression that is repeated.
const ERROR_BYTES_MAX: usize = 500;

/// What must hold for every pair of texts there is.
#[track_caller]
fn judge(expression: &str, zone_name: &str) {
    let parse = || Schedule::parse(expression, zone_name, &ZONES);
    match (parse(), parse()) {
        (Ok(first), Ok(second)) => {
            assert_eq!(first, second);
            let now = instant("2026-11-26T00:00:00Z");
            let next = first.next_after(now);
            assert!(next.is_none_or(|next| next > now), "{expression:?} in {zone_name:?} stands still");
            assert_eq!(next, second.next_after(now));
            assert!(first.shortest_period() >= Duration::from_secs(1));
        }
        (Err(first), Err(second)) => {
            assert_eq!(
                (first.to_string(), first.column(), first.hint()),
                (second.to_string(), second.column(), second.hint())
            );
            for said in [Some(first.to_string()), first.hint()].into_iter().flatten() {
                assert!(said.len() <= ERROR_BYTES_MAX, "{} bytes are said", said.len());
                assert!(!said.chars().any(char::is_control), "a terminal would be steered by {said:?}");
            }
            let inside = 1..=expression.chars().count() + 1;
            assert!(first.column().is_none_or(|column| inside.contains(&column)), "{expression:?}: {first:?}");
        }
        (first, second) => panic!("{expression:?} is {first:?}, and then {second:?}"),
    }
}

#[track_caller]
fn check_at_once(expression: &str, zone_name: &str) {
    judge(expression, zone_name);
    let taken = time_of(|| Schedule::parse(expression, zone_name, &ZONES));
    let beginning: String = expression.chars().take(60).collect();
    assert!(taken < AT_ONCE, "`{beginning}`... takes {taken:?}");
}

/// Pieces of expressions, right and wrong.
const PIECES: [&str; 34] = [
    "*",
    "*/",
    "0",
    "59",
    "60",
    "1-5",
    "5-1",
    "/",
    ",",
    "-",
    "?",
    "L",
    "W",
    "#",
    "H(",
    ")",
    "mon",
    "JAN",
    "sunday",
    "@daily",
    "@every ",
    "@",
    "1d",
    "90s",
    "366d",
    "99999999999999999999",
    " ",
    "\t",
    "\n",
    "\r",
    "\0",
    "\u{1b}[2J",
    "ä",
    "１",
];

/// Pieces of names of zones.
const ZONE_PIECES: [&str; 14] = [
    "Europe",
    "/",
    "Berlin",
    "UTC",
    "Etc/GMT+5",
    "..",
    "posix",
    "localtime",
    "+08:00",
    " ",
    "\0",
    "\u{1b}[2J",
    "ä",
    "Asia/Shanghai",
];

#[test]
fn huge_expressions_and_names_are_refused_at_once() {
    for piece in PIECES.into_iter().chain(["* ", "1,", "0-59/1 ", "1-", "*/1,"]) {
        check_at_once(&piece.repeat(TEXT_BYTES / piece.len()), "UTC");
        check_at_once(&format!("0 0 0 * * {}", piece.repeat(TEXT_BYTES / piece.len())), "UTC");
    }
    for piece in ZONE_PIECES {
        check_at_once("@daily", &piece.repeat(TEXT_BYTES / piece.len()));
    }
}

#[test]
fn the_largest_expressions_are_read_at_once() {
    // 256 bytes, which is the limit.
    let lists = format!("{}59 * * * * *", "0,".repeat(122));
    assert_eq!(lists.len(), 256);
    check_at_once(&lists, "Africa/Casablanca");
    check_at_once("0 0 0 29 2 0", "Africa/Casablanca");
    check_at_once("0-59/1 0-59/1 0-23/1 1-31/1 1-12/1 0-7/1", "Australia/Lord_Howe");
}

#[test]
fn names_of_zones_are_no_paths() {
    for name in ["../../etc/passwd", "/etc/localtime", "Europe/../Europe/Berlin", "", "\0", "Europe/Berlin\0"] {
        assert!(zone(&ZONES, name).is_err(), "{name:?}");
        judge("@daily", name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_texts_are_read_or_refused(expression in any::<String>(), zone_name in any::<String>()) {
        judge(&expression, "UTC");
        judge("@daily", &zone_name);
        judge(&expression, &zone_name);
    }

    #[test]
    fn arbitrary_pieces_are_read_or_refused(
        expression in prop::collection::vec(select(&PIECES[..]), 0..14),
        zone_name in prop::collection::vec(select(&ZONE_PIECES[..]), 0..5),
    ) {
        judge(&expression.concat(), "Europe/Berlin");
        judge("@daily", &zone_name.concat());
    }

    #[test]
    fn damaged_expressions_are_read_or_refused(
        expression in expression(),
        at in any::<prop::sample::Index>(),
        piece in select(&PIECES[..]),
        removed in 0..3_usize,
    ) {
        let mut characters: Vec<char> = expression.chars().collect();
        let at = at.index(characters.len() + 1);
        let end = (at + removed).min(characters.len());
        characters.splice(at..end, piece.chars());
        judge(&characters.into_iter().collect::<String>(), "America/New_York");
    }
}
