//! G1 and G8, from below: while an attempt of a run is claimed and has not ended, or a container of it lives, no attempt of
//! another run of its app is claimed, and no container of another run, or of the same replica, starts.
//!
//! The exceptions to G8 that the design lists are seen here and counted: containers of a host where nobody is left to stop
//! them, containers that go on without the mesh on a host that somebody said will not come back, and containers that an engine did not stop, or started, when it did not answer for long.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use tickmesh_agent::engine::ContainerId;
use tickmesh_core::{
    id::{AttemptId, Nonce, RunNumber, RunUid},
    message::{AttemptEvent, AttemptReport},
    name::{AgentName, AppName},
    outcome::LostReason,
    spec::OnDisconnect,
};

use super::{
    Sighting,
    asked::AskedEnds,
    runs::{Editions, Runs},
};

/// Whether anybody is left on a host who would stop its containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Rule {
    Guarded,
    Unguarded,
}

#[derive(Debug, Default)]
pub(super) struct Live {
    attempts: BTreeMap<AttemptId, Attempt>,
    /// Claimed, and without an end, with the agent that claimed it.
    open: BTreeMap<AttemptId, AgentName>,
    containers: BTreeMap<ContainerId, Container>,
    newest: BTreeMap<AppName, (RunNumber, RunUid)>,
    /// Runs that went with the data that was lost.
    lost: BTreeSet<RunUid>,
    hosts: BTreeMap<usize, HostSeen>,
    excused: u64,
}

#[derive(Debug)]
struct Attempt {
    /// Of its claim; `None`: it was never claimed.
    nonce: Option<Nonce>,
    ended: bool,
    /// Somebody said that its host will not come back, where it goes on without the mesh. Nobody is left to stop it there.
    forgotten: bool,
    /// Data was lost since: if its claim went with it, an order of the copy is claimed again.
    before_loss: bool,
    /// The one container that may ever start for it.
    container: Option<ContainerId>,
    /// How often each engine had been frozen for too long when the attempt was claimed.
    freezes: BTreeMap<usize, u32>,
}

impl Attempt {
    fn claimed(nonce: Nonce) -> Self {
        Self {
            nonce: Some(nonce),
            ended: false,
            forgotten: false,
            before_loss: false,
            container: None,
            freezes: BTreeMap::new(),
        }
    }
}

#[derive(Debug)]
struct Container {
    host: usize,
    attempt: AttemptId,
    excused: bool,
}

#[derive(Debug, Default, Clone, Copy)]
struct HostSeen {
    unguarded: bool,
    frozen_since: Option<Duration>,
    /// How often its engine was frozen for longer than the margin that a guard leaves it.
    freezes: u32,
}

/// Whether this is the end of an attempt that may still run somewhere, by the word of a person.
fn is_forgotten(report: &AttemptReport, is_given_up: bool, runs: &Runs, editions: &Editions) -> bool {
    let goes_on = || {
        let spec = runs.spec(report.attempt.uid, editions);
        spec.is_some_and(|spec| spec.run().on_disconnect == OnDisconnect::Continue)
    };
    let is_forgotten = matches!(report.event, AttemptEvent::Lost { reason: LostReason::AgentForgotten });
    (is_forgotten || is_given_up) && goes_on()
}

impl Live {
    /// Runs may have ended while something of them was open. Nobody waits for that, and it may run beside others.
    pub(super) fn ended_unreported(&mut self, asked: &AskedEnds) {
        self.open.retain(|id, _| !asked.covers(id));
        let is_over = |container: &&mut Container| asked.covers(&container.attempt);
        self.containers.values_mut().filter(is_over).for_each(|container| container.excused = true);
    }

    /// A claim counts even on a store that lost data: under it a container starts. Its attempt may have ended
    /// in the messages that were lost. A later attempt of its replica, which the copy does not know, may run on
    /// another host until somebody accepts the loss: a listed exception.
    pub(super) fn reported_in_loss(&mut self, report: &AttemptReport) {
        if let AttemptEvent::Claimed { nonce, .. } = &report.event {
            let of_replica = |id: &AttemptId| AttemptId { attempt: 0, ..id.clone() };
            let replica = of_replica(&report.attempt);
            let later =
                |it: &&mut Container| it.attempt.attempt > report.attempt.attempt && of_replica(&it.attempt) == replica;
            self.containers.values_mut().filter(later).for_each(|container| container.excused = true);
            let freezes = self.hosts.iter().map(|(host, seen)| (*host, seen.freezes)).collect();
            let attempt = Attempt { freezes, ..Attempt::claimed(*nonce) };
            self.attempts.insert(report.attempt.clone(), attempt);
        }
    }

