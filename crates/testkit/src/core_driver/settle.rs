//! G6: when the faults stop, everything ends, in bounded time; and then the books must close.

use std::time::Duration;

use anyhow::ensure;
use rand::RngExt as _;
use tickmesh_core::{
    decide::{AppContent, Input, Record},
    ledger::State,
    message::{Admission, TickRecord},
};

use super::{bus::Weather, faults::Fault, makers::Revision, world::World};

/// Rounds of one second in which everything must end: a queue of five runs after the active one, each of whose replicas
/// is lost twice and fails four times, on one slot.
const ROUNDS_MAX: u32 = 2_000;

impl World {
    /// The faults stop, and the app is no longer scheduled: what is active or waits comes to its end.
    pub(super) fn settle(&mut self) -> anyhow::Result<()> {
        self.bus.weather = Weather::Calm;
        self.stale = None;
        self.unschedule();
        for agent in &mut self.agents {
            agent.draining = false;
            agent.come_back(&mut self.bus);
        }
        for _ in 0..ROUNDS_MAX {
            self.calm_round()?;
            if self.is_quiet() {
                return self.close_the_books();
            }
        }
        anyhow::bail!("G6: something never ends: {:#?}", self.leader.ledger);
    }

    fn unschedule(&mut self) {
        let revision = self.bus.newest_revision() + 1;
        let at = self.bus.apps.last().map_or(self.bus.now, |last| last.change.at.max(self.bus.now));
        let last = if self.bus.random.random_ratio(1, 4) {
            Revision::without_spec(revision, at, AppContent::Removed)
        } else {
            Revision::applied(revision, at, None, &mut self.bus.random)
        };
        self.bus.apps.push(last);
    }

    /// A second in which everybody does all that can be done.
    fn calm_round(&mut self) -> anyhow::Result<()> {
        self.advance(Duration::from_secs(1));
        self.leader.see(&self.bus, &self.agents);
        while self.leader.fold_app(&mut self.bus)? {}
        for index in 0..self.agents.len() {
            self.agents[index].act_on_all(&mut self.bus)?;
            for record in std::mem::take(&mut self.agents[index].heartbeats) {
                self.leader.fold_heartbeat(&mut self.bus, &record)?;
            }
        }
        self.leader.fold_results(&mut self.bus, u64::MAX)?;
        for index in 0..self.bus.commands.len() {
            if !self.bus.commands[index].acknowledged {
                self.leader.fold_command(&mut self.bus, index)?;
            }
        }
        self.leader.confirm_forgotten(&mut self.bus)?;
        self.leader.decide(&mut self.bus, Input::Clock)?;
        self.flush()?;
        while !self.leader.todo.is_empty() {
            self.leader.act(&mut self.bus, &mut self.agents)?;
            self.flush()?;
        }
        self.publish_all()
    }

    fn publish_all(&mut self) -> anyhow::Result<()> {
        loop {
            self.flush()?;
            let stored = self.leader.publish(&mut self.bus)?;
            if stored.is_nothing() {
                return Ok(());
            }
            self.leader.note(&mut self.bus, &stored)?;
        }
    }

    fn is_quiet(&self) -> bool {
        let ledger = &self.leader.ledger;
        ledger.active.is_empty()
            && ledger.queue.is_empty()
            && ledger.app_revision == self.bus.newest_revision()
            && self.leader.dirty < Record::Due
            && self.bus.commands.iter().all(|entry| entry.acknowledged)
            && !self.agents.iter().any(super::agent::Agent::holds_anything)
    }

    /// Nothing is left over, nothing is missing.
    fn close_the_books(&mut self) -> anyhow::Result<()> {
        let (ledger, bus) = (&self.leader.ledger, &self.bus);
        ensure!(ledger.tombstone_revision == bus.tombstone(u64::MAX), "another tombstone than the newest");
        ensure!(matches!(ledger.state(), State::Waiting | State::Removed), "state {:?} at the end", ledger.state());
        let runs: Vec<_> = bus.history.messages.iter().map(|summary| summary.run).collect();
        ensure!(runs == (1..=ledger.last_run).collect::<Vec<_>>(), "run numbers {runs:?}");
        let in_ticks: u64 = bus.ticks.messages.iter().map(instants).sum();
        let (decided, given_up) = (ledger.counters.decided, ledger.ticks.given_up);
        let complete = in_ticks == decided || (given_up > 0 && in_ticks < decided);
        ensure!(
            complete,
            "G2: the tick messages account for {in_ticks} of {decided} instants, {given_up} were given up"
        );
        ensure!(ledger.requests.iter().all(|handled| handled.confirmed), "a request was never confirmed");
        let load = self.leader.fleet.loads.values().map(|load| load.slots).sum::<u32>();
        ensure!(load == 0, "{load} slots are taken by nothing");
        if given_up > 0 {
            self.bus.count(Fault::TicksGivenUp);
        }
        Ok(())
    }
}

/// Instants that a tick message accounts for.
fn instants(tick: &TickRecord) -> u64 {
    match tick.admission {
        Admission::Start { .. } | Admission::Enqueue { .. } | Admission::Drop { .. } => tick.coalesced + 1,
        Admission::Skip { instants, .. } => instants,
        Admission::Discard { .. } => 0,
    }
}
