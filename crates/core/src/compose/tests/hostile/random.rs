//! Texts that nobody would write: whatever comes, it is read or refused, twice the same, and every error is in the file.

use proptest::{prelude::*, sample::select};

use super::{
    super::{samples, *},
    judge, judge_env_file,
};

/// Pieces of compose files, from which mostly sensible and sometimes broken files are made.
pub(super) const PIECES: [&str; 58] = [
    "services:",
    "labels:",
    "s1:",
    "image: busybox",
    "\n",
    "\n  ",
    "\n    ",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "&a ",
    "*a",
    "<<: ",
    "'",
    "\"",
    "|\n",
    ">-\n",
    "# note",
    "---",
    "...",
    "!!str ",
    "!x ",
    "~",
    "${A:-",
    "$$",
    "$TAG",
    "aliyun.scale: 5",
    "aliyun.schedule: '@daily'",
    "\u{feff}",
    "\r\n",
    "\t",
    "%YAML 1.2\n",
    "? ",
    "ä",
    "0-59/30 * * * * *",
    "volumes: [/a]",
    "depends_on: [s1]",
    "aliyun.depends: s1",
    "aliyun.constraint: 'a==(b|c)'",
    "- constraint:a==b",
    "tickmesh.overlap: allow",
    "tickmesh.jitter: 1s",
    "aliyun.global: true",
    "deploy: {replicas: 2, placement: {constraints: [a==b]}}",
    "condition: service_started",
    "\\",
    "\\x00",
    "\u{1b}[31m",
    "\u{85}",
    "\u{2028}",
    "\u{0}",
    "\r",
    "@",
    "`",
];

/// Values that labels and keys take, nearly take, and should never see.
const VALUES: [&str; 48] = [
    "0",
    "1",
    "10",
    "00",
    "-1",
    "1001",
    "4294967296",
    "18446744073709551616",
    "1s",
    "0s",
    "366d",
    "367d",
    "1h30m",
    "500ms",
    "9999999999999999999d",
    "true",
    "Yes",
    "off",
    "queue",
    "allow",
    "latest",
    "skip",
    "stop",
    "fail",
    "@daily",
    "@every 1s",
    "* * * * * *",
    "0 0 0 29 2 *",
    "Europe/Berlin",
    "UTC",
    "a==b",
    "a!=(b|c),d==e",
    "node==/x/",
    "a==~b",
    "s1",
    "s1,s1",
    "1s,2,60s",
    "remove-all",
    "512m",
    "$$",
    "/a",
    "/a:/b:ro",
    "/dev/a:rwm",
    "job.env",
    "SYS_ADMIN",
    "db:192.0.2.1",
    "soft",
    "host",
];

/// Pieces of env files.
const ENV_PIECES: [&str; 20] = [
    "A", "=", ":", "\n", "\r\n", " ", "\t", "#", "'", "\"", "\\", "$", "$A", "${A:-", "}", "export ", "\u{feff}", "\0",
    "ä", "b c",
];

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(&VALUES[..]).prop_map(str::to_owned),
        2 => (select(&VALUES[..]), select(&VALUES[..])).prop_map(|(one, two)| format!("{one}{two}")),
        1 => any::<String>(),
        1 => "[ -~]{0,20}",
    ]
}

/// A JSON text is a YAML scalar.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

const APP_LABELS: [&str; 14] = [
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
    "nonsense",
];
const SERVICE_LABELS: [&str; 10] = [
    "scale",
    "retry_count",
    "retry_backoff",
    "attempt_timeout",
    "remove_containers",
    "depends",
    "global",
    "constraint",
    "gpu",
    "log_store_x",
];
/// Keys beside those that are supported.
const FURTHER_KEYS: [&str; 3] = ["ports", "build", "nonsense"];

/// Every key that is supported, and some that are not.
fn key() -> impl Strategy<Value = &'static str> {
    let keys: Vec<&str> = service_keys().chain(FURTHER_KEYS).collect();
    select(keys)
}

