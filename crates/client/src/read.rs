//! A mesh, read once: each function looks at what is stored, and puts it together for people and programs.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{
    FutureExt as _,
    future::{try_join, try_join3},
};
use jiff::{
    Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};
use tickmesh_core::{
    fleet::Fleet,
    history::RunSummary,
    id::{RunNumber, RunToken},
    ledger::{ActiveRun, Ledger},
    message::{AgentRecord, AppRecord, AppSource, AttemptReport},
    name::{AppName, ServiceName},
    spec::AppSpec,
};
use tickmesh_messaging::{Entry, Error, LEASE_KEY, Listing, LogFilter, Mesh, RunSelector, chain};

use crate::{
    stored::{PREVIEW, preview, undecided_after, understand_stored},
    tail::Tail,
    views::{
        agent::{AgentView, AgentsView, fleet},
        app::{AppView, AppsView, LedgerState, Stored},
        attempt::{self, AttemptView},
        details::{DetailsView, QueueListView, WaitingView},
        replica::{self, ReplicaView},
        run::{RunView, RunsView},
        scheduler::{SchedulerView, SchedulersView},
        settings::{ServiceView, SettingsView},
    },
};

/// How long schedulers have to answer: they do so from memory.
pub const ROLL_PATIENCE: Duration = Duration::from_millis(500);

/// Replicas of a run whose attempts are looked at: a run may have thousands, and one look is enough to see what they have in common.
const EXPLAINED_MAX: usize = 10;
/// Lines of a failed attempt that are shown with it.
const LAST_LINES: usize = 5;

/// All apps, by name.
pub async fn apps(mesh: &Mesh, zones: &TimeZoneDatabase, now: Timestamp) -> Result<AppsView, Error> {
    let (apps, ledgers) = (mesh.apps(), mesh.ledgers());
    let (apps, ledgers) = try_join(apps.list().boxed(), ledgers.list().boxed()).await?;
    let known = ledgers.iter().map(|entry| (entry.key.as_str(), Ok(&entry.value)));
    let unreadable = ledgers.unreadable.iter().map(|record| (record.key.as_str(), Err(chain(&record.error))));
    let ledgers: BTreeMap<&str, Result<&Ledger, String>> = known.chain(unreadable).collect();
    let ledger = |app: &str| match ledgers.get(app) {
        Some(Ok(ledger)) => LedgerState::Known(ledger),
        Some(Err(reason)) => LedgerState::Unreadable(reason),
        None => LedgerState::Absent,
    };
    let views = apps.iter().filter_map(|record| {
        let app = AppName::new(record.key.clone()).ok()?;
        AppView::new(Stored { app: &app, record, ledger: ledger(app.as_str()) }, zones, now)
    });
    let mut views: Vec<AppView> = views.collect();
    if ledgers.values().flatten().any(|ledger| !ledger.active.is_empty()) {
        let agents = mesh.agents();
        let (agents, clock) = try_join(agents.list().boxed(), agents.clock().boxed()).await?;
        let fleet = fleet(&agents, ledgers.values().flatten().copied(), clock);
        for view in &mut views {
            if let Some(Ok(ledger)) = ledgers.get(view.name.as_str()) {
                view.look_for_agents(ledger, &fleet, now);
            }
        }
    }
    views.extend(apps.unreadable.iter().map(|record| AppView::damaged(record, ledger(&record.key).known())));
    views.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(AppsView(views))
}

/// Everything about an app; `None`: it is removed, and nothing of it is active.
pub async fn details(
    mesh: &Mesh,
    app: &AppName,
    record: &Entry<AppRecord>,
    zones: &TimeZoneDatabase,
    now: Timestamp,
) -> Result<Option<DetailsView>, Error> {
    let stored = ledger_of(mesh, app).await?;
    let state = match &stored {
        Ok(ledger) => ledger.as_ref().into(),
        Err(reason) => LedgerState::Unreadable(reason),
    };
    let ledger = state.known();
    let Some(mut view) = AppView::new(Stored { app, record, ledger: state }, zones, now) else { return Ok(None) };
    let spec = record.value.source.as_ref().and_then(|source| understand_stored(app, source, zones).spec);
    let ((active_runs, around), ended) =
        try_join(all_active(mesh, app, ledger).boxed(), ended(mesh, app, ledger).boxed()).await?;
    if let (Some(ledger), Some(around)) = (ledger, &around) {
        view.look_for_agents(ledger, &around.fleet(), now);
    }
    // Where the list has none, because the app is paused or nothing is decided about it, there are none.
    let is_due_again = view.next.is_some();
    let next = |spec: &AppSpec| preview(spec, undecided_after(spec, ledger, now), PREVIEW);
    Ok(Some(DetailsView {
        next: spec.as_ref().filter(|_| is_due_again).map(next).unwrap_or_default(),
        paused: ledger.and_then(|ledger| ledger.pause.clone()),
        settings: spec.as_ref().map(SettingsView::of),
        zone: zone(spec.as_ref()),
        services: spec.as_ref().map(ServiceView::of).unwrap_or_default(),
        waiting: ledger.iter().flat_map(|ledger| &ledger.queue).map(WaitingView::from).collect(),
        runs: ended.iter().rev().map(RunView::of_summary).collect(),
        active_runs,
        app: view,
    }))
}

