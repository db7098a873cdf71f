//! A leader: what the dispatcher does around the core. Decide, record, act; and take over what another one left.

mod inputs;
mod watched;

use std::collections::VecDeque;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use tickmesh_core::{
    decide::{Action, Input, Record, Tenure},
    fleet::Fleet,
    id::Epoch,
    ledger::Ledger,
};

use super::{agent::Agent, bus::Bus, checkers::Account, faults::Fault};

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
