//! Which services a service waits for: the label `depends`, and compose's `depends_on`. Both mean the same here, and may be
//! used beside each other.
//!
//! A batch job waits for what another one has done, so a dependency is met when the other service has *succeeded*. Compose
//! knows three conditions. `service_completed_successfully` says just that. `service_started`, the default of its list form,
//! is a weaker promise about the order, which is kept as well. `service_healthy` is about a server that runs on
//! beside the job; it would be waited for in vain.

use std::collections::BTreeSet;

use super::{
    super::{
        reader::{Reader, Text},
        report::{Place, one_of, quote},
        value::boolean,
        yaml::{Entry, Item, Value},
    },
    affinity::{self, Known, Neighbourhood},
};
use crate::{name::ServiceName, spec::ServiceSpec};

/// Most services of an app, and so most services that one of them waits for. The runs of the app
/// must fit into the ledger, and people must be able to read them.
pub(super) const SERVICES_MAX: usize = 200;
/// Keys of a dependency in the form of a map.
const KEYS: [&str; 3] = ["condition", "required", "restart"];

/// The name of another service, and where it stands.
#[derive(Debug)]
pub(super) struct Dependency {
    pub(super) name: String,
    pub(super) place: Place,
    condition: Condition,
}

/// What the file says about a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// It has to succeed.
    Success,
    /// It has to be started, and it has been told that this is more here.
    StartTold,
    /// It has to be started.
    Start,
}

/// A service whose dependencies are not looked up yet: they may come later in the file.
#[derive(Debug)]
pub(super) struct Unlinked {
    pub(super) spec: ServiceSpec,
    /// Why it looks like a server, which never ends.
    pub(super) server: Option<&'static str>,
    pub(super) depends: Vec<Dependency>,
    pub(super) neighbourhood: Neighbourhood,
}

/// Reads `depends_on`.
pub(super) fn read_depends_on(reader: &mut Reader<'_>, item: &Item<'_>) -> Vec<Dependency> {
    match &item.node.value {
        Value::Sequence(_) => {
            let texts = reader.texts(item).unwrap_or_default();
            let dependency =
                |text: Text| Dependency { place: text.place(), name: text.value, condition: Condition::Start };
            texts.into_iter().map(dependency).collect()
        }
        Value::Mapping(entries) => {
            let dependency = |entry: &Entry| Dependency {
                name: entry.key.text.clone(),
                place: item.key_place(&entry.key),
                condition: check_conditions(reader, &item.child(entry)),
            };
            entries.iter().map(dependency).collect()
        }
        Value::Scalar(scalar) if scalar.is_null() => Vec::new(),
        Value::Scalar(_) => {
            reader.expected("a list or a map of services", item);
            Vec::new()
        }
    }
}

/// Reads the value of the label: names with commas between them.
pub(super) fn read_label(reader: &mut Reader<'_>, text: &Text) -> Vec<Dependency> {
    // An item's place costs a walk over the text, so their number needs a limit first.
    if text.value.matches(',').count() >= SERVICES_MAX {
        reader.report.error(text.place(), format!("a service can wait for {SERVICES_MAX} others at most"));
        return Vec::new();
    }
    let names = text.split(',').into_iter().map(|name| name.trimmed());
    names.map(|name| Dependency { place: name.place_of(0), name: name.value, condition: Condition::Success }).collect()
}

fn check_conditions(reader: &mut Reader<'_>, item: &Item<'_>) -> Condition {
    let mut condition = Condition::Start;
    for entry in reader.entries(item) {
        let child = item.child(entry);
        match entry.key.text.as_str() {
            "condition" => condition = check_condition(reader, &child),
            "required" => check_required(reader, &child),
            "restart" => {
                let message = "`restart` of a dependency has no effect: a batch job is not restarted";
                reader.report.warning(item.key_place(&entry.key), message);
            }
            other => reader.unknown_key(other, item.key_place(&entry.key), KEYS),
        }
    }
    condition
}

/// Reads a condition. Of one that cannot be had nothing more needs to be said.
fn check_condition(reader: &mut Reader<'_>, item: &Item<'_>) -> Condition {
    let Some(text) = reader.text(item) else { return Condition::Success };
    match text.value.as_str() {
        "service_completed_successfully" => {}
        "service_started" => {
            let message = "`service_started` is taken for `service_completed_successfully`";
            let hint = "services of a batch job begin after those they depend on have succeeded";
            reader.report.warning_with_hint(text.place(), message, hint);
            return Condition::StartTold;
        }
        "service_healthy" => {
            let message = "`service_healthy` is not supported: what stays up beside the job never ends, so that it \
                           would be waited for in vain";
            let hint = "have the job itself wait for the server, or write `service_completed_successfully`";
            reader.report.error_with_hint(text.place(), message, hint);
        }
        other => {
            let conditions = ["service_completed_successfully", "service_started", "service_healthy"];
            reader.report.error(text.place(), format!("{} is not {}", quote(other), one_of(conditions)));
        }
    }
    Condition::Success
}

fn check_required(reader: &mut Reader<'_>, item: &Item<'_>) {
    if reader.parsed(item, boolean) == Some(false) {
        let message = "`required: false` is not supported: what a service depends on has to succeed";
        reader.report.error_with_hint(item.place(), message, "remove the dependency");
    }
}

