//! What a container is called, and how it finds others by name.

use std::net::IpAddr;

use super::super::{
    keys::NamingKey,
    reader::{Pair, Reader},
    report::quote,
    value::Refused,
    yaml::Item,
};
use crate::spec::Naming;

/// Longest name of a host, and of a domain as the kernel keeps it: one byte less than its own limit.
const HOST_BYTES_MAX: usize = 63;
/// Longest name that can be looked up, as DNS has it.
const DOMAIN_BYTES_MAX: usize = 253;
/// Longest option of a resolver: `attempts:5` is a long one.
const OPTION_BYTES_MAX: usize = 64;
/// Most entries of `extra_hosts`, all of which a container has in a file.
const EXTRA_HOSTS_MAX: usize = 100;
/// The engine's word for the address of its host.
const HOST_GATEWAY: &str = "host-gateway";

/// Reads the value of a key.
pub(super) fn read(naming: &mut Naming, key: NamingKey, reader: &mut Reader<'_>, item: &Item<'_>) {
    match key {
        NamingKey::Hostname => naming.hostname = reader.parsed(item, hostname),
        NamingKey::Domainname => naming.domainname = reader.parsed(item, hostname),
        NamingKey::Dns => naming.dns = reader.one_or_many(item, name_server),
        NamingKey::DnsSearch => naming.dns_search = reader.one_or_many(item, search_domain),
        NamingKey::DnsOpt => naming.dns_options = reader.many(item, option),
        NamingKey::ExtraHosts => naming.extra_hosts = extra_hosts(reader, item),
    }
}

fn hostname(text: &str) -> Result<String, Refused> {
    if is_domain(text) && text.len() <= HOST_BYTES_MAX {
        return Ok(text.to_owned());
    }
    let expected = format!("a name of a host: letters, digits, `-`, `_` and `.`, at most {HOST_BYTES_MAX}");
    Err(Refused::new(text, expected))
}

fn name_server(text: &str) -> Result<String, Refused> {
    let address: Result<IpAddr, _> = text.parse();
    address.map(|address| address.to_string()).map_err(|_| Refused::new(text, "an address such as `192.0.2.1`"))
}

fn search_domain(text: &str) -> Result<String, Refused> {
    // A single dot takes the host's own domains away.
    let valid = text == "." || is_domain(text.strip_suffix('.').unwrap_or(text));
    if valid { Ok(text.to_owned()) } else { Err(Refused::new(text, "a domain such as `example.com`")) }
}

fn option(text: &str) -> Result<String, Refused> {
    let valid = !text.is_empty() && text.len() <= OPTION_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    if valid { Ok(text.to_owned()) } else { Err(Refused::new(text, "an option of a resolver, such as `ndots:2`")) }
}

/// `name:address` or `name=address` in a list, or a map of them.
fn extra_hosts(reader: &mut Reader<'_>, item: &Item<'_>) -> Vec<String> {
    let pairs = reader.pairs(item);
    if pairs.len() > EXTRA_HOSTS_MAX {
        let message = format!("the service has {} extra hosts, at most {EXTRA_HOSTS_MAX} are allowed", pairs.len());
        reader.report.error(item.place(), message);
        return Vec::new();
    }
    pairs.into_iter().filter_map(|pair| extra_host(reader, pair)).collect()
}

fn extra_host(reader: &mut Reader<'_>, pair: Pair) -> Option<String> {
    let Pair { name, place, value } = pair;
    let found = match &value {
        Some(value) => Some((name.as_str(), value.value.as_str())),
        None => name.split_once(':'),
    };
    let host =
        found.and_then(|(name, address)| is_domain(name).then_some(format!("{name}:{}", host_address(address)?)));
    if host.is_none() {
        let text = value.map_or(name.clone(), |value| format!("{name}: {}", value.value));
        let message = format!("{} is not a host and its address, such as `db:192.0.2.1`", quote(&text));
        reader.report.error(place, message);
    }
    host
}

fn host_address(text: &str) -> Option<String> {
    if text == HOST_GATEWAY {
        return Some(text.to_owned());
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address: IpAddr = bare.trim().parse().ok()?;
    Some(address.to_string())
}

/// Labels of letters, digits, hyphens and (since people use it) underscores, with dots between them.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= DOMAIN_BYTES_MAX && text.split('.').all(is_label)
}