/// The runs of an app that go on, and what they are among, if there are any. That is looked at once for all of them: each look
/// lists every agent and every app.
async fn all_active(
    mesh: &Mesh,
    app: &AppName,
    ledger: Option<&Ledger>,
) -> Result<(Vec<RunView>, Option<Around>), Error> {
    let runs: Vec<&ActiveRun> = ledger.iter().flat_map(|ledger| &ledger.active).collect();
    if runs.is_empty() {
        return Ok((Vec::new(), None));
    }
    let around = Around::look(mesh).await?;
    let mut views = Vec::new();
    for run in runs {
        views.push(active(mesh, app, run, &around).await?);
    }
    Ok((views, Some(around)))
}

/// One run of an app, with what is on record about the attempts of replicas that had trouble; `None`: nothing is known of it, or not
/// any more.
pub async fn run(
    mesh: &Mesh,
    app: &AppName,
    number: RunNumber,
    zones: &TimeZoneDatabase,
    now: Timestamp,
) -> Result<Option<RunView>, Error> {
    let ledger = ledger(mesh, app).await?;
    let active_run = ledger.iter().flat_map(|ledger| &ledger.active).find(|run| run.number == number);
    let (mut view, token) = match active_run {
        Some(run) => (active(mesh, app, run, &Around::look(mesh).await?).await?, run.token()),
        None => {
            let ended = ended(mesh, app, ledger.as_ref()).await?;
            let Some(summary) = ended.iter().find(|summary| summary.run == number) else { return Ok(None) };
            (RunView::of_summary(summary), RunToken::new(summary.run, summary.uid))
        }
    };
    explain_trouble(mesh, app, token, &mut view.replicas).await?;
    view.next = next(mesh, app, ledger.as_ref(), zones, now).await?;
    Ok(Some(view))
}

/// When an app falls due next, unless it is paused, removed or run by hand.
async fn next(
    mesh: &Mesh,
    app: &AppName,
    ledger: Option<&Ledger>,
    zones: &TimeZoneDatabase,
    now: Timestamp,
) -> Result<Option<Timestamp>, Error> {
    let record = mesh.apps().read(app.as_str()).await?;
    let spec = record.and_then(|record| record.value.source).and_then(|it| understand_stored(app, &it, zones).spec);
    let paused = ledger.is_some_and(|ledger| ledger.pause.is_some());
    Ok(spec.filter(|_| !paused).and_then(|spec| spec.due_after(undecided_after(&spec, ledger, now))))
}

/// Fills in the attempts of the first replicas that had trouble, and the last lines of each one's last attempt that failed.
async fn explain_trouble(
    mesh: &Mesh,
    app: &AppName,
    token: RunToken,
    replicas: &mut [ReplicaView],
) -> Result<(), Error> {
    let is_worth_a_look = |it: &&mut ReplicaView| it.is_troubled() || it.was_cancelled();
    let mut troubled: Vec<_> = replicas.iter_mut().filter(is_worth_a_look).take(EXPLAINED_MAX).collect();
    if troubled.is_empty() {
        return Ok(());
    }
    let reports: Vec<_> = mesh.results().of_run(app, token).await?.into_iter().map(|entry| entry.value).collect();
    for replica in &mut troubled {
        let is_its = |report: &&AttemptReport| {
            report.attempt.service.as_str() == replica.service && report.attempt.replica == replica.replica
        };
        replica.attempts = attempt::of_reports(reports.iter().filter(is_its));
        // A replica that stopped when it was asked to needs no words.
        if !replica.is_troubled() && replica.attempts.iter().all(|attempt| attempt.reason.is_none()) {
            replica.attempts.clear();
        }
        let failed = replica.attempts.iter_mut().rfind(|it| it.has_failed());
        let (Some(failed), Ok(service)) = (failed, ServiceName::new(replica.service.clone())) else { continue };
        failed.last_lines =
            last_lines(mesh, app, token, (&service, replica.replica, failed.attempt), LAST_LINES).await?;
    }
    Ok(())
}

