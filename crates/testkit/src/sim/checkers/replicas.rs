//! G4: a run has exactly the replicas that its file asks for, each is tried as often as it may be, one attempt after the other,
//! and no replica that succeeded runs again.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use tickmesh_core::{
    history::{ReplicaSummary, RunSummary},
    id::{RunNumber, RunUid},
    ledger::{Cause, Ledger, Phase, Verdict},
    message::{AgentRecord, AttemptEvent, AttemptReport},
    name::{AgentName, AppName, ServiceName},
    outcome::Outcome,
    policy::HostPolicy,
    spec::{AppSpec, LOSSES_MAX, OnLost, RunSpec, ServiceSpec},
};

use super::{
    asked::AskedEnds,
    runs::{Editions, Runs},
};

/// What an agent says of a container that asks for more than the agent has published that it allows.
const BY_POLICY: &str = "its agent was not started with";

#[derive(Debug, Default)]
pub(super) struct Replicas {
    seen: BTreeMap<RunUid, BTreeMap<(ServiceName, u32), Replica>>,
    /// Runs that were being stopped, or that no stored ledger showed while they were active.
    stopped: BTreeSet<RunUid>,
    active: BTreeSet<RunUid>,
    /// Runs that a command stopped, or that may have ended with their app.
    ended_by_people: BTreeSet<(AppName, RunNumber)>,
    /// Newest tombstone of each app.
    tombstones: BTreeMap<AppName, u64>,
    /// Replicas that had succeeded by the end of a run: a retry of it takes them over.
    succeeded: BTreeMap<(AppName, RunNumber), BTreeSet<(ServiceName, u32)>>,
    /// A scheduler that does not know what agents allow may have placed something.
    is_policy_unknown: bool,
    /// What each agent has published that it allows.
    policies: BTreeMap<AgentName, Option<HostPolicy>>,
    /// Agents whose name went to a host of another policy: what was ordered before may come to that one.
    moved: BTreeSet<AgentName>,
    /// Runs of which messages were lost with the store: nobody can say how often they were tried.
    incomplete: BTreeSet<RunUid>,
}

/// What was stored about a replica.
#[derive(Debug, Default)]
struct Replica {
    /// By number, from 1: how each ended.
    attempts: BTreeMap<u32, Option<AttemptEvent>>,
    /// Attempts that ran to an end, or could not.
    ends: u32,
    /// Those that count.
    losses: u32,
    /// Whether an attempt was lost, for whatever reason.
    lost: bool,
    /// Whether a host has refused it.
    refused: bool,
}

impl Replicas {
    pub(super) fn earlier_release_began(&mut self) {
        self.is_policy_unknown = true;
    }

    /// An agent has written its key.
    pub(super) fn heard(&mut self, record: &AgentRecord) {
        let before = self.policies.insert(record.agent.clone(), record.policy.clone());
        if before.is_some_and(|before| before != record.policy) {
            self.moved.insert(record.agent.clone());
        }
    }

    pub(super) fn recorded(&mut self, app: &AppName, ledger: &Ledger) {
        for handled in &ledger.requests {
            if let Verdict::Stopping { runs } = &handled.verdict {
                self.ended_by_people.extend(runs.iter().map(|run| (app.clone(), *run)));
            }
        }
        // The app was removed since, and maybe applied again.
        if self.tombstones.insert(app.clone(), ledger.tombstone_revision) != Some(ledger.tombstone_revision) {
            self.ended_by_people.extend((1..=ledger.last_run).map(|run| (app.clone(), run)));
        }
        for run in &ledger.active {
            self.active.insert(run.uid);
            if *run.phase() != Phase::Running {
                self.stopped.insert(run.uid);
            }
        }
    }

    /// Messages about the runs so far are lost.
    pub(super) fn loss_accepted(&mut self, ledgers: &BTreeMap<AppName, Ledger>) {
        let active = ledgers.values().flat_map(|ledger| &ledger.active).map(|run| run.uid);
        let pending = ledgers.values().flat_map(|ledger| &ledger.history.pending).map(|summary| summary.uid);
        self.incomplete.extend(self.seen.keys().chain(&self.active).copied().chain(active).chain(pending));
    }

