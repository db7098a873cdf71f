//! What a container may use at most, as far as placement need not know of it.

use std::collections::BTreeMap;

use super::super::{
    keys::LimitKey,
    reader::Reader,
    value::{Refused, amount, number, size, unless_zero},
    yaml::{Item, Value},
};
use crate::spec::{Amount, Limits, Ulimit};

/// The limits of a process that Linux has, by docker's names.
const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];
/// Largest number of a core: more than any host has.
const CORE_MAX: u64 = 8191;
/// Longest list of cores. Ranges are short.
const CPUSET_BYTES_MAX: usize = 1024;
/// Largest `/dev/shm`: as much memory as a container may have.
const SHM_BYTES_MAX: u64 = 1 << 50;

/// Reads the value of a key.
pub(super) fn read(limits: &mut Limits, key: LimitKey, reader: &mut Reader<'_>, item: &Item<'_>) {
    match key {
        LimitKey::Ulimits => limits.ulimits = ulimits(reader, item),
        LimitKey::ShmSize => limits.shm_bytes = reader.parsed(item, |text| unless_zero(text, shm_size)).flatten(),
        LimitKey::MemSwappiness => limits.swappiness = reader.parsed(item, |text| number(text, 0..=100)),
        // A job that is spared at the cost of everything else on its host is not the file's to wish for.
        LimitKey::OomScoreAdj => limits.oom_score_adj = reader.parsed(item, |text| number(text, 0..=1000)),
        LimitKey::Cpuset => limits.cpuset = reader.parsed(item, cpuset),
    }
}

fn shm_size(text: &str) -> Result<u64, Refused> {
    match size(text)? {
        bytes @ 1..=SHM_BYTES_MAX => Ok(bytes),
        _ => Err(Refused::new(text, "a size from 1 byte to 1024 TiB")),
    }
}

/// Cores and ranges of them, with commas between.
fn cpuset(text: &str) -> Result<String, Refused> {
    let core = |text: &str| number(text, 0..=CORE_MAX).ok();
    let is_range = |part: &str| match part.split_once('-') {
        Some((first, last)) => core(first).zip(core(last)).is_some_and(|(first, last)| first <= last),
        None => core(part).is_some(),
    };
    let valid = text.len() <= CPUSET_BYTES_MAX && text.split(',').all(is_range);
    if valid { Ok(text.to_owned()) } else { Err(Refused::new(text, "a list of cores such as `0-2,5`")) }
}

/// A map of names, each with one amount for both limits or with `soft` and `hard`.
fn ulimits(reader: &mut Reader<'_>, item: &Item<'_>) -> BTreeMap<String, Ulimit> {
    let mut ulimits = BTreeMap::new();
    for entry in reader.entries(item) {
        let name = entry.key.text.as_str();
        if !ULIMITS.contains(&name) {
            reader.unknown_key(name, item.key_place(&entry.key), ULIMITS);
            continue;
        }
        if let Some(ulimit) = ulimit(reader, &item.child(entry)) {
            ulimits.insert(name.to_owned(), ulimit);
        }
    }
    ulimits
}

fn ulimit(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Ulimit> {
    match &item.node.value {
        Value::Mapping(_) => both(reader, item),
        Value::Scalar(_) | Value::Sequence(_) => {
            reader.parsed(item, amount).map(|limit| Ulimit { soft: limit, hard: limit })
        }
    }
}

fn both(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Ulimit> {
    const KEYS: [&str; 2] = ["soft", "hard"];
    let (mut soft, mut hard): (Option<Amount>, Option<Amount>) = (None, None);
    for entry in reader.entries(item) {
        let child = item.child(entry);
        match entry.key.text.as_str() {
            "soft" => soft = reader.parsed(&child, amount),
            "hard" => hard = reader.parsed(&child, amount),
            unknown => reader.unknown_key(unknown, item.key_place(&entry.key), KEYS),
        }
    }
    if !KEYS.iter().all(|key| reader.entries(item).iter().any(|entry| entry.key.text == *key)) {
        reader.report.error(item.place(), "the limit needs both `soft` and `hard`");
    }
    let ulimit = Ulimit { soft: soft?, hard: hard? };
    if ulimit.soft > ulimit.hard {
        reader.report.error(item.place(), "the soft limit is above the hard one");
    }
    Some(ulimit)
}