/// The attempts of a replica above a number that failed, at most so many of them, each with its last lines. The newest may be newer
/// than the leader knows.
pub async fn failures(
    mesh: &Mesh,
    app: &AppName,
    token: RunToken,
    (service, replica): (&ServiceName, u32),
    above: u32,
    count_max: usize,
) -> Result<Vec<AttemptView>, Error> {
    let reports: Vec<_> = mesh.results().of_run(app, token).await?.into_iter().map(|entry| entry.value).collect();
    let its = reports.iter().filter(|it| it.attempt.service == *service && it.attempt.replica == replica);
    let mut failures = attempt::of_reports(its);
    failures.retain(|it| it.attempt > above && it.has_failed());
    failures.truncate(count_max);
    for failed in &mut failures {
        failed.last_lines = last_lines(mesh, app, token, (service, replica, failed.attempt), LAST_LINES).await?;
    }
    Ok(failures)
}

/// The last lines that an attempt of a replica wrote.
pub async fn last_lines(
    mesh: &Mesh,
    app: &AppName,
    run: RunToken,
    (service, replica, attempt): (&ServiceName, u32, u32),
    count: usize,
) -> Result<Vec<String>, Error> {
    let run = Some(RunSelector::Token(run));
    let filter = LogFilter { app: app.clone(), run, service: Some(service.clone()), replica: Some(replica) };
    let mut tail = Tail::read(mesh, &filter, count, |line| line.writer.attempt == attempt).await?;
    let mut last = std::mem::take(&mut tail.lines);
    last.extend(tail.unfinished().into_iter().filter(|line| line.writer.attempt == attempt));
    let skip = last.len().saturating_sub(count);
    Ok(last.into_iter().skip(skip).map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect())
}

/// The replicas of a run, by service; `None`: nothing is known of it, or not any more.
pub async fn replicas(mesh: &Mesh, app: &AppName, number: RunNumber) -> Result<Option<Vec<(String, u32)>>, Error> {
    let ledger = ledger(mesh, app).await?;
    let active = ledger.iter().flat_map(|ledger| &ledger.active).find(|run| run.number == number);
    let view = match active {
        Some(run) => Some(RunView::of_active(app, run, &[])),
        None => {
            let ended = ended(mesh, app, ledger.as_ref()).await?;
            ended.iter().find(|summary| summary.run == number).map(RunView::of_summary)
        }
    };
    Ok(view.map(|view| view.replicas.into_iter().map(|it| (it.service, it.replica)).collect()))
}

/// The runs of an app that go on, and the last that ended; the newest first.
pub async fn runs(mesh: &Mesh, app: &AppName) -> Result<RunsView, Error> {
    let KnownRuns { active, ended } = known_runs(mesh, app).await?;
    let mut runs: Vec<RunView> = active.iter().rev().map(|run| RunView::of_active(app, run, &[])).collect();
    runs.extend(ended.iter().rev().map(RunView::of_summary));
    Ok(RunsView(runs))
}

/// The last runs of an app that ended, the newest first.
pub async fn finished(mesh: &Mesh, app: &AppName) -> Result<Vec<RunView>, Error> {
    Ok(known_runs(mesh, app).await?.ended.iter().rev().map(RunView::of_summary).collect())
}

/// The runs of an app that are known, each in one of the two lists, the oldest first.
#[derive(Debug)]
pub struct KnownRuns {
    /// Those that go on.
    pub active: Vec<ActiveRun>,
    /// The last ones that ended.
    pub ended: Vec<RunSummary>,
}

/// The runs of an app that are known. Those of a ledger that cannot be read are not.
pub async fn known_runs(mesh: &Mesh, app: &AppName) -> Result<KnownRuns, Error> {
    let ledger = ledger(mesh, app).await?;
    let ended = ended(mesh, app, ledger.as_ref()).await?;
    Ok(KnownRuns { active: ledger.map(|ledger| ledger.active).unwrap_or_default(), ended })
}

/// The last runs that ended, the oldest first: those of the history, and those that are still on their way there. The ledger must be
/// the one read before, so that a run which leaves it in between is in the history.
async fn ended(mesh: &Mesh, app: &AppName, ledger: Option<&Ledger>) -> Result<Vec<RunSummary>, Error> {
    let mut ended: Vec<RunSummary> = mesh.history().last(app).await?.into_iter().map(|entry| entry.value).collect();
    let pending = ledger.iter().flat_map(|ledger| &ledger.history.pending);
    let unpublished: Vec<RunSummary> =
        pending.filter(|it| ended.iter().all(|known| known.run != it.run)).cloned().collect();
    ended.extend(unpublished);
    Ok(ended)
}

