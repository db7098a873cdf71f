//! Labels: a map or a list, at the top of the file or in a service, with the original's prefix `aliyun.` or our own.

mod about;
mod backoff;
mod foreign;
mod notify;
mod schema;
mod table;
#[cfg(test)]
mod tests;
mod value_types;

use std::{collections::BTreeMap, ops::Deref};

pub(super) use foreign::settle_no_replicas;
pub use notify::is_target_name;
pub use schema::schema;
use table::{APP_LABELS, Label, OURS_ALONE, SERVICE_LABELS, USELESS};
pub(super) use table::{AppLabels, ServiceLabels};

use super::{
    dialect::Dialect,
    reader::{Pair, Reader, Text, Unset},
    report::{Place, quote},
    yaml::{Item, Value},
};

/// The original's prefix.
pub(super) const ALIYUN: &str = "aliyun.";
/// The key of compose files under which labels stand without a prefix.
pub(super) const X_TICKMESH: &str = "x-tickmesh";
/// What stands between the schedules of a list, once that is one text.
pub(super) const SCHEDULES_SEPARATOR: &str = ";";
/// Our own prefix. Both mean the same.
pub(super) const TICKMESH: &str = "tickmesh.";
/// Labels that agents put on containers, to know their own again. A job that could write them could pass for another.
const RESERVED: &str = "io.tickmesh.";

/// Labels by which swarm was told where containers must run: without them the job would run elsewhere.
const SWARM_PLACEMENT: [&str; 2] = ["com.docker.swarm.constraints", "com.docker.swarm.affinities"];
/// The label by which swarm was told to replace containers of dead hosts.
const SWARM_RESCHEDULING: &str = "com.docker.swarm.reschedule-policies";

/// A place where labels stand.
trait LabelSet: Default + 'static {
    /// The labels that belong there.
    const TABLE: &'static [Label<Self>];
    /// That place, for messages.
    const HERE: &'static str;
    /// The other place.
    const ELSEWHERE: &'static str;
    /// Whether a name belongs to the other place.
    fn is_elsewhere(name: &str) -> bool;
    /// Reads a label of the other place: an error, but for what is said of the app at the service
    /// of a stack.
    fn read_elsewhere(reader: &mut Reader<'_>, _name: &str, written: Written) {
        let message = format!("the label {} has no effect here", quote(&written.name));
        reader.report.error_with_hint(written.place, message, format!("it belongs to {}", Self::ELSEWHERE));
    }
}

impl LabelSet for AppLabels {
    const TABLE: &'static [Label<Self>] = APP_LABELS;
    const HERE: &'static str = "`labels` at the top of the file";
    const ELSEWHERE: &'static str = ServiceLabels::HERE;

    fn is_elsewhere(name: &str) -> bool {
        find(SERVICE_LABELS, name).is_some()
    }
}

impl LabelSet for ServiceLabels {
    const TABLE: &'static [Label<Self>] = SERVICE_LABELS;
    const HERE: &'static str = "`labels` of a service";
    const ELSEWHERE: &'static str = AppLabels::HERE;

    fn is_elsewhere(name: &str) -> bool {
        find(APP_LABELS, name).is_some()
    }

    fn read_elsewhere(reader: &mut Reader<'_>, name: &str, written: Written) {
        match (find(APP_LABELS, name), reader.stack_labels.take()) {
            (Some(label), Some(mut labels)) => {
                read_known(reader, label, written, &mut labels);
                reader.stack_labels = Some(labels);
            }
            (_, labels) => {
                reader.stack_labels = labels;
                let message = format!("the label {} has no effect here", quote(&written.name));
                reader.report.error_with_hint(written.place, message, format!("it belongs to {}", Self::ELSEWHERE));
            }
        }
    }
}

/// The labels of one place: their values, and where each of them stands.
#[derive(Debug)]
pub(super) struct Labels<S> {
    values: S,
    given: BTreeMap<&'static str, Given>,
    /// Labels that come from now on are of use only where none was given.
    only_defaults: bool,
    /// Labels of swarm-cronjob are among those that were read, whose files have `replicas: 0`.
    is_of_swarm_cronjob: bool,
}

/// A label as the file has it.
#[derive(Debug)]
pub(super) struct Given {
    /// Its name with the prefix.
    pub(super) name: String,
    /// Its value as it was written.
    pub(super) value: String,
    /// Where its value is.
    pub(super) place: Place,
}

impl<S> Labels<S> {
    /// The label of that name, without prefix, if the file has it.
    pub(super) fn given(&self, name: &str) -> Option<&Given> {
        self.given.get(name)
    }

    /// Whether labels of swarm-cronjob were read.
    pub(super) fn is_of_swarm_cronjob(&self) -> bool {
        self.is_of_swarm_cronjob
    }

    /// From now on, labels that were given already win over those that come.
    pub(super) fn with_defaults_to_come(self) -> Self {
        Self { only_defaults: true, ..self }
    }
}

