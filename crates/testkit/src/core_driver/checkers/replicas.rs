//! G4: a run has exactly the replicas that its spec asks for, each is tried as often as it may be, one attempt after the
//! other, each attempt with at most one container ever, and no replica that succeeded runs again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::{Context as _, ensure};
use tickmesh_core::{
    history::{ReplicaSummary, RunSummary},
    id::{AttemptId, RequestId, RunUid},
    ledger::{Cause, Ledger},
    message::{AttemptEvent, AttemptReport},
    name::ServiceName,
    outcome::Outcome,
    spec::{LOSSES_MAX, RunSpec, ServiceSpec},
};

#[derive(Debug, Default)]
pub(super) struct Replicas {
    runs: BTreeMap<RunUid, Run>,
    requests: BTreeMap<RequestId, RunUid>,
    /// Runs whose end somebody asked for.
    stopped: BTreeSet<RunUid>,
}

#[derive(Debug)]
struct Run {
    spec: Arc<RunSpec>,
    replicas: BTreeMap<(ServiceName, u32), Replica>,
}

/// What the engine and the stream saw of a replica.
#[derive(Debug, Default)]
struct Replica {
    /// By number, from 1.
    attempts: BTreeMap<u32, Attempt>,
    /// Attempts that ran to an end, or could not.
    ends: u32,
    losses: u32,
}

#[derive(Debug, Default)]
struct Attempt {
    claimed: bool,
    container: Container,
    end: Option<AttemptEvent>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Container {
    #[default]
    Never,
    Lives,
    Over,
}

impl Replicas {
    pub(super) fn recorded(&mut self, ledger: &Ledger) -> anyhow::Result<()> {
        for run in &ledger.active {
            let new = || Run { spec: run.spec.clone(), replicas: BTreeMap::new() };
            let known = self.runs.entry(run.uid).or_insert_with(new);
            ensure!(known.spec == run.spec, "an active run got another spec");
            if let Cause::Manual { request, .. } = &run.cause {
                let first = *self.requests.entry(*request).or_insert(run.uid);
                ensure!(first == run.uid, "request {request} was carried out twice");
            }
        }
        Ok(())
    }

    pub(super) fn asked_to_stop(&mut self, ledger: &Ledger) {
        self.stopped.extend(ledger.active.iter().map(|run| run.uid));
    }

    fn replica(&mut self, id: &AttemptId) -> anyhow::Result<(&ServiceSpec, &mut Replica)> {
        let run = self.runs.get_mut(&id.uid).context("no stored ledger has this run")?;
        let service = run.spec.service(&id.service).context("the run has no such service")?;
        ensure!(id.replica < service.scale, "the service has only {} replicas", service.scale);
        Ok((service, run.replicas.entry((id.service.clone(), id.replica)).or_default()))
    }

    pub(super) fn reported(&mut self, report: &AttemptReport) -> anyhow::Result<()> {
        let number = report.attempt.attempt;
        let (service, replica) = self.replica(&report.attempt)?;
        if !replica.attempts.contains_key(&number) {
            replica.begin(number)?;
        }
        let attempt = replica.attempts.entry(number).or_default();
        match &report.event {
            AttemptEvent::Claimed { .. } => attempt.claimed = true,
            AttemptEvent::Revoked { .. } | AttemptEvent::Cancelled { exit_code: None } => {}
            AttemptEvent::Cancelled { exit_code: Some(_) }
            | AttemptEvent::Exited { .. }
            | AttemptEvent::TimedOut { .. }
            | AttemptEvent::CouldNotStart { .. } => replica.ends += 1,
            AttemptEvent::Lost { .. } => replica.losses += 1,
        }
        if report.event.is_terminal() {
            attempt.end = Some(report.event.clone());
        }
        ensure!(
            replica.ends <= service.retry.count + 1,
            "more attempts than retry_count {} allows",
            service.retry.count
        );
        ensure!(replica.losses <= LOSSES_MAX, "lost more than {LOSSES_MAX} times");
        Ok(())
    }

