//! GPUs: `gpus` of a service, and `devices` among the reservations of `deploy`.

use std::collections::BTreeMap;

use super::super::{
    reader::Reader,
    report::{Place, quote},
    value::{Refused, number},
    yaml::{Item, Value},
};
use crate::spec::{DeviceRequest, RequestedDevices};

/// Most devices of one request: more than any host has.
const DEVICES_MAX: u64 = 64;
/// Most requests of a service.
const REQUESTS_MAX: usize = 16;
/// Longest name of a driver, a device or an option, and longest value of one.
const TEXT_BYTES_MAX: usize = 255;
/// Keys of a request.
const KEYS: [&str; 5] = ["driver", "count", "device_ids", "capabilities", "options"];
/// Docker's word for as many as there are.
const ALL: &str = "all";

/// Reads `gpus`: `all`, a number, or a list of requests.
pub(super) fn read_gpus(reader: &mut Reader<'_>, item: &Item<'_>) -> Vec<DeviceRequest> {
    match &item.node.value {
        Value::Scalar(_) => {
            let devices = reader.parsed(item, count);
            devices.into_iter().map(DeviceRequest::gpus).filter(|request| !is_empty(request)).collect()
        }
        Value::Sequence(_) | Value::Mapping(_) => read_requests(reader, item, true),
    }
}

/// Reads `runtime`. That of NVIDIA is how GPUs were asked for before there were device requests;
/// any other one is for the administrator of a host to say.
pub(super) fn read_runtime(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Place> {
    let text = reader.text(item)?;
    match text.value.as_str() {
        // What engines take where nothing is said.
        "runc" => None,
        "nvidia" => {
            let message = "`runtime: nvidia` is read as a request for GPUs, which the engine hands out itself";
            reader.report.warning_with_hint(text.place(), message, "write `gpus: all`");
            Some(text.place())
        }
        other => {
            let message =
                format!("the runtime {} is not supported: it is for the administrator of a host to say", quote(other));
            let hint = "make it the default runtime of the hosts that the label `constraint` names";
            reader.report.error_with_hint(text.place(), message, hint);
            None
        }
    }
}

/// The devices that the runtime of NVIDIA would show; `None`: none.
pub(super) fn visible_devices(environment: &BTreeMap<String, String>) -> Option<RequestedDevices> {
    match environment.get("NVIDIA_VISIBLE_DEVICES").map(String::as_str) {
        None | Some("all") => Some(RequestedDevices::All),
        Some("" | "none" | "void") => None,
        Some(names) => Some(RequestedDevices::Named(names.split(',').map(|name| name.trim().to_owned()).collect())),
    }
}

/// Reads a list of requests. Those of `gpus` need not say that they are about GPUs.
pub(super) fn read_requests(reader: &mut Reader<'_>, item: &Item<'_>, are_gpus: bool) -> Vec<DeviceRequest> {
    let Value::Sequence(nodes) = &item.node.value else {
        if !item.is_null() {
            reader.expected("a list", item);
        }
        return Vec::new();
    };
    if nodes.len() > REQUESTS_MAX {
        let message = format!("the service asks for devices {} times, at most {REQUESTS_MAX} are allowed", nodes.len());
        reader.report.error(item.place(), message);
        return Vec::new();
    }
    let elements = nodes.iter().enumerate().map(|(index, node)| item.element(index, node));
    elements.filter_map(|element| read_request(reader, &element, are_gpus)).collect()
}

fn read_request(reader: &mut Reader<'_>, item: &Item<'_>, are_gpus: bool) -> Option<DeviceRequest> {
    let mut request = DeviceRequest {
        driver: None,
        devices: RequestedDevices::All,
        capabilities: Vec::new(),
        options: BTreeMap::new(),
    };
    let entries = reader.entries(item);
    for entry in entries {
        let child = item.child(entry);
        match entry.key.text.as_str() {
            "driver" => request.driver = reader.parsed(&child, word),
            "count" => request.devices = reader.parsed(&child, count)?,
            "device_ids" => request.devices = RequestedDevices::Named(reader.many(&child, word)),
            "capabilities" => request.capabilities = reader.many(&child, word),
            "options" => {
                let pairs = reader.pairs(&child).into_iter();
                request.options =
                    pairs.map(|pair| (pair.name, pair.value.map(|it| it.value).unwrap_or_default())).collect();
            }
            unknown => reader.unknown_key(unknown, item.key_place(&entry.key), KEYS),
        }
    }
    let has = |key: &str| entries.iter().any(|entry| entry.key.text == key);
    if has("count") && has("device_ids") {
        let message = "`count` and `device_ids` exclude each other";
        reader.report.error_with_hint(item.place(), message, "remove one of them");
    }
    if request.capabilities.is_empty() {
        if !are_gpus {
            let message = "the devices have no `capabilities`";
            reader.report.error_with_hint(item.place(), message, "add `capabilities: [gpu]`");
        }
        request.capabilities.push("gpu".to_owned());
    }
    Some(request).filter(|request| !is_empty(request))
}

/// A request for no device says nothing.
fn is_empty(request: &DeviceRequest) -> bool {
    request.devices == RequestedDevices::Count(0)
}

fn count(text: &str) -> Result<RequestedDevices, Refused> {
    if text == ALL {
        return Ok(RequestedDevices::All);
    }
    let count = number(text, 0..=DEVICES_MAX).ok().and_then(|count| u32::try_from(count).ok());
    let refused = || Refused::new(text, format!("`all` or a number of devices up to {DEVICES_MAX}"));
    count.map(RequestedDevices::Count).ok_or_else(refused)
}

fn word(text: &str) -> Result<String, Refused> {
    let valid = !text.is_empty() && text.len() <= TEXT_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    if valid { Ok(text.to_owned()) } else { Err(Refused::new(text, "a word such as `nvidia` or `gpu`")) }
}
