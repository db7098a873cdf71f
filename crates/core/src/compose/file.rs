//! The file itself: its version, its labels, and what its services come to together.

use super::{
    app::{app_spec, run_spec},
    keys::{SERVICE_KEYS, TOP_KEYS, TopKey},
    labels::{ALIYUN, Labels, X_TICKMESH, read_app_keys, read_app_labels},
    networks::{read_networks, warn_of_networks},
    project::{is_scheduled, tells_when},
    reader::Reader,
    report::{Place, quote},
    schedule::{TimedBy, read_schedule},
    service::{read_host_files, read_services},
    source::ComposeFile,
    value::Refused,
    volumes::read_volumes,
    yaml::{Entry, Item, Node, Value},
};
use crate::{
    json_size::encoded_bytes,
    ledger::{RUN_BYTES_MAX, run_bytes},
    spec::{AppSpec, REPLICAS_MAX, RunSpec, ServiceSpec},
};

/// Most text in the variables that a file uses: they are stored with it, in one message of NATS.
const VARIABLES_BYTES_MAX: usize = 64 * 1024;
/// Most that env files take, which are stored in that message too, as JSON: with a file and variables at their own limits
/// there is room for it in the megabyte that NATS takes by default.
pub const ENV_FILES_BYTES_MAX: usize = 64 * 1024;

/// What a file says, as far as it could be read.
#[derive(Debug)]
pub(super) struct Contents {
    /// The app; of use only if the report has no errors.
    pub(super) spec: Option<AppSpec>,
    /// Name of the schedule's time zone, as the database spells it.
    pub(super) timezone: String,
}

/// Reads the tree of a file.
pub(super) fn read_file(reader: &mut Reader<'_>, file: &ComposeFile<'_>, root: &Node) -> Contents {
    let root = Item::root(root);
    let Value::Mapping(entries) = &root.node.value else {
        reader.expected("a map", &root);
        return Contents { spec: None, timezone: file.timezone_default.to_owned() };
    };
    // What a file lacks may be in one that could not be included, which was told.
    let lacks_a_file = reader.report.has_errors() && !entries.iter().any(|entry| entry.key.text == "services");
    if lacks_a_file || is_of_other_format(reader, entries) {
        return Contents { spec: None, timezone: file.timezone_default.to_owned() };
    }
    reader.host_files = read_host_files(reader, &root);
    reader.is_original = has_label_of_original(entries);
    let named = |name: &str| entries.iter().find(|entry| entry.key.text == name).map(|entry| root.child(entry));
    reader.has_jobs_only = has_jobs_only(entries);
    reader.volumes = named("volumes").map(|item| read_volumes(reader, &item));
    reader.networks = read_networks(reader, named("networks").as_ref());
    let is_stack = reader.stack_labels.is_some();
    reader.is_scheduled = is_stack || is_scheduled(root.node);
    let mut labels = Labels::default();
    let mut services: Option<(Vec<ServiceSpec>, Place)> = None;
    for entry in entries {
        let item = root.child(entry);
        if entry.key.text == X_TICKMESH {
            if !is_stack {
                read_app_keys(reader, &item, &mut labels);
            }
            continue;
        }
        // Compose made them: only their names matter.
        if is_stack && entry.key.text == "networks" {
            continue;
        }
        match top_key(reader, &root, entry) {
            Some(TopKey::Version) => check_version(reader, &item),
            // That of a stack is the name of its project.
            Some(TopKey::Name) if is_stack => {}
            Some(TopKey::Name) => check_name(reader, file, &item),
            // In a stack they are what its services do not say, and those are read first.
            Some(TopKey::Labels) if is_stack => {}
            Some(TopKey::Labels) => read_app_labels(reader, &item, &mut labels),
            Some(TopKey::Services) => {
                let place = root.key_place(&entry.key);
                services = Some((read_services(reader, &item, &place), place));
            }
            // Read before everything else: services name them, wherever they stand.
            Some(TopKey::Secrets | TopKey::Configs | TopKey::Volumes | TopKey::Networks) | None => {}
        }
    }
    if let Some(of_service) = reader.stack_labels.take() {
        labels = of_service.with_defaults_to_come();
        for entry in entries {
            match entry.key.text.as_str() {
                "labels" => read_app_labels(reader, &root.child(entry), &mut labels),
                X_TICKMESH => read_app_keys(reader, &root.child(entry), &mut labels),
                _ => {}
            }
        }
    }
    let TimedBy { schedule, timezone } = read_schedule(reader, &labels, file.timezone_default);
    let is_told = labels.given("schedule").is_some() || tells_when(entries, reader.dialect);
    if schedule.is_none() && labels.project_type.is_none() && !is_told {
        // In the words of the file.
        let prefix = if reader.is_original { "aliyun" } else { "tickmesh" };
        let hint = format!("add the label `{prefix}.schedule`, or `{prefix}.project_type: batch` to run it by hand");
        reader.report.error_with_hint(Place::file(), "the file does not say when to run", hint);
    }
    let Some((services, place)) = services else {
        reader.report.error(Place::file(), "`services` is missing");
        return Contents { spec: None, timezone };
    };
    let run = run_spec(&labels, services);
    check_run(reader, &run, &place);
    warn_of_networks(reader, &run, &place);
    check_variables(reader);
    check_env_files(reader, file);
    let spec = app_spec(reader, file.app, &labels, schedule, run);
    Contents { spec: Some(spec), timezone }
}

/// Says whether every service has a schedule of its own.
fn has_jobs_only(entries: &[Entry]) -> bool {
    let services = entries.iter().filter(|entry| entry.key.text == "services");
    let mut services = services.flat_map(|services| match &services.value.value {
        Value::Mapping(services) => services.as_slice(),
        Value::Scalar(_) | Value::Sequence(_) => &[],
    });
    services.all(|service| service.key.text.starts_with("x-") || is_scheduled(&service.value))
}

