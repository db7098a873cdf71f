//! `deploy`: how many replicas, where, and with what. It is swarm's own section of a service; most of it has a twin among the
//! keys and labels that are older.

use super::{
    super::{
        constraint::{self, Wish},
        keys::{
            AmountKey, DEPLOY_KEYS, DeployKey, LIMIT_KEYS, PLACEMENT_KEYS, PlacementKey, RESERVATION_KEYS,
            RESOURCE_KEYS, ResourceKey,
        },
        labels::{Labels, ServiceLabels, read_deploy_labels},
        reader::Reader,
        report::{Place, one_of},
        value::{Refused, number},
        yaml::Item,
    },
    directive::{warn_of_label, warn_of_wish},
    gpus,
    resources::{Bound, Resources},
};
use crate::spec::{Constraint, DeviceRequest, SCALE_MAX};

/// What `deploy` says, but for resources.
#[derive(Debug, Default)]
pub(super) struct Deploy {
    /// Number of replicas; 0 is settled when the labels are known.
    pub(super) replicas: Option<(u32, Place)>,
    /// Whether there is one replica on each agent instead.
    pub(super) global: Option<(bool, Place)>,
    /// What an agent must be.
    pub(super) constraints: Vec<Constraint>,
    /// Devices that it asks for.
    pub(super) devices: Vec<DeviceRequest>,
}

/// Reads `deploy`; resources go where the other keys for them put theirs.
pub(super) fn read_deploy(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    resources: &mut Resources,
    labels: &mut Labels<ServiceLabels>,
) -> Deploy {
    let mut deploy = Deploy::default();
    for entry in reader.entries(item) {
        let Some(key) = reader.known_key(DEPLOY_KEYS, item, entry) else { continue };
        let child = item.child(entry);
        match key {
            DeployKey::Replicas => {
                deploy.replicas = reader.parsed(&child, replicas).map(|count| (count, child.place()))
            }
            DeployKey::Mode => deploy.global = reader.parsed(&child, is_global).map(|global| (global, child.place())),
            DeployKey::Resources => deploy.devices = read_resources(reader, &child, resources),
            DeployKey::Placement => deploy.constraints = read_placement(reader, &child),
            DeployKey::Labels => read_deploy_labels(reader, &child, labels),
            DeployKey::RestartPolicy => check_restart_policy(reader, &child),
        }
    }
    deploy
}

/// A number of replicas; 0 is for the caller to settle.
pub(super) fn replicas(text: &str) -> Result<u32, Refused> {
    if text == "0" {
        return Ok(0);
    }
    let count = number(text, 1..=u64::from(SCALE_MAX))?;
    Ok(u32::try_from(count).unwrap_or(SCALE_MAX))
}

/// Every app here is what swarm calls a job.
fn is_global(text: &str) -> Result<bool, Refused> {
    match text {
        "replicated" | "replicated-job" => Ok(false),
        "global" | "global-job" => Ok(true),
        _ => Err(Refused::new(text, one_of(["replicated", "replicated-job", "global", "global-job"]))),
    }
}

/// Reads limits and reservations, and returns the devices among these.
fn read_resources(reader: &mut Reader<'_>, item: &Item<'_>, resources: &mut Resources) -> Vec<DeviceRequest> {
    let mut devices = Vec::new();
    for entry in reader.entries(item) {
        let child = item.child(entry);
        match reader.known_key(RESOURCE_KEYS, item, entry) {
            Some(ResourceKey::Limits) => devices.extend(read_amounts(reader, &child, Bound::Limit, resources)),
            Some(ResourceKey::Reservations) => {
                devices.extend(read_amounts(reader, &child, Bound::Reservation, resources));
            }
            None => {}
        }
    }
    devices
}

fn read_amounts(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    bound: Bound,
    resources: &mut Resources,
) -> Vec<DeviceRequest> {
    let mut devices = Vec::new();
    let (keys, section) = match bound {
        Bound::Limit => (LIMIT_KEYS, "limits"),
        Bound::Reservation => (RESERVATION_KEYS, "reservations"),
    };
    for entry in reader.entries(item) {
        let child = item.child(entry);
        let name = format!("deploy.resources.{section}.{}", entry.key.text);
        match reader.known_key(keys, item, entry) {
            Some(AmountKey::Cpus) => resources.read_cpus(reader, &child, &name, bound),
            Some(AmountKey::Memory) => resources.read_memory(reader, &child, &name, bound),
            Some(AmountKey::Pids) => resources.read_pids(reader, &child, &name),
            Some(AmountKey::Devices) => devices = gpus::read_requests(reader, &child, false),
            None => {}
        }
    }
    devices
}

fn read_placement(reader: &mut Reader<'_>, item: &Item<'_>) -> Vec<Constraint> {
    let mut constraints = Vec::new();
    for entry in reader.entries(item) {
        match reader.known_key(PLACEMENT_KEYS, item, entry) {
            Some(PlacementKey::Constraints) => constraints = read_constraints(reader, &item.child(entry)),
            None => {}
        }
    }
    constraints
}

fn read_constraints(reader: &mut Reader<'_>, item: &Item<'_>) -> Vec<Constraint> {
    if item.is_null() {
        return Vec::new();
    }
    let mut constraints = Vec::new();
    for text in reader.texts(item).unwrap_or_default() {
        match constraint::read(&text.value) {
            Ok(Wish::Must(constraint)) => {
                warn_of_label(reader, &constraint, text.place());
                constraints.push(constraint);
            }
            Ok(Wish::Soft) => warn_of_wish(reader, &text.value, text.place()),
            Err(error) => reader.report.error(text.place(), error.to_string()),
        }
    }
    constraints
}

/// As `restart`: a batch job is never restarted.
fn check_restart_policy(reader: &mut Reader<'_>, item: &Item<'_>) {
    let entries = reader.entries(item);
    let condition = entries.iter().find(|entry| entry.key.text == "condition");
    let condition = condition.and_then(|entry| reader.text(&item.child(entry)));
    if condition.is_some_and(|condition| condition.value == "none") {
        return;
    }
    let message = "`restart_policy` has no effect: a batch job is not restarted";
    let hint = format!("retries are set by the label `{}`", reader.label_name("retry_count"));
    reader.report.warning_with_hint(item.place(), message, hint);
}
