//! What a file comes to before it is read as an app: its name, and whether it is an app itself or a
//! stack some of whose services are apps.

use std::collections::BTreeSet;

use super::{
    super::{
        diagnostic::Position,
        dialect::Dialect,
        reader::Reader,
        source::ComposeFile,
        yaml::{self, Entry, Item, Node, Value},
    },
    Project,
    assemble::assemble,
};

/// What a file comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// What the file says under `name`.
    pub name: Option<String>,
    /// The services of a stack that are apps, in the order of the file; none: the file is an app
    /// itself.
    pub scheduled: Vec<Scheduled>,
    /// The other services of a stack, which are left to docker compose.
    pub left: Vec<String>,
    /// Files that belong to it.
    pub files: BTreeSet<String>,
    /// Env files that are needed to know more: those of files that are included.
    pub env_files: BTreeSet<String>,
}

/// A service of a stack that is an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled {
    /// Its name in the file.
    pub service: String,
    /// Where that stands.
    pub position: Position,
}

/// Looks at a file. What is wrong with it is told by whoever reads it.
pub fn outline(file: &ComposeFile<'_>, project: &Project, zones: &jiff::tz::TimeZoneDatabase) -> Outline {
    let mut reader = Reader::new(file, project, zones);
    let tree = yaml::parse(0, file.text, &mut reader.report);
    let tree = tree.and_then(|tree| assemble(&mut reader, &tree));
    let mut found = Outline::default();
    if let Some(tree) = &tree
        && let Value::Mapping(entries) = &tree.value
    {
        let root = Item::root(tree);
        let name = entries.iter().find(|entry| entry.key.text == "name");
        found.name = name.and_then(|name| reader.text(&root.child(name))).map(|name| name.value);
        if !tells_when(entries, reader.dialect) {
            (found.scheduled, found.left) = services(entries);
        }
    }
    found.env_files = reader.env_files.into_named();
    (found.files, _) = reader.sources.into_named();
    found
}

fn services(entries: &[Entry]) -> (Vec<Scheduled>, Vec<String>) {
    let (mut scheduled, mut left) = (Vec::new(), Vec::new());
    let services = entries.iter().find(|entry| entry.key.text == "services");
    let Some(Value::Mapping(services)) = services.map(|services| &services.value.value) else {
        return (scheduled, left);
    };
    for service in services.iter().filter(|service| !service.key.text.starts_with("x-")) {
        let name = service.key.text.clone();
        match is_scheduled(&service.value) {
            true => scheduled.push(Scheduled { service: name, position: service.key.position }),
            false => left.push(name),
        }
    }
    // Without a job it is no stack of jobs, but a file that does not say when to run.
    if scheduled.is_empty() { (scheduled, Vec::new()) } else { (scheduled, left) }
}

/// What compose makes of a text to call a project by it: small letters, digits, `_` and `-`.
pub fn project_name(text: &str) -> String {
    let kept = text.to_lowercase();
    let kept: String = kept.chars().filter(|it| it.is_ascii_alphanumeric() || "_-".contains(*it)).collect();
    kept.trim_start_matches(['_', '-']).to_owned()
}

/// Whether the top of the file tries to say when to run. Where that cannot be read, the reader
/// knows already.
pub(crate) fn tells_when(entries: &[Entry], dialect: Dialect) -> bool {
    let is_told = |name: &str| matches!(name, "schedule" | "project_type");
    entries.iter().any(|entry| match entry.key.text.as_str() {
        "labels" => looks_told(&entry.value),
        "x-tickmesh" => match dialect {
            Dialect::First => false,
            Dialect::Second => keys_mention(&entry.value, is_told),
        },
        _ => false,
    })
}

/// Whether the labels at the top try to say when to run.
fn looks_told(labels: &Node) -> bool {
    let is_label = |text: &str| {
        let name = text.split('=').next().unwrap_or(text).trim();
        name.ends_with(".schedule") || name.ends_with(".project_type")
    };
    match &labels.value {
        Value::Mapping(labels) => labels.iter().any(|label| is_label(&label.key.text)),
        Value::Sequence(labels) => labels.iter().any(|label| match &label.value {
            Value::Scalar(scalar) => is_label(&scalar.text),
            Value::Sequence(_) | Value::Mapping(_) => true,
        }),
        Value::Scalar(scalar) => !scalar.is_null(),
    }
}

/// Whether a service has a schedule of its own.
pub(crate) fn is_scheduled(service: &Node) -> bool {
    let is_schedule = |name: &str| name == "schedule";
    let Value::Mapping(keys) = &service.value else { return false };
    keys.iter().any(|key| match (key.key.text.as_str(), &key.value.value) {
        ("labels", _) => labels_mention(&key.value, is_schedule),
        ("x-tickmesh", _) => keys_mention(&key.value, is_schedule),
        ("deploy", Value::Mapping(keys)) => {
            keys.iter().any(|key| key.key.text == "labels" && labels_mention(&key.value, is_schedule))
        }
        _ => false,
    })
}

fn labels_mention(labels: &Node, is_it: impl Fn(&str) -> bool) -> bool {
    let is_label = |text: &str| {
        let name = text.split('=').next().unwrap_or(text).trim();
        let short = name.strip_prefix("tickmesh.").or_else(|| name.strip_prefix("aliyun."));
        short.is_some_and(&is_it)
    };
    match &labels.value {
        Value::Mapping(labels) => labels.iter().any(|label| is_label(&label.key.text)),
        Value::Sequence(labels) => labels.iter().any(|label| match &label.value {
            Value::Scalar(scalar) => is_label(&scalar.text),
            Value::Sequence(_) | Value::Mapping(_) => false,
        }),
        Value::Scalar(_) => false,
    }
}

fn keys_mention(keys: &Node, is_it: impl Fn(&str) -> bool) -> bool {
    match &keys.value {
        Value::Mapping(keys) => keys.iter().any(|key| is_it(&key.key.text)),
        Value::Scalar(_) | Value::Sequence(_) => false,
    }
}