    /// The messages since a copy are lost: what was open is known to the ledgers alone. Containers live on, and
    /// those that go on without the mesh where no agent was heard may live for long. `left`: the runs that ledgers have still.
    pub(super) fn loss_accepted(
        &mut self,
        unheard: &BTreeSet<usize>,
        left: &BTreeSet<RunUid>,
        (runs, editions): (&Runs, &Editions),
    ) {
        self.lost = runs.uids().filter(|uid| !left.contains(uid)).collect();
        self.newest.clear();
        self.open.clear();
        self.attempts.values_mut().for_each(|attempt| (attempt.ended, attempt.before_loss) = (false, true));
        for container in self.containers.values_mut().filter(|container| unheard.contains(&container.host)) {
            let spec = runs.spec(container.attempt.uid, editions);
            container.excused |= spec.is_some_and(|spec| spec.run().on_disconnect == OnDisconnect::Continue);
        }
    }

    /// A message about an attempt was stored.
    pub(super) fn reported(
        &mut self,
        report: &AttemptReport,
        at: Timestamp,
        (asked, runs, editions): (&AskedEnds, &Runs, &Editions),
    ) -> anyhow::Result<()> {
        let id = &report.attempt;
        let is_given_up = asked.gives_up(report, at);
        match &report.event {
            AttemptEvent::Claimed { nonce, .. } => {
                // Of a run that did not wait for its agents nobody waits for the end either. And a claim that was on its way
                // while its run was lost is given back before anything starts; if not, the container is judged.
                if asked.covers(id) || self.lost.contains(&id.uid) {
                    self.excused += 1;
                } else {
                    self.enter(id, runs, editions).context("G1, claim")?;
                    self.open.insert(id.clone(), report.agent.clone());
                }
                let freezes = self.hosts.iter().map(|(host, seen)| (*host, seen.freezes)).collect();
                let attempt = Attempt { freezes, ..Attempt::claimed(*nonce) };
                let before = self.attempts.insert(id.clone(), attempt);
                ensure!(before.is_none_or(|before| before.before_loss), "a second claim");
            }
            AttemptEvent::Revoked { .. }
            | AttemptEvent::Returned { .. }
            | AttemptEvent::Cancelled { .. }
            | AttemptEvent::Exited { .. }
            | AttemptEvent::TimedOut { .. }
            | AttemptEvent::CouldNotStart { .. }
            | AttemptEvent::Lost { .. } => {
                let unclaimed = || Attempt {
                    nonce: None,
                    ended: false,
                    forgotten: false,
                    before_loss: false,
                    container: None,
                    freezes: BTreeMap::new(),
                };
                let attempt = self.attempts.entry(id.clone()).or_insert_with(unclaimed);
                ensure!(!attempt.ended, "a second end");
                attempt.ended = true;
                attempt.forgotten = is_forgotten(report, is_given_up, runs, editions);
                if attempt.forgotten {
                    self.containers.values_mut().filter(|it| it.attempt == *id).for_each(|it| it.excused = true);
                }
                self.open.remove(id);
            }
        }
        Ok(())
    }

    /// The process of a container begins.
    pub(super) fn started(
        &mut self,
        sighting: &Sighting<'_>,
        (asked, runs, editions): (&AskedEnds, &Runs, &Editions),
    ) -> anyhow::Result<()> {
        let Sighting { host, container, attempt: id, nonce } = *sighting;
        tracing::debug!(host, %container, attempt = %id, "started");
        let seen = self.hosts.get(&host).copied().unwrap_or_default();
        let is_over = asked.covers(id);
        let attempt = self.attempts.get_mut(id).context("create without a claim")?;
        ensure!(attempt.nonce == Some(nonce), "G8: it was created under another claim than the stored one");
        ensure!(attempt.container.is_none(), "G8: a second start for this attempt");
        attempt.container = Some(container.clone());
        // What an engine was asked before it froze may take effect while it answers nobody, or when it is back: a guard can
        // stop it in neither case.
        let thawed_since = seen.freezes > attempt.freezes.get(&host).copied().unwrap_or_default();
        let excused = seen.unguarded || seen.frozen_since.is_some() || thawed_since || attempt.forgotten || is_over;
        if attempt.ended {
            ensure!(excused, "G8: its attempt had ended");
            self.excused += 1;
        } else if is_over || (attempt.before_loss && excused) {
            // What the copy does not know has no end on record: a slow start may be all that is left of it.
            self.excused += 1;
        } else {
            runs.check_instant(&id.app, id.uid, editions)?;
            self.enter(id, runs, editions).context("G1, container")?;
        }
        self.check_replica(id)?;
        let alive = Container { host, attempt: id.clone(), excused };
        self.containers.insert(container.clone(), alive);
        Ok(())
    }

