//! One tenure: load, take over, then events in and effects out until it ends.

use std::time::Duration;

use rand::{SeedableRng as _, rngs::StdRng};
use tickmesh_core::{decide::Tenure, message::MeshEvent};
use tickmesh_messaging::{self as messaging, Delivery, Mesh, lease::first_loss};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    Config, Error, clock,
    dispatcher::{Effect, Event},
    follow,
    leader::{Leader, Step, Stop, Trust},
    perform::Performer,
};

/// Events that may wait for the dispatcher. A full channel makes the followers wait, and with them the server's flow
/// control.
const EVENTS_WAITING_MAX: usize = 4_096;

/// Why a tenure ended.
pub(crate) enum End {
    /// It was asked to.
    Shutdown,
    /// The lease could not be renewed in time.
    LeaseLost,
    /// Somebody else writes.
    Conflict {
        /// What was seen.
        reason: String,
    },
    /// What must be read or followed cannot be.
    Broken(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl From<Stop> for End {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::LeaseLost => Self::LeaseLost,
            Stop::Conflict { reason } => Self::Conflict { reason },
        }
    }
}

/// Leads until the tenure ends.
pub(crate) async fn lead(config: &Config, mesh: &Mesh, held: &messaging::Tenure, shutdown: &CancellationToken) -> End {
    tokio::select! {
        end = work(config, mesh, held) => end,
        () = held.lost() => End::LeaseLost,
        lost = note_sequences(mesh, held, config.timing.lease) => End::Broken(Error::StateLost(lost)),
        () = shutdown.cancelled() => End::Shutdown,
    }
}

async fn work(config: &Config, mesh: &Mesh, held: &messaging::Tenure) -> End {
    let mut office = match Office::take_over(config, mesh, held).await {
        Ok(office) => office,
        Err(end) => return end,
    };
    loop {
        if let Err(end) = office.turn().await {
            return end;
        }
    }
}

/// Has the lease say how far the streams have come, so that nobody ever leads on streams that lost something. Returned is what
/// this leader itself has seen get lost: to note that would hide it from the next one.
async fn note_sequences(mesh: &Mesh, held: &messaging::Tenure, period: Duration) -> messaging::Error {
    loop {
        sleep(period).await;
        match mesh.last_sequences().await {
            Ok(sequences) => match first_loss(&held.noted_sequences(), &sequences) {
                Some((stream, recorded, found)) => return messaging::Error::StateLost { stream, recorded, found },
                None => held.note_sequences(sequences),
            },
            Err(error) => warn!(error = &error as &dyn std::error::Error, "the streams' ends were not read"),
        }
    }
}

/// The leader, and all that it reads from and works with.
struct Office<'a> {
    held: &'a messaging::Tenure,
    leader: Leader<Delivery>,
    performer: Performer,
    events: mpsc::Receiver<Event>,
    commands: mpsc::Receiver<Delivery>,
    followers: JoinSet<Error>,
    housekeeping_period: Duration,
    housekeeping_at: Instant,
    purge_period: Duration,
    purge_at: Instant,
}

impl<'a> Office<'a> {
    /// Loads what is stored, takes it over, and begins to follow the streams where the load ended.
    async fn take_over(config: &Config, mesh: &Mesh, held: &'a messaging::Tenure) -> Result<Self, End> {
        let tenure = Tenure { epoch: held.epoch(), since: clock::now().wall };
        let (event_sender, events) = mpsc::channel(EVENTS_WAITING_MAX);
        let (command_sender, commands) = mpsc::channel(EVENTS_WAITING_MAX);
        let housekeeping_period = config.timing.heartbeat / 2;
        let mut office = Self {
            held,
            leader: Leader::new(tenure, config.timing, StdRng::from_rng(&mut rand::rng()))
                .reserving(config.reservations),
            performer: Performer::new(mesh.clone(), event_sender.clone(), config.tap.clone()),
            events,
            commands,
            followers: JoinSet::new(),
            housekeeping_period,
            housekeeping_at: Instant::now() + housekeeping_period,
            purge_period: config.timing.purge,
            purge_at: Instant::now() + config.timing.purge,
        };
        let mut loaded = follow::load(mesh, &config.zones).await?;
        for event in std::mem::take(&mut loaded.events) {
            office.handle(event)?;
        }
        let results_end = mesh.results().last_sequence().await.map_err(Error::Load)?;
        office.handle(Event::Loaded { results_end })?;
        loaded.follow(&event_sender, &mut office.followers);
        let folded = office.leader.results_through();
        follow::follow_results(mesh, folded, &event_sender, &mut office.followers).await?;
        follow::follow_commands(mesh, command_sender, &mut office.followers).await?;
        office.performer.read_commands_begin();
        office.performer.begin(Effect::Announce(MeshEvent::LeaderChanged {
            leader: config.id.clone(),
            host: config.host.clone(),
            epoch: tenure.epoch,
        }));
        Ok(office)
    }

    /// Waits for the next thing to happen, and deals with it.
    async fn turn(&mut self) -> Result<(), End> {
        let wake_in = self.leader.wake_in(clock::now()).unwrap_or(self.housekeeping_period);
        let wake_at = self.housekeeping_at.min(Instant::now() + wake_in);
        tokio::select! {
            Some(event) = self.events.recv() => self.handle(event),
            Some(delivery) = self.commands.recv() => self.deliver(delivery),
            () = self.performer.reap() => Ok(()),
            Some(ended) = self.followers.join_next() => Err(End::Broken(ended.unwrap_or(Error::StreamEnded))),
            () = sleep_until(wake_at) => {
                self.housekeeping_at = Instant::now() + self.housekeeping_period;
                self.handle(Event::Woken)
            }
            () = sleep_until(self.purge_at) => {
                self.purge_at = Instant::now() + self.purge_period;
                self.purge()
            }
        }
    }

    /// Folds an event and begins what follows from it.
    fn handle(&mut self, event: Event) -> Result<(), End> {
        let held = self.held;
        let steps = self.leader.handle(event, clock::now(), || trust(held))?;
        self.begin(steps);
        Ok(())
    }

    fn deliver(&mut self, delivery: Delivery) -> Result<(), End> {
        let (held, sequence, command) = (self.held, delivery.sequence, delivery.command.clone());
        let steps = self.leader.deliver(sequence, command, delivery, clock::now(), || trust(held))?;
        self.begin(steps);
        Ok(())
    }

    fn purge(&mut self) -> Result<(), End> {
        let held = self.held;
        let steps = self.leader.purge(clock::now(), || trust(held))?;
        self.begin(steps);
        Ok(())
    }

    fn begin(&mut self, steps: Vec<Step<Delivery>>) {
        for step in steps {
            match step {
                Step::Perform(effect) => self.performer.begin(effect),
                Step::Confirm { app, request, delivery } => self.performer.confirm(app, request, delivery),
                Step::ReadCommandsBegin => self.performer.read_commands_begin(),
                Step::PurgeResults { below } => self.performer.purge_results(below),
            }
        }
    }
}

fn trust(held: &messaging::Tenure) -> Trust {
    if held.is_trusted() { Trust::Held } else { Trust::Expired }
}
