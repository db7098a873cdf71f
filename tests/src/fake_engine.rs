//! An engine in memory: its containers are entries in a map that run for a set time, write nothing, and exit with 0. With it the
//! shipped agent does everything that it does with Docker, and what remains to be measured is tickmesh itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use jiff::Timestamp;
use tickmesh_agent::engine::{
    ContainerEngine, ContainerId, ContainerRequest, ContainerStatus, ContainerView, EngineInfo, Error, Excerpt,
    ExitState, Image, LabelFilter, LogLine, NetworkKind,
};
use tickmesh_core::message::{EngineStock, PullProgress};
use tokio::sync::watch;

use crate::chaos::lives::{Word, Writer};

/// What the engine says of its host: one like many that run batch jobs.
const CORES: u32 = 16;
const MEMORY_BYTES: u64 = 64 << 30;
/// Exit code of a container that was killed: 128 + SIGKILL.
const EXIT_KILLED: i64 = 137;
/// Exit code of a container that was stopped: 128 + SIGTERM.
const EXIT_STOPPED: i64 = 143;

/// An engine in memory, which has every image. Clones share their containers.
#[derive(Debug, Clone, Default)]
pub struct FakeEngine {
    run_time: Duration,
    journal: Option<Writer>,
    containers: Arc<Mutex<BTreeMap<ContainerId, Container>>>,
}

/// A container. Its id is its name.
#[derive(Debug)]
struct Container {
    labels: BTreeMap<String, String>,
    started_at: Option<Timestamp>,
    /// Whoever waits for the container follows this. Gone with the container.
    status: watch::Sender<ContainerStatus>,
}

impl FakeEngine {
    /// An engine whose containers run for that long. The default's exit at once.
    pub fn running_for(run_time: Duration) -> Self {
        Self { run_time, ..Self::default() }
    }

    /// Returns the engine with a journal of when its containers start and end.
    #[must_use]
    pub fn writing(self, journal: Writer) -> Self {
        Self { journal: Some(journal), ..self }
    }

    fn note(&self, container: &Container, word: Word) {
        if let Some(journal) = &self.journal {
            journal.write(&container.labels, word);
        }
    }

    fn containers(&self) -> MutexGuard<'_, BTreeMap<ContainerId, Container>> {
        self.containers.lock().expect("nobody panics while holding the containers")
    }

    /// Does something with a container, if it exists.
    fn with<T>(&self, verb: &str, id: &ContainerId, act: impl FnOnce(&mut Container) -> T) -> Result<T, Error> {
        self.containers().get_mut(id).map(act).ok_or_else(|| not_found(verb, id))
    }

    /// Ends the container's process, if it has one.
    fn exit(&self, id: &ContainerId, code: i64) {
        if let Some(container) = self.containers().get(id) {
            let (started_at, finished_at) = (container.started_at, Some(Timestamp::now()));
            let exited = ContainerStatus::Exited(ExitState {
                code,
                oom_killed: false,
                unhealthy: false,
                started_at,
                finished_at,
            });
            container.status.send_if_modified(|status| {
                let runs = *status == ContainerStatus::Running;
                if runs {
                    // Before anybody can learn of the end, so that nothing that follows from it is earlier in the journal.
                    self.note(container, if code == 0 { Word::Exit } else { Word::Kill });
                    *status = exited;
                }
                runs
            });
        }
    }
}

impl Container {
    fn view(&self, id: &ContainerId) -> ContainerView {
        let status = self.status.borrow().clone();
        ContainerView { id: id.clone(), name: id.0.clone(), labels: self.labels.clone(), labels_are_own: true, status }
    }