impl<S: Default> Default for Labels<S> {
    fn default() -> Self {
        Self { values: S::default(), given: BTreeMap::new(), only_defaults: false, is_of_swarm_cronjob: false }
    }
}

impl<S> Deref for Labels<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.values
    }
}

/// Reads the labels at the top of the file.
pub(super) fn read_app_labels(reader: &mut Reader<'_>, item: &Item<'_>, labels: &mut Labels<AppLabels>) {
    let others = read(reader, item, labels);
    foreign::warn(reader, &others);
    for Other { name, place, .. } in others.into_iter().filter(|other| !foreign::is_foreign(&other.name)) {
        let message = format!("the label {} has no effect at the top of the file", quote(&name));
        reader.report.warning_with_hint(place, message, "labels of a service are passed on to its containers");
    }
}

/// Reads the labels of a service, and those that are only passed on to its containers.
pub(super) fn read_service_labels(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    labels: &mut Labels<ServiceLabels>,
) -> BTreeMap<String, String> {
    let others = read(reader, item, labels);
    foreign::warn(reader, &others);
    labels.is_of_swarm_cronjob |= foreign::is_of_swarm_cronjob(&others);
    others.into_iter().map(|other| (other.name, other.value)).collect()
}

/// Reads `deploy.labels`, which swarm puts on the service and not on its containers. Only ours mean
/// something.
pub(super) fn read_deploy_labels(reader: &mut Reader<'_>, item: &Item<'_>, labels: &mut Labels<ServiceLabels>) {
    let others = read(reader, item, labels);
    foreign::warn(reader, &others);
    labels.is_of_swarm_cronjob |= foreign::is_of_swarm_cronjob(&others);
    for Other { name, place, .. } in others.into_iter().filter(|other| !foreign::is_foreign(&other.name)) {
        let message =
            format!("the label {} has no effect: there is no service apart from its containers", quote(&name));
        reader.report.warning_with_hint(place, message, "move it to `labels` of the service");
    }
}

/// Reads `x-tickmesh` at the top of the file.
pub(super) fn read_app_keys(reader: &mut Reader<'_>, item: &Item<'_>, labels: &mut Labels<AppLabels>) {
    read_keys(reader, item, labels);
}

/// Reads `x-tickmesh` of a service.
pub(super) fn read_service_keys(reader: &mut Reader<'_>, item: &Item<'_>, labels: &mut Labels<ServiceLabels>) {
    read_keys(reader, item, labels);
}

/// Reads `x-tickmesh`: labels without their prefix, whose values may be numbers and lists.
fn read_keys<S: LabelSet>(reader: &mut Reader<'_>, item: &Item<'_>, labels: &mut Labels<S>) {
    match reader.dialect {
        // There it was nobody's.
        Dialect::First => return,
        Dialect::Second => {}
    }
    for entry in reader.entries(item) {
        let child = item.child(entry);
        let name = entry.key.text.as_str();
        let place = item.key_place(&entry.key);
        // A schedule has commas of its own.
        let separator = if name == "schedule" { SCHEDULES_SEPARATOR } else { "," };
        let text = match &child.node.value {
            Value::Scalar(_) if child.is_null() => None,
            Value::Scalar(_) | Value::Mapping(_) => match reader.with_unset(Unset::Deferred, |it| it.text(&child)) {
                Some(text) => Some(text),
                None => continue,
            },
            Value::Sequence(_) => match reader.with_unset(Unset::Deferred, |it| it.texts(&child)) {
                Some(texts) => Some(Text::joined(&texts, separator, child.place())),
                None => continue,
            },
        };
        let written = Written { name: format!("{X_TICKMESH}.{name}"), place, text };
        if let Some(label) = find(S::TABLE, name) {
            read_known(reader, label, written, labels);
        } else if S::is_elsewhere(name) {
            S::read_elsewhere(reader, name, written);
        } else {
            let names = S::TABLE.iter().map(|label| label.name);
            reader.unknown_key(name, written.place, names);
        }
    }
}

/// A label that tickmesh itself does not read.
struct Other {
    name: String,
    place: Place,
    value: String,
}

fn read<S: LabelSet>(reader: &mut Reader<'_>, item: &Item<'_>, labels: &mut Labels<S>) -> Vec<Other> {
    let mut others = Vec::new();
    let pairs = reader.with_unset(Unset::Deferred, |reader| reader.pairs(item));
    for Pair { name, place, value } in pairs {
        let of_original = || name.strip_prefix(ALIYUN).filter(|short| !OURS_ALONE.contains(short));
        let short = name.strip_prefix(TICKMESH).or_else(of_original);
        if let Some(label) =
            short.filter(|short| reader.dialect.has_label(short)).and_then(|short| find(S::TABLE, short))
        {
            // Old templates have space around values, and the original took it away.
            let text = value.map(|value| value.trimmed());
            read_known(reader, label, Written { name, place, text }, labels);
        } else if let Some(short) = short.filter(|short| S::is_elsewhere(short)).map(ToOwned::to_owned) {
            let text = value.map(|value| value.trimmed());
            S::read_elsewhere(reader, &short, Written { name, place, text });
        } else if check_other::<S>(reader, &name, &place) {
            if let Some(text) = &value {
                reader.warn_unset(text);
            }
            others.push(Other { name, place, value: value.map(|value| value.value).unwrap_or_default() });
        }
    }
    others
}

