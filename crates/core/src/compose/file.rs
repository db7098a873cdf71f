//! The file itself: its version, its labels, and what its services come to together.

use std::collections::BTreeSet;

use super::{
    app::{app_spec, run_spec},
    keys::{SERVICE_KEYS, TOP_KEYS, TopKey},
    labels::{AppLabels, Labels, read_app_labels},
    reader::{Reader, Text},
    report::{Place, quote},
    service::{read_host_files, read_services},
    source::ComposeFile,
    value::Refused,
    yaml::{Entry, Item, Node, Value},
};
use crate::{
    encoded::encoded_bytes,
    ledger::{RUN_BYTES_MAX, run_bytes},
    schedule::{Schedule, ScheduleError, zone},
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
    reader.host_files = read_host_files(reader, &root);
    reader.volumes = declared_volumes(entries);
    let mut labels = Labels::default();
    let mut services: Option<(Vec<ServiceSpec>, Place)> = None;
    for entry in entries {
        let item = root.child(entry);
        match top_key(reader, &root, entry) {
            Some(TopKey::Version) => check_version(reader, &item),
            Some(TopKey::Name) => check_name(reader, file, &item),
            Some(TopKey::Labels) => labels = read_app_labels(reader, &item),
            Some(TopKey::Services) => {
                let place = root.key_place(&entry.key);
                services = Some((read_services(reader, &item, &place), place));
            }
            Some(TopKey::Volumes) => check_volumes(reader, &item),
            // Read before everything else: services name them, wherever they stand.
            Some(TopKey::Secrets | TopKey::Configs) | None => {}
        }
    }
    let timezone = read_timezone(reader, &labels, file.timezone_default);
    let schedule = read_schedule(reader, &labels, &timezone);
    if schedule.is_none() && labels.project_type.is_none() && !mentions_schedule(entries) {
        let hint = "add the label `aliyun.schedule`, or `aliyun.project_type: batch` to run it by hand";
        reader.report.error_with_hint(Place::file(), "the file does not say when to run", hint);
    }
    let Some((services, place)) = services else {
        explain_missing_services(reader, entries);
        return Contents { spec: None, timezone };
    };
    let run = run_spec(&labels, services);
    check_run(reader, &run, &place);
    check_variables(reader);
    check_env_files(reader, file);
    let spec = app_spec(reader, file.app, &labels, schedule, run);
    Contents { spec: Some(spec), timezone }
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

/// The names under `volumes`, if the file has that. Known before the services, which name them.
fn declared_volumes(entries: &[Entry]) -> Option<BTreeSet<String>> {
    let volumes = entries.iter().find(|entry| entry.key.text == "volumes")?;
    Some(match &volumes.value.value {
        Value::Mapping(volumes) => volumes.iter().map(|volume| volume.key.text.clone()).collect(),
        Value::Scalar(_) | Value::Sequence(_) => BTreeSet::new(),
    })
}

/// Named volumes are the engine's, made at first use. So their declarations may say nothing but the name.
fn check_volumes(reader: &mut Reader<'_>, item: &Item<'_>) {
    for entry in reader.entries(item) {
        let volume = item.child(entry);
        for option in reader.entries(&volume) {
            let message = format!("{} of a volume is not supported", quote(&option.key.text));
            let hint = "create the volume on the hosts, and declare it here without options";
            reader.report.error_with_hint(volume.key_place(&option.key), message, hint);
        }
    }
}

/// Files of version 1 have their services at the top.
fn explain_missing_services(reader: &mut Reader<'_>, entries: &[Entry]) {
    let looks_like_service = |entry: &&Entry| match &entry.value.value {
        Value::Mapping(keys) => keys.iter().any(|key| matches!(key.key.text.as_str(), "image" | "build")),
        Value::Scalar(_) | Value::Sequence(_) => false,
    };
    let message = "`services` is missing";
    match entries.iter().find(looks_like_service) {
        Some(entry) => {
            let hint = format!("{} looks like a service: move it under `services`", quote(&entry.key.text));
            reader.report.error_with_hint(Place::file(), message, hint);
        }
        None => reader.report.error(Place::file(), message),
    }
}

/// The zone of the schedule. A zone that nobody knows is reported at its label, and the default stands in.
fn read_timezone(reader: &mut Reader<'_>, labels: &Labels<AppLabels>, default: &str) -> String {
    let Some(text) = &labels.timezone else { return default.to_owned() };
    match zone(reader.zones, &text.value) {
        Ok(zone) => zone.iana_name().unwrap_or(&text.value).to_owned(),
        Err(error) => {
            report_schedule_error(reader, text, &error);
            default.to_owned()
        }
    }
}

fn read_schedule(reader: &mut Reader<'_>, labels: &Labels<AppLabels>, timezone: &str) -> Option<Schedule> {
    if let Some(text) = &labels.project_type
        && text.value != "batch"
    {
        let message = format!("`project_type` is {}: only `batch` apps run here", quote(&text.value));
        reader.report.error(text.place(), message);
    }
    labels.schedule.as_ref().and_then(|text| parse_schedule(reader, text, timezone))
}

/// Whether the file tries to say when to run. Where that could not be read, the reader knows already.
fn mentions_schedule(entries: &[Entry]) -> bool {
    let is_label = |text: &str| {
        let name = text.split('=').next().unwrap_or(text).trim();
        name.ends_with(".schedule") || name.ends_with(".project_type")
    };
    let labels = entries.iter().find(|entry| entry.key.text == "labels").map(|entry| &entry.value.value);
    match labels {
        None => false,
        Some(Value::Mapping(labels)) => labels.iter().any(|label| is_label(&label.key.text)),
        Some(Value::Sequence(labels)) => labels.iter().any(|label| match &label.value {
            Value::Scalar(scalar) => is_label(&scalar.text),
            Value::Sequence(_) | Value::Mapping(_) => true,
        }),
        Some(Value::Scalar(scalar)) => !scalar.is_null(),
    }
}

fn parse_schedule(reader: &mut Reader<'_>, text: &Text, timezone: &str) -> Option<Schedule> {
    Schedule::parse(&text.value, timezone, reader.zones)
        .map_err(|error| report_schedule_error(reader, text, &error))
        .ok()
}

fn report_schedule_error(reader: &mut Reader<'_>, text: &Text, error: &ScheduleError) {
    // Its columns count from 1.
    let place = error.column().map_or(text.place(), |column| text.place_of(column.saturating_sub(1)));
    match error.hint() {
        Some(hint) => reader.report.error_with_hint(place, error.to_string(), hint),
        None => reader.report.error(place, error.to_string()),
    }
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
