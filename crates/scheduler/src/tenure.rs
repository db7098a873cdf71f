//! One tenure: load, take over, then events in and effects out until it ends.

use std::time::Duration;

use rand::{SeedableRng as _, rngs::StdRng};
use tickmesh_core::{decide::Tenure, message::MeshEvent};
use tickmesh_messaging::{
    self as messaging, Delivery, Mesh, SchedulerRole, StreamKind,
    lease::{LOSS_LOOK_PAUSE, LOSS_LOOKS},
};
use tokio::{
    sync::mpsc,
    task::{JoinSet, yield_now},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    Config, Error,
    clock::{Clock, ClockJudge, Reading},
    dispatcher::{Event, Outcome},
    effect::Effect,
    follow,
    leader::{Leader, Stop, Trust},
    perform::Performer,
    presence::Presence,
    process::{Budget, Fairness, Turn},
    warm::{Ends, Warm},
};

/// Events that may wait for the dispatcher. A full channel makes the followers wait, and with them the server's flow
/// control.
const EVENTS_WAITING_MAX: usize = 4_096;
/// Roles that may wait to be shown.
const ROLES_WAITING_MAX: usize = 8;
/// The server's clock is read this often in a term of the lease, as it is renewed.
const CLOCK_READINGS_PER_TERM: u32 = 4;
/// The leader looks at all streams once in so many terms of the lease.
const STREAMS_CHECKED_TERMS: u32 = 5;
/// How long a new leader waits, in terms of the lease, for what the streams hold already.
const CATCH_UP_TERMS: u32 = 10;

/// Why a tenure ended.
pub(crate) enum End {
    /// It was asked to.
    Shutdown,
    /// It was asked to let somebody else lead.
    SteppedDown,
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
            Stop::Conflict(conflict) => Self::Conflict { reason: conflict.reason },
        }
    }
}

/// Leads until the tenure ends.
pub(crate) async fn lead(
    config: &Config,
    mesh: &Mesh,
    held: &messaging::Tenure,
    warm: Warm,
    presence: &mut Presence,
    shutdown: &CancellationToken,
) -> End {
    let (role, mut roles) = mpsc::channel(ROLES_WAITING_MAX);
    let work = work(config, mesh, held, warm, role);
    let noting = note_streams(mesh, held, config.timing.lease);
    let checking = check_streams(mesh, config.timing.lease * STREAMS_CHECKED_TERMS);
    tokio::pin!(work, noting, checking);
    loop {
        tokio::select! {
            end = &mut work => return end,
            () = held.lost() => return End::LeaseLost,
            lost = &mut noting => return End::Broken(Error::StateLost(messaging::Error::StateLost(lost))),
            error = &mut checking => return End::Broken(Error::Load(error)),
            () = shutdown.cancelled() => return End::Shutdown,
            Some(_) = presence.asked_to_step_down() => return End::SteppedDown,
            Some(role) = roles.recv() => presence.become_role(role),
        }
    }
}

