//! The least that containers take: the engine's API and nothing else.

use std::time::Duration;

use bollard::{
    Docker,
    models::{ContainerCreateBody, HostConfig},
    query_parameters::{CreateContainerOptions, RemoveContainerOptions, StartContainerOptions, WaitContainerOptions},
};
use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, timeout};

use crate::world::PATIENCE;

/// A container of `true` that has been started.
pub(crate) struct Bare<'d> {
    docker: &'d Docker,
    id: String,
}

impl<'d> Bare<'d> {
    /// Creates and starts one. `None`: on the network that the engine gives to whoever asks for none.
    pub(crate) async fn start(docker: &'d Docker, network: Option<&str>) -> Self {
        let body = ContainerCreateBody {
            image: Some("busybox".to_owned()),
            cmd: Some(vec!["true".to_owned()]),
            host_config: Some(HostConfig {
                init: Some(true),
                network_mode: network.map(str::to_owned),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let created = docker.create_container(None::<CreateContainerOptions>, body).await.expect("create a container");
        docker.start_container(&created.id, None::<StartContainerOptions>).await.expect("start it");
        Self { docker, id: created.id }
    }

    /// Waits for its end.
    pub(crate) async fn end(&self) {
        let waited = self.docker.wait_container(&self.id, None::<WaitContainerOptions>).next().await;
        waited.expect("an end").expect("exit code 0");
    }

    pub(crate) async fn remove(self) {
        self.docker.remove_container(&self.id, None::<RemoveContainerOptions>).await.expect("remove it");
    }
}

/// How long so many containers take, so many whole lives at once: create, start, wait, remove.
pub(super) async fn lives(docker: &Docker, containers: usize, at_once: usize, network: &str) -> Duration {
    let begun = Instant::now();
    let life = async |_| {
        let container = Bare::start(docker, Some(network)).await;
        container.end().await;
        container.remove().await;
    };
    let all = stream::iter(0..containers).for_each_concurrent(at_once, life);
    timeout(PATIENCE + super::RUN_MAX, all).await.expect("the containers end");
    begun.elapsed()
}
