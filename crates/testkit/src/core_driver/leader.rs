//! A leader: what the dispatcher does around the core. Decide, record, act; and take over what another one left.

use std::collections::VecDeque;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use rand::RngExt as _;
use tickmesh_core::{
    decide::{Action, AppContent, Context, Input, Record, Tenure, decide, wake_at},
    fleet::Fleet,
    id::Epoch,
    ledger::Ledger,
    message::{AgentRecord, CommandKind},
    spec::QUEUE_LIMIT_MAX,
};

use super::{
    agent::Agent,
    bus::Bus,
    checkers::{Account, Seen, Through},
    faults::Fault,
    makers::APP,
};

/// What follows from a decision once it is recorded.
#[derive(Debug, Clone)]
pub(super) enum Effect {
    Act(Action),
    /// A command is done: the entry of the work queue.
    Acknowledge(usize),
}

/// Whether a leader goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    GoesOn,
    /// The store has a ledger that it did not write (protocol rule P8).
    Refused,
}

/// What the core promised about its clock after the last decision.
#[derive(Debug, Clone)]
struct Promise {
    wake_at: Option<Timestamp>,
    fleet: Fleet,
}

#[derive(Debug, Clone)]
pub(super) struct Leader {
    pub(super) tenure: Tenure,
    pub(super) ledger: Ledger,
    pub(super) account: Account,
    /// Revision of the stored ledger as far as this leader knows.
    revision: u64,
    /// Whether the ledger differs from the stored one.
    pub(super) dirty: Record,
    /// Follows from decisions that are not recorded.
    pub(super) held_back: Vec<Effect>,
    /// Follows from decisions that are.
    pub(super) todo: VecDeque<Effect>,
    /// Results up to this sequence were inputs.
    pub(super) results_through: u64,
    pub(super) fleet: Fleet,
    promise: Option<Promise>,
}

impl Leader {
    /// A scheduler that has just taken the lease and read the stored ledger.
    pub(super) fn new(bus: &Bus, epoch: Epoch) -> anyhow::Result<Self> {
        let tenure = Tenure { epoch, since: bus.now };
        let mut leader = Self {
            tenure,
            ledger: bus.stored.ledger.clone(),
            account: bus.stored.account,
            revision: bus.stored.revision,
            dirty: Record::Unchanged,
            held_back: Vec::new(),
            todo: VecDeque::new(),
            results_through: 0,
            fleet: Fleet::default(),
            promise: None,
        };
        leader.read(bus)?;
        Ok(leader)
    }

    /// Reads the ledger as the store has it, and where to begin in the results.
    fn read(&mut self, bus: &Bus) -> anyhow::Result<()> {
        let json = serde_json::to_string(&bus.stored.ledger).context("failed to write a ledger")?;
        self.ledger = serde_json::from_str(&json).context("failed to read a ledger")?;
        ensure!(self.ledger == bus.stored.ledger, "a ledger changed in the store");
        (self.account, self.revision) = (bus.stored.account, bus.stored.revision);
        (self.dirty, self.promise) = (Record::Unchanged, None);
        self.held_back.clear();
        let seen = self.ledger.active.iter().map(|run| run.results_through).min();
        self.results_through = seen.unwrap_or(bus.results.last_sequence());
        self.fleet = Fleet { agents: self.fleet.agents.clone(), ..Fleet::default() };
        self.fleet.bind_all(&self.ledger);
        Ok(())
    }

    /// Looks at the agents' keys.
    pub(super) fn see(&mut self, bus: &Bus, agents: &[Agent]) {
        let view = |agent: &Agent| (agent.name.clone(), agent.view(bus.now, bus.timing.stale));
        self.fleet.agents = agents.iter().map(view).collect();
    }

