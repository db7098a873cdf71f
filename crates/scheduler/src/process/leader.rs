//! The leader's loop: the dispatcher, the clock that it may trust, and what is done every so often.

use std::time::Duration;

use tickmesh_core::{decide::Tenure, message::MeshEvent};
use tickmesh_messaging::{
    self as messaging, SchedulerRole, StreamKind,
    lease::{HighWaterMarks, StreamMarks},
};
use tracing::{info, warn};

use super::{
    catching_up::CatchingUp,
    clock_judge::Reading,
    clock_watch::{Change, ClockWatch},
    fairness::{Fairness, Turn},
    held_lease::HeldLease,
    io::Answer,
    loss_looks::{Look, LossLooks},
    purge,
    queue::EffectQueue,
    reason::End,
    settings::Settings,
    standby::Telling,
    wishes::WishQueue,
};
use crate::{
    clock::Moment,
    dispatcher::{Dispatcher, Event},
    effect::{Effect, Priority, Source},
    error::Error,
};

/// Readings of the server's clock in one term of the lease.
const CLOCK_READINGS_PER_TERM: u32 = 4;
/// Terms of the lease between two checks of all streams.
const STREAMS_CHECKED_TERMS: u32 = 5;
/// How long a leader stays in doubt of its clock beside a standby that is not; and between two looks for one.
const DOUBT_MAX: Duration = Duration::from_secs(5);

/// How far the beginning of a leader has come.
#[derive(Debug)]
pub(super) enum Start {
    /// The dispatcher is told of the state.
    Telling(Box<Telling>),
    /// The end of the results is read: a run that has ended by then must not make a tick wait.
    ReadingEnd,
    /// Every app is asked to take over what is under way.
    TakingOver,
    /// The leader leads.
    Over,
}

/// A leader from the moment at which its dispatcher is told of the mesh's state.
#[derive(Debug)]
pub(super) struct Leader {
    pub(super) settings: Settings,
    pub(super) lease: HeldLease,
    pub(super) tenure: Tenure,
    pub(super) began: Duration,
    /// The standby read the ledgers up to here.
    ledgers_through: u64,
    pub(super) start: Start,
    pub(super) dispatcher: Dispatcher,
    pub(super) queue: EffectQueue,
    fairness: Fairness,
    clock: ClockWatch,
    /// When somebody is looked for next who could decide ticks while this leader cannot.
    seek_at: Duration,
    ends: purge::Ends,
    pub(super) wishes: WishQueue,
    looks: LossLooks,
    /// When each is due next; `None`: the last one is under way.
    check_streams_at: Option<Duration>,
    purge_at: Duration,
    keep_house_at: Duration,
}

impl Leader {
    /// A leader whose streams are read to their ends.
    pub(super) fn new(settings: &Settings, caught_up: CatchingUp, now: Duration) -> Self {
        let CatchingUp { lease, tenure, began, copy, random, .. } = caught_up;
        let timing = settings.timing;
        let dispatcher = Dispatcher::new(tenure, timing, random);
        let clock_every = timing.lease / CLOCK_READINGS_PER_TERM;
        Self {
            settings: settings.clone(),
            lease,
            tenure,
            began,
            ledgers_through: copy.through(StreamKind::Ledger),
            start: Start::Telling(Box::new(copy.tell())),
            dispatcher: dispatcher.reserving(settings.reservations).in_batches(settings.batches),
            queue: EffectQueue::new(settings.queue),
            fairness: Fairness::default(),
            clock: ClockWatch::of_leader(clock_every, now + clock_every),
            seek_at: now,
            ends: purge::Ends::new(timing.results_kept),
            wishes: WishQueue::default(),
            looks: LossLooks::from(now + timing.lease),
            check_streams_at: Some(now + timing.lease * STREAMS_CHECKED_TERMS),
            purge_at: now + timing.purge,
            keep_house_at: now + timing.heartbeat / 2,
        }
    }

    /// Begins, with what the server's clock said. What is in the ledgers this leader knows from now on,
    /// since it is to be the one who writes them.
    pub(super) fn begin(&mut self, reading: &Reading, moment: Moment) -> Result<Vec<Effect>, End> {
        let follow = Effect::Follow(Source::LedgerWrites { after: self.ledgers_through });
        let mut effects = vec![Effect::ShowRole(self.role()), follow];
        let change = self.clock.judge(reading, moment);
        effects.extend(self.heed_clock(change, moment)?);
        Ok(effects)
    }

