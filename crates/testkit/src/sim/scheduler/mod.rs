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
    checkers::Witness,
    clock::Clock,
    context::SimContext,
    event::SimEvent,
    fault_injection::Relief,
    faults::Fault,
    net::Kind,
    process_table::{Address, Place},
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
    pub(super) fn new(index: usize, clock: Clock, context: &mut SimContext) -> Self {
        let place = Place::Scheduler(index);
        let address = context.processes.begin(place);
        context.processes.end(place);
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
    pub(super) fn start(&mut self, context: &mut SimContext) {
        self.address = context.processes.begin(self.place);
        self.is_earlier = context.mishap(Fault::EarlierRelease);
        if self.is_earlier {
            context.witness.earlier_release_began();
        }
        let settings = Settings {
            id: context.processes.enrol(self.address),
            host: "host".to_owned(),
            timing: context.timing,
            reservations: Reservations::default(),
            batches: BATCHES,
            queue: QUEUE,
        };
        let (process, first) = Process::begin(settings, StdRng::seed_from_u64(context.random.random()));
        self.process = Some(process);
        self.abandon(context);
        self.begin(context, first);
        self.arm(context);
    }

    /// The process dies.
    pub(super) fn kill(&mut self, context: &mut SimContext) {
        context.processes.end(self.place);
        self.abandon(context);
        self.process = None;
        self.armed = None;
    }

    /// The process is asked to stop.
    pub(super) fn stop(&mut self, context: &mut SimContext) {
        self.tell(context, Event::Shutdown);
    }

    /// The process has a new connection to the server.
    pub(super) fn reconnected(&mut self) {
        self.connection += 1;
    }

    /// Somebody asks it to let another one lead.
    pub(super) fn step_down(&mut self, context: &mut SimContext) {
        self.tell(context, Event::StepDown);
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

    fn moment(&self, context: &SimContext) -> Moment {
        Moment { wall: self.clock.wall(context), uptime: self.clock.uptime(context) }
    }

    /// An event has come.
    fn tell(&mut self, context: &mut SimContext, event: Event) {
        self.inbox.events.push_back(Arrival { ended: None, event: Some(event) });
        self.arm(context);
    }

    /// An effect has ended.
    fn ended(&mut self, context: &mut SimContext, ended: Option<Priority>, event: Option<Event>) {
        self.inbox.answers.push_back(Arrival { ended, event });
        self.arm(context);
    }

    /// It has a turn.
    pub(super) fn wake(&mut self, context: &mut SimContext, alarm: u64) {
        if alarm != self.alarm {
            return;
        }
        self.armed = None;
        let moment = self.moment(context);
        let Some(process) = &mut self.process else { return };
        let turn = process.next_turn(moment);
        let is_busy = matches!(turn, Turn::Due(_));
        let is_due = process.dispatcher().is_some_and(|dispatcher| dispatcher.has_due_apps(process.decides_at(moment)));
        if is_due && self.was_due {
            context.count(Fault::BurstSpannedTurns);
        }
        self.was_due = is_due;
        let is_time = process.wake_at(moment).is_some_and(|at| at <= moment.uptime);
        if is_busy || is_time {
            self.fold(context, Event::Woken);
        }
        let mut budget = turn.budget();
        loop {
            let Inbox { answers, events } = &mut self.inbox;
            let next = budget.next(|| answers.pop_front(), || events.pop_front());
            let Some(Arrival { ended, event }) = next else { break };
            ended.into_iter().for_each(|ended| self.fold(context, Event::Ended(ended)));
            event.into_iter().for_each(|event| self.fold(context, event));
        }
        let turn_max = context.fault_profile.turn_max();
        self.busy_until = context.now + context.between(Duration::ZERO, turn_max);
        self.arm(context);
    }

    fn fold(&mut self, context: &mut SimContext, event: Event) {
        let moment = self.moment(context);
        // What was folded just now may have ended the process.
        let Some(process) = &mut self.process else { return };
        let (before, is_input) = (process.stage(), !matches!(event, Event::Woken | Event::Ended(_)));
        let has_ends = matches!(event, Event::EndsRead(Ok(_)));
        let is_unreadable = is_unreadable(&event);
        // A lease that is too old ends a tenure at whatever comes next.
        let holds_lease = process.trusted_until().is_some_and(|until| moment.uptime < until);
        let outcome = process.fold(event, moment);
        if is_input && before == "leading" {
            context.summary.inputs += 1;
        }
        let after = process.stage();
        if has_ends && after == "catching up" && context.net.has_waiting_followers(self.address) {
            context.count(Fault::FollowerLagged);
        }
        if before != after && is_unreadable && holds_lease {
            let seen = Witness::bears_unreadable(before, after);
            context.judge(seen);
        }
        if before != after {
            self.changed_stage(context, before, after);
        }
        self.begin(context, outcome);
    }

    fn changed_stage(&self, context: &mut SimContext, before: &str, after: &str) {
        tracing::debug!(now = ?context.now, scheduler = ?self.place, before, after, "stage");
        if after == "catching up" {
            context.summary.tenures += 1;
            if context.summary.tenures > 1 {
                context.count(Fault::TakenOver);
            }
            let seen = context.witness.tenure_began(context.net.regressed);
            context.judge(seen);
        }
        if after == "refusing" {
            context.count(Fault::LeadingRefused);
        }
    }

    /// Begins effects; the process may die between two of them.
    fn begin(&mut self, context: &mut SimContext, outcome: Outcome) {
        let leads = self.leads();
        let is_urgent = |effect: &Effect| effect.priority() == Priority::Urgent;
        if outcome.effects.iter().any(is_urgent) && self.process.as_ref().is_some_and(|it| it.waiting_effects() > 0) {
            context.count(Fault::EffectOvertaken);
        }
        if outcome.valid_until.is_some()
            && outcome.effects.iter().any(|effect| effect.priority() != Priority::Immediate)
            && context.mishap(Fault::StoodStillBeforeActing)
        {
            let immediate = outcome.effects.into_iter().filter(|effect| effect.priority() == Priority::Immediate);
            immediate.for_each(|effect| self.perform(context, effect));
            return self.fold(context, Event::TooLate);
        }
        for (index, effect) in outcome.effects.into_iter().enumerate() {
            if index > 0 && leads && context.mishap(Fault::CrashBetweenEffects) {
                context.later(RESTART, SimEvent::Relief(Relief::of(self.place)));
                return self.kill(context);
            }
            self.perform(context, effect);
        }
    }

    /// Sets its alarm to its next turn.
    fn arm(&mut self, context: &mut SimContext) {
        let moment = self.moment(context);
        let Some(process) = &self.process else { return };
        let has_something = !self.inbox.answers.is_empty() || !self.inbox.events.is_empty();
        let wake_at = process.wake_at(moment).map(|uptime| self.clock.true_time(uptime));
        let at = if has_something { Some(context.now) } else { wake_at };
        let at = at.map(|at| at.max(context.now).max(self.busy_until));
        if at != self.armed
            && let Some(at) = at
        {
            self.alarm += 1;
            context.agenda.put(at, SimEvent::Wake(self.address, self.alarm));
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