/// A label of the table, before anything is known about its value.
struct Written {
    name: String,
    place: Place,
    text: Option<Text>,
}

fn read_known<S>(reader: &mut Reader<'_>, label: &'static Label<S>, written: Written, labels: &mut Labels<S>) {
    let Written { name, place, text } = written;
    if let Some(text) = &text {
        match text.value.is_empty() && text.is_unset() {
            true => return reader.refuse_unset(text, ""),
            false => reader.warn_unset(text),
        }
    }
    let Some(text) = text.filter(|text| !text.value.is_empty()) else {
        let message = format!("the label `{name}` has no value");
        return reader.report.error_with_hint(place, message, label.help());
    };
    if let Some(first) = labels.given(label.name) {
        if label.name == "schedule"
            && first.name.starts_with(ALIYUN) != name.starts_with(ALIYUN)
            && !labels.only_defaults
            && reader.dialect.has_zone_of_label()
        {
            let message = format!("`{name}` and `{}` are one schedule in two zones", first.name);
            let hint =
                "keep one: without a time zone `aliyun.schedule` is Beijing time, and `tickmesh.schedule` is UTC";
            return reader.report.error_with_hint(place, message, hint);
        }
        if first.value != text.value && !labels.only_defaults {
            let message =
                format!("`{name}` is {}, but `{}` is {}", quote(&text.value), first.name, quote(&first.value));
            reader.report.error_with_hint(place, message, "both are the same label: keep one");
        }
        return;
    }
    let place = text.place();
    labels.given.insert(label.name, Given { name: name.clone(), value: text.value.clone(), place: place.clone() });
    if let Err(error) = label.takes.read(text, &mut labels.values) {
        reader.report.error(place, format!("`{name}`: {error}"));
    }
}

/// Whether a label that is not in the table may stay.
fn check_other<S: LabelSet>(reader: &mut Reader<'_>, name: &str, place: &Place) -> bool {
    if name.is_empty() {
        reader.report.error(place.clone(), "a label needs a name");
        return false;
    }
    if name.starts_with(RESERVED) {
        let message = format!("the label {} is not allowed: `{RESERVED}` is reserved", quote(name));
        reader.report.error(place.clone(), message);
        return false;
    }
    if SWARM_PLACEMENT.contains(&name) {
        let message = format!("the label `{name}` is not supported");
        reader.report.error_with_hint(place.clone(), message, "write the label `tickmesh.constraint`");
        return false;
    }
    if name == SWARM_RESCHEDULING {
        let message = format!("the label `{name}` has no effect: replicas of a lost host always run elsewhere");
        reader.report.warning(place.clone(), message);
    }
    if let Some(short) = name.strip_prefix(TICKMESH) {
        let message = format!("unknown label {}", quote(name));
        match near::<S>(reader, short) {
            Some(near) => {
                reader.report.error_with_hint(place.clone(), message, format!("did you mean `{TICKMESH}{near}`?"))
            }
            None => reader.report.error(place.clone(), message),
        }
        return false;
    }
    if let Some(short) = name.strip_prefix(ALIYUN) {
        warn_about_aliyun::<S>(reader, name, short, place);
    }
    true
}

fn warn_about_aliyun<S: LabelSet>(reader: &mut Reader<'_>, name: &str, short: &str, place: &Place) {
    if is_useless(short) {
        let message = format!("the label {} has no effect on a batch job", quote(name));
        return reader.report.warning(place.clone(), message);
    }
    let message = format!("unknown label {}: it has no effect", quote(name));
    match near::<S>(reader, short) {
        Some(near) if OURS_ALONE.contains(&near) => {
            reader.report.warning_with_hint(place.clone(), message, format!("did you mean `{TICKMESH}{near}`?"))
        }
        Some(near) => {
            reader.report.warning_with_hint(place.clone(), message, format!("did you mean `{ALIYUN}{near}`?"))
        }
        None => reader.report.warning(place.clone(), message),
    }
}

fn near<S: LabelSet>(reader: &mut Reader<'_>, short: &str) -> Option<&'static str> {
    reader.report.nearest(short, S::TABLE.iter().map(|label| label.name))
}

fn is_useless(short: &str) -> bool {
    USELESS.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => short.starts_with(beginning),
        None => short == *pattern,
    })
}

fn find<S>(table: &'static [Label<S>], name: &str) -> Option<&'static Label<S>> {
    table.iter().find(|label| label.name == name)
}