/// Looks the names up. `names` are those of all services in the file, also of those that could not be read.
pub(super) fn link(reader: &mut Reader<'_>, services: Vec<Unlinked>, names: &BTreeSet<&str>) -> Vec<ServiceSpec> {
    for Dependency { name, place, .. } in services.iter().flat_map(|service| &service.depends) {
        if !names.contains(name.as_str()) {
            report_unknown(reader, name, place.clone(), names);
        }
    }
    report_cycles(reader, &services);
    if reader.dialect.refuses_waiting_for_servers() {
        report_servers(reader, &services);
    }
    let known =
        |service: &Unlinked| Known { name: service.spec.name.clone(), image: service.spec.container.image.clone() };
    let known: Vec<Known> = services.iter().map(known).collect();
    let places: Vec<Option<Place>> = services.iter().map(|service| service.neighbourhood.place()).collect();
    let services: Vec<ServiceSpec> = services.into_iter().map(|service| linked(reader, service, &known)).collect();
    affinity::report_circles(reader, &services, &places);
    services
}

fn linked(reader: &mut Reader<'_>, service: Unlinked, known: &[Known]) -> ServiceSpec {
    let Unlinked { mut spec, server: _, depends, neighbourhood } = service;
    neighbourhood.settle(reader, &mut spec, known);
    for name in depends.into_iter().filter_map(|dependency| ServiceName::new(dependency.name).ok()) {
        if !spec.depends.contains(&name) {
            spec.depends.push(name);
        }
    }
    spec
}

/// Refuses to wait for the end of a service that looks as if it had none, unless the file says that
/// it ends. Of others that docker compose would only start before, it is told that they have to
/// succeed.
fn report_servers(reader: &mut Reader<'_>, services: &[Unlinked]) {
    for service in services {
        let mut is_told = false;
        let started = service.depends.iter().filter(|dependency| dependency.condition != Condition::Success);
        for Dependency { name, place, condition } in started {
            let server = services.iter().find(|other| other.spec.name.as_str() == name).and_then(|other| other.server);
            if let Some(sign) = server {
                let message = format!(
                    "{} would wait for ever: {} has {sign}, as a server that never ends",
                    quote(service.spec.name.as_str()),
                    quote(name)
                );
                let hint = "if it does end, write `condition: service_completed_successfully`; a server belongs \
                            into a file of its own, which docker compose runs";
                reader.report.error_with_hint(place.clone(), message, hint);
            } else if *condition == Condition::Start && !is_told && !reader.report.has_errors() {
                is_told = true;
                let message = format!(
                    "{} begins when {} has succeeded, not when it is started",
                    quote(service.spec.name.as_str()),
                    quote(name)
                );
                let hint = "write `condition: service_completed_successfully`, which says the same to docker compose";
                reader.report.warning_with_hint(place.clone(), message, hint);
            }
        }
    }
}

fn report_unknown(reader: &mut Reader<'_>, name: &str, place: Place, names: &BTreeSet<&str>) {
    let message = format!("there is no service {} to wait for", quote(name));
    match reader.report.nearest(name, names.iter().copied()) {
        Some(near) => reader.report.error_with_hint(place, message, format!("did you mean `{near}`?")),
        None => reader.report.error(place, message),
    }
}

/// Says which services wait for each other for ever. Of cycles that share services one is shown; the others come up when it
/// is broken.
fn report_cycles(reader: &mut Reader<'_>, services: &[Unlinked]) {
    let mut walk = Walk { services, seen: BTreeSet::new(), path: Vec::new() };
    for service in services {
        walk.path.clear();
        if let Some(Cycle { names, place }) = walk.cycle_from(service) {
            let message = format!("`{}` would wait for itself: {}", names[0], names.join(" -> "));
            reader.report.error_with_hint(place.clone(), message, "break the circle at one of its dependencies");
        }
    }
}

/// A way along dependencies.
struct Walk<'s> {
    services: &'s [Unlinked],
    /// Services that the walk has come to.
    seen: BTreeSet<&'s str>,
    /// Those that it comes from.
    path: Vec<&'s str>,
}

/// Services that wait for each other; the first is the last again.
struct Cycle<'s> {
    names: Vec<&'s str>,
    /// Where the dependency that closes it stands.
    place: &'s Place,
}

impl<'s> Walk<'s> {
    /// The first cycle on the way from a service that the walk has not come to yet. No deeper than there are services.
    fn cycle_from(&mut self, service: &'s Unlinked) -> Option<Cycle<'s>> {
        let name = service.spec.name.as_str();
        if !self.seen.insert(name) {
            return None;
        }
        self.path.push(name);
        for Dependency { name, place, .. } in &service.depends {
            if let Some(first) = self.path.iter().position(|before| before == name) {
                let names = self.path[first..].iter().copied().chain([name.as_str()]).collect();
                return Some(Cycle { names, place });
            }
            let next = self.services.iter().find(|other| other.spec.name.as_str() == name);
            if let Some(cycle) = next.and_then(|next| self.cycle_from(next)) {
                return Some(cycle);
            }
        }
        self.path.pop();
        None
    }
}
