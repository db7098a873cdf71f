//! Files as large as they may be, made of one thing over and over: what costs a walk over the file each time shows here.

use proptest::{prelude::*, sample::select};

use super::{super::*, random::PIECES, read_at_once};

/// `piece` so often that the file has no room for one more.
fn filled(head: &str, piece: &str, tail: &str) -> String {
    let count = (SOURCE_BYTES_MAX - head.len() - tail.len()) / piece.len();
    format!("{head}{}{tail}", piece.repeat(count))
}

/// A service's key that is as large as it may be.
#[track_caller]
fn check_key(key: &str, piece: &str, tail: &str) -> String {
    read_at_once(&filled(with_service(key).trim_end(), piece, &format!("{tail}\n")))
}

/// A label of the app, or of the service, whose value is as large as it may be.
#[track_caller]
fn check_label(name: &str, piece: &str) -> [String; 2] {
    let top = filled(&format!("labels: {{aliyun.schedule: '@daily', tickmesh.{name}: \""), piece, "\"}\n");
    let service = check_key(&format!("labels: {{tickmesh.{name}: \""), piece, "\"}");
    [read_at_once(&top), service]
}

const APP_LABELS: [&str; 13] = [
    "schedule",
    "timezone",
    "project_type",
    "overlap",
    "max_active",
    "queue_limit",
    "misfire",
    "start_deadline",
    "timeout",
    "jitter",
    "paused",
    "on_disconnect",
    "on_lost",
];
const SERVICE_LABELS: [&str; 8] = [
    "scale",
    "retry_count",
    "retry_backoff",
    "attempt_timeout",
    "remove_containers",
    "depends",
    "global",
    "constraint",
];

#[test]
fn a_huge_value_of_a_label_is_refused_at_once() {
    for name in APP_LABELS.into_iter().chain(SERVICE_LABELS) {
        for piece in ["0", ",", "a,", "1d", "a==b,", "|", "ä"] {
            let said = check_label(name, piece).concat();
            assert!(said.contains("error: "), "{name} takes {piece} for ever:\n{said}");
        }
    }
}

#[test]
fn huge_keys_of_a_service_are_read_or_refused_at_once() {
    check_key("command: \"", "a ", "\"");
    check_key("command: \"", "'a' ", "\"");
    check_key("command: [", "a,", "]");
    check_key("environment: [", "a=1,", "]");
    check_key("environment: [", "'constraint:a==b',", "]");
    check_key("environment: [", "'affinity:a==b',", "]");
    check_key("depends_on: [", "a,", "]");
    check_key("depends_on: [", "s1,", "]");
    check_key("volumes: [", "'aa:/a',", "]");
    check_key("deploy: {placement: {constraints: [", "a==b,", "]}}");
    check_key("deploy: {placement: {constraints: ['a==(", "b|", "')]}}");
    check_key("deploy: {resources: {limits: {memory: ", "1", "}}}");
    check_key("image: ", "a/", "");
    check_key("user: ", "a:", "");
    check_key("stop_grace_period: ", "1d", "");
    check_key("cpus: ", "1", "");
    check_key("working_dir: ", "/a", "");
    check_key("stop_signal: ", "RTMIN+", "");
}

#[test]
fn services_may_all_wait_for_each_other() {
    let service = |index: usize, names: &str| match names {
        "" => format!("  s{index}: {{image: a}}\n"),
        _ => format!("  s{index}: {{image: a, labels: {{aliyun.depends: '{names}'}}}}\n"),
    };
    let file = |names: &dyn Fn(usize) -> Vec<String>| {
        let services: String = (0..200).map(|index| service(index, &names(index).join(","))).collect();
        format!("labels: {{aliyun.project_type: batch}}\nservices:\n{services}")
    };
    let names = |range: std::ops::Range<usize>| range.map(|index| format!("s{index}")).collect::<Vec<_>>();
    let all_before = read_at_once(&file(&|index| names(0..index)));
    assert_eq!(all_before, "");
    let all = read_at_once(&file(&|_| names(0..200)));
    // Every one waits for itself: a hundred of them are shown.
    assert_eq!(all.matches("would wait for itself").count(), 100, "{all}");
    let circle = read_at_once(&file(&|index| names((index + 1) % 200..(index + 1) % 200 + 1)));
    assert_eq!(circle.matches("would wait for itself: s0 -> s1 -> s2").count(), 1, "{circle}");
}

#[test]
fn places_behind_letters_of_many_bytes_are_found_at_once() {
    let text = filled(&with_service(""), "    # äöü\n", "    a: [1]\n");
    assert!(read_at_once(&text).contains("unknown key `a`"));
    let text = filled("", "ä: ", "");
    read_at_once(&text);
    let keys: String = (0..9_000).map(|key| format!("    x-ä{key}: ä$TAG\n")).collect();
    read_at_once(&format!("{}{keys}", with_service("")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_repeated_is_read_or_refused_at_once(
        head in select(&["", "labels: {aliyun.schedule: '@daily'}\nservices:\n  s1:\n    image: a\n    "][..]),
        pieces in prop::collection::vec(select(&PIECES[..]), 1..5),
    ) {
        read_at_once(&filled(head, &pieces.concat(), ""));
    }
}
