//! A whole mesh in one process: a supervised nats-server, a scheduler and the agent of this host.

use std::{net::SocketAddr, path::Path, time::Duration};

use futures_util::future::join_all;
use tickmesh_agent::engine::docker::Docker;
use tickmesh_core::fleet::Reservations;
use tickmesh_messaging::{Login, Mesh};
use tickmesh_web::Server;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    connect::MeshArgs,
    exit::chain,
    nats_server::{NatsServer, Port},
    parts::{self, AgentConnections, AgentSettings, Notices},
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
    /// Where its page listens; if that cannot be had, there is none.
    pub page: tickmesh_web::Config,
}

/// A local mesh that runs.
#[derive(Debug)]
pub(crate) struct Local {
    /// How to reach it.
    pub mesh: MeshArgs,
    /// Where its page is, or why there is none.
    pub page: Result<SocketAddr, String>,
    nats: NatsServer,
    connections: Vec<Mesh>,
    parts: JoinSet<anyhow::Result<()>>,
    shutdown: CancellationToken,
}

impl Local {
    /// Starts everything. To be called on the main thread (see [`NatsServer::start`]).
    pub(crate) async fn start(settings: Settings<'_>, engine: Docker) -> anyhow::Result<Self> {
        let nats = NatsServer::start(settings.data, settings.port).await?;
        let mesh = MeshArgs { url: nats.url(), login: Login::default(), ..settings.mesh };
        let scheduler = mesh.connect("scheduler").await?;
        parts::provision(&scheduler, None).await?;
        let agent = AgentConnections::open(&mesh).await?;
        let mut connections = vec![scheduler.clone(), agent.orders.clone(), agent.output.clone()];
        let (mut parts, shutdown) = (JoinSet::new(), CancellationToken::new());
        let (reservations, notices) = (Reservations::default(), Notices::default());
        parts.spawn(parts::run_scheduler(scheduler, reservations, notices, None, shutdown.clone()));
        parts.spawn(parts::run_agent(agent, settings.agent, engine, None, shutdown.clone()));
        let page = match Server::bind(settings.page).await {
            Ok(server) => {
                let (address, connection) = (server.address(), mesh.connect("page").await?);
                connections.push(connection.clone());
                let stop = shutdown.clone();
                parts.spawn(async move {
                    server.serve(connection, stop).await;
                    Ok(())
                });
                Ok(address)
            }
            Err(error) => Err(chain(&error.into())),
        };
        Ok(Self { mesh, page, nats, connections, parts, shutdown })
    }

    /// Resolves when a part has ended that should not have.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        tokio::select! {
            error = self.nats.ended() => error,
            Some(ended) = self.parts.join_next() => problem(ended).unwrap_or_else(|| anyhow::anyhow!("a part has ended")),
        }
    }

    /// The port of its nats-server.
    pub(crate) fn port(&self) -> u16 {
        self.nats.port()
    }

    /// Where its page is, in a sentence.
    pub(crate) fn page_text(&self) -> String {
        match &self.page {
            Ok(address) => format!("its page is http://{address}"),
            Err(why) => format!("it has no page: {why}"),
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
