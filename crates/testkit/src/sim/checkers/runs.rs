//! What people applied, and which of it each run was ordered with.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Included},
    sync::Arc,
};

use anyhow::ensure;
use jiff::{SignedDuration, Timestamp};
use tickmesh_core::{
    id::{RunNumber, RunUid},
    ledger::{Cause, Origin},
    message::{Order, OrderKind},
    name::{AppName, ServiceName},
    spec::{AppSpec, Overlap},
};

use crate::sim::generators::{self, Edition};

/// A host whose clock is at most so far behind the server's starts nothing before its instant.
const BEHIND_MAX: SignedDuration = SignedDuration::from_millis(1_500);

/// Every revision of every app.
#[derive(Debug, Default)]
pub(super) struct Editions {
    by_revision: BTreeMap<(AppName, u64), (Timestamp, Arc<Edition>)>,
    by_number: BTreeMap<u64, Arc<Edition>>,
    /// Those that were lost with the store. Runs of theirs may still be under way on an agent.
    lost: Vec<Arc<Edition>>,
}

impl Editions {
    pub(super) fn add(&mut self, revision: u64, at: Timestamp, edition: Arc<Edition>) {
        self.by_number.insert(edition.number, edition.clone());
        self.by_revision.insert((edition.app.clone(), revision), (at, edition));
    }

    /// The revisions of an app are gone.
    pub(super) fn forget_app(&mut self, app: &AppName) {
        let stored = std::mem::take(&mut self.by_revision);
        let (lost, kept): (BTreeMap<_, _>, BTreeMap<_, _>) = stored.into_iter().partition(|((of, _), _)| of == app);
        self.by_revision = kept;
        self.lost.extend(lost.into_values().map(|(_, edition)| edition));
    }

    /// Revisions after this one were never stored.
    pub(super) fn forget_after(&mut self, revision: u64) {
        let stored = std::mem::take(&mut self.by_revision);
        let (kept, lost): (BTreeMap<_, _>, BTreeMap<_, _>) =
            stored.into_iter().partition(|((_, stored), _)| *stored <= revision);
        self.by_revision = kept;
        self.lost.extend(lost.into_values().map(|(_, edition)| edition));
    }

    /// Revisions of an app after one, up to another.
    pub(super) fn between(
        &self,
        app: &AppName,
        after: u64,
        through: u64,
    ) -> impl Iterator<Item = &(Timestamp, Arc<Edition>)> {
        self.by_revision
            .range((Excluded((app.clone(), after)), Included((app.clone(), through))))
            .map(|(_, edition)| edition)
    }

    pub(super) fn at(&self, app: &AppName, revision: u64) -> Option<&Arc<Edition>> {
        self.by_revision.get(&(app.clone(), revision)).map(|(_, edition)| edition)
    }

    /// Whether an instant was one of an app's, under any of its schedules.
    fn is_due(&self, app: &AppName, instant: Timestamp) -> bool {
        let lost = self.lost.iter().filter(|edition| edition.app == *app);
        let editions = self.between(app, 0, u64::MAX).map(|(_, edition)| edition).chain(lost);
        editions.filter_map(|edition| edition.rhythm).any(|rhythm| rhythm.is_due(instant))
    }

    /// Whether any file of an app let a tick take the place of active runs.
    pub(super) fn ever_replace(&self, app: &AppName) -> bool {
        self.specs(app).any(|spec| spec.overlap == Overlap::Replace)
    }

    /// Whether every file of an app has this service, with a fixed number of replicas: only then a retry is sure to take over
    /// what succeeded.
    pub(super) fn always_scaled(&self, app: &AppName, service: &ServiceName) -> bool {
        self.specs(app).all(|spec| spec.run().service(service).is_some_and(|service| !service.global))
    }

    fn specs(&self, app: &AppName) -> impl Iterator<Item = &AppSpec> {
        self.between(app, 0, u64::MAX).filter_map(|(_, edition)| edition.spec.as_deref())
    }