    /// A message about an attempt was stored.
    pub(super) fn reported(&mut self, report: &AttemptReport, runs: &Runs, editions: &Editions) -> anyhow::Result<()> {
        let id = &report.attempt;
        if self.incomplete.contains(&id.uid) {
            return Ok(());
        }
        let replicas = self.seen.entry(id.uid).or_default();
        let replica = replicas.entry((id.service.clone(), id.replica)).or_default();
        let spec = runs.spec(id.uid, editions).map(|spec| spec.run());
        if !replica.attempts.contains_key(&id.attempt) {
            replica.begin(id.attempt, spec.as_deref())?;
        }
        match &report.event {
            AttemptEvent::Claimed { .. } | AttemptEvent::Revoked { .. } | AttemptEvent::Returned { .. } => {}
            AttemptEvent::Cancelled { exit_code: None } => {}
            AttemptEvent::Cancelled { exit_code: Some(_) }
            | AttemptEvent::TimedOut { .. }
            | AttemptEvent::Exited { .. }
            | AttemptEvent::CouldNotStart { permanent: false, .. } => replica.ends += 1,
            // That concerns one host, and not the replica.
            AttemptEvent::CouldNotStart { permanent: true, .. } => replica.refused = true,
            AttemptEvent::Lost { reason } => {
                replica.lost = true;
                replica.losses += u32::from(reason.counts());
            }
        }
        if report.event.is_terminal() {
            replica.attempts.insert(id.attempt, Some(report.event.clone()));
        } else {
            replica.attempts.insert(id.attempt, None);
        }
        let Some(spec) = spec else { return Ok(()) };
        let service = spec.service(&id.service).context("the run has no such service")?;
        let is_strict =
            matches!(&report.event, AttemptEvent::CouldNotStart { reason, .. } if reason.contains(BY_POLICY));
        let is_known = !self.is_policy_unknown && !self.moved.contains(&report.agent);
        ensure!(!is_strict || service.global || !is_known, "placed where its host is known to forbid it");
        ensure!(service.global || id.replica < service.scale, "the service has only {} replicas", service.scale);
        let count = service.retry.count;
        ensure!(replica.ends <= count + 1, "more attempts than retry_count {count} allows");
        ensure!(replica.losses <= LOSSES_MAX, "lost more than {LOSSES_MAX} times");
        Ok(())
    }

    /// The summary of a run was stored.
    pub(super) fn summed_up(
        &mut self,
        summary: &RunSummary,
        asked: &AskedEnds,
        runs: &Runs,
        editions: &Editions,
    ) -> anyhow::Result<()> {
        let key = (summary.app.clone(), summary.run);
        let succeeded = summary.replicas.iter().filter(|it| it.outcome.is_success());
        self.succeeded.insert(key, succeeded.map(|it| (it.service.clone(), it.replica)).collect());
        if self.incomplete.contains(&summary.uid) {
            return Ok(());
        }
        let Some(spec) = runs.spec(summary.uid, editions) else {
            // Nothing was ever ordered for it: nothing of it can have run.
            let ran = summary.replicas.iter().find(|it| it.outcome.is_success() && !self.is_carried(summary, it));
            ensure!(ran.is_none(), "nothing was ordered, and {ran:?} succeeded");
            return Ok(());
        };
        check_indexes(&spec.run(), summary)?;
        for replica in &summary.replicas {
            self.check(spec, summary, replica, (asked, editions)).with_context(|| format!("{replica:?}"))?;
        }
        Ok(())
    }

    /// Whether a retry took a replica over from the run before.
    fn is_carried(&self, summary: &RunSummary, replica: &ReplicaSummary) -> bool {
        let Cause::Retry { of, .. } = &summary.cause else { return false };
        let before = self.succeeded.get(&(summary.app.clone(), *of));
        before.is_some_and(|before| before.contains(&(replica.service.clone(), replica.replica)))
    }

    /// Whether a host has refused a service in a run: once all have, those that wait for another one end with it.
    fn is_refused(&self, summary: &RunSummary, service: &ServiceSpec) -> bool {
        let mut seen = self.seen.get(&summary.uid).into_iter().flatten();
        seen.any(|((name, _), replica)| *name == service.name && replica.refused)
    }

    /// Whether somebody or something had the run end: then nothing is tried again.
    fn was_stopped(&self, spec: &AppSpec, summary: &RunSummary) -> bool {
        spec.run().timeout.is_some()
            || self.stopped.contains(&summary.uid)
            || !self.active.contains(&summary.uid)
            || self.ended_by_people.contains(&(summary.app.clone(), summary.run))
    }

