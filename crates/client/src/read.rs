//! A mesh, read once: each function looks at what is stored, and puts it together for people and programs.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{
    FutureExt as _,
    future::{try_join, try_join_all, try_join3},
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
    message::{AgentRecord, AppSource, AttemptReport},
    name::{AppName, ServiceName},
    spec::AppSpec,
};
use tickmesh_messaging::{Error, LEASE_KEY, Listing, LogFilter, Mesh, RunSelector, chain};

use crate::{
    on_record::OnRecord,
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
    // Agents too: most of the time something runs, and whoever is far away waits for each round trip.
    let (apps, ledgers, agents) = (mesh.apps(), mesh.ledgers(), mesh.agents());
    let ((mut apps, _), (ledgers, _), (agents, clock)) =
        try_join3(apps.look().boxed(), ledgers.look().boxed(), agents.look().boxed()).await?;
    mesh.number_all(&mut apps).await?;
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
        let fleet = fleet(&agents, ledgers.values().flatten().copied(), clock);
        for view in &mut views {
            if let Some(Ok(ledger)) = ledgers.get(view.name.as_str()) {
                view.look_for_agents(ledger, &fleet, now);
            }
        }
    }
    for record in &apps.unreadable {
        let revision = mesh.newest_revision(&record.key).await?;
        views.push(AppView::damaged(record, revision, ledger(&record.key).known()));
    }
    views.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(AppsView(views))
}

/// Everything about an app; `None`: it is removed, and nothing of it is active.
pub async fn details(
    mesh: &Mesh,
    app: &AppName,
    on_record: &OnRecord,
    zones: &TimeZoneDatabase,
    now: Timestamp,
) -> Result<Option<DetailsView>, Error> {
    let Some(record) = &on_record.record else { return Ok(None) };
    let state = match &on_record.ledger {
        Ok(ledger) => ledger.as_ref().into(),
        Err(reason) => LedgerState::Unreadable(reason),
    };
    let ledger = state.known();
    let Some(mut view) = AppView::new(Stored { app, record, ledger: state }, zones, now) else { return Ok(None) };
    let spec = record.value.source.as_ref().and_then(|source| understand_stored(app, source, zones).spec);
    let (active_runs, around) = all_active(mesh, app, on_record).await?;
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
        runs: on_record.ended().iter().rev().map(RunView::of_summary).collect(),
        active_runs,
        app: view,
    }))
}

/// The runs of an app that go on, and what they are among, if there are any. That is looked at once for all of them: each look
/// lists every agent and every app.
async fn all_active(mesh: &Mesh, app: &AppName, on_record: &OnRecord) -> Result<(Vec<RunView>, Option<Around>), Error> {
    let runs: Vec<&ActiveRun> = on_record.active().collect();
    if runs.is_empty() {
        return Ok((Vec::new(), None));
    }
    let reports = runs.iter().map(|run| reports_of(mesh, app, run.token()));
    let (around, reports) = try_join(Around::look(mesh).boxed(), try_join_all(reports).boxed()).await?;
    let views = runs.into_iter().zip(&reports).map(|(run, reports)| active(app, run, reports, &around)).collect();
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
    run_on_record(mesh, app, &OnRecord::look(mesh, app).await?, number, zones, now).await
}