/// Labels of one place, each with its prefix and a value.
fn labels(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    let label = (select(&["aliyun", "tickmesh"][..]), select(names), value());
    prop::collection::btree_map(
        label.prop_map(|(prefix, name, value)| (format!("{prefix}.{name}"), value)),
        Just(()),
        0..8,
    )
    .prop_map(|labels| {
        let labels: BTreeMap<String, String> = labels.into_keys().collect();
        labels.iter().map(|(name, value)| format!("{name}: {}, ", quoted(value))).collect()
    })
}

/// What may happen to a file on its way.
#[derive(Debug, Clone)]
enum Mutation {
    Insert(&'static str),
    Remove(usize),
    Repeat(usize),
    Replace(char),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        select(&PIECES[..]).prop_map(Mutation::Insert),
        (1..40_usize).prop_map(Mutation::Remove),
        (1..40_usize).prop_map(Mutation::Repeat),
        any::<char>().prop_map(Mutation::Replace),
    ]
}

fn mutated(text: &str, mutations: &[(prop::sample::Index, Mutation)]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for (at, mutation) in mutations {
        let at = at.index(characters.len() + 1);
        let end = |count: usize| (at + count).min(characters.len());
        match mutation {
            Mutation::Insert(piece) => drop(characters.splice(at..at, piece.chars())),
            Mutation::Remove(count) => drop(characters.drain(at..end(*count))),
            Mutation::Repeat(count) => {
                let repeated = characters[at..end(*count)].to_vec();
                characters.splice(at..at, repeated);
            }
            Mutation::Replace(character) => drop(characters.splice(at..end(1), [*character])),
        }
    }
    characters.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
        judge(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn arbitrary_text_is_read_or_refused(text in any::<String>()) {
        judge(&text);
    }

    #[test]
    fn arbitrary_pieces_are_read_or_refused(pieces in prop::collection::vec(select(&PIECES[..]), 0..60)) {
        judge(&pieces.concat());
    }

    #[test]
    fn files_that_were_damaged_are_read_or_refused(
        file in select(&samples::ALL[..]),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), mutation()), 1..8),
    ) {
        judge(&mutated(file, &mutations));
    }

    #[test]
    fn arbitrary_values_of_labels_are_read_or_refused(top in labels(&APP_LABELS), service in labels(&SERVICE_LABELS)) {
        judge(&format!("labels: {{{top}}}\nservices:\n  s1: {{image: a}}\n  s2: {{image: a, labels: {{{service}}}}}\n"));
    }

    #[test]
    fn arbitrary_values_of_keys_are_read_or_refused(key in key(), value in value()) {
        let value = quoted(&value);
        judge(&with_service(&format!("{key}: {value}")));
        judge(&with_service(&format!("{key}: [{value}, {value}]")));
        judge(&with_service(&format!("{key}: {{{value}: {value}}}")));
        judge(&with_service(&format!("deploy: {{{key}: {value}, replicas: {value}, mode: {value}}}")));
    }

    #[test]
    fn arbitrary_env_files_are_read_or_refused(
        any in any::<String>(),
        pieces in prop::collection::vec(select(&ENV_PIECES[..]), 0..40),
    ) {
        for text in [any, pieces.concat()] {
            judge_env_file(&text);
        }
    }

    #[test]
    fn arbitrary_variables_are_read_or_refused(name in any::<String>(), value in any::<String>()) {
        let variables = BTreeMap::from([("TAG".to_owned(), value), (name, String::new())]);
        let text = with_service("command: $TAG\nuser: ${TAG}\nlabels: {aliyun.depends: $TAG, a: \"${TAG:-x}\"}");
        let first = read_with(&text, &variables);
        assert_eq!(first.diagnostics, read_with(&text, &first.variables_used).diagnostics);
    }
}
