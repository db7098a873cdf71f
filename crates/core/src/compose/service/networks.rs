//! `networks` of a service: a list of names, or a map of them with aliases.

use super::super::{
    networks::{DEFAULT, Found},
    reader::Reader,
    report::{Place, quote},
    value::Refused,
    yaml::{Item, Value},
};
use crate::spec::{ContainerSpec, NetworkSpec};

/// Most networks of a container.
const NETWORKS_MAX: usize = 32;
/// Longest alias: that of a name in DNS.
const ALIAS_BYTES_MAX: usize = 253;
/// Keys of the long form that fix an address: no two replicas can have one.
const ADDRESS_KEYS: [&str; 4] = ["ipv4_address", "ipv6_address", "link_local_ips", "mac_address"];
/// Keys of the long form that change nothing for a job.
const USELESS_KEYS: [&str; 3] = ["gw_priority", "interface_name", "driver_opts"];

/// The networks that a service names.
#[derive(Debug, Default)]
pub(super) struct Attachments {
    named: Vec<Attachment>,
    /// Where `networks` stands, if it does.
    place: Option<Place>,
    /// Where `network_mode` stands, if it does.
    pub(super) mode: Option<Place>,
}

#[derive(Debug)]
struct Attachment {
    key: String,
    place: Place,
    aliases: Vec<String>,
    /// The network with the highest one comes first.
    priority: i64,
}

impl Attachments {
    /// Reads `networks`.
    pub(super) fn read(&mut self, reader: &mut Reader<'_>, item: &Item<'_>) {
        self.place = Some(item.place());
        match &item.node.value {
            Value::Scalar(scalar) if scalar.is_null() => self.place = None,
            Value::Sequence(_) => {
                for text in reader.texts(item).unwrap_or_default() {
                    let place = text.place();
                    self.named.push(Attachment { key: text.value, place, aliases: Vec::new(), priority: 0 });
                }
            }
            Value::Mapping(entries) => {
                for entry in entries {
                    let (key, place) = (entry.key.text.clone(), item.key_place(&entry.key));
                    let attachment = Attachment { key, place, aliases: Vec::new(), priority: 0 };
                    self.named.push(attachment.read_details(reader, &item.child(entry)));
                }
            }
            Value::Scalar(_) => reader.expected("a list or a map of networks", item),
        }
        if self.named.len() > NETWORKS_MAX {
            let message = format!("the service has {} networks, at most {NETWORKS_MAX} are allowed", self.named.len());
            reader.report.error(item.place(), message);
            self.named.clear();
        }
    }

    /// Settles to which networks the container is connected. Its service is an alias on each, as
    /// with compose.
    pub(super) fn settle(mut self, reader: &mut Reader<'_>, container: &mut ContainerSpec, service: &str) {
        if let (Some(_), Some(place)) = (&self.place, &self.mode) {
            let message = "`network_mode` and `networks` exclude each other";
            return reader.report.error_with_hint(place.clone(), message, "remove one of them");
        }
        if self.mode.is_some() {
            return;
        }
        if self.named.is_empty() {
            let (key, place) = (DEFAULT.to_owned(), Place::file());
            self.named.push(Attachment { key, place, aliases: Vec::new(), priority: 0 });
        }
        self.named.sort_by_key(|attachment| std::cmp::Reverse(attachment.priority));
        for Attachment { key, place, mut aliases, priority: _ } in self.named {
            match reader.networks.find(&key) {
                Found::OnHosts(name) => {
                    if !aliases.iter().any(|alias| alias == service) {
                        aliases.push(service.to_owned());
                    }
                    container.networks.push(NetworkSpec { name, aliases });
                }
                // The engine's own network knows no names.
                Found::Default if key == DEFAULT && !aliases.is_empty() => {
                    let message = "`aliases` have no effect on the engine's default network, which knows no names";
                    reader.report.warning_with_hint(place, message, "name a network that the hosts have");
                }
                Found::Default => {}
                Found::Nothing => report_unknown(reader, &key, place),
            }
        }
        container.network_mode = container.networks.first().map(|network| network.name.clone());
    }
}

impl Attachment {
    fn read_details(mut self, reader: &mut Reader<'_>, item: &Item<'_>) -> Self {
        for entry in reader.entries(item) {
            let child = item.child(entry);
            let place = item.key_place(&entry.key);
            match entry.key.text.as_str() {
                "aliases" => self.aliases = reader.many(&child, alias),
                "priority" => self.priority = reader.parsed(&child, priority).unwrap_or_default(),
                key if ADDRESS_KEYS.contains(&key) => {
                    let message = format!("`{key}` is not supported: a job has no address of its own");
                    reader.report.error_with_hint(
                        place,
                        message,
                        "remove it: others find the container by its `aliases`",
                    );
                }
                key if USELESS_KEYS.contains(&key) => {
                    reader.report.warning(place, format!("`{key}` of a network has no effect"));
                }
                unknown => reader.unknown_key(unknown, place, ["aliases", "priority"]),
            }
        }
        self
    }
}

fn alias(text: &str) -> Result<String, Refused> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let valid = !text.is_empty() && text.len() <= ALIAS_BYTES_MAX && text.bytes().all(is_name);
    if valid { Ok(text.to_owned()) } else { Err(Refused::new(text, "a name of a host, such as `db`")) }
}

fn priority(text: &str) -> Result<i64, Refused> {
    text.parse().map_err(|_| Refused::new(text, "a whole number"))
}

fn report_unknown(reader: &mut Reader<'_>, key: &str, place: Place) {
    let message = format!("there is no network {} at the top of the file", quote(key));
    let hint = match reader.report.nearest(key, reader.networks.names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("declare it there: `networks: {{{key}: {{external: true}}}}`"),
    };
    reader.report.error_with_hint(place, message, hint);
}