    /// Gives the container a process. Returns whether it is a new one.
    fn start(&mut self, id: &ContainerId) -> Result<bool, Error> {
        let status = self.status.borrow().clone();
        match status {
            ContainerStatus::Created => {
                self.started_at = Some(Timestamp::now());
                self.status.send_replace(ContainerStatus::Running);
                Ok(true)
            }
            ContainerStatus::Running => Ok(false),
            ContainerStatus::Exited(_) => {
                Err(Error::CouldNotStart { attempted: attempted("start", id), message: "it has run before".to_owned() })
            }
            ContainerStatus::Removing => Err(not_found("start", id)),
        }
    }
}

fn attempted(verb: &str, id: &ContainerId) -> String {
    format!("{verb} fake container `{id}`")
}

fn not_found(verb: &str, id: &ContainerId) -> Error {
    Error::NotFound { attempted: attempted(verb, id) }
}

impl ContainerEngine for FakeEngine {
    async fn describe(&self) -> Result<EngineInfo, Error> {
        Ok(EngineInfo { id: "fake".to_owned(), version: "fake".to_owned(), cores: CORES, memory_bytes: MEMORY_BYTES })
    }

    async fn probe(&self) -> Result<EngineStock, Error> {
        Ok(EngineStock::default())
    }

    fn shares_files(&self) -> bool {
        false
    }

    async fn path_of_volume(&self, _name: &str) -> Result<Option<String>, Error> {
        Ok(None)
    }

    async fn volume_present(&self, _name: &str) -> Result<bool, Error> {
        Ok(true)
    }

    async fn network(&self, _name: &str) -> Result<Option<NetworkKind>, Error> {
        Ok(Some(NetworkKind::Own))
    }

    async fn image_present(&self, _image: &Image) -> Result<bool, Error> {
        Ok(true)
    }

    async fn pull(&self, _image: &Image, _progress: &watch::Sender<PullProgress>) -> Result<(), Error> {
        Ok(())
    }

    async fn create(&self, request: &ContainerRequest) -> Result<ContainerId, Error> {
        let id = ContainerId(request.name.clone());
        let mut containers = self.containers();
        if containers.contains_key(&id) {
            return Err(Error::NameTaken { attempted: attempted("create", &id) });
        }
        let status = watch::Sender::new(ContainerStatus::Created);
        containers.insert(id.clone(), Container { labels: request.labels.clone(), started_at: None, status });
        Ok(id)
    }

    async fn connect(&self, _id: &ContainerId, _request: &ContainerRequest) -> Result<(), Error> {
        Ok(())
    }

    async fn find(&self, name: &str) -> Result<ContainerView, Error> {
        self.inspect(&ContainerId(name.to_owned())).await
    }

    async fn start(&self, id: &ContainerId) -> Result<(), Error> {
        let start = |container: &mut Container| {
            let started = container.start(id);
            if let Ok(true) = started {
                self.note(container, Word::Start);
            }
            started
        };
        if self.with("start", id, start)?? {
            let (engine, id) = (self.clone(), id.clone());
            tokio::spawn(async move {
                tokio::time::sleep(engine.run_time).await;
                engine.exit(&id, 0);
            });
        }
        Ok(())
    }

    async fn wait(&self, id: &ContainerId) -> Result<ExitState, Error> {
        let mut status = self.with("wait for", id, |container| container.status.subscribe())?;
        loop {
            if let ContainerStatus::Exited(exit) = &*status.borrow_and_update() {
                return Ok(exit.clone());
            }
            status.changed().await.map_err(|_| not_found("wait for", id))?;
        }
    }

    async fn inspect(&self, id: &ContainerId) -> Result<ContainerView, Error> {
        self.with("inspect", id, |container| container.view(id))
    }

    async fn running_for(&self, id: &ContainerId) -> Result<Duration, Error> {
        let started_at = self.with("look at", id, |container| container.started_at)?;
        let age = started_at.map(|started_at| Timestamp::now().duration_since(started_at));
        Ok(age.and_then(|age| Duration::try_from(age).ok()).unwrap_or_default())
    }