    /// What the history says of a replica is what happened to it, and it was not given up too early.
    fn check(
        &self,
        spec: &AppSpec,
        summary: &RunSummary,
        replica: &ReplicaSummary,
        (asked, editions): (&AskedEnds, &Editions),
    ) -> anyhow::Result<()> {
        let nothing = Replica::default();
        let key = (replica.service.clone(), replica.replica);
        let seen = self.seen.get(&summary.uid).and_then(|run| run.get(&key)).unwrap_or(&nothing);
        if self.is_carried(summary, replica) && editions.always_scaled(&summary.app, &replica.service) {
            ensure!(seen.attempts.is_empty() && replica.outcome.is_success(), "it had succeeded in the run before");
            return Ok(());
        }
        if self.is_carried(summary, replica) && seen.attempts.is_empty() {
            return Ok(());
        }
        // A run that did not wait for its agents may have ended before a success that was stored was folded.
        let is_unreported =
            asked.is_unreported(&summary.app, summary.run, summary.uid) && !replica.outcome.is_success();
        let agrees = is_unreported || replica.outcome.is_success() == seen.succeeded();
        ensure!(agrees, "success was stored: {}", seen.succeeded());
        let last = seen.attempts.last_key_value().map_or(0, |(number, _)| *number);
        ensure!(replica.attempts >= last, "attempt {last} was stored");
        let stopped = editions.ever_replace(&summary.app) || self.was_stopped(spec, summary);
        let run = spec.run();
        let service = run.service(&replica.service).context("no such service")?;
        let is_refused = matches!(replica.outcome, Outcome::CouldNotStart { .. }) && self.is_refused(summary, service);
        let is_over = stopped || is_refused || seen.is_used_up(&run, service, &replica.outcome);
        ensure!(is_over, "{seen:?} is not used up");
        Ok(())
    }
}

/// Exactly the replicas that the file asks for; a global service has one on each of some agents.
fn check_indexes(spec: &RunSpec, summary: &RunSummary) -> anyhow::Result<()> {
    for service in &spec.services {
        let of_service = summary.replicas.iter().filter(|it| it.service == service.name);
        let indexes: Vec<u32> = of_service.map(|it| it.replica).collect();
        let scale = if service.global { indexes.len() as u32 } else { service.scale };
        ensure!(indexes == (0..scale).collect::<Vec<_>>(), "replicas {indexes:?} of {}", service.name);
    }
    let services: BTreeSet<_> = summary.replicas.iter().map(|it| &it.service).collect();
    ensure!(services.len() <= spec.services.len(), "services that nobody asked for");
    Ok(())
}

impl Replica {
    /// The first message about attempt `number`: all before it have ended, without success.
    fn begin(&self, number: u32, spec: Option<&RunSpec>) -> anyhow::Result<()> {
        let open = self.attempts.iter().find(|(_, end)| end.is_none());
        ensure!(open.is_none(), "attempt {} has not ended", open.map_or(0, |(number, _)| *number));
        let last = self.attempts.last_key_value().map_or(0, |(last, _)| *last);
        ensure!(number == last + 1, "attempt {number} comes after attempt {last}");
        ensure!(!self.succeeded(), "the replica had succeeded");
        let fails = spec.is_some_and(|spec| spec.on_lost == OnLost::Fail);
        ensure!(!fails || !self.lost, "a lost attempt was to end the replica");
        Ok(())
    }

    fn succeeded(&self) -> bool {
        self.attempts.values().any(|end| matches!(end, Some(AttemptEvent::Exited { exit_code: 0, .. })))
    }

    /// Whether a replica of a run that nobody stopped may have ended so.
    fn is_used_up(&self, spec: &RunSpec, service: &ServiceSpec, outcome: &Outcome) -> bool {
        let last = self.attempts.last_key_value().and_then(|(_, end)| end.as_ref());
        let all_used = self.ends == service.retry.count + 1;
        match (outcome, last) {
            (Outcome::Succeeded, Some(AttemptEvent::Exited { exit_code: 0, .. })) => true,
            (Outcome::Failed { exit_code, .. }, Some(AttemptEvent::Exited { exit_code: seen, .. })) => {
                exit_code == seen && all_used
            }
            (Outcome::TimedOut, Some(AttemptEvent::TimedOut { .. })) => all_used,
            (Outcome::CouldNotStart { .. }, Some(AttemptEvent::CouldNotStart { permanent, .. })) => {
                *permanent || all_used || service.global
            }
            (Outcome::Lost { reason }, Some(AttemptEvent::Lost { reason: seen })) => {
                reason == seen && (spec.on_lost == OnLost::Fail || self.losses == LOSSES_MAX)
            }
            // No agent matched, or the one that it was for takes nothing any more, not even another try.
            (Outcome::CouldNotStart { .. }, _) => service.global,
            (Outcome::Skipped { .. }, None) => !service.depends.is_empty(),
            (_, _) => false,
        }
    }
}
