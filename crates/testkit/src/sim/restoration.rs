//! The whole store is restored from an older copy in the middle of a history, as after a disaster: schedulers
//! are stopped, the copy is put back, schedulers are started and refuse to lead, and somebody accepts the
//! loss. Agents and their containers have gone on meanwhile.
//!
//! What `doctor --accept-loss` does is done here by the same functions of the core, one look after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rand::RngExt as _;
use tickmesh_core::{
    id::{AttemptId, Epoch},
    ledger::{Ledger, Published, Remains, WriteStamp, orphans},
    message::{Order, OrderKind, SCHEMA},
    name::{AgentName, AppName},
};
use tickmesh_messaging::{LEASE_KEY, LeaseRecord, lease::ACCEPTANCE_SHIFT};

use super::{
    context::SimContext,
    event::SimEvent,
    fault_injection::Relief,
    faults::Fault,
    net::{Kind, Record, Stored, Stream},
    operators::Operators,
    world::World,
};

/// One in so many histories has a restore.
const RESTORED_ONE_IN: u32 = 6;
/// By then something is stored.
const COPIED_FROM: Duration = Duration::from_secs(5);
const COPIED_UNTIL: Duration = Duration::from_secs(70);
/// How old the copy is when it is put back.
const COPY_AGE_MIN: Duration = Duration::from_millis(500);
const COPY_AGE_MAX: Duration = Duration::from_secs(60);
/// How long a store is lost that an older copy is put back into.
const LOST_MAX: Duration = Duration::from_secs(30);
/// Between two looks at what still runs.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// So many looks, and then all is done again.
const LOOKS_MAX: u32 = 120;

/// A step of what people do about it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Restoration {
    Copy,
    Restore,
    /// Numbers are moved ahead.
    MoveAhead,
    /// Agents stop what no ledger knows, and then schedulers may lead.
    StopOrphans {
        acceptance: u64,
        looks: u32,
    },
}

/// The store, and what people had stored in it.
#[derive(Debug)]
pub(super) struct StoreCopy {
    streams: BTreeMap<Kind, Stream>,
    operators: Operators,
}

impl World {
    /// In some histories the store is restored.
    pub(super) fn plan_restoration(&mut self) {
        self.is_restored = self.context.random_ratio(RESTORED_ONE_IN);
        if self.is_restored {
            let at = self.context.between(COPIED_FROM, COPIED_UNTIL);
            self.context.later(at, SimEvent::Restoration(Restoration::Copy));
        }
    }

    pub(super) fn restoration(&mut self, step: Restoration) {
        match step {
            // A lease that notes no streams yet cannot show that any lost something, and a damaged ledger would
            // be mended by one that is not in the copy.
            Restoration::Copy if !self.context.has_noted_ends() || !self.damaged.is_empty() => {
                self.context.later(COPIED_FROM, SimEvent::Restoration(Restoration::Copy));
            }
            Restoration::Copy => {
                self.backup = Some(StoreCopy { streams: self.context.net.copy(), operators: self.operators.clone() });
                let age = self.context.between(COPY_AGE_MIN, COPY_AGE_MAX);
                self.context.later(age, SimEvent::Restoration(Restoration::Restore));
            }
            Restoration::Restore => self.restore(),
            Restoration::MoveAhead => self.move_ahead(),
            Restoration::StopOrphans { acceptance, looks } => self.stop_orphans(acceptance, looks),
        }
    }

    /// The server comes back with an empty store, while everybody is alive. Says whether it does: one fault of the store is
    /// enough at a time, and without a lease nobody knows what was there.
    pub(super) fn lose_store(&mut self) -> bool {
        if self.context.net.regressed || self.context.net.is_lost || !self.context.has_noted_ends() {
            return false;
        }
        self.context.lose_store();
        for scheduler in &mut self.schedulers {
            if !self.context.processes.hears_nothing(scheduler.place) {
                scheduler.lost_streams(&mut self.context);
            }
        }
        true
    }

    /// An app is gone from its bucket, and schedulers are started anew: one that lives has the app in memory. Says whether
    /// there is one that could go.
    fn lose_app(&mut self) -> bool {
        let ledgers = self.context.stored_ledgers();
        let known = |app: &&AppName| {
            let folded = ledgers[*app].0.app_revision;
            folded > 0 && self.context.net.stream(Kind::Apps).last(app.as_str()).is_some()
        };
        let apps: Vec<_> = ledgers.keys().filter(known).cloned().collect();
        if apps.is_empty() || self.context.net.is_lost || !self.damaged.is_empty() {
            return false;
        }
        let app = apps[self.context.random.random_range(0..apps.len())].clone();
        for index in 0..self.schedulers.len() {
            self.schedulers[index].kill(&mut self.context);
        }
        self.context.lose_app(&app);
        self.app_lost = Some(app);
        true
    }

