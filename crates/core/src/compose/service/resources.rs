//! What a container may use at most, and what a host must have left for it. Compose has two spellings of each, the keys of
//! version 2 and those of `deploy`; both may be used if they agree.

use std::fmt::Display;

use super::super::{
    reader::Reader,
    report::Place,
    value::{Refused, cpus, number, size, unless_zero},
    yaml::Item,
};
use crate::spec::{Amount as MostOf, ContainerSpec};

/// Smallest `mem_limit`: the original's 4 MB, in its smaller reading, since its own example counts in millions.
const MEMORY_BYTES_MIN: u64 = 4_000_000;
/// Docker engines since 20.10 refuse less than this.
const MEMORY_BYTES_MIN_OF_DOCKER: u64 = 6 * 1024 * 1024;
/// Largest `mem_limit`: more than any host has, and small enough to be added up.
const MEMORY_BYTES_MAX: u64 = 1 << 50;

/// Most processes of a container: as many as a kernel has numbers for.
const PIDS_MAX: u64 = 1 << 22;

/// A setting that can be spelled in two ways.
#[derive(Debug)]
pub(super) struct Setting<T> {
    found: Option<Found<T>>,
}

impl<T> Default for Setting<T> {
    fn default() -> Self {
        Self { found: None }
    }
}

#[derive(Debug)]
struct Found<T> {
    value: T,
    name: String,
    place: Place,
}

impl<T: Copy + PartialEq> Setting<T> {
    /// Takes the value that `name` has, unless another spelling says something else.
    pub(super) fn put(&mut self, reader: &mut Reader<'_>, name: impl Display, place: Place, value: T) {
        match &self.found {
            None => self.found = Some(Found { value, name: name.to_string(), place }),
            Some(first) if first.value == value => {}
            Some(first) => {
                let message = format!("`{name}` is not what `{}` says", first.name);
                reader.report.error_with_hint(place, message, "both mean the same: keep one");
            }
        }
    }

    /// The value, if there is one.
    pub(super) fn value(&self) -> Option<T> {
        self.found.as_ref().map(|found| found.value)
    }

    /// Name and place of the first spelling, if there is one.
    pub(super) fn origin(&self) -> Option<(&str, Place)> {
        self.found.as_ref().map(|found| (found.name.as_str(), found.place.clone()))
    }
}

/// Limits and reservations.
#[derive(Debug, Default)]
pub(super) struct Resources {
    memory: Amount,
    memory_and_swap: Setting<MostOf>,
    cpu: Amount,
    pids: Setting<MostOf>,
}

/// Of one resource.
#[derive(Debug, Default)]
struct Amount {
    limit: Setting<u64>,
    reservation: Setting<u64>,
}

/// Whether a key limits or reserves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// The container gets no more.
    Limit,
    /// The host must have as much left.
    Reservation,
}

impl Amount {
    fn setting(&mut self, bound: Bound) -> &mut Setting<u64> {
        match bound {
            Bound::Limit => &mut self.limit,
            Bound::Reservation => &mut self.reservation,
        }
    }

    fn check(&self, reader: &mut Reader<'_>) {
        let (Some(limit), Some(reservation)) = (self.limit.value(), self.reservation.value()) else { return };
        let (Some((limit_name, _)), Some((name, place))) = (self.limit.origin(), self.reservation.origin()) else {
            return;
        };
        if reservation > limit {
            let message = format!("`{name}` is more than `{limit_name}`: what is reserved could never be used");
            reader.report.error(place, message);
        }
    }
}

impl Resources {
    /// Reads an amount of memory, which `name` limits or reserves.
    pub(super) fn read_memory(&mut self, reader: &mut Reader<'_>, item: &Item<'_>, name: &str, bound: Bound) {
        let Some(Some(bytes)) = reader.parsed(item, |text| unless_zero(text, memory)) else { return };
        if bytes < MEMORY_BYTES_MIN_OF_DOCKER {
            reader.report.warning(item.place(), "docker engines since 20.10 refuse less than `6m`");
        }
        self.memory.setting(bound).put(reader, name, item.place(), bytes);
    }

    /// Reads a number of cores, which `name` limits or reserves.
    pub(super) fn read_cpus(&mut self, reader: &mut Reader<'_>, item: &Item<'_>, name: &str, bound: Bound) {
        let Some(Some(millis)) = reader.parsed(item, |text| unless_zero(text, cpus)) else { return };
        self.cpu.setting(bound).put(reader, name, item.place(), millis);
    }

    /// Reads `memswap_limit`: memory and swap space together, or `-1` for as much swap space as there is.
    pub(super) fn read_memory_and_swap(&mut self, reader: &mut Reader<'_>, item: &Item<'_>) {
        let read = |text: &str| match text {
            "-1" => Ok(MostOf::Unlimited),
            _ => memory(text).map(MostOf::AtMost),
        };
        let Some(Some(amount)) = reader.parsed(item, |text| unless_zero(text, read)) else { return };
        self.memory_and_swap.put(reader, "memswap_limit", item.place(), amount);
    }

    /// Reads a number of processes, which `name` limits; `-1` is no limit.
    pub(super) fn read_pids(&mut self, reader: &mut Reader<'_>, item: &Item<'_>, name: &str) {
        let read = |text: &str| match text {
            "-1" => Ok(MostOf::Unlimited),
            _ => number(text, 1..=PIDS_MAX).map(MostOf::AtMost),
        };
        let Some(Some(most)) = reader.parsed(item, |text| unless_zero(text, read)) else { return };
        self.pids.put(reader, name, item.place(), most);
    }

    /// Puts everything where it belongs, and says what contradicts itself.
    pub(super) fn finish(&self, reader: &mut Reader<'_>, container: &mut ContainerSpec) {
        self.memory.check(reader);
        self.cpu.check(reader);
        self.check_memory_and_swap(reader);
        container.memory_bytes = self.memory.limit.value();
        container.memory_reservation_bytes = self.memory.reservation.value();
        container.cpu_millis = self.cpu.limit.value();
        container.cpu_reservation_millis = self.cpu.reservation.value();
        container.limits.memory_and_swap = self.memory_and_swap.value();
        container.limits.pids = match self.pids.value() {
            Some(MostOf::AtMost(count)) => Some(count),
            // Said, and so no agent's default takes its place.
            Some(MostOf::Unlimited) => Some(0),
            None => None,
        };
    }

    /// The engine refuses a sum without a summand, and one that is less than it.
    fn check_memory_and_swap(&self, reader: &mut Reader<'_>) {
        let (Some(sum), Some((name, place))) = (self.memory_and_swap.value(), self.memory_and_swap.origin()) else {
            return;
        };
        match self.memory.limit.value() {
            None => {
                let message = format!("`{name}` is a limit of memory and swap together, and there is none of memory");
                reader.report.error_with_hint(place, message, "add `mem_limit`");
            }
            Some(memory) if sum < MostOf::AtMost(memory) => {
                let message = format!("`{name}` is less than the limit of memory, which is a part of it");
                reader.report.error(place, message);
            }
            Some(_) => {}
        }
    }
}

fn memory(text: &str) -> Result<u64, Refused> {
    match size(text)? {
        bytes @ MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX => Ok(bytes),
        _ => Err(Refused::new(text, "a size from 4000000 bytes (4 MB) to 1024 TiB")),
    }
}