/// Like [`run`], with what was looked at before.
pub async fn run_on_record(
    mesh: &Mesh,
    app: &AppName,
    on_record: &OnRecord,
    number: RunNumber,
    zones: &TimeZoneDatabase,
    now: Timestamp,
) -> Result<Option<RunView>, Error> {
    let active_run = on_record.active().find(|run| run.number == number);
    let (mut view, token) = match active_run {
        Some(run) => (RunView::of_active(app, run, &[]), run.token()),
        None => {
            let ended = on_record.ended();
            let Some(summary) = ended.iter().find(|summary| summary.run == number) else { return Ok(None) };
            (RunView::of_summary(summary), RunToken::new(summary.run, summary.uid))
        }
    };
    // Where the output of those that had trouble ends is asked for before anybody knows which attempt it was.
    let troubled: Vec<_> = of_trouble(&mut view.replicas).map(|it| (it.service.clone(), it.replica)).collect();
    let ends = try_join_all(troubled.iter().map(|place| end_of_output(mesh, app, token, place)));
    let (ends, reports) = match active_run {
        Some(run) => {
            let (around, reports) = (Around::look(mesh).boxed(), reports_of(mesh, app, token).boxed());
            let (around, reports, ends) = try_join3(around, reports, ends.boxed()).await?;
            view = active(app, run, &reports, &around);
            (ends, reports)
        }
        // Nobody had trouble, and there is nothing to explain.
        None if troubled.is_empty() => (Vec::new(), Vec::new()),
        None => try_join(ends.boxed(), reports_of(mesh, app, token).boxed()).await?,
    };
    explain_trouble(mesh, app, token, &mut view.replicas, (&ends, &reports)).await?;
    view.next = next(app, on_record, zones, now);
    Ok(Some(view))
}

/// When an app falls due next, unless it is paused, removed or run by hand.
fn next(app: &AppName, on_record: &OnRecord, zones: &TimeZoneDatabase, now: Timestamp) -> Option<Timestamp> {
    let source = on_record.record.as_ref().and_then(|record| record.value.source.as_ref());
    let spec = source.and_then(|source| understand_stored(app, source, zones).spec);
    let ledger = on_record.known_ledger();
    let paused = ledger.is_some_and(|ledger| ledger.pause.is_some());
    spec.filter(|_| !paused).and_then(|spec| spec.due_after(undecided_after(&spec, ledger, now)))
}

/// Every report on the attempts of a run.
async fn reports_of(mesh: &Mesh, app: &AppName, token: RunToken) -> Result<Vec<AttemptReport>, Error> {
    Ok(mesh.results().look_at_run(app, token).await?.into_iter().map(|entry| entry.value).collect())
}

/// The first replicas that had trouble.
fn of_trouble(replicas: &mut [ReplicaView]) -> impl Iterator<Item = &mut ReplicaView> {
    replicas.iter_mut().filter(|it| it.is_troubled() || it.was_cancelled()).take(EXPLAINED_MAX)
}

/// Where the output of a replica ends.
struct OutputEnd {
    service: String,
    replica: u32,
    /// Sequence of the last message of it; 0: there is none.
    last: u64,
}

async fn end_of_output(
    mesh: &Mesh,
    app: &AppName,
    token: RunToken,
    (service, replica): &(String, u32),
) -> Result<OutputEnd, Error> {
    let (service, replica) = (service.clone(), *replica);
    let last = match ServiceName::new(service.clone()) {
        Ok(name) => mesh.logs().last_sequence(&output_of(app, token, &name, replica)).await?,
        Err(_) => 0,
    };
    Ok(OutputEnd { service, replica, last })
}

fn output_of(app: &AppName, token: RunToken, service: &ServiceName, replica: u32) -> LogFilter {
    let run = Some(RunSelector::Token(token));
    LogFilter { app: app.clone(), run, service: Some(service.clone()), replica: Some(replica) }
}

/// Fills in the attempts of the first replicas that had trouble, and the last lines of each one's last attempt that failed.
async fn explain_trouble(
    mesh: &Mesh,
    app: &AppName,
    token: RunToken,
    replicas: &mut [ReplicaView],
    (ends, reports): (&[OutputEnd], &[AttemptReport]),
) -> Result<(), Error> {
    let explained = of_trouble(replicas).map(|replica| async move {
        let is_its = |report: &&AttemptReport| {
            report.attempt.service.as_str() == replica.service && report.attempt.replica == replica.replica
        };
        replica.attempts = attempt::of_reports(reports.iter().filter(is_its));
        // A replica that stopped when it was asked to needs no words.
        if !replica.is_troubled() && replica.attempts.iter().all(|attempt| attempt.reason.is_none()) {
            replica.attempts.clear();
        }
        let end = ends.iter().find(|end| end.service == replica.service && end.replica == replica.replica);
        let failed = replica.attempts.iter_mut().rfind(|it| it.has_failed());
        let (Some(failed), Ok(service)) = (failed, ServiceName::new(replica.service.clone())) else {
            return Ok::<(), Error>(());
        };
        let filter = output_of(app, token, &service, replica.replica);
        let number = failed.attempt;
        failed.last_lines = match end {
            Some(end) => lines_before(mesh, &filter, end.last, number, LAST_LINES).await?,
            // It had no trouble yet when the others were asked about.
            None => last_lines(mesh, app, token, (&service, replica.replica, number), LAST_LINES).await?,
        };
        Ok(())
    });
    try_join_all(explained).await.map(drop)
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
    let reports = reports_of(mesh, app, token).await?;
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
    let filter = output_of(app, run, service, replica);
    let last = mesh.logs().last_sequence(&filter).await?;
    lines_before(mesh, &filter, last, attempt, count).await
}

