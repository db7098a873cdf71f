//! YAML itself: what is accepted, and where its errors are.

use super::*;

#[test]
fn a_schedule_without_quotes_gets_a_hint() {
    check_labels(
        "aliyun.schedule: */5 * * * * *",
        &[
            "2:20: error: this is not YAML: while parsing node, found unknown anchor\n  hint: quote the schedule: \"*/5 * * * * *\"",
        ],
    );
    check_labels(
        "aliyun.schedule: * * * * * *",
        &[
            "2:20: error: this is not YAML: while scanning an anchor or alias, did not find expected alphabetic or numeric character\n  hint: quote the schedule: \"* * * * * *\"",
        ],
    );
    check_labels(
        "aliyun.schedule: @hourly",
        &["2:20: error: this is not YAML: unexpected character: `@'\n  hint: quote the schedule: \"@hourly\""],
    );
    check_labels("aliyun.schedule: 0-59/30 * * * * *", &[]);
}

#[test]
fn duplicate_keys_are_reported_with_both_places() {
    check_service(
        "user: a\nuser: b\ncommand: x",
        &["6:5: error: the key `user` appears twice in one map\n  hint: the first is at line 5, column 5"],
    );
    check(
        "labels: {aliyun.project_type: batch}\nservices:\n  s1: {image: a}\n  s2: {image: b}\n  s1: {image: c, image: d}\n",
        &[
            "5:3: error: the key `s1` appears twice in one map\n  hint: the first is at line 3, column 3",
            "5:18: error: the key `image` appears twice in one map\n  hint: the first is at line 5, column 8",
        ],
    );
}

#[test]
fn there_is_one_document() {
    check("", &["1:1: error: the file is empty"]);
    check("# nothing\n", &["1:1: error: the file is empty"]);
    check("a: 1\n---\nb: 2\n", &["2:1: error: a second document begins here: a compose file has one"]);
    assert_eq!(rendered(&format!("---\n{}...\n", with_service(""))), "");
}

#[test]
fn the_file_is_a_map() {
    check("just text", &["1:1: error: a map is needed here, but this is a text"]);
    check("- a\n- b\n", &["1:1: error: a map is needed here, but this is a list"]);
    check("~", &["1:1: error: a map is needed here, but this is empty"]);
}

#[test]
fn tags_of_others_are_refused() {
    check_service(
        "command: !python/object x",
        &["5:14: error: the tag `!python/object` is not supported\n  hint: write the value without a tag"],
    );
    check_service(
        "environment: !resett {}",
        &["5:18: error: the tag `!resett` is not supported\n  hint: write the value without a tag"],
    );
    check_service("environment: {A: !!int 5, B: !!str 6}", &[]);
    assert_eq!(
        container("environment: {A: !!str , B: ! 6, C: !!str ~}").environment,
        map(&[("A", ""), ("B", "6"), ("C", "~")])
    );
}

#[test]
fn keys_are_texts() {
    check("? [a, b]\n: c\n", &["1:3: error: a key has to be a text, not a list or a map"]);
    check("? {a: b}\n: c\n", &["1:3: error: a key has to be a text, not a list or a map"]);
}

#[test]
fn scalars_stay_as_they_are_written() {
    let environment = container(
        "environment:\n  A: 05\n  B: 1_000\n  C: yes\n  D: 1.50\n  E: 0x1F\n  F: 12:30\n  G: '~'\n  H: \"null\"\n  I: 1e3\n  J: |\n    two\n    lines\n  K: >-\n    one\n    line\n  L: \"tab\\there\"\n  M: it's\n",
    )
    .environment;
    let expect = [
        ("A", "05"),
        ("B", "1_000"),
        ("C", "yes"),
        ("D", "1.50"),
        ("E", "0x1F"),
        ("F", "12:30"),
        ("G", "~"),
        ("H", "null"),
        ("I", "1e3"),
        ("J", "two\nlines\n"),
        ("K", "one line"),
        ("L", "tab\there"),
        ("M", "it's"),
    ];
    assert_eq!(environment, map(&expect));
}

