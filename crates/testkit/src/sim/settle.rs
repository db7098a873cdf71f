//! G6: when the faults stop, everything ends, in bounded time; and then the books must close.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use jiff::SignedDuration;
use rand::RngExt as _;
use tickmesh_core::{ledger::Ledger, name::AppName};

use super::{
    context::FaultPhase,
    fault_injection::Relief,
    faults::Fault,
    net::Kind,
    process_table::Place,
    scheduler::Scheduler,
    world::{Backup, World},
};

/// Simulated time in which everything must end: a full queue of runs, each of whose replicas is lost twice, fails four times
/// and runs for a minute, on few slots.
const SETTLE_MAX: Duration = Duration::from_secs(4 * 3_600);
/// By then the lease has noted where the streams end.
const ENDS_NOTED: Duration = Duration::from_secs(15);
/// How long a mesh is watched whose stream lost messages: by far enough for somebody to take the lease.
const REGRESSION: Duration = Duration::from_secs(30);
/// Between two looks whether it has.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl World {
    /// The faults stop, and no app is scheduled any more: what is active or waits comes to its end.
    pub(super) fn settle(&mut self) -> anyhow::Result<()> {
        self.context.fault_phase = FaultPhase::Over;
        self.make_well();
        let mut end = self.context.now + SETTLE_MAX;
        while self.is_restored && self.context.net.regressed {
            self.go_on()?;
            ensure!(self.context.now < end, "the loss of stored data is never accepted");
        }
        self.backup = None;
        if !self.is_restored && self.context.random.random_ratio(1, 3) {
            self.sick_host()?;
            end = self.context.now + SETTLE_MAX;
        }
        if !self.is_restored && self.context.random.random_ratio(1, 3) {
            self.wrong_clock()?;
            end = self.context.now + SETTLE_MAX;
        }
        self.operators.unschedule_all(&mut self.context);
        let mut look_at = self.context.now;
        while self.context.now < end {
            self.go_on()?;
            if look_at <= self.context.now {
                look_at = self.context.now + LOOK_EVERY;
                self.operators.undrain_all(&mut self.context);
                self.keep_well();
                if self.is_quiet() {
                    self.context.witness.close(&self.ledgers())?;
                    return self.lose_messages();
                }
            }
        }
        Err(anyhow::anyhow!("{:#?}", self.unfinished())).context("G6: something never ends")
    }

    /// In some histories a stream is restored from an older copy at the end: nobody may begin to lead any more, and who leads
    /// must find out.
    fn lose_messages(&mut self) -> anyhow::Result<()> {
        let Some(Backup { kind, stream: copy, lease }) = self.copy.take() else { return Ok(()) };
        let end = self.context.now + ENDS_NOTED;
        self.go_on_until(end)?;
        if copy.last_sequence() == self.context.net.stream(kind).last_sequence() {
            return Ok(());
        }
        let seen_more = self.schedulers.iter().all(|scheduler| scheduler.has_seen(kind) > copy.last_sequence());
        self.context.regress(kind, copy);
        // Whoever has seen more notices, even if the lease is as old as the stream.
        if seen_more && self.context.random.random_ratio(1, 3) {
            self.context.count(Fault::LeaseRegressed);
            self.context.regress(Kind::Lease, lease);
        } else if self.context.random.random_ratio(1, 2) {
            for index in 0..self.schedulers.len() {
                self.schedulers[index].kill(&mut self.context);
                self.relieve(Relief::Scheduler(index));
            }
        }
        let end = self.context.now + REGRESSION;
        self.go_on_until(end)?;
        let leader = self.schedulers.iter().find(|scheduler| scheduler.leads());
        ensure!(leader.is_none(), "somebody leads on {kind:?}, which lost messages");
        Ok(())
    }

    pub(super) fn go_on_until(&mut self, end: Duration) -> anyhow::Result<()> {
        while self.context.now < end {
            self.go_on()?;
        }
        Ok(())
    }

    fn make_well(&mut self) {
        for index in 0..self.schedulers.len() {
            // By a clock that is wrong nothing ends that ends by a deadline.
            self.schedulers[index].clock.set_error(SignedDuration::ZERO);
            self.relieve(Relief::Scheduler(index));
            self.relieve(Relief::SchedulerConnected(index));
        }
        for host in 0..self.hosts.len() {
            self.relieve(Relief::Engine(host));
            self.relieve(Relief::AgentConnected(host));
            if self.context.processes.is_paused(Place::Agent(host)) {
                self.relieve(Relief::Agent(host));
            }
            if self.context.processes.is_paused(Place::Guard(host)) {
                self.relieve(Relief::Guard(host));
            }
        }
        self.relieve(Relief::Server);
        self.relieve(Relief::Store);
        self.relieve(Relief::Stream);
        self.relieve(Relief::Records);
        // Of two hosts with one name the one that has no right to it stops.
        let rival = self.hosts.len() - 1;
        self.hosts[rival].stop_agent(&mut self.context);
    }

    /// Whoever looks after the hosts starts what does not run, but for the one whose name another host has.
    pub(super) fn keep_well(&mut self) {
        let rival = self.hosts.len() - 1;
        for host in 0..rival {
            self.relieve(Relief::Agent(host));
        }
    }

    fn is_quiet(&self) -> bool {
        let leads = self.schedulers.iter().any(Scheduler::leads);
        leads && self.unfinished().is_empty()
    }

    /// What is not over yet.
    fn unfinished(&self) -> Vec<String> {
        let mut open = Vec::new();
        for (app, ledger) in self.ledgers() {
            let newest = self.context.net.stream(Kind::Apps).last(app.as_str()).map_or(0, |last| last.sequence);
            if !ledger.active.is_empty() || !ledger.queue.is_empty() {
                open.push(describe(&app, &ledger));
            }
            if ledger.app_revision != newest {
                open.push(format!("{app}: revision {} of {newest}", ledger.app_revision));
            }
            let published =
                |kind| self.context.net.stream(kind).last(app.as_str()).map_or(0, |last| last.record.number());
            let (ticks, history) = (published(Kind::Ticks), published(Kind::History));
            let notices = published(Kind::Notices);
            // After a loss numbers are moved ahead of what is published, though nothing waits.
            let ticks_wait = !ledger.ticks.pending.is_empty() && ticks != ledger.ticks.last_number;
            let history_waits = !ledger.history.pending.is_empty() && history != ledger.history.last_number;
            let notices_wait = !ledger.notices.pending.is_empty() && notices != ledger.notices.last_number;
            if ticks_wait || history_waits || notices_wait {
                open.push(format!("{app}: published are tick {ticks}, summary {history}, notice {notices}"));
            }
        }
        if !open.is_empty() {
            open.push(format!("{:?}", self.schedulers.iter().map(Scheduler::stage).collect::<Vec<_>>()));
        }
        let commands = self.context.net.stream(Kind::Commands).after(0).count();
        if commands > 0 {
            open.push(format!("{commands} commands"));
        }
        for host in &self.hosts {
            if host.engine.is_busy() || host.agent.as_ref().is_some_and(|agent| !agent.holds_nothing()) {
                open.push(format!("host {}", host.index));
            }
        }
        open
    }

    fn ledgers(&self) -> BTreeMap<AppName, Arc<Ledger>> {
        let stored = self.context.net.stream(Kind::Ledger).last_per_subject();
        let ledger =
            |stored: super::net::Stored| Some((AppName::new(&*stored.subject).ok()?, stored.record.ledger()?.clone()));
        stored.into_iter().filter_map(ledger).collect()
    }
}

/// What is active and what waits, in short.
fn describe(app: &AppName, ledger: &Ledger) -> String {
    let open = ledger.active.iter().flat_map(|run| run.open_attempts(app));
    let open: Vec<_> = open.map(|(attempt, open)| (attempt.to_string(), &open.agent, open.claim())).collect();
    let pending = ledger.active.iter().map(|run| (run.number, run.phase(), run.pending_services().count()));
    format!("{app}: {:?}, open {open:?}, {} wait, {:?}", pending.collect::<Vec<_>>(), ledger.queue.len(), ledger.pause)
}
