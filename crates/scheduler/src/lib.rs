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
pub mod clock;
pub mod dispatcher;
pub mod effect;
mod follow;
pub mod leader;
mod perform;
mod presence;
pub mod process;
pub mod publication;
pub mod purge;
mod streams;
mod tenure;
mod warm;

use std::{sync::Arc, time::Duration};

use jiff::tz::TimeZoneDatabase;
use tickmesh_core::{
    fleet::Reservations,
    id::MeshId,
    timing::{Timing, UnsafeTiming},
};
use tickmesh_messaging::{self as messaging, LeaseKeeper, Mesh, SchedulerRole};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::{
    clock::Clock, effect::Effect, perform::chain, presence::Presence, streams::Streams, tenure::End, warm::Warm,
};

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
    /// The clocks.
    pub clock: Clock,
    /// Told whether this process leads, for what else is to be done by one process only.
    pub leading: Option<watch::Sender<bool>>,
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
    /// What is stored cannot be read.
    #[error("failed to load the mesh's state")]
    Load(#[source] messaging::Error),
    /// A stream is not what this leader has seen of it.
    #[error("failed to lead on what is left of the mesh's state")]
    StateLost(#[source] messaging::Error),
    /// A missing stream cannot be made anew.
    #[error("failed to make the mesh's missing streams")]
    Provision(#[source] messaging::Error),
    /// The server has another mesh now.
    #[error("the mesh on this NATS is {found} now, and was {known}: restart this scheduler if that is meant")]
    OtherMesh {
        /// The mesh that this process knows.
        known: MeshId,
        /// The mesh that is there.
        found: MeshId,
    },
    /// This scheduler cannot be spoken to.
    #[error("failed to answer for this scheduler")]
    Answer(#[source] messaging::Error),
    /// What the streams held when the lease was taken did not come in time.
    #[error("the streams were not read to their ends in time")]
    Behind,
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

impl Error {
    /// What the mesh said, if it is about that.
    fn of_mesh(&self) -> Option<&messaging::Error> {
        match self {
            Self::Lease(error)
            | Self::Load(error)
            | Self::Follow(error)
            | Self::Answer(error)
            | Self::Provision(error)
            | Self::StateLost(error) => Some(error),
            Self::Behind | Self::StreamEnded | Self::Timing(_) | Self::OtherMesh { .. } => None,
        }
    }

    /// Whether stored data is missing.
    fn is_loss(&self) -> bool {
        matches!(self.of_mesh(), Some(messaging::Error::StateLost(_)))
    }

    /// Whether a stream does not exist.
    fn is_missing_stream(&self) -> bool {
        matches!(self.of_mesh(), Some(messaging::Error::StreamGone { .. }))
    }

    /// Whether it is only that NATS, or a part of it, is away.
    fn is_outage(&self) -> bool {
        let is_late = matches!(self, Self::Behind | Self::StreamEnded);
        is_late || self.of_mesh().is_some_and(messaging::Error::is_unavailable)
    }
}

/// Between two tenures of one process, and between two tries to stand by.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks whether somebody has mended what keeps this process from leading.
const REFUSING_PAUSE: Duration = Duration::from_secs(5);

/// Runs a scheduler until `shutdown`. Whatever goes wrong with the mesh, it goes on trying; an error is about its settings.
pub async fn run(config: Config, mesh: Mesh, shutdown: CancellationToken) -> Result<(), Error> {
    config.timing.check().map_err(Error::Timing)?;
    let keeper = LeaseKeeper::new(&mesh, config.id.clone(), config.host.clone(), config.timing.lease);
    let mut presence = Presence::begin(&config, &mesh).await?;
    let mut streams = Streams::default();
    while !shutdown.is_cancelled() {
        let standing = shutdown.run_until_cancelled(async {
            streams.mend(&mesh).await?;
            stand_by(&config, &mesh, &keeper, &mut presence).await
        });
        let pause = match standing.await {
            None => break,
            Some(Err(error)) => {
                streams.failed(&error);
                note_refusal(&config, &keeper, &presence, &error)
            }
            Some(Ok((held, warm))) => {
                info!(scheduler = %config.id, epoch = %held.epoch(), "leading");
                tell(&config, true);
                let end = lead(&config, &mesh, &keeper, &held, warm, &mut presence, &shutdown).await;
                tell(&config, false);
                held.release().await;
                presence.become_role(SchedulerRole::Preparing);
                if let End::Broken(error) = &end {
                    streams.failed(error);
                }
                note_end(&config, &keeper, &presence, end)
            }
        };
        shutdown.run_until_cancelled(sleep(pause)).await;
    }
    Ok(())
}

fn tell(config: &Config, leads: bool) {
    if let Some(leading) = &config.leading {
        leading.send_replace(leads);
    }
}

/// Keeps up with what is stored until this process holds the lease.
async fn stand_by(
    config: &Config,
    mesh: &Mesh,
    keeper: &LeaseKeeper,
    presence: &mut Presence,
) -> Result<(messaging::Tenure, Warm), Error> {
    // Before it says that it stands by: one that refuses is not to look well between two tries.
    keeper.check().await.map_err(Error::Lease)?;
    mesh.check_streams().await.map_err(Error::Load)?;
    let mut warm = Warm::load(mesh, &config.zones).await?;
    presence.become_role(SchedulerRole::StandingBy);
    info!(scheduler = %config.id, "standing by");
    let acquiring = keeper.acquire();
    tokio::pin!(acquiring);
    loop {
        tokio::select! {
            held = &mut acquiring => return Ok((held.map_err(Error::Lease)?, warm)),
            error = warm.keep_up() => return Err(error),
            // Whoever does not lead has nothing to step down from.
            Some(_) = presence.asked_to_step_down() => {}
        }
    }
}

/// Leads, unless the streams lack what this process has read of them as a standby: the lease notes that only every few seconds.
async fn lead(
    config: &Config,
    mesh: &Mesh,
    keeper: &LeaseKeeper,
    held: &messaging::Tenure,
    warm: Warm,
    presence: &mut Presence,
    shutdown: &CancellationToken,
) -> End {
    for (stream, sequence) in warm.through() {
        keeper.saw(stream, sequence);
    }
    match keeper.check().await {
        Ok(()) => tenure::lead(config, mesh, held, warm, presence, shutdown).await,
        Err(error) => End::Broken(Error::Lease(error)),
    }
}

/// Says why this process cannot stand by, and how long it waits before it tries again.
fn note_refusal(config: &Config, keeper: &LeaseKeeper, presence: &Presence, error: &Error) -> Duration {
    if error.is_outage() {
        warn!(scheduler = %config.id, error = error as &dyn std::error::Error, "cannot stand by yet");
        presence.become_role(SchedulerRole::Preparing);
        return PAUSE;
    }
    error!(scheduler = %config.id, error = error as &dyn std::error::Error, "refusing to lead: see `tickmesh doctor`");
    let (reason, acceptance) = (chain(error), keeper.acceptance());
    presence.become_role(SchedulerRole::Refusing { reason, data_lost: error.is_loss(), acceptance });
    REFUSING_PAUSE
}

/// Says why a tenure ended, and how long this process waits before it stands by again: whatever ended it may last.
fn note_end(config: &Config, keeper: &LeaseKeeper, presence: &Presence, end: End) -> Duration {
    match end {
        End::Shutdown => {}
        End::SteppedDown => {
            info!(scheduler = %config.id, "stepped down");
            // Long enough for anybody else to take the lease.
            return config.timing.lease;
        }
        End::LeaseLost => warn!(scheduler = %config.id, "lease lost"),
        End::Conflict { reason } => warn!(scheduler = %config.id, reason, "tenure ended"),
        // Another leader receives commands: the same as a refused write.
        End::Broken(Error::Follow(error @ messaging::Error::Superseded { .. })) => {
            warn!(scheduler = %config.id, error = &error as &dyn std::error::Error, "tenure ended");
        }
        End::Broken(error) => return note_refusal(config, keeper, presence, &error),
    }
    PAUSE
}