    pub(super) fn started(&mut self, id: &AttemptId) -> anyhow::Result<()> {
        let (_, replica) = self.replica(id)?;
        let beside = replica.attempts.iter().find(|(_, other)| other.container == Container::Lives);
        ensure!(beside.is_none(), "beside that of attempt {}", beside.map_or(0, |(number, _)| *number));
        let attempt = replica.attempts.entry(id.attempt).or_default();
        ensure!(attempt.claimed && attempt.end.is_none(), "without a claim, or after its end");
        ensure!(attempt.container == Container::Never, "a second one");
        attempt.container = Container::Lives;
        Ok(())
    }

    pub(super) fn stopped(&mut self, id: &AttemptId) {
        if let Ok((_, replica)) = self.replica(id)
            && let Some(attempt) = replica.attempts.get_mut(&id.attempt)
        {
            attempt.container = Container::Over;
        }
    }

    pub(super) fn summed_up(&self, summary: &RunSummary) -> anyhow::Result<()> {
        let Some(run) = self.runs.get(&summary.uid) else {
            // Started by an instant just before the rm that ended it, in one decision: nothing of it may have run.
            let untouched = |it: &ReplicaSummary| it.attempts == 0 && it.outcome == Outcome::Cancelled;
            ensure!(summary.replicas.iter().all(untouched), "no stored ledger had this run");
            return Ok(());
        };
        let services = run.spec.services.iter();
        let expect: Vec<_> = services.flat_map(|it| (0..it.scale).map(|index| (&it.name, index))).collect();
        let replicas: Vec<_> = summary.replicas.iter().map(|it| (&it.service, it.replica)).collect();
        ensure!(replicas == expect, "replicas {replicas:?}, not {expect:?}");
        let stopped = self.stopped.contains(&summary.uid);
        for replica in &summary.replicas {
            run.agrees_with(replica, stopped).with_context(|| format!("{replica:?}"))?;
        }
        Ok(())
    }
}

impl Replica {
    /// The first message about attempt `number`: all before it have ended, without success.
    fn begin(&self, number: u32) -> anyhow::Result<()> {
        let before = self.attempts.last_key_value();
        let last = before.map_or(0, |(last, _)| *last);
        ensure!(number == last + 1, "attempt {number} comes after attempt {last}");
        ensure!(before.is_none_or(|(_, attempt)| attempt.end.is_some()), "attempt {last} has not ended");
        ensure!(!self.succeeded(), "the replica had succeeded");
        Ok(())
    }

    fn succeeded(&self) -> bool {
        self.attempts.values().any(|attempt| matches!(attempt.end, Some(AttemptEvent::Exited { exit_code: 0, .. })))
    }

    fn last_end(&self) -> Option<&AttemptEvent> {
        self.attempts.last_key_value().and_then(|(_, attempt)| attempt.end.as_ref())
    }
}

impl Run {
    /// What the history says of a replica is what happened to it, and it was not given up too early.
    fn agrees_with(&self, summary: &ReplicaSummary, stopped: bool) -> anyhow::Result<()> {
        let nothing = Replica::default();
        let seen = self.replicas.get(&(summary.service.clone(), summary.replica)).unwrap_or(&nothing);
        let last = seen.attempts.last_key_value().map_or(0, |(number, _)| *number);
        ensure!(summary.attempts == last, "the last attempt was {last}");
        ensure!(summary.outcome.is_success() == seen.succeeded(), "success was stored: {}", seen.succeeded());
        if stopped && summary.outcome == Outcome::Cancelled {
            return Ok(());
        }
        let retry_count = self.spec.service(&summary.service).context("no such service")?.retry.count;
        let used_up = stopped || seen.ends == retry_count + 1;
        let fits = match (&summary.outcome, seen.last_end()) {
            (Outcome::Succeeded, Some(AttemptEvent::Exited { exit_code: 0, .. })) => true,
            (Outcome::Failed { exit_code }, Some(AttemptEvent::Exited { exit_code: seen, .. })) => {
                exit_code == seen && used_up
            }
            (Outcome::CouldNotStart { .. }, Some(AttemptEvent::CouldNotStart { permanent, .. })) => {
                *permanent || used_up
            }
            (Outcome::Lost { reason }, Some(AttemptEvent::Lost { reason: last })) => {
                reason == last && (stopped || seen.losses == LOSSES_MAX)
            }
            (_, _) => false,
        };
        ensure!(fits, "{} ends and {} losses, the last was {:?}", seen.ends, seen.losses, seen.last_end());
        Ok(())
    }
}
