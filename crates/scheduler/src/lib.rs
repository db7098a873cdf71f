//! The scheduler: takes the lease, leads a tenure, and when that ends tries again.
//!
//! ```text
//!   follow (streams) --events--> dispatcher --effects--> perform (streams)
//!                                    ^                        |
//!                                    `------- answers --------'
//! ```
//!
//! All decisions are in [`leader`], [`dispatcher`], [`publication`] and [`purge`], which do no I/O: a simulator can drive
//! them. Everything else here moves events and effects. A tenure ends
//! when the lease is lost, when another writer is seen, or on shutdown, and leaves nothing behind: the next one, of this
//! process or another, reads everything from the streams. There is no other path for a restart or a failover.

mod apps;
mod clock;
pub mod dispatcher;
mod follow;
pub mod leader;
mod perform;
pub mod publication;
pub mod purge;
mod tenure;

use std::{sync::Arc, time::Duration};

use jiff::tz::TimeZoneDatabase;
use tickmesh_core::{
    fleet::Reservations,
    timing::{Timing, UnsafeTiming},
};
use tickmesh_messaging::{self as messaging, LeaseKeeper, Mesh};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::{dispatcher::Effect, tenure::End};

/// Settings of a scheduler process.
#[derive(Clone)]
pub struct Config {
    /// Identity of this process: unique for every start.
    pub id: String,
    /// Name of the host, for people.
    pub host: String,
    /// Periods and deadlines.
    pub timing: Timing,
    /// What containers reserve on their hosts.
    pub reservations: Reservations,
    /// The time zones that schedules are read in.
    pub zones: TimeZoneDatabase,
    /// Sees every effect before it is carried out. For tests that need a crash at a given moment.
    pub tap: Option<Tap>,
}

/// A function that sees effects.
pub type Tap = Arc<dyn Fn(&Effect) + Send + Sync>;

/// Why a scheduler or a tenure of it cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lease cannot be had or kept.
    #[error("failed to acquire the lease")]
    Lease(#[source] messaging::Error),
    /// What is stored cannot be read when a tenure begins.
    #[error("failed to load the mesh's state")]
    Load(#[source] messaging::Error),
    /// A stream ends before what this leader has seen of it.
    #[error("failed to lead on what is left of the mesh's state")]
    StateLost(#[source] messaging::Error),
    /// A stream that a leader must follow cannot be followed any more.
    #[error("failed to follow the mesh's streams")]
    Follow(#[source] messaging::Error),
    /// The periods and deadlines contradict each other.
    #[error("the timing is not safe")]
    Timing(#[source] UnsafeTiming),
    /// A stream that a leader must follow ended without saying why.
    #[error("a stream of the mesh ended")]
    StreamEnded,
}

/// Between two tenures of one process.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs a scheduler until `shutdown`.
pub async fn run(config: Config, mesh: Mesh, shutdown: CancellationToken) -> Result<(), Error> {
    config.timing.check().map_err(Error::Timing)?;
    let keeper = LeaseKeeper::new(&mesh, config.id.clone(), config.host.clone(), config.timing.lease);
    loop {
        info!(scheduler = %config.id, "standing by");
        let held = tokio::select! {
            held = keeper.acquire() => held.map_err(Error::Lease)?,
            () = shutdown.cancelled() => return Ok(()),
        };
        info!(scheduler = %config.id, epoch = %held.epoch(), "leading");
        let end = tenure::lead(&config, &mesh, &held, &shutdown).await;
        held.release().await;
        match end {
            End::Shutdown => return Ok(()),
            End::LeaseLost => warn!(scheduler = %config.id, "lease lost"),
            End::Conflict { reason } => warn!(scheduler = %config.id, reason, "tenure ended"),
            End::Broken(error) => {
                warn!(scheduler = %config.id, error = &error as &dyn std::error::Error, "tenure ended");
            }
        }
        // Whatever ended it may last: the streams are not asked for everything again and again without a pause.
        if shutdown.run_until_cancelled(sleep(PAUSE)).await.is_none() {
            return Ok(());
        }
    }
}