    /// Take-over, or a fresh start on a ledger that somebody else wrote. Dies in between once in a while.
    pub(super) fn take_over(&mut self, bus: &mut Bus) -> anyhow::Result<Flow> {
        while self.fold_app(bus)? {}
        if bus.mishap(8) {
            bus.count(Fault::CrashDuringTakeOver);
            return Ok(Flow::Refused);
        }
        self.decide(bus, Input::TakeOver)?;
        if self.flush(bus)? == Flow::Refused {
            return Ok(Flow::Refused);
        }
        self.confirm_forgotten(bus)?;
        if bus.mishap(8) {
            bus.count(Fault::CrashDuringTakeOver);
            return Ok(Flow::Refused);
        }
        self.fold_results(bus, u64::MAX)?;
        self.decide(bus, Input::Clock)?;
        Ok(Flow::GoesOn)
    }

    /// One decision, watched.
    pub(super) fn decide(&mut self, bus: &mut Bus, input: Input<'_>) -> anyhow::Result<()> {
        let before = self.ledger.clone();
        let again = bus.mishap(8) && is_remembered(&input);
        let decided = self.decide_once(bus, &before, input.clone())?;
        self.check_promise(&input, decided, bus.now)?;
        if again {
            let settled = self.ledger.clone();
            let decided = self.decide_once(bus, &settled, input.clone())?;
            ensure!(decided == Decided::Nothing && self.ledger == settled, "G7: {input:?} changed something twice");
        }
        let spec = bus.revision(self.ledger.app_revision).and_then(|it| it.spec.as_deref());
        let wake_at = wake_at(&self.ledger, spec, &bus.timing, bus.now);
        self.promise = Some(Promise { wake_at, fleet: self.fleet.clone() });
        Ok(())
    }

    fn decide_once(&mut self, bus: &mut Bus, before: &Ledger, input: Input<'_>) -> anyhow::Result<Decided> {
        bus.summary.inputs += 1;
        if asks_to_stop(&input) {
            bus.witness.asked_to_stop(before);
        }
        let revision = bus.apps.iter().find(|it| it.change.revision == before.app_revision);
        let spec = revision.and_then(|it| it.spec.as_ref());
        let queue_limit = spec.map_or(QUEUE_LIMIT_MAX, |spec| spec.queue_limit) as usize;
        let context = Context {
            app: &APP,
            spec,
            fleet: &self.fleet,
            now: bus.now,
            tenure: self.tenure,
            results_through: self.results_through,
            timing: &bus.timing,
        };
        let through = through(bus, &input, before);
        let decision = decide(&context, before.clone(), input.clone(), &mut bus.random);
        self.ledger = decision.ledger;
        let (after, late_after) = (&self.ledger, bus.timing.late_after);
        let seen = Seen { before, after, through, queue_limit, now: bus.now, tenure: self.tenure, late_after };
        self.account.follow(&seen).with_context(|| format!("after {input:?} at {}", bus.now))?;
        decision.loads.iter().for_each(|change| self.fleet.apply(change));
        self.dirty = self.dirty.max(decision.record);
        let idle = decision.record == Record::Unchanged && decision.actions.is_empty();
        ensure!(decision.record != Record::Unchanged || *before == self.ledger, "{input:?} changed the ledger unsaid");
        self.held_back.extend(decision.actions.into_iter().map(Effect::Act));
        Ok(if idle { Decided::Nothing } else { Decided::Something })
    }

    /// `wake_at` said that the clock has nothing to say before that moment.
    fn check_promise(&self, input: &Input<'_>, decided: Decided, now: Timestamp) -> anyhow::Result<()> {
        let Some(promise) = self.promise.as_ref().filter(|_| matches!(input, Input::Clock)) else { return Ok(()) };
        let early = promise.wake_at.is_none_or(|wake_at| now < wake_at);
        let broken = early && promise.fleet.agents == self.fleet.agents && decided == Decided::Something;
        ensure!(!broken, "the clock had something to say at {now}, before {:?}", promise.wake_at);
        Ok(())
    }

