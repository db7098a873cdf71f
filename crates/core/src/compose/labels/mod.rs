//! Labels: a map or a list, at the top of the file or in a service, with the original's prefix `aliyun.` or our own.

mod backoff;
mod table;
mod takes;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, ops::Deref};

use table::{APP_LABELS, Label, SERVICE_LABELS, USELESS};
pub(super) use table::{AppLabels, ServiceLabels};
use takes::Takes;

use super::{
    reader::{Pair, Reader, Text},
    report::{Place, quote},
    yaml::Item,
};

/// The original's prefix.
const ALIYUN: &str = "aliyun.";
/// Our own prefix. Both mean the same.
const TICKMESH: &str = "tickmesh.";
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
}

/// The labels of one place: their values, and where each of them stands.
#[derive(Debug)]
pub(super) struct Labels<S> {
    values: S,
    given: BTreeMap<&'static str, Given>,
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
}

impl<S: Default> Default for Labels<S> {
    fn default() -> Self {
        Self { values: S::default(), given: BTreeMap::new() }
    }
}

impl<S> Deref for Labels<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.values
    }
}

/// Reads the labels at the top of the file.
pub(super) fn read_app_labels(reader: &mut Reader<'_>, item: &Item<'_>) -> Labels<AppLabels> {
    let (labels, others) = read(reader, item);
    for Other { name, place, .. } in others {
        let message = format!("the label {} has no effect at the top of the file", quote(&name));
        reader.report.warning_with_hint(place, message, "labels of a service are passed on to its containers");
    }
    labels
}

/// Reads the labels of a service, and those that are only passed on to its containers.
pub(super) fn read_service_labels(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
) -> (Labels<ServiceLabels>, BTreeMap<String, String>) {
    let (labels, others) = read(reader, item);
    (labels, others.into_iter().map(|other| (other.name, other.value)).collect())
}

/// A label that tickmesh itself does not read.
struct Other {
    name: String,
    place: Place,
    value: String,
}

fn read<S: LabelSet>(reader: &mut Reader<'_>, item: &Item<'_>) -> (Labels<S>, Vec<Other>) {
    let mut labels = Labels::default();
    let mut others = Vec::new();
    for Pair { name, place, value } in reader.pairs(item) {
        let short = name.strip_prefix(TICKMESH).or_else(|| name.strip_prefix(ALIYUN));
        if let Some(label) = short.and_then(|short| find(S::TABLE, short)) {
            // Old templates have space around values, and the original took it away.
            let text = value.map(|value| value.trimmed());
            read_known(reader, label, Written { name, place, text }, &mut labels);
        } else if short.is_some_and(S::is_elsewhere) {
            let message = format!("the label {} has no effect here", quote(&name));
            reader.report.error_with_hint(place, message, format!("it belongs to {}", S::ELSEWHERE));
        } else if check_other::<S>(reader, &name, &place) {
            others.push(Other { name, place, value: value.map(|value| value.value).unwrap_or_default() });
        }
    }
    (labels, others)
}

/// A label of the table, before anything is known about its value.
struct Written {
    name: String,
    place: Place,
    text: Option<Text>,
}

fn read_known<S>(reader: &mut Reader<'_>, label: &'static Label<S>, written: Written, labels: &mut Labels<S>) {
    let Written { name, place, text } = written;
    if let Takes::Nothing { why, hint } = label.takes {
        return reader.report.error_with_hint(place, format!("the label `{name}` is not supported: {why}"), hint);
    }
    let Some(text) = text.filter(|text| !text.value.is_empty()) else {
        let message = format!("the label `{name}` has no value");
        return reader.report.error_with_hint(place, message, label.help());
    };
    if let Some(first) = labels.given(label.name) {
        if first.value != text.value {
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
