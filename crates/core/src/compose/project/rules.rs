//! What becomes of a key that two files have, by its path: the merge rules of the compose
//! specification.

/// How two values of one key are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Maps key by key, lists one after the other, texts by the later one.
    Deep,
    /// The later one.
    Later,
    /// Maps or lists of `KEY=VALUE`: the later value of a key.
    Pairs,
    /// Lists, or texts that stand for a list of one: each once.
    List(Identity),
    /// Lists of names, or maps whose keys are names.
    Names,
    /// A text stands for a map with this key.
    Short(&'static str),
    /// A text or a map: of two maps both, else the later one.
    LaterForm,
}

/// What makes two items of a list one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// The item as a whole.
    Whole,
    /// The place in the container: of `a:b:c` it is `b`, of a map the key `target`.
    Target,
    /// The name of a grant: of a map the keys `target` or `source`.
    Grant,
    /// The path: of a map the key `path`.
    Path,
}

const PAIRS: [&str; 6] = ["environment", "labels", "annotations", "sysctls", "extra_hosts", "args"];
const LATER: [&str; 2] = ["command", "entrypoint"];
const LISTS: [&str; 13] = [
    "tmpfs",
    "dns",
    "dns_opt",
    "dns_search",
    "cap_add",
    "cap_drop",
    "profiles",
    "expose",
    "links",
    "external_links",
    "group_add",
    "security_opt",
    "ports",
];

/// The rule for a path of keys, from the top of the file.
pub(super) fn rule(path: &[&str]) -> Rule {
    match path {
        ["labels"] | ["networks" | "volumes" | "secrets" | "configs", _, "labels"] => Rule::Pairs,
        ["services", _, rest @ ..] => of_service(rest),
        _ => Rule::Deep,
    }
}

fn of_service(path: &[&str]) -> Rule {
    match path {
        [key] if PAIRS.contains(key) => Rule::Pairs,
        [key] if LATER.contains(key) => Rule::Later,
        [key] if LISTS.contains(key) => Rule::List(Identity::Whole),
        ["deploy" | "build", "labels"] | ["build", "args" | "extra_hosts" | "additional_contexts"] => Rule::Pairs,
        ["healthcheck", "test"] => Rule::Later,
        ["volumes" | "devices"] => Rule::List(Identity::Target),
        ["secrets" | "configs"] => Rule::List(Identity::Grant),
        ["env_file"] => Rule::List(Identity::Path),
        ["networks" | "depends_on"] => Rule::Names,
        ["build"] => Rule::Short("context"),
        ["extends"] => Rule::Short("service"),
        ["ulimits", _] => Rule::LaterForm,
        _ => Rule::Deep,
    }
}