    /// The next revision of the app, if there is one.
    pub(super) fn fold_app(&mut self, bus: &mut Bus) -> anyhow::Result<bool> {
        let Some(revision) = bus.revision_after(self.ledger.app_revision) else { return Ok(false) };
        let change = revision.change.clone();
        if self.ledger.decided_through > change.at {
            bus.count(Fault::EditLate);
        }
        if matches!(change.content, AppContent::Removed) && !self.ledger.active.is_empty() {
            bus.count(Fault::RemovedDuringRun);
        }
        self.decide(bus, Input::App(change))?;
        Ok(true)
    }

    /// The next messages of the results stream, in order.
    pub(super) fn fold_results(&mut self, bus: &mut Bus, most: u64) -> anyhow::Result<()> {
        let through = bus.results.last_sequence().min(self.results_through.saturating_add(most));
        while self.results_through < through {
            let sequence = self.results_through + 1;
            let report = bus.results.at(sequence).clone();
            self.decide(bus, Input::Report { sequence, report: &report })?;
            self.results_through = sequence;
        }
        Ok(())
    }

    /// Messages that were inputs already, from an older sequence on.
    pub(super) fn replay_results(&mut self, bus: &mut Bus) -> anyhow::Result<()> {
        if self.results_through == 0 {
            return Ok(());
        }
        let from = bus.random.random_range(1..=self.results_through);
        for sequence in from..=self.results_through.min(from + 4) {
            bus.count(Fault::ReportReplayed);
            let report = bus.results.at(sequence).clone();
            self.decide(bus, Input::Report { sequence, report: &report })?;
        }
        Ok(())
    }

    /// A heartbeat counts only after all results that it has seen.
    pub(super) fn fold_heartbeat(&mut self, bus: &mut Bus, record: &AgentRecord) -> anyhow::Result<()> {
        self.fold_results(bus, record.results_seen.saturating_sub(self.results_through))?;
        self.decide(bus, Input::Heartbeat(record))
    }

    /// A command of the work queue, if it may be folded now.
    pub(super) fn fold_command(&mut self, bus: &mut Bus, index: usize) -> anyhow::Result<()> {
        let entry = &mut bus.commands[index];
        if entry.command.app_revision > self.ledger.app_revision || !self.ledger.has_room_for_request() {
            return Ok(());
        }
        let again = std::mem::replace(&mut entry.delivered, true);
        let command = entry.command.clone();
        if again {
            bus.count(Fault::CommandRedelivered);
        }
        if command.app_revision < self.ledger.tombstone_revision {
            bus.count(Fault::CommandFromBeforeTombstone);
        }
        self.decide(bus, Input::Command(&command))?;
        self.held_back.push(Effect::Acknowledge(index));
        Ok(())
    }

    /// Requests that the stream does not have any more will not come again, although nobody said so: the leader died
    /// before it noted that, or a stale leader acknowledged them. Without this they would fill the ring, one by one.
    pub(super) fn confirm_forgotten(&mut self, bus: &mut Bus) -> anyhow::Result<()> {
        let unconfirmed: Vec<_> = self.ledger.requests.iter().filter(|it| !it.confirmed).map(|it| it.request).collect();
        for request in unconfirmed {
            let left = bus.commands.iter().any(|entry| entry.command.request == request && !entry.acknowledged);
            if !left {
                self.decide(bus, Input::CommandConfirmed(request))?;
            }
        }
        Ok(())
    }

    /// Records what must be, and lets the effects of recorded decisions out.
    pub(super) fn flush(&mut self, bus: &mut Bus) -> anyhow::Result<Flow> {
        let writes = self.dirty == Record::Due || (self.dirty == Record::WithNext && bus.mishap(3));
        if writes {
            let Some(revision) = bus.record(self.revision, &self.ledger, self.account)? else {
                return Ok(Flow::Refused);
            };
            (self.revision, self.dirty) = (revision, Record::Unchanged);
        }
        self.todo.extend(self.held_back.drain(..));
        Ok(Flow::GoesOn)
    }