    /// What the role of this leader is.
    fn role(&self) -> SchedulerRole {
        SchedulerRole::Leading { epoch: self.tenure.epoch, doubt: self.clock.doubt().map(ToOwned::to_owned) }
    }

    /// The moment by which the dispatcher decides: that of the server's clock.
    pub(super) fn decides_at(&self, moment: Moment) -> Moment {
        self.clock.by_server(moment)
    }

    /// Folds an event into the dispatcher. A clock that was set since the last look is noticed before
    /// anything is decided by it.
    pub(super) fn handle(&mut self, event: Event, moment: Moment) -> Result<Vec<Effect>, End> {
        let change = self.clock.look(moment);
        let mut effects = self.heed_clock(change, moment)?;
        effects.extend(self.fold(event, moment)?);
        Ok(effects)
    }

    /// Folds events that have one origin.
    pub(super) fn handle_all(&mut self, events: Vec<Event>, moment: Moment) -> Result<Vec<Effect>, End> {
        let mut effects = Vec::new();
        for event in events {
            effects.extend(self.handle(event, moment)?);
        }
        Ok(effects)
    }

    fn fold(&mut self, event: Event, moment: Moment) -> Result<Vec<Effect>, End> {
        self.check_lease(moment.uptime)?;
        let outcome = self.dispatcher.handle(event, self.decides_at(moment)).map_err(End::Conflict)?;
        let mut effects: Vec<_> = outcome.effects.into_iter().filter_map(|effect| self.queue.push(effect)).collect();
        effects.extend(outcome.hastened.iter().filter_map(|app| self.queue.hasten_write(app)));
        Ok(effects)
    }

    /// Takes a reading of the server's clock.
    pub(super) fn clock_read(&mut self, answer: Answer<Reading>, moment: Moment) -> Result<Vec<Effect>, End> {
        let change = self.clock.answered(answer, moment);
        self.heed_clock(change, moment)
    }

    fn heed_clock(&mut self, change: Option<Change>, moment: Moment) -> Result<Vec<Effect>, End> {
        let (event, told) = match change {
            Some(Change::Doubted) => {
                let doubt = self.clock.doubt();
                warn!(doubt, "no tick is decided until this host's clock agrees with the NATS server's");
                self.seek_at = moment.uptime + DOUBT_MAX;
                let (host, reason) = (self.settings.host.clone(), doubt.unwrap_or_default().to_owned());
                (Event::ClockDoubted, MeshEvent::LeaderDoubted { host, reason })
            }
            Some(Change::Trusted) => {
                info!("this host's clock agrees with the NATS server's again");
                (Event::ClockTrusted, MeshEvent::LeaderTrusted { host: self.settings.host.clone() })
            }
            None => return Ok(Vec::new()),
        };
        let mut effects = vec![Effect::ShowRole(self.role())];
        effects.extend(self.queue.push(Effect::Announce(told)));
        effects.extend(self.fold(event, moment)?);
        Ok(effects)
    }

    /// Takes whether somebody stands by who could decide ticks: while this leader cannot, that one is to lead.
    pub(super) fn successor_sought(&self, is_there: bool) -> Result<Vec<Effect>, End> {
        if is_there && self.clock.doubt().is_some() { Err(End::InDoubt) } else { Ok(Vec::new()) }
    }

    /// Takes where the streams stand: the lease is to say so with its next renewal.
    pub(super) fn marks_read(
        &mut self,
        answer: Answer<StreamMarks>,
        marks: &mut HighWaterMarks,
        now: Duration,
    ) -> Result<(), End> {
        match answer {
            Ok(standing) => match self.looks.answered(&standing, marks, true, now) {
                Look::Whole => self.lease.note_streams(standing),
                Look::Again => return Ok(()),
                Look::Lost(loss) => {
                    return Err(End::Broken(Error::StateLost(messaging::Error::StateLost(loss).into())));
                }
            },
            Err(error) => warn!(error = &*error as &dyn std::error::Error, "the streams' ends were not read"),
        }
        self.looks.look_again_at(now + self.settings.timing.lease);
        Ok(())
    }