async fn work(
    config: &Config,
    mesh: &Mesh,
    held: &messaging::Tenure,
    warm: Warm,
    role: mpsc::Sender<SchedulerRole>,
) -> End {
    let mut office = match Office::take_over(config, mesh, held, warm, role).await {
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
/// this leader itself has seen get lost.
async fn note_streams(mesh: &Mesh, held: &messaging::Tenure, period: Duration) -> messaging::lease::Loss {
    let mut pause = period;
    let mut seen_lost = 0;
    loop {
        sleep(pause).await;
        pause = period;
        let seen = held.seen();
        match mesh.stream_marks().await {
            Ok(marks) => match held.note_streams(&seen, marks) {
                Ok(()) => seen_lost = 0,
                // One answer is not believed: see `LOSS_LOOKS`.
                Err(loss) => {
                    seen_lost += 1;
                    if seen_lost >= LOSS_LOOKS {
                        return loss;
                    }
                    pause = LOSS_LOOK_PAUSE;
                }
            },
            Err(error) => warn!(error = &error as &dyn std::error::Error, "the streams' ends were not read"),
        }
    }
}

/// Looks whether all streams are there, with the settings that they must have: not every one of them is read by a leader, and
/// writing to one that is gone looks like an outage. Returned is what is wrong.
async fn check_streams(mesh: &Mesh, period: Duration) -> messaging::Error {
    loop {
        sleep(period).await;
        match mesh.check_streams().await {
            Ok(()) => {}
            Err(error) if error.is_unavailable() => {
                warn!(error = &error as &dyn std::error::Error, "the streams were not looked at");
            }
            Err(error) => return error,
        }
    }
}

/// Asks for the server's clock.
async fn read_clock(mesh: &Mesh, clock: Clock) -> Result<Reading, messaging::Error> {
    let asked = clock.now();
    let server = mesh.lease().clock().await?;
    Ok(Reading { asked, server, answered: clock.now() })
}

/// Goes on asking for it.
async fn read_clocks(mesh: Mesh, clock: Clock, period: Duration, readings: mpsc::Sender<Reading>) -> Error {
    loop {
        sleep(period).await;
        match read_clock(&mesh, clock).await {
            Ok(reading) => {
                if readings.send(reading).await.is_err() {
                    return Error::StreamEnded;
                }
            }
            Err(error) => warn!(error = &error as &dyn std::error::Error, "the server's clock was not read"),
        }
    }
}

/// The leader, and all that it reads from and works with.
struct Office<'a> {
    held: &'a messaging::Tenure,
    leader: Leader,
    performer: Performer,
    /// What became of effects.
    answers: mpsc::Receiver<Event>,
    /// What is read from the streams.
    events: mpsc::Receiver<Event>,
    commands: mpsc::Receiver<Delivery>,
    followers: JoinSet<Error>,
    housekeeping_period: Duration,
    housekeeping_at: Instant,
    purge_period: Duration,
    purge_at: Instant,
    fairness: Fairness,
    clock: Clock,
    judge: ClockJudge,
    readings: mpsc::Receiver<Reading>,
    role: mpsc::Sender<SchedulerRole>,
}

impl<'a> Office<'a> {
    /// Takes over what is stored, of which `warm` has nearly all, and goes on following the streams.
    async fn take_over(
        config: &Config,
        mesh: &Mesh,
        held: &'a messaging::Tenure,
        mut warm: Warm,
        role: mpsc::Sender<SchedulerRole>,
    ) -> Result<Self, End> {
        let (began, clock) = (Instant::now(), config.clock);
        let tenure = Tenure { epoch: held.epoch(), since: clock.now().wall };
        let (answer_sender, answers) = mpsc::channel(EVENTS_WAITING_MAX);
        let (event_sender, events) = mpsc::channel(EVENTS_WAITING_MAX);
        let (command_sender, commands) = mpsc::channel(EVENTS_WAITING_MAX);
        let (reading_sender, readings) = mpsc::channel(1);
        let housekeeping_period = config.timing.heartbeat / 2;
        let mut office = Self {
            held,
            leader: Leader::new(tenure, config.timing, StdRng::from_rng(&mut rand::rng()))
                .reserving(config.reservations),
            performer: Performer::new(mesh.clone(), answer_sender, config.tap.clone()),
            answers,
            events,
            commands,
            followers: JoinSet::new(),
            housekeeping_period,
            housekeeping_at: Instant::now() + housekeeping_period,
            purge_period: config.timing.purge,
            purge_at: Instant::now() + config.timing.purge,
            fairness: Fairness::default(),
            clock,
            judge: ClockJudge::default(),
            readings,
            role,
        };
        let (reading, ends) = tokio::try_join!(read_clock(mesh, clock), Ends::read(mesh)).map_err(Error::Load)?;
        warm.reach(ends, config.timing.lease * CATCH_UP_TERMS).await?;
        office.show_role();
        office.clock_read(&reading)?;
        for event in warm.tell() {
            office.handle(event)?;
        }
        let results_end = mesh.results().last_sequence().await.map_err(Error::Load)?;
        office.handle(Event::Loaded { results_end })?;
        warm.follow(mesh, &event_sender, &mut office.followers).await?;
        let folded = office.leader.results_through();
        follow::follow_results(mesh, folded, &event_sender, &mut office.followers).await?;
        follow::follow_commands(mesh, command_sender, &mut office.followers).await?;
        let period = config.timing.lease / CLOCK_READINGS_PER_TERM;
        office.followers.spawn(read_clocks(mesh.clone(), clock, period, reading_sender));
        office.performer.begin(Effect::ReadCommandsBegin);
        office.performer.begin(Effect::Announce(MeshEvent::LeaderChanged {
            leader: config.id.clone(),
            host: config.host.clone(),
            epoch: tenure.epoch,
        }));
        info!(epoch = %tenure.epoch, took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX), "took over");
        Ok(office)
    }

    /// Waits for the next thing to happen, and deals with it.
    async fn turn(&mut self) -> Result<(), End> {
        let wake_in = self.leader.wake_in(self.clock.now()).unwrap_or(self.housekeeping_period);
        let turn = self.fairness.next(wake_in.is_zero());
        match turn {
            Turn::Due(_) => {
                // Somebody else has to see to it that this tenure may go on.
                yield_now().await;
                self.handle(Event::Woken)
            }
            Turn::Any(_) => self.what_comes_next(wake_in).await,
        }?;
        self.begin_what_waits()?;
        self.take_what_waits(turn.budget())
    }

    async fn what_comes_next(&mut self, wake_in: Duration) -> Result<(), End> {
        let wake_at = self.housekeeping_at.min(Instant::now() + wake_in);
        tokio::select! {
            Some(answer) = self.answers.recv() => self.handle(answer),
            Some(event) = self.events.recv() => self.handle(event),
            Some(delivery) = self.commands.recv() => self.deliver(delivery),
            Some(reading) = self.readings.recv() => self.clock_read(&reading),
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

    /// Begins the effects that had to let others pass. The lease may have grown too old since they were decided.
    fn begin_what_waits(&mut self) -> Result<(), End> {
        match trust(self.held) {
            Trust::Held => self.performer.begin_next(),
            Trust::Expired => return Err(End::LeaseLost),
        }
        Ok(())
    }

    /// Deals with what has come meanwhile: so much of each kind, and then it is the turn of whatever else there is, each as likely as
    /// the others.
    fn take_what_waits(&mut self, mut budget: Budget) -> Result<(), End> {
        while let Some(event) = budget.next(|| self.answers.try_recv().ok(), || self.events.try_recv().ok()) {
            self.handle(event)?;
        }
        Ok(())
    }

    /// Folds an event and begins what follows from it.
    fn handle(&mut self, event: Event) -> Result<(), End> {
        if let Some((stream, sequence)) = progress(&event) {
            self.held.saw(stream, sequence);
        }
        self.look_at_clock()?;
        self.fold(event)
    }

    fn fold(&mut self, event: Event) -> Result<(), End> {
        let held = self.held;
        let outcome = self.leader.handle(event, self.clock.now(), || trust(held))?;
        self.begin(outcome);
        Ok(())
    }

    /// Whoever set the clock since the last look is noticed before anything is decided by it.
    fn look_at_clock(&mut self) -> Result<(), End> {
        let doubted = self.judge.doubt().is_some();
        self.judge.looked(self.clock.now());
        self.heed_clock(doubted)
    }

    fn clock_read(&mut self, reading: &Reading) -> Result<(), End> {
        let doubted = self.judge.doubt().is_some();
        self.judge.server_read(reading);
        // The reading may have waited: what was set since is noticed now, and not after something was decided by it.
        self.judge.looked(self.clock.now());
        self.heed_clock(doubted)
    }

    fn heed_clock(&mut self, doubted: bool) -> Result<(), End> {
        let event = match (doubted, self.judge.doubt()) {
            (false, Some(doubt)) => {
                warn!(doubt, "no tick is decided until this host's clock agrees with the NATS server's");
                Event::ClockDoubted
            }
            (true, None) => {
                info!("this host's clock agrees with the NATS server's again");
                Event::ClockTrusted
            }
            (true, Some(_)) | (false, None) => return Ok(()),
        };
        self.show_role();
        self.fold(event)
    }

    fn show_role(&self) {
        let doubt = self.judge.doubt().map(ToOwned::to_owned);
        // It is only shown: where there is no room, the next one is.
        let _full = self.role.try_send(SchedulerRole::Leading { epoch: self.held.epoch(), doubt });
    }

    fn deliver(&mut self, delivery: Delivery) -> Result<(), End> {
        let (sequence, command) = (delivery.sequence, Box::new(delivery.command.clone()));
        self.performer.keep(delivery);
        self.handle(Event::CommandSeen { sequence, command })
    }

    fn purge(&mut self) -> Result<(), End> {
        self.look_at_clock()?;
        let held = self.held;
        let outcome = self.leader.purge(self.clock.now(), || trust(held))?;
        self.begin(outcome);
        Ok(())
    }

    fn begin(&mut self, outcome: Outcome) {
        for effect in outcome.effects {
            self.performer.begin(effect);
        }
        for app in outcome.hastened {
            self.performer.hasten_write(&app);
        }
    }
}

/// How far an event shows a stream to be that must not lose anything: where it once was, this process leads on nothing shorter.
fn progress(event: &Event) -> Option<(StreamKind, u64)> {
    match event {
        Event::LedgerLoaded { revision, .. }
        | Event::LedgerSeen { revision, .. }
        | Event::LedgerWritten { revision, .. } => Some((StreamKind::Ledger, *revision)),
        Event::AppSeen { revision, .. } => Some((StreamKind::Apps, *revision)),
        Event::ReportSeen { sequence, .. } => Some((StreamKind::Results, *sequence)),
        Event::HistoryStored { sequence, .. } => Some((StreamKind::History, *sequence)),
        Event::AgentSeen { .. }
        | Event::Loaded { .. }
        | Event::CommandSeen { .. }
        | Event::CommandsBegin { .. }
        | Event::Checkpoint
        | Event::LedgerRefused { .. }
        | Event::TickStored { .. }
        | Event::CommandConfirmed { .. }
        | Event::ResultsEnd { .. }
        | Event::AgentRead { .. }
        | Event::LedgerRead { .. }
        | Event::SummaryRead { .. }
        | Event::Failed { .. }
        | Event::Woken
        | Event::ClockDoubted
        | Event::ClockTrusted => None,
    }
}

fn trust(held: &messaging::Tenure) -> Trust {
    if held.is_trusted() { Trust::Held } else { Trust::Expired }
}
