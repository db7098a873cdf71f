//! When containers ran, by the events of their engines.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use bollard::{Docker, models::EventMessage, query_parameters::EventsOptionsBuilder};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use tickmesh_core::id::MeshId;
use tokio_util::task::AbortOnDropHandle;

/// A replica: run, service and index, as the labels of its containers say.
type Replica = [String; 3];

/// One container, in nanoseconds of the host's clock.
#[derive(Debug, Clone, Default)]
struct Container {
    replica: Replica,
    started: Option<i64>,
    died: Option<i64>,
}

/// Everything that engines tell of a mesh's containers from now on.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    containers: Arc<Mutex<BTreeMap<String, Container>>>,
    watchers: Vec<AbortOnDropHandle<()>>,
}

impl Sightings {
    /// Watches one more engine.
    pub(super) fn watch(&mut self, docker: Docker, mesh: MeshId) {
        let filters = HashMap::from([
            ("label", vec![format!("io.tickmesh.mesh={mesh}")]),
            ("event", vec!["start".to_owned(), "die".to_owned()]),
        ]);
        let options = EventsOptionsBuilder::default().filters(&filters).build();
        let containers = self.containers.clone();
        let watcher = tokio::spawn(async move {
            let mut events = docker.events(Some(options));
            while let Some(Ok(event)) = events.next().await {
                note(&mut containers.lock().expect("nobody panicked"), event);
            }
        });
        self.watchers.push(AbortOnDropHandle::new(watcher));
    }

    /// Whether a container has started.
    pub(super) fn any(&self) -> bool {
        self.containers.lock().expect("nobody panicked").values().any(|container| container.started.is_some())
    }

    /// How many containers have started.
    pub(super) fn count(&self) -> u32 {
        let containers = self.containers.lock().expect("nobody panicked");
        containers.values().filter(|container| container.started.is_some()).count() as u32
    }

    /// When the first container ended, if it has.
    pub(super) fn first_end(&self) -> Option<Timestamp> {
        let containers = self.containers.lock().expect("nobody panicked");
        let first = containers.values().filter(|container| container.started.is_some()).min_by_key(|it| it.started)?;
        Timestamp::from_nanosecond(first.died?.into()).ok()
    }

    /// The longest time for which two containers of one replica ran at once. One that still runs has run until now.
    pub(super) fn longest_overlap(&self) -> Duration {
        let containers: Vec<_> = self.containers.lock().expect("nobody panicked").values().cloned().collect();
        let pairs = containers.iter().enumerate().flat_map(|(index, one)| {
            let later = containers[index + 1..].iter();
            later.filter(|other| other.replica == one.replica).map(move |other| overlap(one, other))
        });
        pairs.max().unwrap_or_default()
    }
}

fn note(containers: &mut BTreeMap<String, Container>, event: EventMessage) {
    let (Some(actor), Some(at)) = (event.actor, event.time_nano) else { return };
    let (Some(id), Some(labels)) = (actor.id, actor.attributes) else { return };
    let container = containers.entry(id).or_default();
    container.replica = ["run", "service", "replica"]
        .map(|label| labels.get(&format!("io.tickmesh.{label}")).cloned().unwrap_or_default());
    match event.action.as_deref() {
        Some("start") => container.started = Some(at),
        Some("die") => container.died = Some(at),
        Some(_) | None => {}
    }
}

fn overlap(one: &Container, other: &Container) -> Duration {
    let (Some(one_started), Some(other_started)) = (one.started, other.started) else { return Duration::ZERO };
    let now = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
    let end = one.died.unwrap_or(now).min(other.died.unwrap_or(now));
    let nanos = end.saturating_sub(one_started.max(other_started));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(started: i64, died: Option<i64>) -> Container {
        Container { replica: Default::default(), started: Some(started), died }
    }

    #[track_caller]
    fn check(one: &Container, other: &Container, expected: u64) {
        assert_eq!(overlap(one, other), Duration::from_nanos(expected));
        assert_eq!(overlap(other, one), Duration::from_nanos(expected));
    }

    #[test]
    fn two_overlap_while_both_run() {
        check(&container(10, Some(20)), &container(15, Some(30)), 5);
        check(&container(10, Some(40)), &container(15, Some(30)), 15);
        check(&container(10, None), &container(15, Some(30)), 15);
        check(&container(10, Some(20)), &container(20, Some(30)), 0);
        check(&container(10, Some(20)), &container(25, Some(30)), 0);
        check(&container(10, Some(20)), &Container { started: None, ..container(0, Some(30)) }, 0);
    }
}