    /// Takes whether all streams are as they must be. Not every stream is read by a leader, and a write to
    /// one that is gone looks like an outage.
    pub(super) fn streams_checked(&mut self, answer: Answer<()>, now: Duration) -> Result<(), End> {
        self.check_streams_at = Some(now + self.settings.timing.lease * STREAMS_CHECKED_TERMS);
        match answer {
            Ok(()) => Ok(()),
            Err(error) if error.is_unavailable() => {
                warn!(error = &*error as &dyn std::error::Error, "the streams were not looked at");
                Ok(())
            }
            Err(error) => Err(End::Broken(Error::Load(error))),
        }
    }

    /// Notes that an effect has ended, and returns those that may begin in its place.
    pub(super) fn ended(&mut self, priority: Priority, now: Duration) -> Result<Vec<Effect>, End> {
        self.queue.ended(priority);
        self.check_lease(now)?;
        Ok(std::iter::from_fn(|| self.queue.next()).collect())
    }

    /// A lease that is too old ends the tenure before anything is done under it.
    pub(super) fn check_lease(&self, now: Duration) -> Result<(), End> {
        if now >= self.lease.trusted_until() { Err(End::LeaseLost) } else { Ok(()) }
    }

    /// Looks at the clock: whatever is due is done.
    pub(super) fn woken(&mut self, marks: &HighWaterMarks, moment: Moment) -> Result<Vec<Effect>, End> {
        let now = moment.uptime;
        let mut effects: Vec<_> = self.lease.woken(now).into_iter().collect();
        if !matches!(self.start, Start::Over) {
            effects.extend(self.go_on_starting(moment)?);
            return Ok(effects);
        }
        effects.extend(self.looks.woken(marks, now));
        effects.extend(self.clock.woken(now));
        if self.clock.doubt().is_some() && self.seek_at <= now {
            self.seek_at = now + DOUBT_MAX;
            effects.push(Effect::SeekSuccessor);
        }
        effects.extend(self.check_streams_at.take_if(|at| *at <= now).map(|_| Effect::CheckStreams));
        if self.purge_at <= now {
            self.purge_at = now + self.settings.timing.purge;
            effects.extend(self.purge(moment)?);
        }
        if self.keep_house_at <= now || self.is_due(moment) {
            self.keep_house_at = now + self.settings.timing.heartbeat / 2;
            effects.extend(self.handle(Event::Woken, moment)?);
        }
        Ok(effects)
    }

    /// Removes results that nobody needs (protocol rule P14), and has stored ledgers need fewer by the
    /// next time.
    fn purge(&mut self, moment: Moment) -> Result<Vec<Effect>, End> {
        let end = self.dispatcher.results_through();
        let needed_from = self.dispatcher.results_needed_after().map_or(end, |after| after + 1);
        let below = self.ends.purge_below(moment.uptime, end, needed_from);
        let mut effects = self.handle(Event::Checkpoint, moment)?;
        let purge = below.map(|below| Effect::PurgeResults { below });
        effects.extend([Effect::ReadCommandsBegin].into_iter().chain(purge).filter_map(|it| self.queue.push(it)));
        Ok(effects)
    }

    fn is_due(&self, moment: Moment) -> bool {
        self.dispatcher.wake_in(self.decides_at(moment)) == Some(Duration::ZERO)
    }

    /// What the next turn is for.
    pub(super) fn next_turn(&mut self, moment: Moment) -> Turn {
        if self.is_starting() {
            return Turn::busy();
        }
        let due = matches!(self.start, Start::Over) && self.is_due(moment);
        self.fairness.next(due)
    }

    /// When [`Self::woken`] has something to do.
    pub(super) fn wake_at(&self, moment: Moment) -> Option<Duration> {
        let renew_at = self.lease.wake_at();
        if !matches!(self.start, Start::Over) {
            return if self.is_starting() { Some(moment.uptime) } else { renew_at };
        }
        let dispatcher = self.dispatcher.wake_in(self.decides_at(moment)).map(|wake_in| moment.uptime + wake_in);
        let always = [Some(self.purge_at), Some(self.keep_house_at)];
        let seek_at = self.clock.doubt().map(|_| self.seek_at);
        let at_times =
            [renew_at, dispatcher, self.looks.wake_at(), self.clock.wake_at(), seek_at, self.check_streams_at];
        always.into_iter().chain(at_times).flatten().min()
    }
}