/// The meaning of a key of the file. Keys of a service are often written one level too high.
fn top_key(reader: &mut Reader<'_>, root: &Item<'_>, entry: &Entry) -> Option<TopKey> {
    let name = entry.key.text.as_str();
    let is_top = TOP_KEYS.iter().any(|known| known.name == name);
    if !is_top && SERVICE_KEYS.iter().any(|known| known.name == name) {
        let message = format!("`{name}` does not belong to the file itself");
        reader.report.error_with_hint(root.key_place(&entry.key), message, "move it into a service, under `services`");
        return None;
    }
    reader.known_key(TOP_KEYS, root, entry)
}

/// Versions 2 and 3 differ in keys only, and those have a table. Version 1 has no place for labels of an app.
fn check_version(reader: &mut Reader<'_>, item: &Item<'_>) {
    reader.parsed(item, |text| {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        let known = matches!(major, "2" | "3") && matches!(minor.len(), 1 | 2);
        if known && minor.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(());
        }
        Err(Refused::new(text, "a version of the compose format that is supported: `2`, `2.x` or `3.x`"))
    });
}

fn check_name(reader: &mut Reader<'_>, file: &ComposeFile<'_>, item: &Item<'_>) {
    let Some(name) = reader.text(item) else { return };
    if name.value != file.app.as_str() {
        let message = format!("`name` has no effect: the app is called `{}`", file.app);
        reader.report.warning(item.place(), message);
    }
}

/// Refuses a file that is none of the compose format as it is today. Of what else it says nothing
/// need be told.
fn is_of_other_format(reader: &mut Reader<'_>, entries: &[Entry]) -> bool {
    let has = |name: &str| entries.iter().any(|entry| entry.key.text == name);
    if has("services") {
        return false;
    }
    if has("apiVersion") && has("kind") {
        let hint = "docs/how-to/migrate-from-kubernetes.md shows a CronJob as a compose file";
        reader.report.error_with_hint(Place::file(), "this is a manifest of Kubernetes and no compose file", hint);
        return true;
    }
    // Files of version 1 have their services at the top.
    let looks_like_service = |entry: &&Entry| match &entry.value.value {
        Value::Mapping(keys) => keys.iter().any(|key| matches!(key.key.text.as_str(), "image" | "build")),
        Value::Scalar(_) | Value::Sequence(_) => false,
    };
    let Some(entry) = entries.iter().find(looks_like_service) else { return false };
    let hint = format!("{} looks like a service: move it under `services`", quote(&entry.key.text));
    reader.report.error_with_hint(Place::file(), "`services` is missing", hint);
    true
}

/// Says whether a label of the original stands at the top or in a service.
fn has_label_of_original(entries: &[Entry]) -> bool {
    let is_original = |node: &Node| match &node.value {
        Value::Mapping(labels) => labels.iter().any(|label| label.key.text.starts_with(ALIYUN)),
        Value::Sequence(labels) => labels.iter().any(|label| match &label.value {
            Value::Scalar(scalar) => scalar.text.starts_with(ALIYUN),
            Value::Sequence(_) | Value::Mapping(_) => false,
        }),
        Value::Scalar(_) => false,
    };
    let labelled =
        |entries: &[Entry]| entries.iter().any(|entry| entry.key.text == "labels" && is_original(&entry.value));
    let services = entries.iter().filter(|entry| entry.key.text == "services");
    labelled(entries) || services.flat_map(|services| maps_in(&services.value)).any(labelled)
}

/// The maps that are values of a map.
fn maps_in(node: &Node) -> impl Iterator<Item = &[Entry]> {
    let entries = match &node.value {
        Value::Mapping(entries) => entries.as_slice(),
        Value::Scalar(_) | Value::Sequence(_) => &[],
    };
    entries.iter().filter_map(|entry| match &entry.value.value {
        Value::Mapping(entries) => Some(entries.as_slice()),
        Value::Scalar(_) | Value::Sequence(_) => None,
    })
}

/// What only all services together can exceed.
fn check_run(reader: &mut Reader<'_>, run: &RunSpec, place: &Place) {
    let replicas = run.replica_count();
    if replicas > REPLICAS_MAX {
        let message = format!("the services have {replicas} replicas together, at most {REPLICAS_MAX} are allowed");
        reader.report.error(place.clone(), message);
        return;
    }
    let bytes = run_bytes(run);
    if bytes > RUN_BYTES_MAX {
        let message = format!(
            "the services and their {replicas} replicas take {bytes} bytes to store, at most {RUN_BYTES_MAX} are allowed"
        );
        let hint = "lower `scale`, or move long values into the image or a volume";
        reader.report.error_with_hint(place.clone(), message, hint);
    }
}

fn check_variables(reader: &mut Reader<'_>) {
    let bytes = reader.interpolator.used_bytes();
    if bytes > VARIABLES_BYTES_MAX {
        let message =
            format!("the variables that the file uses take {bytes} bytes, at most {VARIABLES_BYTES_MAX} are allowed");
        reader.report.error(Place::file(), message);
    }
}

fn check_env_files(reader: &mut Reader<'_>, file: &ComposeFile<'_>) {
    let bytes = if file.env_files.is_empty() { 0 } else { encoded_bytes(file.env_files) };
    if bytes > ENV_FILES_BYTES_MAX {
        let message = format!("the env files take {bytes} bytes to store, at most {ENV_FILES_BYTES_MAX} are allowed");
        reader.report.error_with_hint(Place::file(), message, "put long values into the image or a volume");
    }
}