/// What of an app waits, the oldest first.
pub async fn queue(
    mesh: &Mesh,
    app: &AppName,
    source: &AppSource,
    zones: &TimeZoneDatabase,
) -> Result<QueueListView, Error> {
    let spec = understand_stored(app, source, zones).spec;
    let ledger = ledger(mesh, app).await?;
    let waiting = ledger.iter().flat_map(|ledger| &ledger.queue).map(WaitingView::from).collect();
    Ok(QueueListView { waiting, zone: zone(spec.as_ref()) })
}

/// All agents, by name, and when that was by the clock that heartbeats are stored by: whether one is heard must not depend on the
/// clock of whoever asks.
pub async fn agents(mesh: &Mesh) -> Result<(AgentsView, Timestamp), Error> {
    let Around { agents, ledgers, now } = Around::look(mesh).await?;
    let AgentsView(mut views) = AgentsView::new(&agents, &ledgers, now);
    views.extend(agents.unreadable.iter().map(AgentView::unreadable));
    views.sort_by(|one, other| one.name.cmp(&other.name));
    Ok((AgentsView(views), now))
}

/// The schedulers that answer, the leader first, and the holder of the lease if it does not.
pub async fn schedulers(mesh: &Mesh) -> Result<SchedulersView, Error> {
    let cards = mesh.schedulers().roll(ROLL_PATIENCE).await?;
    // Nobody's while it cannot be read: its holder writes over it within a second. A lost store has none.
    let lease = match mesh.lease().read(LEASE_KEY).await {
        Err(Error::Unreadable { .. } | Error::StreamGone { .. }) => None,
        lease => lease?,
    };
    let mut views: Vec<_> = cards.iter().map(SchedulerView::of).collect();
    let silent = lease.filter(|entry| !entry.value.released && !cards.iter().any(|card| card.id == entry.value.holder));
    views.extend(silent.map(|entry| SchedulerView::silent(&entry)));
    Ok(SchedulersView(views))
}

/// The ledger of an app; `None`: it has none, or one that cannot be read, which others say.
pub async fn ledger(mesh: &Mesh, app: &AppName) -> Result<Option<Ledger>, Error> {
    Ok(ledger_of(mesh, app).await?.unwrap_or_default())
}

/// The ledger of an app, or why it cannot be read.
async fn ledger_of(mesh: &Mesh, app: &AppName) -> Result<Result<Option<Ledger>, String>, Error> {
    match mesh.ledgers().read(app.as_str()).await {
        Ok(entry) => Ok(Ok(entry.map(|entry| entry.value))),
        Err(Error::Unreadable { source, .. }) => Ok(Err(chain(&source))),
        Err(error) => Err(error),
    }
}

fn zone(spec: Option<&AppSpec>) -> TimeZone {
    let schedule = spec.and_then(|spec| spec.schedule.as_ref());
    schedule.map_or(TimeZone::UTC, |schedule| schedule.zone().clone())
}

/// What a run is among: the agents, what is bound to them, and the time.
struct Around {
    agents: Listing<AgentRecord>,
    ledgers: Listing<Ledger>,
    /// By the clock that the heartbeats were stored by.
    now: Timestamp,
}

impl Around {
    async fn look(mesh: &Mesh) -> Result<Self, Error> {
        let (agents, ledgers) = (mesh.agents(), mesh.ledgers());
        let (agents, ledgers, now) =
            try_join3(agents.list().boxed(), ledgers.list().boxed(), agents.clock().boxed()).await?;
        Ok(Self { agents, ledgers, now })
    }

    fn fleet(&self) -> Fleet {
        fleet(&self.agents, self.ledgers.iter().map(|entry| &entry.value), self.now)
    }
}

/// A run that goes on, with what the ledger does not say: claims, and what replicas wait for.
async fn active(mesh: &Mesh, app: &AppName, run: &ActiveRun, around: &Around) -> Result<RunView, Error> {
    let reports = mesh.results().of_run(app, run.token()).await?;
    let reports: Vec<AttemptReport> = reports.into_iter().map(|entry| entry.value).collect();
    let mut view = RunView::of_active(app, run, &reports);
    replica::explain_preparing(&mut view.replicas, app, run, &around.agents);
    let fleet = around.fleet();
    replica::explain_pending(&mut view.replicas, run, &fleet, around.now);
    view.waiting = replica::unmatched(run, &fleet);
    Ok(view)
}