    fn restore(&mut self) {
        if self.backup.is_some() && self.context.random_ratio(4) && self.lose_app() {
            self.backup = None;
            return self.restart();
        }
        if self.backup.is_some() && self.context.random_ratio(2) && self.lose_store() {
            // The copy is put back while schedulers are alive.
            let pause = self.context.between(COPY_AGE_MIN, LOST_MAX);
            return self.context.later(pause, SimEvent::Restoration(Restoration::Restore));
        }
        // When the faults have stopped, nothing is lost any more.
        let Some(StoreCopy { streams, operators }) = self.backup.take() else { return };
        if self.context.net.is_lost {
            self.context.count(Fault::RestoredAlive);
            // Whoever did not hear of the loss finds now that the streams are not those that it followed. One that
            // stood still could yet be told of a lease that it took before.
            for scheduler in &mut self.schedulers {
                if self.context.processes.is_paused(scheduler.place) {
                    scheduler.kill(&mut self.context);
                } else {
                    scheduler.lost_streams(&mut self.context);
                }
            }
        } else {
            for index in 0..self.schedulers.len() {
                self.schedulers[index].kill(&mut self.context);
            }
        }
        self.damaged.clear();
        let apps_through = streams[&Kind::Apps].last_sequence();
        self.context.restore(streams);
        self.operators.restore(operators);
        self.context.witness.store_restored(apps_through);
        self.restart();
    }

    /// Schedulers that are dead are started, and after a while somebody accepts the loss.
    fn restart(&mut self) {
        for index in 0..self.schedulers.len() {
            self.relieve(Relief::Scheduler(index));
        }
        // Whoever accepts waits until every agent was heard, or its guard has ended what it ran.
        let timing = self.context.timing;
        let pause = timing.fence + timing.kill_margin;
        let pause = self.context.between(pause, pause * 2);
        self.context.later(pause, SimEvent::Restoration(Restoration::MoveAhead));
    }

    fn move_ahead(&mut self) {
        let leader = self.schedulers.iter().find(|scheduler| scheduler.leads());
        let nobody_leads = match leader {
            Some(leader) => Err(anyhow::anyhow!("{:?} leads on a store that lost data", leader.place)),
            None => Ok(()),
        };
        self.context.judge(nobody_leads);
        self.withhold();
        if let Some(app) = self.app_lost.take() {
            self.context.witness.app_lost(&app);
            // What somebody stores now counts, whatever was lost.
            self.context.net.regressed = false;
            self.operators.accept_lost(&mut self.context, &app);
            self.context.net.regressed = true;
        }
        let ledgers = self.context.stored_ledgers();
        let of_lease = self.context.stored_lease().map_or(0, |(lease, _)| lease.acceptance);
        let of_ledgers = ledgers.values().map(|(ledger, _)| ledger.write.epoch.0 >> ACCEPTANCE_SHIFT);
        let acceptance = of_ledgers.fold(of_lease, u64::max) + 1;
        let write = WriteStamp { epoch: Epoch(acceptance << ACCEPTANCE_SHIFT), number: 0 };
        for (app, (mut ledger, revision)) in ledgers {
            let remains = self.context.remains(&app, &ledger);
            ledger.move_ahead(&app, remains);
            ledger.write = write;
            self.context.store(Kind::Ledger, &app.as_str().into(), Record::Ledger(ledger.into()), Some(revision));
        }
        self.stop_orphans(acceptance, 0);
    }

    /// What is missing may be back before all of it is dealt with: nobody is to lead on that.
    fn withhold(&mut self) {
        let Some((lease, revision)) = self.context.stored_lease() else { return };
        let (now, acceptance) = (self.context.server_time(), lease.acceptance + 1);
        let record = lease.withheld("doctor", "desk", now, acceptance);
        self.context.store(Kind::Lease, &LEASE_KEY.into(), Record::Lease(record.into()), Some(revision));
    }

    fn stop_orphans(&mut self, acceptance: u64, looks: u32) {
        let epoch = Epoch(acceptance << ACCEPTANCE_SHIFT);
        let orphans = self.context.orphans();
        if orphans.is_empty() {
            return self.accept(acceptance);
        }
        self.context.count(Fault::OrphanStopped);
        for (attempt, agent) in orphans {
            let subject = agent.as_str().into();
            let order = Order { schema: SCHEMA, epoch, agent, attempt, kind: OrderKind::Stop };
            self.context.store(Kind::Orders, &subject, Record::Order(order.into()), None);
        }
        let step = match looks < LOOKS_MAX {
            true => Restoration::StopOrphans { acceptance, looks: looks + 1 },
            false => Restoration::MoveAhead,
        };
        self.context.later(LOOK_AGAIN, SimEvent::Restoration(step));
    }