    fn spec(&self, number: u64) -> Option<&Arc<AppSpec>> {
        self.by_number.get(&number)?.spec.as_ref()
    }
}

/// A run, as its orders show it.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) number: RunNumber,
    /// Of the file that it was started with.
    edition: u64,
    pub(super) cause: Cause,
    scheduled_at: Option<Timestamp>,
}

/// Every run that something was ordered for.
#[derive(Debug, Default)]
pub(super) struct Runs {
    runs: BTreeMap<RunUid, Run>,
    /// The run of each instant (guarantee G2: no instant has two).
    by_instant: BTreeMap<(AppName, Timestamp), RunUid>,
}

impl Runs {
    /// Instants are decided again, since the ledgers that had decided them are lost.
    pub(super) fn forget_instants(&mut self) {
        self.by_instant.clear();
    }

    /// An order was stored. All of a run are of one file, one cause and one instant.
    pub(super) fn ordered(&mut self, order: &Order) -> anyhow::Result<()> {
        let OrderKind::Start(start) = &order.kind else { return Ok(()) };
        let (id, edition) = (&order.attempt, generators::edition_of(&start.container.image));
        let Some(edition) = edition else { anyhow::bail!("G10: nobody applied the image `{}`", start.container.image) };
        let (cause, scheduled_at) = (start.cause.clone(), start.scheduled_at);
        // A retry is for the same instant as the run before.
        if let Some(instant) = scheduled_at.filter(|_| cause.origin() == Origin::Tick) {
            let first = *self.by_instant.entry((id.app.clone(), instant)).or_insert(id.uid);
            ensure!(first == id.uid, "G2: the instant {instant} of {} has two runs", id.app);
        }
        let known = self.runs.entry(id.uid).or_insert_with(|| Run { number: id.run, edition, cause, scheduled_at });
        ensure!(known.number == id.run, "G5: run {} has the uid of run {}", id.run, known.number);
        ensure!(known.edition == edition, "run {} of {} was started with two files", id.run, id.app);
        ensure!(known.cause == start.cause && known.scheduled_at == scheduled_at, "run {} has two causes", id.run);
        Ok(())
    }

    /// Every run that something was ordered for.
    pub(super) fn uids(&self) -> impl Iterator<Item = RunUid> {
        self.runs.keys().copied()
    }

    /// What a run was started with, once something was ordered for it.
    pub(super) fn spec<'a>(&self, uid: RunUid, editions: &'a Editions) -> Option<&'a Arc<AppSpec>> {
        editions.spec(self.runs.get(&uid)?.edition)
    }

    /// Whether a run may be active beside earlier ones of its app.
    pub(super) fn may_overlap(&self, uid: RunUid, editions: &Editions) -> bool {
        self.spec(uid, editions).is_some_and(|spec| matches!(spec.overlap, Overlap::Allow { .. }))
    }

    /// Whether a container is started before the instant of its run, by the clock of its host. A host whose clock is far from the
    /// server's starts it when it is told to.
    pub(super) fn check_not_early(&self, uid: RunUid, host: Timestamp, server: Timestamp) -> anyhow::Result<()> {
        let is_near = server.duration_since(host) <= BEHIND_MAX;
        let instant = self.runs.get(&uid).and_then(|run| run.scheduled_at).filter(|instant| is_near && *instant > host);
        ensure!(instant.is_none(), "a start is asked for at {host}, and the run is for {instant:?}");
        Ok(())
    }

    /// Whether the instant that a run is for is one.
    pub(super) fn check_instant(&self, app: &AppName, uid: RunUid, editions: &Editions) -> anyhow::Result<()> {
        let instant = self.runs.get(&uid).and_then(|run| run.scheduled_at);
        let wrong = instant.filter(|instant| !editions.is_due(app, *instant));
        ensure!(wrong.is_none(), "G2: a run of {app} for {wrong:?}, which was never due");
        Ok(())
    }
}