const ALIASES: &str = "
x-job: &job
  image: busybox
  environment: &env {A: '1', B: '2'}
labels: {aliyun.project_type: batch}
services:
  plain: *job
  merged:
    <<: *job
    image: alpine
  both:
    <<: [{user: first}, {user: second, working_dir: /w}, *job]
    environment: {<<: *env, B: own}
";

#[test]
fn aliases_and_merge_keys_work() {
    assert!(!rendered(ALIASES).contains("error"), "{}", rendered(ALIASES));
    let services = &spec(ALIASES).run().services;
    let [plain, merged, both] = services.as_slice() else { panic!("{services:?}") };
    assert_eq!(plain.container.image, "busybox");
    assert_eq!(merged.container.image, "alpine");
    assert_eq!(merged.container.environment, map(&[("A", "1"), ("B", "2")]));
    assert_eq!((both.container.user.as_deref(), both.container.working_dir.as_deref()), (Some("first"), Some("/w")));
    assert_eq!(both.container.environment, map(&[("A", "1"), ("B", "own")]));
}

#[test]
fn what_an_alias_repeats_is_reported_once_where_it_is() {
    let text = ALIASES.replace("image: busybox", "imge: busybox\n  image: busybox");
    check(&text, &["3:3: error: unknown key `imge`\n  hint: did you mean `image`?"]);
}

#[test]
fn merge_keys_take_maps() {
    check_service(
        "<<: text",
        &["5:5: error: `<<` takes a map or a list of maps, usually as aliases such as `*common`"],
    );
    check_service(
        "<<: [text]",
        &["5:5: error: `<<` takes a map or a list of maps, usually as aliases such as `*common`"],
    );
    check_service("'<<': text", &["5:5: error: unknown key `<<`"]);
}

#[test]
fn an_alias_cannot_contain_itself() {
    check("a: &a [*a]\n", &["1:8: error: this alias stands for a value that contains it"]);
    check("a: &a {b: {<<: *a}}\n", &["1:16: error: this alias stands for a value that contains it"]);
}

#[track_caller]
fn check_not_yaml(text: &str, place: &str, expect: &str) {
    check(text, &[&format!("{place}: error: this is not YAML: {expect}")]);
}

#[test]
fn broken_yaml_is_placed() {
    check(
        "services:\n\ts1: {}\n",
        &[
            "2:2: error: this is not YAML: tabs disallowed within this context (block indentation)\n  hint: YAML is indented with spaces",
        ],
    );
    check_not_yaml(
        "a: 'open\nb: c\n",
        "2:1",
        "invalid indentation in multiline quoted scalar\n  hint: a closing quote is missing",
    );
    check_not_yaml("a: \"open", "1:4", "unclosed quote\n  hint: a closing quote is missing");
    check_not_yaml(
        "a: b: c\n",
        "1:5",
        "mapping values are not allowed in this context\n  hint: quote a value that contains `: `",
    );
    check_not_yaml("a: [1, 2\n", "1:4", "unclosed bracket '['");
    check_not_yaml("a: }\n", "1:4", "misplaced bracket");
    check_not_yaml("a:\n  b: 1\n c: 2\n", "3:2", "while parsing a block mapping, did not find expected key");
    check_not_yaml(
        "a: %b\n",
        "1:4",
        "unexpected character: `%'\n  hint: quote a value that begins with this character",
    );
    check_not_yaml(
        "a: *nobody\n",
        "1:4",
        "while parsing node, found unknown anchor\n  hint: a value that begins with `*` is an alias: quote it if it is text",
    );
}

#[test]
fn columns_count_characters() {
    check_service(
        "environment: {\"ä€😀\": 1, A: '${ }'}",
        &["5:33: error: `${` is not followed by a variable's name\n  hint: a dollar sign itself is written `$$`"],
    );
}
