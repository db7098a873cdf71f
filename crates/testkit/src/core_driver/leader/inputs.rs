//! What reaches the leader, in the order that the core asks for.

use std::time::Duration;

use anyhow::ensure;
use rand::RngExt as _;
use tickmesh_core::{
    decide::{AppContent, Input},
    id::RequestId,
    ledger::Cause,
    message::AgentRecord,
};

use super::{
    super::{bus::Bus, faults::Fault},
    Effect, Leader,
};

impl Leader {
    /// The next revision of the app, if there is one.
    pub(in crate::core_driver) fn fold_app(&mut self, bus: &mut Bus) -> anyhow::Result<bool> {
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
    pub(in crate::core_driver) fn fold_results(&mut self, bus: &mut Bus, most: u64) -> anyhow::Result<()> {
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
    pub(in crate::core_driver) fn replay_results(&mut self, bus: &mut Bus) -> anyhow::Result<()> {
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
    pub(in crate::core_driver) fn fold_heartbeat(&mut self, bus: &mut Bus, record: &AgentRecord) -> anyhow::Result<()> {
        self.fold_results(bus, record.results_seen.saturating_sub(self.results_through))?;
        self.decide(bus, Input::Heartbeat { record, machine_for: Duration::ZERO })
    }

    /// A command of the work queue, if it may be folded now.
    pub(in crate::core_driver) fn fold_command(&mut self, bus: &mut Bus, index: usize) -> anyhow::Result<()> {
        let entry = &mut bus.commands[index];
        if entry.command.app_revision > self.ledger.app_revision || !self.ledger.has_room_for_request() {
            return Ok(());
        }
        let again = std::mem::replace(&mut entry.delivered, true);
        let command = entry.command.clone();
        if again {
            bus.count(Fault::CommandRedelivered);
        }
        let outdated = command.app_revision < bus.tombstone(self.ledger.app_revision);
        let known = self.ledger.requests.iter().any(|handled| handled.request == command.request);
        self.decide(bus, Input::Command { sequence: 1, command: &command, retried: None })?;
        if outdated && !known {
            bus.count(Fault::CommandFromBeforeTombstone);
            ensure!(!self.runs_for(command.request), "G7: a command from before the tombstone was carried out");
        }
        self.held_back.push(Effect::Acknowledge(index));
        Ok(())
    }

    /// Whether a run of this request is active or waits.
    fn runs_for(&self, wanted: RequestId) -> bool {
        let active = self.ledger.active.iter().map(|run| &run.cause);
        let mut causes = active.chain(self.ledger.queue.iter().map(|waiting| &waiting.cause));
        causes.any(|cause| matches!(cause, Cause::Manual { request, .. } if *request == wanted))
    }

    /// Requests that the stream does not have any more will not come again, although nobody said so: the leader died
    /// before it noted that, or a stale leader acknowledged them. Without this they would fill the ring, one by one.
    pub(in crate::core_driver) fn confirm_forgotten(&mut self, bus: &mut Bus) -> anyhow::Result<()> {
        let unconfirmed: Vec<_> = self.ledger.requests.iter().filter(|it| !it.confirmed).map(|it| it.request).collect();
        for request in unconfirmed {
            let left = bus.commands.iter().any(|entry| entry.command.request == request && !entry.acknowledged);
            if !left {
                self.decide(bus, Input::CommandConfirmed(request))?;
            }
        }
        Ok(())
    }
}
