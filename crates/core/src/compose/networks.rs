//! `networks` at the top of the file, and what the services of an app have in common.
//!
//! Agents make no networks. One that is external or has a name must be on the host already; where
//! the file would have one made, a container gets the engine's default.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    external::External,
    reader::Reader,
    report::{Place, quote},
    yaml::Item,
};
use crate::{
    name::ServiceName,
    spec::{RunSpec, ServiceSpec},
};

/// The network of services that name none.
pub(super) const DEFAULT: &str = "default";

/// The driver that compose takes where nothing is said.
const DRIVER_OF_COMPOSE: &str = "bridge";

/// Keys that say how compose makes a network.
const KEYS_OF_MAKING: [&str; 9] =
    ["driver", "driver_opts", "ipam", "internal", "attachable", "enable_ipv4", "enable_ipv6", "labels", "config_only"];

/// The networks that a file declares.
#[derive(Debug, Default)]
pub(super) struct Networks {
    declared: BTreeMap<String, Declared>,
    /// Those that compose would make and a service names: they are told once.
    wanted: BTreeSet<String>,
    /// What the hosts call the default network that compose made for a stack.
    of_stack: Option<String>,
}

/// A network at the top of the file.
#[derive(Debug)]
struct Declared {
    /// Its name on the hosts; `None`: compose would make it.
    on_hosts: Option<String>,
    /// Whether the file says how compose makes it, other than it makes all of them.
    is_special: bool,
    place: Place,
}

/// What a service that names a network gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A network that the host must have, with this name.
    OnHosts(String),
    /// The engine's default network.
    Default,
    /// The file declares no such network.
    Nothing,
}

impl Networks {
    /// Looks a network up that a service names.
    pub(super) fn find(&mut self, key: &str) -> Found {
        match self.declared.get(key) {
            Some(Declared { on_hosts: Some(name), .. }) => Found::OnHosts(name.clone()),
            Some(Declared { on_hosts: None, is_special, .. }) => {
                if key != DEFAULT || *is_special {
                    self.wanted.insert(key.to_owned());
                }
                Found::Default
            }
            None if key == DEFAULT => match &self.of_stack {
                Some(name) => Found::OnHosts(name.clone()),
                None => Found::Default,
            },
            None => Found::Nothing,
        }
    }

    /// Returns the names that a service may use.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.declared.keys().map(String::as_str)
    }
}

/// Reads the declarations, if there are any. Of a stack all networks are there already, under the
/// names that compose gave them.
pub(super) fn read_networks(reader: &mut Reader<'_>, item: Option<&Item<'_>>) -> Networks {
    let stack = reader.running_stack();
    let of_stack = stack.as_ref().map(|project| format!("{project}_{DEFAULT}"));
    let mut networks = Networks { of_stack, ..Networks::default() };
    let Some(item) = item else { return networks };
    for entry in reader.entries(item) {
        let (named, is_special) = read_network(reader, &item.child(entry), &entry.key.text);
        let on_hosts = named.or_else(|| stack.as_ref().map(|project| format!("{project}_{}", entry.key.text)));
        let declared = Declared { on_hosts, is_special, place: item.key_place(&entry.key) };
        networks.declared.insert(entry.key.text.clone(), declared);
    }
    networks
}

/// Returns the name on the hosts, and whether the file says how the network is made.
fn read_network(reader: &mut Reader<'_>, item: &Item<'_>, key: &str) -> (Option<String>, bool) {
    let mut external = External::default();
    let mut is_special = false;
    for entry in reader.entries(item) {
        let child = item.child(entry);
        match entry.key.text.as_str() {
            name if external.read(name, reader, &child) => {}
            "driver" if child.scalar() == Some(DRIVER_OF_COMPOSE) => {}
            // Told with the network itself, if a service uses it.
            name if KEYS_OF_MAKING.contains(&name) => is_special |= !child.is_null(),
            unknown => {
                let known = KEYS_OF_MAKING.into_iter().chain(["external", "name"]);
                reader.unknown_key(unknown, item.key_place(&entry.key), known);
            }
        }
    }
    (external.name_on_hosts(reader, key, item.place()), is_special)
}

/// Warns once of what compose would make and agents do not. `place` is that of `services`.
pub(super) fn warn_of_networks(reader: &mut Reader<'_>, run: &RunSpec, place: &Place) {
    // What cannot be read may be what would put the services in order.
    if reader.report.has_errors() {
        return;
    }
    if let Some((one, other)) = meeting_services(run) {
        let message = format!(
            "services do not find each other by name: each replica runs on any host that fits, and no network spans hosts (here {} and {})",
            quote(one.as_str()),
            quote(other.as_str())
        );
        return reader.report.warning(place.clone(), message);
    }
    let wanted = &reader.networks.wanted;
    let Some(first) = wanted.iter().next() else { return };
    let Some(place) = reader.networks.declared.get(first).map(|declared| declared.place.clone()) else { return };
    let names: Vec<String> = wanted.iter().map(|name| quote(name)).collect();
    let message = match names.as_slice() {
        [name] => format!("the network {name} is not made: containers get the engine's default network"),
        names => format!("the networks {} are not made: containers get the engine's default network", names.join(", ")),
    };
    let hint = "add `external: true` to use one that the hosts have";
    reader.report.warning_with_hint(place, message, hint);
}

/// Returns two services that may run at the same time and have a network: neither waits for the
/// other.
fn meeting_services(run: &RunSpec) -> Option<(&ServiceName, &ServiceName)> {
    let is_alone = |service: &&ServiceSpec| service.container.network_mode.as_deref() != Some("none");
    let services: Vec<&ServiceSpec> = run.services.iter().filter(is_alone).collect();
    let before: BTreeMap<&ServiceName, BTreeSet<&ServiceName>> =
        services.iter().map(|service| (&service.name, all_before(run, service))).collect();
    for (index, one) in services.iter().enumerate() {
        for other in &services[index + 1..] {
            let waits =
                |service: &ServiceName, on: &ServiceName| before.get(service).is_some_and(|all| all.contains(on));
            if !waits(&one.name, &other.name) && !waits(&other.name, &one.name) {
                return Some((&one.name, &other.name));
            }
        }
    }
    None
}

/// Returns all services that have ended when this one begins.
fn all_before<'r>(run: &'r RunSpec, service: &'r ServiceSpec) -> BTreeSet<&'r ServiceName> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&ServiceName> = service.depends.iter().collect();
    while let Some(name) = open.pop() {
        if found.insert(name)
            && let Some(service) = run.service(name)
        {
            open.extend(&service.depends);
        }
    }
    found
}
