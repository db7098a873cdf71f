//! The process: listens, follows the streams, and serves.

use std::net::SocketAddr;

use tickmesh_messaging::Mesh;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{app::App, config::Config, connections, error::Error, guard::Guard, live, router::router};

/// A page that listens already.
pub struct Server {
    listener: TcpListener,
    config: Config,
}

impl Server {
    /// Begins to listen.
    pub async fn bind(config: Config) -> Result<Self, Error> {
        if config.token.is_none() && !config.bind.ip().is_loopback() {
            return Err(Error::Open(config.bind));
        }
        let address = config.bind;
        let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
        Ok(Self { listener, config })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or(self.config.bind)
    }

    /// Serves until `shutdown`.
    pub async fn serve(self, mesh: Mesh, shutdown: CancellationToken) {
        let Config { token, zones, by, .. } = self.config;
        let app = App::new(mesh, zones, by, shutdown.clone());
        let mut followers = JoinSet::new();
        live::follow(&app, &mut followers);
        let guard = Guard::new(token);
        let service = router(app, guard);
        connections::serve(self.listener, service, shutdown).await;
    }
}
