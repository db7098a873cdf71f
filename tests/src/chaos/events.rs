//! Lives of containers by the events of the Docker engine: only those that carry this mesh's id.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex},
};

use bollard::{Docker, models::EventMessage, query_parameters::EventsOptionsBuilder};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use tickmesh_core::id::MeshId;
use tokio_util::task::AbortOnDropHandle;

use super::lives::{Attempt, End, Life};

/// What the engine has told since it is watched.
#[derive(Debug)]
pub struct Events {
    told: Arc<Mutex<Told>>,
    _watcher: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct Told {
    /// By the container's id.
    lives: BTreeMap<String, Life>,
    /// Containers that got a signal.
    signalled: HashSet<String>,
    /// Why there will be no more.
    broken: Option<String>,
}

impl Events {
    /// Watches the containers of a mesh.
    pub fn watch(docker: Docker, mesh: MeshId) -> Self {
        let filters = HashMap::from([
            ("label", vec![format!("io.tickmesh.mesh={mesh}")]),
            ("event", ["start", "kill", "die"].map(str::to_owned).to_vec()),
        ]);
        let options = EventsOptionsBuilder::default().filters(&filters).build();
        let told: Arc<Mutex<Told>> = Arc::default();
        let teller = told.clone();
        let watcher = tokio::spawn(async move {
            let mut events = docker.events(Some(options));
            let why = loop {
                match events.next().await {
                    Some(Ok(event)) => teller.lock().expect("nobody panicked").note(event),
                    Some(Err(error)) => break error.to_string(),
                    None => break "the events ended".to_owned(),
                }
            };
            teller.lock().expect("nobody panicked").broken = Some(why);
        });
        Self { told, _watcher: AbortOnDropHandle::new(watcher) }
    }

    /// Every container that has started.
    ///
    /// # Panics
    ///
    /// If the engine has stopped telling: there would be gaps.
    pub fn lives(&self) -> Vec<Life> {
        let told = self.told.lock().expect("nobody panicked");
        assert!(told.broken.is_none(), "{:?}", told.broken);
        told.lives.values().cloned().collect()
    }
}

impl Told {
    fn note(&mut self, event: EventMessage) {
        let (Some(actor), Some(at)) = (event.actor, event.time_nano) else { return };
        let (Some(id), Some(labels)) = (actor.id, actor.attributes) else { return };
        let Ok(at) = Timestamp::from_nanosecond(at.into()) else { return };
        let label = |name: &str| labels.get(name).map(String::as_str);
        match event.action.as_deref() {
            Some("start") => {
                let attempt = Attempt::from_labels(label).unwrap_or_else(|| panic!("no attempt: {labels:?}"));
                let host = label("io.tickmesh.agent").unwrap_or_default().to_owned();
                self.lives.insert(id, Life { attempt, host, started: at, ended: None });
            }
            Some("kill") => drop(self.signalled.insert(id)),
            Some("die") => {
                let end = if self.signalled.contains(&id) { End::Killed } else { End::Exited };
                if let Some(life) = self.lives.get_mut(&id) {
                    life.ended = Some((at, end));
                }
            }
            Some(_) | None => {}
        }
    }
}
