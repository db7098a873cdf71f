//! `tickmesh show`: everything about an app, or about one run of it.

use jiff::{Timestamp, tz::TimeZone};
use tickmesh_core::{
    id::RunNumber,
    ledger::{ActiveRun, HISTORY_RUNS, Ledger},
    message::{AppRecord, AttemptReport},
    name::AppName,
    spec::AppSpec,
};
use tickmesh_messaging::{Entry, Mesh};

use super::{Session, runs::finished, stored_app, unknown_app};
use crate::{
    compose_file::{PREVIEW, preview, undecided_after, understand_stored},
    exit::{BadInput, Exit},
    output::FormatArgs,
    target::RunTarget,
    views::{
        agent::fleet,
        app::{AppView, Stored},
        details::{DetailsView, WaitingView},
        replica,
        run::RunView,
        settings::{ServiceView, SettingsView},
    },
    zones,
};

/// What `show` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An app, or a run of it
    #[arg(value_name = "APP[/RUN]")]
    target: RunTarget,
    #[command(flatten)]
    form: FormatArgs,
}

/// Shows an app or a run.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let app = &args.target.app;
    let record = stored_app(&mesh, app).await?;
    let ledger = mesh.ledgers().read(app.as_str()).await?.map(|entry| entry.value);
    match args.target.run {
        None => session.output.show(&details(&mesh, app, &record, ledger.as_ref()).await?, args.form.format)?,
        Some(number) => session.output.show(&one_run(&mesh, app, number, ledger.as_ref()).await?, args.form.format)?,
    }
    Ok(Exit::Success)
}

async fn details(
    mesh: &Mesh,
    app: &AppName,
    record: &Entry<AppRecord>,
    ledger: Option<&Ledger>,
) -> anyhow::Result<DetailsView> {
    let (zones, now) = (zones::database(), Timestamp::now());
    let view = AppView::new(Stored { app, record, ledger }, &zones, now).ok_or_else(|| unknown_app(app))?;
    let spec = record.value.source.as_ref().and_then(|source| understand_stored(app, source, &zones).spec);
    let schedule = spec.as_ref().and_then(|spec| spec.schedule.as_ref());
    let mut active_runs = Vec::new();
    for run in ledger.iter().flat_map(|ledger| &ledger.active) {
        active_runs.push(active(mesh, app, run, now).await?);
    }
    let next = |spec: &AppSpec| preview(spec, undecided_after(spec, ledger, now), PREVIEW);
    Ok(DetailsView {
        next: spec.as_ref().map(next).unwrap_or_default(),
        paused: ledger.and_then(|ledger| ledger.pause.clone()),
        settings: spec.as_ref().map(SettingsView::of),
        zone: schedule.map_or(TimeZone::UTC, |schedule| schedule.zone().clone()),
        services: spec.as_ref().map(ServiceView::of).unwrap_or_default(),
        waiting: ledger.iter().flat_map(|ledger| &ledger.queue).map(WaitingView::from).collect(),
        runs: finished(mesh, app).await?,
        active_runs,
        app: view,
    })
}

async fn one_run(mesh: &Mesh, app: &AppName, number: RunNumber, ledger: Option<&Ledger>) -> anyhow::Result<RunView> {
    let mut runs = ledger.iter().flat_map(|ledger| &ledger.active);
    if let Some(run) = runs.find(|run| run.number == number) {
        return active(mesh, app, run, Timestamp::now()).await;
    }
    let found = finished(mesh, app).await?.into_iter().find(|run| run.run == number);
    Ok(found.ok_or_else(|| {
        BadInput::new(format!("run {app}/{number} is not known"))
            .hint(format!("`tickmesh runs {app}` lists the last {HISTORY_RUNS}: no more are kept"))
    })?)
}

/// A run that goes on, with what the ledger does not say: claims, and what replicas wait for.
async fn active(mesh: &Mesh, app: &AppName, run: &ActiveRun, now: Timestamp) -> anyhow::Result<RunView> {
    let reports = mesh.results().of_run(app, run.token()).await?;
    let reports: Vec<AttemptReport> = reports.into_iter().map(|entry| entry.value).collect();
    let (agents, ledgers) = (mesh.agents().list().await?, mesh.ledgers().list().await?);
    let mut view = RunView::of_active(app, run, &reports);
    replica::explain_preparing(&mut view.replicas, app, run, &agents);
    let fleet = fleet(&agents, &ledgers, now);
    replica::explain_pending(&mut view.replicas, run, &fleet, now);
    view.waiting = replica::unmatched(run, &fleet);
    Ok(view)
}
