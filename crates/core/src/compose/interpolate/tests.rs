//! Values of variables in texts, and what is said of texts that have none.

use super::*;

fn variables() -> BTreeMap<String, String> {
    [("A", "1"), ("B", "two"), ("EMPTY", ""), ("_x9", "under")]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// `expect` is the text, or `error at <column>: <message>`.
#[track_caller]
fn check(text: &str, expect: &str) {
    let variables = variables();
    let found = match Interpolator::new(&variables).interpolate(text) {
        Ok(result) => result.text,
        Err(error) => format!("error at {}: {error}", error.offset()),
    };
    assert_eq!(found, expect, "{text}");
}

#[test]
fn text_without_variables_stays() {
    check("", "");
    check("plain } { text", "plain } { text");
    check("ümläut", "ümläut");
}

#[test]
fn variables_are_replaced() {
    check("$A", "1");
    check("${A}", "1");
    check("x$A-${B}y$_x9", "x1-twoyunder");
    check("$A$B${A}", "1two1");
    check("ä$Aä", "ä1ä");
}

#[test]
fn two_dollars_are_one() {
    check("$$A", "$A");
    check("$$$A", "$1");
    check("cost: 5$$", "cost: 5$");
    check("${NO:-$$5}", "$5");
}

#[test]
fn unset_variables_are_empty() {
    check("[$NO]", "[]");
    check("[${NO}]", "[]");
    check("[$EMPTY]", "[]");
}

#[test]
fn defaults_stand_in() {
    check("${NO:-x}", "x");
    check("${NO-x}", "x");
    check("${EMPTY:-x}", "x");
    check("${EMPTY-x}", "");
    check("${A:-x}", "1");
    check("${NO:-}", "");
    check("${NO:-a b/c:d}", "a b/c:d");
}

#[test]
fn defaults_may_hold_variables() {
    check("${NO:-${B}}", "two");
    check("${NO:-${NO2:-${A}}}!", "1!");
    check("${NO:-a${B}c}d", "atwocd");
}

#[test]
fn the_other_text_stands_in_for_what_is_set() {
    check("${A:+x}", "x");
    check("${EMPTY:+x}", "");
    check("${EMPTY+x}", "x");
    check("${NO+x}", "");
}

#[test]
fn required_variables_fail_with_their_message() {
    check("${A:?gone}", "1");
    check("${NO:?say who}", "error at 0: the variable `NO` is required: say who");
    check("${EMPTY:?}", "error at 0: the variable `EMPTY` is required");
    check("${EMPTY?}", "");
    check("${NO?for $B}", "error at 0: the variable `NO` is required: for two");
}

#[test]
fn other_dollars_stay_as_they_are() {
    for text in
        ["a $", "ä $5", "$(date +%s)", "$((1 + 2))", "^/(sys|proc)($|/)", "$@ $? $! $- $#", "$ä", "$\"x\"", "$}"]
    {
        check(text, text);
    }
    check("$(echo $A)", "$(echo 1)");
    check("${NO:-$(date)}", "$(date)");
    check("$$(date)", "$(date)");
    check("$5$A$", "$51$");
}

#[test]
fn broken_syntax_is_placed() {
    check("${}", "error at 0: `${` is not followed by a variable's name");
    check("ä${1}", "error at 1: `${` is not followed by a variable's name");
    check("x${A", "error at 1: `${` has no closing `}`");
    check("${A:-x", "error at 0: `${` has no closing `}`");
    check("${A!}", "error at 3: in `${...}` a name is followed by `}`, `:-`, `-`, `:?`, `?`, `:+` or `+`");
}

#[test]
fn nesting_has_a_limit() {
    let nested = |depth: usize| format!("{}x{}", "${NO:-".repeat(depth), "}".repeat(depth));
    check(&nested(8), "x");
    check(&nested(9), "error at 48: variables are nested more than 8 deep");
    check(&nested(20_000), "error at 48: variables are nested more than 8 deep");
}

#[test]
fn output_has_a_limit() {
    let variables = BTreeMap::from([("BIG".to_owned(), "x".repeat(10_000))]);
    let mut interpolator = Interpolator::new(&variables);
    let text = "$BIG".repeat(100);
    assert!(interpolator.interpolate(&text).is_ok());
    assert_eq!(interpolator.interpolate(&text), Err(InterpolationError::TooLarge));
}

#[test]
fn used_variables_are_remembered_and_unset_ones_told() {
    let variables = variables();
    let mut interpolator = Interpolator::new(&variables);
    let first = interpolator.interpolate("$NO ${A:-$B} ${EMPTY:-$NO} ${NO2:-x}").unwrap();
    assert_eq!(first.unset, ["NO"]);
    assert_eq!(interpolator.interpolate("$NO$NO").unwrap().unset, ["NO"]);
    let used: Vec<String> = interpolator.into_used().into_keys().collect();
    assert_eq!(used, ["A", "EMPTY"], "`B` was not looked at, and `NO` has no value to store");
}
