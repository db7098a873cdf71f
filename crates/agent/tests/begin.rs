//! How an agent begins while NATS is away.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[expect(dead_code, reason = "shared with the other tests of the agent")]
mod world;

use std::{sync::Arc, time::Duration};

use futures_util::stream::BoxStream;
use tickmesh_agent::engine::{
    ContainerEngine, ContainerId, ContainerRequest, ContainerView, EngineInfo, Error, Excerpt, ExitState, Image,
    LabelFilter, LogLine, NetworkKind, docker::Docker,
};
use tickmesh_core::message::{EngineStock, PullProgress};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};

use crate::world::{REQUEST_TIMEOUT, World, script};

/// Docker, except that every list waits at a door.
#[derive(Clone)]
struct Doored {
    docker: Docker,
    /// Has a permit for every list that has come to the door.
    knocks: Arc<Semaphore>,
    /// Closed once the door is open.
    door: Arc<Semaphore>,
}

impl Doored {
    fn new(docker: Docker) -> Self {
        Self { docker, knocks: Arc::new(Semaphore::new(0)), door: Arc::new(Semaphore::new(0)) }
    }
}

impl ContainerEngine for Doored {
    async fn describe(&self) -> Result<EngineInfo, Error> {
        self.docker.describe().await
    }

    async fn probe(&self) -> Result<EngineStock, Error> {
        self.docker.probe().await
    }

    fn shares_files(&self) -> bool {
        self.docker.shares_files()
    }

    async fn path_of_volume(&self, name: &str) -> Result<Option<String>, Error> {
        self.docker.path_of_volume(name).await
    }

    async fn volume_present(&self, name: &str) -> Result<bool, Error> {
        self.docker.volume_present(name).await
    }

    async fn network(&self, name: &str) -> Result<Option<NetworkKind>, Error> {
        self.docker.network(name).await
    }

    async fn image_present(&self, image: &Image) -> Result<bool, Error> {
        self.docker.image_present(image).await
    }

    async fn pull(&self, image: &Image, progress: &watch::Sender<PullProgress>) -> Result<(), Error> {
        self.docker.pull(image, progress).await
    }

    async fn create(&self, request: &ContainerRequest) -> Result<ContainerId, Error> {
        self.docker.create(request).await
    }

    async fn connect(&self, id: &ContainerId, request: &ContainerRequest) -> Result<(), Error> {
        self.docker.connect(id, request).await
    }

    async fn find(&self, name: &str) -> Result<ContainerView, Error> {
        self.docker.find(name).await
    }

    async fn start(&self, id: &ContainerId) -> Result<(), Error> {
        self.docker.start(id).await
    }

    async fn wait(&self, id: &ContainerId) -> Result<ExitState, Error> {
        self.docker.wait(id).await
    }

    async fn inspect(&self, id: &ContainerId) -> Result<ContainerView, Error> {
        self.docker.inspect(id).await
    }

    async fn running_for(&self, id: &ContainerId) -> Result<Duration, Error> {
        self.docker.running_for(id).await
    }

    fn logs(&self, id: &ContainerId, excerpt: Excerpt) -> BoxStream<'static, Result<LogLine, Error>> {
        self.docker.logs(id, excerpt)
    }

    async fn stop(&self, id: &ContainerId) -> Result<(), Error> {
        self.docker.stop(id).await
    }

    async fn kill(&self, id: &ContainerId) -> Result<bool, Error> {
        self.docker.kill(id).await
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), Error> {
        self.docker.remove(id).await
    }

    async fn list_unended(&self, filter: &LabelFilter) -> Result<Vec<ContainerView>, Error> {
        self.docker.list_unended(filter).await
    }

    async fn list(&self, filter: &LabelFilter) -> Result<Vec<ContainerView>, Error> {
        self.knocks.add_permits(1);
        // It only ever ends by being closed.
        let _open = self.door.acquire().await;
        self.docker.list(filter).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_between_the_name_and_the_first_heartbeat_is_waited_for() {
    let world = World::new().await;
    let engine = Doored::new(world.engine.clone());
    let mut running = world.start_agent_on(world.config(), engine.clone()).await;
    // It has its name, and asks the engine what an earlier process left.
    let knock = timeout(Duration::from_secs(60), engine.knocks.acquire()).await;
    knock.expect("the agent lists its containers before the deadline").unwrap().forget();
    world.server.pause();
    engine.door.close();
    // What comes next is asked of NATS more than once.
    let ended = timeout(REQUEST_TIMEOUT + Duration::from_secs(1), &mut running.ended).await;
    assert!(ended.is_err(), "it does not end for an outage: {ended:?}");
    world.server.resume();
    world.order_start(0, script("exit 4")).await;
    let end = world.end_of(0).await;
    assert!(matches!(end, tickmesh_core::message::AttemptEvent::Exited { exit_code: 4, .. }), "{end:?}");
    running.stop().await;
}