/// The last lines of an attempt whose replica wrote nothing behind the message at `last`.
async fn lines_before(
    mesh: &Mesh,
    filter: &LogFilter,
    last: u64,
    attempt: u32,
    count: usize,
) -> Result<Vec<String>, Error> {
    let mut tail = Tail::read_before(mesh, filter, last, count, |line| line.writer.attempt == attempt).await?;
    let mut last = std::mem::take(&mut tail.lines);
    last.extend(tail.unfinished().into_iter().filter(|line| line.writer.attempt == attempt));
    let skip = last.len().saturating_sub(count);
    Ok(last.into_iter().skip(skip).map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect())
}

/// The replicas of a run, by service; `None`: nothing is known of it, or not any more.
pub async fn replicas(mesh: &Mesh, app: &AppName, number: RunNumber) -> Result<Option<Vec<(String, u32)>>, Error> {
    let on_record = OnRecord::look(mesh, app).await?;
    let view = match on_record.active().find(|run| run.number == number) {
        Some(run) => Some(RunView::of_active(app, run, &[])),
        None => on_record.ended().iter().find(|summary| summary.run == number).map(RunView::of_summary),
    };
    Ok(view.map(|view| view.replicas.into_iter().map(|it| (it.service, it.replica)).collect()))
}

/// The runs of an app that go on, and the last that ended; the newest first.
pub async fn runs(mesh: &Mesh, app: &AppName) -> Result<RunsView, Error> {
    Ok(runs_on_record(app, &OnRecord::look(mesh, app).await?))
}

/// Like [`runs`], of what was looked at before.
pub fn runs_on_record(app: &AppName, on_record: &OnRecord) -> RunsView {
    let active: Vec<_> = on_record.active().map(|run| RunView::of_active(app, run, &[])).collect();
    let ended = on_record.ended();
    RunsView(active.into_iter().rev().chain(ended.iter().rev().map(RunView::of_summary)).collect())
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
    let on_record = OnRecord::look(mesh, app).await?;
    Ok(KnownRuns { active: on_record.active().cloned().collect(), ended: on_record.ended() })
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
    match mesh.ledgers().read(app.as_str()).await {
        Ok(entry) => Ok(entry.map(|entry| entry.value)),
        Err(Error::Unreadable { .. }) => Ok(None),
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
        let ((agents, now), (ledgers, _)) = try_join(agents.look().boxed(), ledgers.look().boxed()).await?;
        Ok(Self { agents, ledgers, now })
    }

    fn fleet(&self) -> Fleet {
        fleet(&self.agents, self.ledgers.iter().map(|entry| &entry.value), self.now)
    }
}

/// A run that goes on, with what the ledger does not say: claims, and what replicas wait for.
fn active(app: &AppName, run: &ActiveRun, reports: &[AttemptReport], around: &Around) -> RunView {
    let mut view = RunView::of_active(app, run, reports);
    replica::explain_preparing(&mut view.replicas, app, run, &around.agents);
    let fleet = around.fleet();
    replica::explain_pending(&mut view.replicas, run, &fleet, around.now);
    view.waiting = replica::unmatched(run, &fleet);
    view
}
