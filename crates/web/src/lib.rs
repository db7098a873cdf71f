//! The page, the HTTP API and the metrics of a mesh.
//!
//! ```text
//!   streams --follow (live)--> model (memory) --> pages (HTML), api (JSON), metrics
//!   forms, POST ----------------------------------> requests to the leader
//! ```
//!
//! It reads what is stored, and asks the leader for what somebody wants; it decides nothing, and no part of the mesh needs it. Everything
//! that lists many apps comes from memory; what is about one app or run is read when somebody looks.

mod actions;
mod api;
mod assets;
mod config;
mod deadline;
mod edits;
mod error;
mod guard;
mod live;
mod metrics;
mod model;
mod output;
mod pages;
mod problem;
mod stream;

use std::{
    net::SocketAddr,
    sync::{Arc, RwLock},
};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware,
    routing::{get, post},
};
use jiff::{Timestamp, tz::TimeZoneDatabase};
use tickmesh_client::{requests::Asker, when};
use tickmesh_messaging::Mesh;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

pub use self::{
    config::{BIND_DEFAULT, Config},
    error::Error,
};
use self::{
    deadline::{REQUEST_TIME_MAX, in_time},
    guard::Guard,
    model::Model,
    stream::FOLLOWERS_MAX,
};

/// Longest body of a request, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// What every handler has.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

pub(crate) struct Shared {
    mesh: Mesh,
    zones: TimeZoneDatabase,
    by: String,
    model: RwLock<Model>,
    /// Counts changes of the model.
    changes: watch::Sender<u64>,
    stopped: CancellationToken,
    /// Whoever follows something has one of these.
    followers: Arc<Semaphore>,
}

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Shared {
    /// Looks at the model. Not across an await: the lock is held.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Model) -> T) -> T {
        look(&self.model.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Model)) {
        change(&mut self.model.write().unwrap_or_else(std::sync::PoisonError::into_inner));
        self.changes.send_modify(|count| *count += 1);
    }

    /// Why what is shown may be older than the mesh, if it may.
    pub(crate) fn stale(&self, now: Timestamp) -> Option<String> {
        let since = self.look(Model::stale_since).map(|at| format!(", since {at:.0} ({})", when::relative(at, now)));
        match (self.mesh.is_connected(), since) {
            (true, None) => None,
            (false, since) => Some(format!("there is no connection to NATS{}", since.unwrap_or_default())),
            (true, Some(since)) => Some(format!("a stream cannot be followed{since}")),
        }
    }

    pub(crate) fn asker(&self) -> Asker {
        Asker { mesh: self.mesh.clone(), by: self.by.clone() }
    }
}

/// One that listens already.
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
    pub async fn serve(self, mesh: Mesh, shutdown: CancellationToken) -> Result<(), Error> {
        let Config { token, zones, by, .. } = self.config;
        let app = App(Arc::new(Shared {
            mesh,
            zones,
            by,
            model: RwLock::default(),
            changes: watch::Sender::default(),
            stopped: shutdown.clone(),
            followers: Arc::new(Semaphore::new(FOLLOWERS_MAX)),
        }));
        let mut followers = JoinSet::new();
        live::follow(&app, &mut followers);
        let guard = Guard::new(token);
        let service = router(app, guard);
        let stop = async move { shutdown.cancelled().await };
        axum::serve(self.listener, service).with_graceful_shutdown(stop).await.map_err(Error::Serve)
    }
}

fn router(app: App, guard: Guard) -> Router {
    let open = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(metrics::ready))
        .route("/assets/style.css", get(assets::style))
        .route("/assets/app.js", get(assets::script))
        .route("/login", get(pages::login).post(guard::login).with_state(guard.clone()));
    let closed = Router::new()
        .route("/", get(pages::apps))
        .route("/apps/{app}", get(pages::app))
        .route("/apps/{app}/runs/{run}", get(pages::run))
        .route("/apps/{app}/runs/{run}/logs", get(pages::logs))
        .route("/apps/{app}/{action}", post(actions::form))
        .route("/timeline", get(pages::timeline))
        .route("/agents", get(pages::agents))
        .route("/agents/{agent}/{action}", post(actions::agent_form))
        .route("/mesh", get(pages::mesh))
        .route("/metrics", get(metrics::metrics))
        .layer(middleware::from_fn_with_state(REQUEST_TIME_MAX, in_time))
        // These go on for as long as somebody looks.
        .route("/live", get(live::changes))
        .route("/apps/{app}/runs/{run}/logs/live", get(stream::output))
        .nest("/api/v1", api::router())
        .fallback(|| async { (StatusCode::NOT_FOUND, "there is no such page\n") })
        .layer(middleware::from_fn_with_state(guard.clone(), guard::admit));
    open.merge(closed)
        .layer(middleware::from_fn_with_state(guard, guard::check))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(app)
}
