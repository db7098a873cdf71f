//! A whole mesh in one process: a supervised nats-server, a scheduler and the agent of this host.

use std::{path::Path, time::Duration};

use futures_util::future::join_all;
use tickmesh_agent::engine::docker::Docker;
use tickmesh_core::fleet::Reservations;
use tickmesh_messaging::Mesh;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    connect::MeshArgs,
    nats_server::{NatsServer, Port},
    parts::{self, AgentConnections, AgentSettings},
};

/// How long the scheduler and the agent may take to stop in order.
const STOP_MAX: Duration = Duration::from_secs(10);

/// Where and how a local mesh runs.
#[derive(Debug)]
pub(crate) struct Settings<'a> {
    /// Directory of all that it keeps.
    pub data: &'a Path,
    /// Port of its nats-server.
    pub port: Port,
    /// Its namespace; where NATS is, follows from the port.
    pub mesh: MeshArgs,
    /// Its agent.
    pub agent: AgentSettings,
}

/// A local mesh that runs.
#[derive(Debug)]
pub(crate) struct Local {
    /// How to reach it.
    pub mesh: MeshArgs,
    nats: NatsServer,
    connections: Vec<Mesh>,
    parts: JoinSet<anyhow::Result<()>>,
    shutdown: CancellationToken,
}

impl Local {
    /// Starts everything. To be called on the main thread (see [`NatsServer::start`]).
    pub(crate) async fn start(settings: Settings<'_>, engine: Docker) -> anyhow::Result<Self> {
        let nats = NatsServer::start(settings.data, settings.port).await?;
        let mesh = MeshArgs { url: nats.url(), credentials: None, ..settings.mesh };
        let scheduler = mesh.connect("scheduler").await?;
        parts::provision(&scheduler, None).await?;
        let agent = AgentConnections::open(&mesh).await?;
        let connections = vec![scheduler.clone(), agent.orders.clone(), agent.output.clone()];
        let (mut parts, shutdown) = (JoinSet::new(), CancellationToken::new());
        parts.spawn(parts::run_scheduler(scheduler, Reservations::default(), None, shutdown.clone()));
        parts.spawn(parts::run_agent(agent, settings.agent, engine, shutdown.clone()));
        Ok(Self { mesh, nats, connections, parts, shutdown })
    }

    /// Resolves when a part has ended that should not have.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        tokio::select! {
            error = self.nats.ended() => error,
            Some(ended) = self.parts.join_next() => problem(ended).unwrap_or_else(|| anyhow::anyhow!("a part has ended")),
        }
    }

    /// Stops everything in order: the agent leaves its containers, the server goes last.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        let all_ended = async {
            while let Some(ended) = self.parts.join_next().await {
                if let Some(error) = problem(ended) {
                    warn!(error = %crate::exit::chain(&error), "a part did not stop in order");
                }
            }
        };
        if tokio::time::timeout(STOP_MAX, all_ended).await.is_err() {
            warn!("a part did not stop in time");
        }
        join_all(self.connections.iter().map(Mesh::close)).await;
        self.nats.stop().await
    }
}

fn problem(ended: Result<anyhow::Result<()>, JoinError>) -> Option<anyhow::Error> {
    match ended {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error),
        Err(panic) => Some(panic.into()),
    }
}
