//! One tenure: load, take over, then events in and effects out until it ends.

use std::{collections::HashMap, time::Duration};

use rand::{SeedableRng as _, rngs::StdRng};
use tickmesh_core::{decide::Tenure, id::RequestId, message::MeshEvent};
use tickmesh_messaging::{self as messaging, Delivery, Mesh};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    Config, Error, clock,
    dispatcher::{Dispatcher, Effect, Event},
    follow,
    perform::Performer,
    purge::{Ends, PURGE_PERIOD},
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

/// Leads until the tenure ends.
pub(crate) async fn lead(config: &Config, mesh: &Mesh, held: &messaging::Tenure, shutdown: &CancellationToken) -> End {
    tokio::select! {
        end = work(config, mesh, held) => end,
        () = held.lost() => End::LeaseLost,
        () = note_sequences(mesh, held, config.timing.lease) => End::LeaseLost,
        () = shutdown.cancelled() => End::Shutdown,
    }
}

async fn work(config: &Config, mesh: &Mesh, held: &messaging::Tenure) -> End {
    let mut leader = match Leader::take_over(config, mesh, held).await {
        Ok(leader) => leader,
        Err(end) => return end,
    };
    loop {
        if let Err(end) = leader.turn().await {
            return end;
        }
    }
}

/// Has the lease say how far the streams have come, so that nobody ever leads on streams that lost something. Never ends.
async fn note_sequences(mesh: &Mesh, held: &messaging::Tenure, period: Duration) {
    loop {
        sleep(period).await;
        match mesh.last_sequences().await {
            Ok(sequences) => held.note_sequences(sequences),
            Err(error) => warn!(error = &error as &dyn std::error::Error, "the streams' ends were not read"),
        }
    }
}

struct Leader<'a> {
    held: &'a messaging::Tenure,
    dispatcher: Dispatcher,
    performer: Performer,
    events: mpsc::Receiver<Event>,
    commands: mpsc::Receiver<Delivery>,
    /// Commands that are not confirmed yet; of one that came twice, the later delivery.
    deliveries: HashMap<RequestId, Delivery>,
    followers: JoinSet<Error>,
    housekeeping_period: Duration,
    housekeeping_at: Instant,
    purge_at: Instant,
    ends: Ends,
}

impl<'a> Leader<'a> {
    /// Loads what is stored, takes it over, and begins to follow the streams where the load ended.
    async fn take_over(config: &Config, mesh: &Mesh, held: &'a messaging::Tenure) -> Result<Self, End> {
        let tenure = Tenure { epoch: held.epoch(), since: clock::now().wall };
        let (event_sender, events) = mpsc::channel(EVENTS_WAITING_MAX);
        let (command_sender, commands) = mpsc::channel(EVENTS_WAITING_MAX);
        let housekeeping_period = config.timing.heartbeat / 2;
        let mut leader = Self {
            held,
            dispatcher: Dispatcher::new(tenure, config.timing, StdRng::from_rng(&mut rand::rng())),
            performer: Performer::new(mesh.clone(), event_sender.clone(), config.tap.clone()),
            events,
            commands,
            deliveries: HashMap::new(),
            followers: JoinSet::new(),
            housekeeping_period,
            housekeeping_at: Instant::now() + housekeeping_period,
            purge_at: Instant::now() + PURGE_PERIOD,
            ends: Ends::default(),
        };
        let mut loaded = follow::load(mesh, &config.zones).await?;
        for event in std::mem::take(&mut loaded.events) {
            leader.handle(event)?;
        }
        let results_end = mesh.results().last_sequence().await.map_err(Error::Load)?;
        leader.handle(Event::Loaded { results_end })?;
        loaded.follow(&event_sender, &mut leader.followers);
        let folded = leader.dispatcher.results_through();
        follow::follow_results(mesh, folded, &event_sender, &mut leader.followers).await?;
        follow::follow_commands(mesh, command_sender, &mut leader.followers).await?;
        leader.performer.read_commands_begin();
        leader.performer.begin(Effect::Announce(MeshEvent::LeaderChanged {
            leader: config.id.clone(),
            host: config.host.clone(),
            epoch: tenure.epoch,
        }));
        Ok(leader)
    }

    /// Waits for the next thing to happen, and deals with it.
    async fn turn(&mut self) -> Result<(), End> {
        let wake_in = self.dispatcher.wake_in(clock::now()).unwrap_or(self.housekeeping_period);
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
                self.purge_at += PURGE_PERIOD;
                self.purge()
            }
        }
    }

    /// Folds an event and begins what follows from it.
    fn handle(&mut self, event: Event) -> Result<(), End> {
        let effects = self.dispatcher.handle(event, clock::now());
        // A process that was stopped for a while finds its lease too old before it does anything.
        if !self.held.is_trusted() {
            return Err(End::LeaseLost);
        }
        for effect in effects {
            match effect {
                Effect::EndTenure { reason } => return Err(End::Conflict { reason }),
                Effect::ConfirmCommand { app, request } => {
                    if let Some(delivery) = self.deliveries.remove(&request) {
                        self.performer.confirm(app, request, delivery);
                    }
                }
                effect @ (Effect::WriteLedger { .. }
                | Effect::Send(_)
                | Effect::StoreReport { .. }
                | Effect::PublishTick { .. }
                | Effect::PublishHistory { .. }
                | Effect::ReadResultsEnd { .. }
                | Effect::ReadAgent { .. }
                | Effect::ReadLedger { .. }
                | Effect::ReadSummary { .. }
                | Effect::Announce(_)) => self.performer.begin(effect),
            }
        }
        Ok(())
    }

    fn deliver(&mut self, delivery: Delivery) -> Result<(), End> {
        let (sequence, command) = (delivery.sequence, Box::new(delivery.command.clone()));
        self.deliveries.insert(command.request, delivery);
        self.handle(Event::CommandSeen { sequence, command })
    }

    fn purge(&mut self) -> Result<(), End> {
        self.performer.read_commands_begin();
        let end = self.dispatcher.results_through();
        let needed_from = self.dispatcher.results_needed_after().map_or(end, |after| after + 1);
        let below = self.ends.purge_below(clock::now().uptime, end, needed_from);
        self.performer.purge_results(below);
        // For the next time: what is stored by then needs less.
        self.handle(Event::Checkpoint)
    }
}