    /// Does what is next to be done.
    pub(super) fn act(&mut self, bus: &mut Bus, agents: &mut [Agent]) -> anyhow::Result<()> {
        let Some(effect) = self.todo.pop_front() else { return Ok(()) };
        match effect {
            Effect::Act(action) => act(bus, agents, action),
            Effect::Acknowledge(index) => {
                bus.commands[index].acknowledged = true;
                let request = bus.commands[index].command.request;
                self.decide(bus, Input::CommandConfirmed(request))
            }
        }
    }

    /// Publishes the first message of each outbox. Only what is recorded is there to be published.
    pub(super) fn publish(&mut self, bus: &mut Bus) -> anyhow::Result<Published> {
        ensure!(self.dirty < Record::Due, "the driver publishes what is not recorded");
        let (tick_sequence, summary_sequence) = (self.ledger.ticks.last_sequence, self.ledger.history.last_sequence);
        let mut stored = Published { tick: None, summary: None };
        if let Some((_, tick)) = self.ledger.ticks.first() {
            stored.tick = Some(bus.publish_tick(tick, tick_sequence)?);
        }
        if let Some((_, summary)) = self.ledger.history.first() {
            stored.summary = Some(bus.publish_summary(summary, summary_sequence)?);
        }
        Ok(stored)
    }

    /// Notes what is stored.
    pub(super) fn note(&mut self, bus: &mut Bus, stored: &Published) -> anyhow::Result<()> {
        if let Some((number, sequence)) = stored.tick {
            self.decide(bus, Input::TickStored { number, sequence })?;
        }
        if let Some((number, sequence)) = stored.summary {
            self.decide(bus, Input::HistoryStored { number, sequence })?;
        }
        Ok(())
    }
}

/// Numbers and sequences that are stored now.
#[derive(Debug)]
pub(super) struct Published {
    tick: Option<(u64, u64)>,
    summary: Option<(u64, u64)>,
}

impl Published {
    pub(super) fn is_nothing(&self) -> bool {
        self.tick.is_none() && self.summary.is_none()
    }
}

/// Whether a decision changed or wanted anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decided {
    Nothing,
    Something,
}

/// Inputs that the ledger remembers: given again at the same moment they change nothing.
fn is_remembered(input: &Input<'_>) -> bool {
    match input {
        Input::Clock | Input::App(_) | Input::Command(_) | Input::Report { .. } => true,
        Input::TakeOver
        | Input::CommandConfirmed(_)
        | Input::Heartbeat(_)
        | Input::Silent(_)
        | Input::TickStored { .. }
        | Input::HistoryStored { .. } => false,
    }
}

/// Up to when the core has to decide instants.
fn through(bus: &Bus, input: &Input<'_>, before: &Ledger) -> Through {
    let Input::App(change) = input else { return Through::Now };
    match bus.revision(change.revision) {
        Some(new) if change.revision > before.app_revision => Through::Edit(new.change.at, new.rhythm),
        Some(_) | None => Through::Nothing,
    }
}

fn asks_to_stop(input: &Input<'_>) -> bool {
    match input {
        Input::App(change) => matches!(change.content, AppContent::Removed),
        Input::Command(command) => matches!(command.kind, CommandKind::Cancel { .. }),
        Input::TakeOver
        | Input::Clock
        | Input::CommandConfirmed(_)
        | Input::Report { .. }
        | Input::Heartbeat(_)
        | Input::Silent(_)
        | Input::TickStored { .. }
        | Input::HistoryStored { .. } => false,
    }
}

/// Carries an action out, more or less.
pub(super) fn act(bus: &mut Bus, agents: &mut [Agent], action: Action) -> anyhow::Result<()> {
    match action {
        Action::Send(order) => {
            let Some(agent) = agents.iter_mut().find(|agent| agent.name == order.agent) else { return Ok(()) };
            if bus.mishap(15) {
                bus.count(Fault::OrderLost);
                return Ok(());
            }
            if bus.mishap(15) {
                bus.count(Fault::OrderTwice);
                agent.receive(order.clone());
            }
            agent.receive(order);
        }
        Action::StoreReport { report, expected } => {
            if bus.report(report, expected)?.is_err() {
                bus.count(Fault::WordRefused);
            }
        }
    }
    Ok(())
}