    /// G8: no other container of the same replica lives.
    fn check_replica(&mut self, id: &AttemptId) -> anyhow::Result<()> {
        let same =
            |other: &AttemptId| other.uid == id.uid && other.service == id.service && other.replica == id.replica;
        let beside = self.containers.values().filter(|container| same(&container.attempt));
        let (excused, others): (Vec<_>, Vec<_>) = beside.partition(|container| self.is_excused(container));
        let other = others.first().map(|container| &container.attempt);
        ensure!(other.is_none(), "G8: beside that of {}", other.map(ToString::to_string).unwrap_or_default());
        self.excused += excused.len() as u64;
        Ok(())
    }

    /// Something of this attempt's run is about to exist.
    fn enter(&mut self, id: &AttemptId, runs: &Runs, editions: &Editions) -> anyhow::Result<()> {
        let newest = self.newest.entry(id.app.clone()).or_insert((id.run, id.uid));
        ensure!(id.run != newest.0 || id.uid == newest.1, "two runs have the number {}", id.run);
        let may_overlap = |other: RunNumber, uid: RunUid| {
            let later = if id.run > other { id.uid } else { uid };
            runs.may_overlap(later, editions)
        };
        ensure!(id.run >= newest.0 || may_overlap(newest.0, newest.1), "run {} had begun", newest.0);
        if id.run > newest.0 {
            *newest = (id.run, id.uid);
        }
        let other_run =
            |other: &&AttemptId| other.app == id.app && other.uid != id.uid && !may_overlap(other.run, other.uid);
        let open = self.open.keys().find(other_run);
        ensure!(open.is_none(), "{} is not over", open.map(ToString::to_string).unwrap_or_default());
        let alive = self.containers.values().filter(|container| other_run(&&container.attempt));
        let (excused, others): (Vec<_>, Vec<_>) = alive.partition(|container| self.is_excused(container));
        let other = others.first().map(|container| &container.attempt);
        ensure!(other.is_none(), "a container of {} lives", other.map(ToString::to_string).unwrap_or_default());
        self.excused += excused.len() as u64;
        Ok(())
    }

    fn is_excused(&self, container: &Container) -> bool {
        let host = self.hosts.get(&container.host).copied().unwrap_or_default();
        container.excused || host.unguarded || host.frozen_since.is_some()
    }

    pub(super) fn open_of(&self, agent: &AgentName) -> Vec<&AttemptId> {
        self.open.iter().filter(|(_, claimer)| *claimer == agent).map(|(id, _)| id).collect()
    }

    pub(super) fn stopped(&mut self, container: &ContainerId) {
        if let Some(over) = self.containers.remove(container) {
            tracing::debug!(host = over.host, %container, attempt = %over.attempt, "over");
        }
    }

    pub(super) fn host_seen(&mut self, host: usize, rule: Rule) {
        self.hosts.entry(host).or_default().unguarded = rule == Rule::Unguarded;
        if rule == Rule::Unguarded {
            self.excuse_all_on(host);
        }
    }

    pub(super) fn engine_frozen(&mut self, host: usize, now: Duration) {
        self.hosts.entry(host).or_default().frozen_since.get_or_insert(now);
    }

    /// An engine that did not answer for less than the margin that a guard leaves it has stopped everything in time.
    pub(super) fn engine_thawed(&mut self, host: usize, now: Duration, margin: Duration) {
        let seen = self.hosts.entry(host).or_default();
        if seen.frozen_since.take().is_some_and(|since| now.saturating_sub(since) > margin) {
            seen.freezes += 1;
            self.excuse_all_on(host);
        }
    }

    fn excuse_all_on(&mut self, host: usize) {
        for container in self.containers.values_mut().filter(|container| container.host == host) {
            container.excused = true;
        }
    }

    pub(super) fn excused(&self) -> u64 {
        self.excused
    }

    pub(super) fn any(&self) -> bool {
        !self.containers.is_empty()
    }
}