    fn accept(&mut self, acceptance: u64) {
        let (lease, revision) = self.context.stored_lease().map_or((None, 0), |(lease, at)| (Some(lease), at));
        let found = self.context.net.stream_marks();
        let record = LeaseRecord::accepting(lease.as_ref(), "doctor", "desk", found, acceptance);
        self.context.store(Kind::Lease, &LEASE_KEY.into(), Record::Lease(record.into()), Some(revision));
        self.context.net.regressed = false;
        self.context.count(Fault::LossAccepted);
        let ledgers = self.context.stored_ledgers().into_iter().map(|(app, (ledger, _))| (app, ledger)).collect();
        let unheard = self.unheard_hosts();
        self.context.witness.loss_accepted(&ledgers, &unheard);
    }

    /// Hosts whose agent was not heard for so long that its guard has ended what it may end.
    fn unheard_hosts(&self) -> BTreeSet<usize> {
        let keys = self.context.net.stream(Kind::Agents).last_per_subject();
        let heard: BTreeSet<_> = keys
            .iter()
            .filter(|key| self.context.is_guarded(key))
            .filter_map(|key| Some(key.record.agent()?.boot.clone()))
            .collect();
        self.hosts.iter().filter(|host| !heard.contains(&host.boot_id())).map(|host| host.index).collect()
    }
}

impl SimContext {
    fn is_guarded(&self, key: &Stored) -> bool {
        let guarded = self.timing.fence + self.timing.kill_margin;
        self.server_time() < tickmesh_core::time::after(key.at, guarded)
    }

    fn stored_ledgers(&self) -> BTreeMap<AppName, (Ledger, u64)> {
        let stored = self.net.stream(Kind::Ledger).last_per_subject();
        let ledger = |stored: Stored| {
            let ledger = (**stored.record.ledger()?).clone();
            Some((AppName::new(&*stored.subject).ok()?, (ledger, stored.sequence)))
        };
        stored.into_iter().filter_map(ledger).collect()
    }

    fn stored_lease(&self) -> Option<(LeaseRecord, u64)> {
        let stored = self.net.stream(Kind::Lease).last(LEASE_KEY)?;
        Some(((**stored.record.lease()?).clone(), stored.sequence))
    }

    fn has_noted_ends(&self) -> bool {
        self.stored_lease().is_some_and(|(lease, _)| !lease.streams.is_empty())
    }

    /// What the other streams still have of an app.
    fn remains(&self, app: &AppName, ledger: &Ledger) -> Remains {
        let last_readable = |kind, subject: &str| {
            let stored = self.net.stream(kind).on_subject(subject);
            stored.into_iter().rev().find(|stored| stored.record.is_readable())
        };
        let last = |kind| last_readable(kind, app.as_str());
        let tick = last(Kind::Ticks).and_then(|stored| {
            let message = (**stored.record.tick()?).clone();
            Some(Published { message, sequence: stored.sequence })
        });
        let summary = last(Kind::History).and_then(|stored| {
            let message = (**stored.record.history()?).clone();
            Some(Published { message, sequence: stored.sequence })
        });
        let agents = self.net.stream(Kind::Agents).last_per_subject();
        let machine_of = |attempt: &AttemptId, agent: &AgentName| {
            let records = agents.iter().filter_map(|key| key.record.agent());
            let holder = records.filter(|it| it.agent == *agent).find(|it| it.held.contains(attempt));
            holder.map(|record| record.machine.digest())
        };
        let mut claims_lost = Vec::new();
        for (attempt, open) in ledger.active.iter().flat_map(|run| run.open_attempts(app)) {
            let machine = open.claim().map(|claim| claim.machine).or_else(|| machine_of(&attempt, &open.agent));
            let subject = self.net.result_subject(&attempt, &open.agent);
            if let Some(machine) = machine
                && last_readable(Kind::Results, &subject).is_none()
            {
                claims_lost.push((attempt, machine));
            }
        }
        Remains { tick, summary, claims_lost }
    }

    fn orphans(&self) -> Vec<(AttemptId, AgentName)> {
        let (keys, ledgers) = (self.net.stream(Kind::Agents).last_per_subject(), self.stored_ledgers());
        let agents = keys.iter().filter_map(|key| Some((&**key.record.agent()?, key.at)));
        let ledgers = ledgers.iter().map(|(app, (ledger, _))| (app.as_str(), ledger)).collect();
        orphans(agents, &ledgers, self.server_time(), &self.timing)
    }
}
