//! A scheduler process: production's own machine, on a simulated network.
//!
//! What comes for it waits in an inbox, as in production, until the machine's next turn. In some histories a
//! turn takes time, so that answers and events pile up.

mod effects;
mod events;
mod wishes;

use std::{collections::VecDeque, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tickmesh_core::fleet::Reservations;
use tickmesh_scheduler::{
    clock::Moment,
    dispatcher::{self, Batches, StateChange},
    effect::{Effect, Priority},
    process::{Event, LeaseWritten, Outcome, Process, QueueLimits, Settings, Turn},
};

use self::effects::Deliveries;
pub(super) use self::effects::Tag;
use super::{
    census::{Address, Place},
    checkers::Witness,
    clock::Clock,
    faults::Fault,
    ground::Ground,
    happening::Happening,
    mischief::Relief,
    net::Kind,
};

/// A process that died between two effects, or has stopped, is started again after this long.
const RESTART: Duration = Duration::from_secs(2);
/// One app at a time, so that bursts span turns with few apps.
const BATCHES: Batches = Batches { due: 1, round: 1 };
/// Few at a time, so that effects wait for each other.
const QUEUE: QueueLimits = QueueLimits { background_max: 2, background_min: 1 };

/// A simulated scheduler process on a host of its own.
#[derive(Debug)]
pub(super) struct Scheduler {
    pub(super) place: Place,
    pub(super) address: Address,
    pub(super) clock: Clock,
    /// `None`: it is dead.
    process: Option<Process>,
    inbox: Inbox,
    /// Counts what was abandoned: answers to effects from before it go nowhere.
    generation: u32,
    deliveries: Deliveries,
    /// Counts its connections to the server.
    connection: u64,
    /// It takes the holder of the lease for gone until then.
    deaf_until: Duration,
    /// When its next turn is due, as true time.
    armed: Option<Duration>,
    alarm: u64,
    /// A turn takes until then.
    busy_until: Duration,
    /// The last turn was for apps that are due.
    was_due: bool,
    /// Its program is that of the release before.
    is_earlier: bool,
}

/// What has come and is not folded yet.
#[derive(Debug, Default)]
struct Inbox {
    answers: VecDeque<Arrival>,
    events: VecDeque<Arrival>,
}

/// An effect that has ended, or an event.
#[derive(Debug)]
struct Arrival {
    ended: Option<Priority>,
    event: Option<Event>,
}

impl Scheduler {
    pub(super) fn new(index: usize, clock: Clock, ground: &mut Ground) -> Self {
        let place = Place::Scheduler(index);
        let address = ground.census.begin(place);
        ground.census.end(place);
        Self {
            place,
            address,
            clock,
            process: None,
            inbox: Inbox::default(),
            generation: 0,
            deliveries: Deliveries::default(),
            connection: 0,
            deaf_until: Duration::ZERO,
            armed: None,
            alarm: 0,
            busy_until: Duration::ZERO,
            was_due: false,
            is_earlier: false,
        }
    }

    /// Whether its program is that of the release before.
    pub(super) fn is_earlier(&self) -> bool {
        self.is_earlier
    }

    /// The process begins.
    pub(super) fn start(&mut self, ground: &mut Ground) {
        self.address = ground.census.begin(self.place);
        self.is_earlier = ground.mishap(Fault::EarlierRelease);
        if self.is_earlier {
            ground.witness.earlier_release_began();
        }
        let settings = Settings {
            id: ground.census.enrol(self.address),
            host: "host".to_owned(),
            timing: ground.timing,
            reservations: Reservations::default(),
            batches: BATCHES,
            queue: QUEUE,
        };
        let (process, first) = Process::begin(settings, StdRng::seed_from_u64(ground.random.random()));
        self.process = Some(process);
        self.abandon(ground);
        self.begin(ground, first);
        self.arm(ground);
    }

    /// The process dies.
    pub(super) fn kill(&mut self, ground: &mut Ground) {
        ground.census.end(self.place);
        self.abandon(ground);
        self.process = None;
        self.armed = None;
    }

    /// The process is asked to stop.
    pub(super) fn stop(&mut self, ground: &mut Ground) {
        self.tell(ground, Event::Shutdown);
    }

    /// The process has a new connection to the server.
    pub(super) fn reconnected(&mut self) {
        self.connection += 1;
    }

    /// Somebody asks it to let another one lead.
    pub(super) fn step_down(&mut self, ground: &mut Ground) {
        self.tell(ground, Event::StepDown);
    }

    /// Whether it acts as a leader.
    pub(super) fn leads(&self) -> bool {
        matches!(self.stage(), "leading" | "catching up")
    }

    /// How far it has seen a stream to be.
    pub(super) fn has_seen(&self, kind: Kind) -> u64 {
        let marks = self.process.as_ref().map(|process| process.marks().marks());
        let mark = marks.and_then(|marks| marks.get(kind.production().as_str()));
        mark.map_or(0, |mark| mark.last_sequence)
    }

    /// What the process does, in a word or two.
    pub(super) fn stage(&self) -> &'static str {
        self.process.as_ref().map_or("dead", Process::stage)
    }

    fn moment(&self, ground: &Ground) -> Moment {
        Moment { wall: self.clock.wall(ground), uptime: self.clock.uptime(ground) }
    }

    /// An event has come.
    fn tell(&mut self, ground: &mut Ground, event: Event) {
        self.inbox.events.push_back(Arrival { ended: None, event: Some(event) });
        self.arm(ground);
    }

    /// An effect has ended.
    fn ended(&mut self, ground: &mut Ground, ended: Option<Priority>, event: Option<Event>) {
        self.inbox.answers.push_back(Arrival { ended, event });
        self.arm(ground);
    }

    /// It has a turn.
    pub(super) fn wake(&mut self, ground: &mut Ground, alarm: u64) {
        if alarm != self.alarm {
            return;
        }
        self.armed = None;
        let moment = self.moment(ground);
        let Some(process) = &mut self.process else { return };
        let turn = process.next_turn(moment);
        let is_busy = matches!(turn, Turn::Due(_));
        let is_due = process.dispatcher().is_some_and(|dispatcher| dispatcher.has_due_apps(process.decides_at(moment)));
        if is_due && self.was_due {
            ground.count(Fault::BurstSpannedTurns);
        }
        self.was_due = is_due;
        let is_time = process.wake_at(moment).is_some_and(|at| at <= moment.uptime);
        if is_busy || is_time {
            self.fold(ground, Event::Woken);
        }
        let mut budget = turn.budget();
        loop {
            let Inbox { answers, events } = &mut self.inbox;
            let next = budget.next(|| answers.pop_front(), || events.pop_front());
            let Some(Arrival { ended, event }) = next else { break };
            ended.into_iter().for_each(|ended| self.fold(ground, Event::Ended(ended)));
            event.into_iter().for_each(|event| self.fold(ground, event));
        }
        let turn_max = ground.climate.turn_max();
        self.busy_until = ground.now + ground.between(Duration::ZERO, turn_max);
        self.arm(ground);
    }

    fn fold(&mut self, ground: &mut Ground, event: Event) {
        let moment = self.moment(ground);
        // What was folded just now may have ended the process.
        let Some(process) = &mut self.process else { return };
        let (before, is_input) = (process.stage(), !matches!(event, Event::Woken | Event::Ended(_)));
        let has_ends = matches!(event, Event::EndsRead(Ok(_)));
        let is_unreadable = is_unreadable(&event);
        // A lease that is too old ends a tenure at whatever comes next.
        let holds_lease = process.trusted_until().is_some_and(|until| moment.uptime < until);
        let outcome = process.fold(event, moment);
        if is_input && before == "leading" {
            ground.summary.inputs += 1;
        }
        let after = process.stage();
        if has_ends && after == "catching up" && ground.net.has_waiting_followers(self.address) {
            ground.count(Fault::FollowerLagged);
        }
        if before != after && is_unreadable && holds_lease {
            let seen = Witness::bears_unreadable(before, after);
            ground.judge(seen);
        }
        if before != after {
            self.changed_stage(ground, before, after);
        }
        self.begin(ground, outcome);
    }

    fn changed_stage(&self, ground: &mut Ground, before: &str, after: &str) {
        tracing::debug!(now = ?ground.now, scheduler = ?self.place, before, after, "stage");
        if after == "catching up" {
            ground.summary.tenures += 1;
            if ground.summary.tenures > 1 {
                ground.count(Fault::TakenOver);
            }
            let seen = ground.witness.tenure_began(ground.net.regressed);
            ground.judge(seen);
        }
        if after == "refusing" {
            ground.count(Fault::LeadingRefused);
        }
    }

    /// Begins effects; the process may die between two of them.
    fn begin(&mut self, ground: &mut Ground, outcome: Outcome) {
        let leads = self.leads();
        let is_urgent = |effect: &Effect| effect.priority() == Priority::Urgent;
        if outcome.effects.iter().any(is_urgent) && self.process.as_ref().is_some_and(|it| it.waiting_effects() > 0) {
            ground.count(Fault::EffectOvertaken);
        }
        if outcome.valid_until.is_some()
            && outcome.effects.iter().any(|effect| effect.priority() != Priority::Immediate)
            && ground.mishap(Fault::StoodStillBeforeActing)
        {
            let immediate = outcome.effects.into_iter().filter(|effect| effect.priority() == Priority::Immediate);
            immediate.for_each(|effect| self.perform(ground, effect));
            return self.fold(ground, Event::TooLate);
        }
        for (index, effect) in outcome.effects.into_iter().enumerate() {
            if index > 0 && leads && ground.mishap(Fault::CrashBetweenEffects) {
                ground.later(RESTART, Happening::Relief(Relief::of(self.place)));
                return self.kill(ground);
            }
            self.perform(ground, effect);
        }
    }

    /// Sets its alarm to its next turn.
    fn arm(&mut self, ground: &mut Ground) {
        let moment = self.moment(ground);
        let Some(process) = &self.process else { return };
        let has_something = !self.inbox.answers.is_empty() || !self.inbox.events.is_empty();
        let wake_at = process.wake_at(moment).map(|uptime| self.clock.true_time(uptime));
        let at = if has_something { Some(ground.now) } else { wake_at };
        let at = at.map(|at| at.max(ground.now).max(self.busy_until));
        if at != self.armed
            && let Some(at) = at
        {
            self.alarm += 1;
            ground.agenda.put(at, Happening::Wake(self.address, self.alarm));
        }
        self.armed = at;
    }
}

/// Whether an event is word of a record that nobody can read.
fn is_unreadable(event: &Event) -> bool {
    let damaged = |written: &LeaseWritten| written.answer.as_ref().is_err_and(|error| error.unreadable_at().is_some());
    matches!(
        event,
        Event::Changed(StateChange::Ledger { ledger: Err(_), .. } | StateChange::UnreadableAgent { .. })
            | Event::Mesh(dispatcher::Event::LedgerUnreadable { .. })
            | Event::LeaseDamaged { .. }
    ) || matches!(event, Event::LeaseWritten(written) if damaged(written))
}
