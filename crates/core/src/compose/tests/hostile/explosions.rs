//! Small causes with large effects: nesting, aliases, merges, variables, and more errors than anybody reads.

use super::*;

/// `expect` is the beginning of what is said.
#[track_caller]
fn check_at_once(text: &str, expect: &str) {
    let shown = read_at_once(text);
    assert!(shown.starts_with(expect), "{shown}");
}

#[test]
fn a_large_file_is_refused_unread() {
    check_at_once(
        &" ".repeat(SOURCE_BYTES_MAX + 1),
        "f:1:1: error: the file has 262145 bytes, at most 262144 are allowed",
    );
    check_at_once(&"#".repeat(SOURCE_BYTES_MAX), "f:1:1: error: the file is empty");
}

#[test]
fn deep_nesting_is_refused() {
    let deep = |open: &str, count: usize| open.repeat(count);
    check_at_once(&deep("[", 250_000), "f:1:33: error: values are nested more than 32 deep");
    check_at_once(&deep("{a: ", 60_000), "f:1:129: error: values are nested more than 32 deep");
    check_at_once(&deep("- ", 120_000), "f:1:65: error: values are nested more than 32 deep");
    check_at_once(&deep("? ", 120_000), "f:1:65: error: values are nested more than 32 deep");
    let indented: String = (0..500).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    check_at_once(&indented, "f:33:33: error: values are nested more than 32 deep");
    check_at_once(&format!("a: {}{}\n", "[".repeat(31), "]".repeat(31)), "f:1:1: error: unknown key `a`");
    check_at_once(
        &format!("a: {}{}\n", "[".repeat(32), "]".repeat(32)),
        "f:1:35: error: values are nested more than 32 deep",
    );
}

#[test]
fn aliases_cannot_explode() {
    let mut laughs = "a0: &a0 [lol, lol]\n".to_owned();
    for level in 1..=60 {
        let before = level - 1;
        laughs += &format!("a{level}: &a{level} [*a{before}, *a{before}]\n");
    }
    check_at_once(&laughs, "f:13:12: error: the file has more than 20000 values, aliases included");
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a, ".repeat(2_000));
    check_at_once(&long, "f:2:41: error: the file has more than 1024 KiB of text, aliases included");
    let nested = "x0: &x0 {a: 1}\n".to_owned()
        + &(1..40).map(|n| format!("x{n}: &x{n} {{a: *x{}}}\n", n - 1)).collect::<String>();
    check_at_once(&nested, "f:32:15: error: values are nested more than 32 deep");
}

#[test]
fn merges_cannot_explode() {
    let keys: String = (0..1_000).map(|key| format!("k{key}: , ")).collect();
    let merges: String = (0..1_000).map(|map| format!("m{map}: {{<<: *a}}\n")).collect();
    check_at_once(
        &format!("x-a: &a {{{keys}}}\n{merges}"),
        "f:10:10: error: the file has more than 20000 values, aliases included",
    );
}

#[test]
fn there_is_a_limit_to_values() {
    check_at_once(
        &format!("a: [{}]\n", "x,".repeat(120_000)),
        "f:1:40003: error: the file has more than 20000 values, aliases included",
    );
    let keys: String = (0..15_000).map(|key| format!("k{key}:\n")).collect();
    check_at_once(&keys, "f:10001:1: error: the file has more than 20000 values, aliases included");
    check_at_once(&"a:\n".repeat(80_000), "f:2:1: error: the key `a` appears twice in one map");
}

#[test]
fn many_errors_are_not_all_shown() {
    let keys: String = (0..9_000).map(|key| format!("imagee_{key}: 1\n")).collect();
    let shown = read_at_once(&with_service(&keys));
    assert_eq!(shown.matches("error: unknown key").count(), 100);
    assert!(shown.ends_with("f:1:1: warning: 8900 more problems are not shown"), "{}", &shown[shown.len() - 100..]);
}

#[test]
fn suggestions_are_not_made_for_ever() {
    let label = |label| format!("aliyun.retry_backoff{label}=1, tickmesh.retry_backoff{label}=1, ");
    let labels: String = (0..4_000).map(label).collect();
    let shown = read_at_once(&with_service(&format!("labels: [{labels}]")));
    assert_eq!(shown.matches("did you mean").count(), 100);
    assert_eq!((shown.matches("error: ").count(), shown.matches("warning: ").count()), (100, 101));
}

#[test]
fn a_long_key_does_not_make_long_paths() {
    let children: String = (0..5_000).map(|child| format!("c{child}: [1], ")).collect();
    let text = format!("services:\n  ? {}\n  : {{{children}}}\n", "k".repeat(100_000));
    read_at_once(&text);
    // Of the hundred that are shown.
    let longest = read_text(&text).diagnostics.iter().map(|diagnostic| diagnostic.path.len()).max();
    assert_eq!(longest, Some("services.".len() + 64 + ".c99".len()));
}

#[test]
fn variables_cannot_explode() {
    let text = with_service(&format!("command: [{}]", "\"${TAG:-x}\", ".repeat(5_000)));
    check_at_once(&text, "");
    let nested = with_service(&format!("command: '{}'", "${A:-".repeat(40_000)));
    check_at_once(&nested, "f:5:55: error: variables are nested more than 8 deep");
    let reading = read_with(
        &with_service(&format!("command: [{}]", "$BIG, ".repeat(5_000))),
        &map(&[("BIG", &"x".repeat(60_000))]),
    );
    assert_eq!(reading.diagnostics[0].message, "variables make the file larger than 1024 KiB");
}

#[test]
fn variables_that_are_used_have_a_size() {
    let text = with_service("user: ${BIG:+app}");
    let variables = |bytes: usize| map(&[("BIG", &"x".repeat(bytes)), ("UNUSED", &"x".repeat(1_000_000))]);
    assert_eq!(read_with(&text, &variables(65_533)).diagnostics, []);
    let refused = read_with(&text, &variables(65_534)).diagnostics[0].to_string();
    assert_eq!(refused, "f:1:1: error: the variables that the file uses take 65537 bytes, at most 65536 are allowed");
}

#[test]
fn errors_repeat_only_the_beginning_of_long_values() {
    let shown = read_at_once(&with_service(&format!("user: '{}'", "a ".repeat(50_000))));
    assert!(shown.len() < 300, "{} bytes are said", shown.len());
}