    fn logs(&self, id: &ContainerId, _excerpt: Excerpt) -> BoxStream<'static, Result<LogLine, Error>> {
        let (engine, id) = (self.clone(), id.clone());
        let end = stream::once(async move { engine.wait(&id).await });
        end.filter_map(async |ended| ended.err().map(Err)).boxed()
    }

    async fn stop(&self, id: &ContainerId) -> Result<(), Error> {
        self.exit(id, EXIT_STOPPED);
        Ok(())
    }

    async fn kill(&self, id: &ContainerId) -> Result<bool, Error> {
        let ran = self.with("kill", id, |container| *container.status.borrow() == ContainerStatus::Running);
        self.exit(id, EXIT_KILLED);
        Ok(ran.unwrap_or(false))
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), Error> {
        if let Some(container) = self.containers().remove(id)
            && *container.status.borrow() == ContainerStatus::Running
        {
            self.note(&container, Word::Kill);
        }
        Ok(())
    }

    async fn list_unended(&self, filter: &LabelFilter) -> Result<Vec<ContainerView>, Error> {
        let listed = self.list(filter).await?;
        Ok(listed.into_iter().filter(|view| !matches!(view.status, ContainerStatus::Exited(_))).collect())
    }

    async fn list(&self, filter: &LabelFilter) -> Result<Vec<ContainerView>, Error> {
        let carries =
            |container: &Container| filter.iter().all(|(key, value)| container.labels.get(key) == Some(value));
        let containers = self.containers();
        Ok(containers.iter().filter(|(_, it)| carries(it)).map(|(id, it)| it.view(id)).collect())
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_core::spec::ContainerSpec;

    use super::*;

    /// Longer than any test: what ends before was ended.
    const FOR_EVER: Duration = Duration::from_secs(3600);

    async fn create(engine: &FakeEngine, name: &str) -> ContainerId {
        let spec = ContainerSpec { stop_grace: Duration::from_secs(1), ..ContainerSpec::new("any") };
        let labels = BTreeMap::from([("name".to_owned(), name.to_owned())]);
        let request = ContainerRequest { name: name.to_owned(), labels, environment: BTreeMap::new(), spec };
        engine.create(&request).await.unwrap()
    }

    #[tokio::test]
    async fn a_container_runs_once_and_exits_with_0() {
        let engine = FakeEngine::default();
        let id = create(&engine, "a").await;
        assert_eq!(engine.inspect(&id).await.unwrap().status, ContainerStatus::Created);
        engine.start(&id).await.unwrap();
        assert_eq!(engine.wait(&id).await.unwrap().code, 0);
        assert!(matches!(engine.start(&id).await, Err(Error::CouldNotStart { .. })));
        assert_eq!(engine.logs(&id, Excerpt::Follow { from: None }).count().await, 0);
    }

    #[tokio::test]
    async fn a_container_runs_until_it_is_stopped_or_removed() {
        let engine = FakeEngine::running_for(FOR_EVER);
        let (stopped, removed) = (create(&engine, "stopped").await, create(&engine, "removed").await);
        engine.start(&stopped).await.unwrap();
        engine.start(&removed).await.unwrap();
        engine.stop(&stopped).await.unwrap();
        assert_eq!(engine.wait(&stopped).await.unwrap().code, EXIT_STOPPED);
        let (ended, _) = tokio::join!(engine.wait(&removed), engine.remove(&removed));
        assert!(matches!(ended, Err(Error::NotFound { .. })));
    }

    #[tokio::test]
    async fn containers_are_found_by_name_and_by_labels() {
        let engine = FakeEngine::default();
        let (a, b) = (create(&engine, "a").await, create(&engine, "b").await);
        assert_eq!(engine.find("b").await.unwrap().id, b);
        let found = engine.list(&[("name".to_owned(), "a".to_owned())].into()).await.unwrap();
        assert_eq!(found.iter().map(|view| &view.id).collect::<Vec<_>>(), [&a]);
        assert_eq!(engine.list(&LabelFilter::new()).await.unwrap().len(), 2);
    }
}
