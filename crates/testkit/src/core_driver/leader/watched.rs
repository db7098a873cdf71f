//! Decisions, each of them watched by the checkers.

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use tickmesh_core::{
    decide::{AppContent, Clock, Context, Input, Placing, Record, decide, wake_at},
    ledger::Ledger,
    message::CommandKind,
    spec::QUEUE_LIMIT_MAX,
};

use super::{
    super::{
        bus::Bus,
        checkers::{Seen, Through},
        faults::Fault,
        makers::APP,
    },
    Effect, Leader, Promise,
};

impl Leader {
    /// One decision, watched.
    pub(in crate::core_driver) fn decide(&mut self, bus: &mut Bus, input: Input<'_>) -> anyhow::Result<()> {
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
        let wake_at = wake_at(&self.ledger, spec, &bus.timing, self.tenure, bus.now);
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
            clock: Clock::Running,
            placing: Placing::Now,
        };
        let through = through(bus, &input, before);
        let decision = decide(&context, before.clone(), input.clone(), &mut bus.random);
        self.ledger = decision.ledger;
        if spec.is_some() && self.ledger.active.is_empty() && !self.ledger.queue.is_empty() {
            bus.count(Fault::RunHeldBack);
        }
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
        Input::Clock | Input::App(_) | Input::Command { .. } | Input::Report { .. } => true,
        Input::TakeOver
        | Input::CommandConfirmed(_)
        | Input::CommandsConfirmed { .. }
        | Input::Checkpoint
        | Input::Heartbeat { .. }
        | Input::Silent { .. }
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
        Input::Command { command, .. } => matches!(command.kind, CommandKind::Cancel { .. }),
        Input::TakeOver
        | Input::Clock
        | Input::CommandConfirmed(_)
        | Input::CommandsConfirmed { .. }
        | Input::Checkpoint
        | Input::Report { .. }
        | Input::Heartbeat { .. }
        | Input::Silent { .. }
        | Input::TickStored { .. }
        | Input::HistoryStored { .. } => false,
    }
}
