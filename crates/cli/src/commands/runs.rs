//! `tickmesh runs`: the runs of an app that go on, and the last that ended.

use tickmesh_core::name::AppName;
use tickmesh_messaging::Mesh;

use super::{Session, stored_app};
use crate::{
    exit::Exit,
    output::FormatArgs,
    views::run::{RunView, RunsView},
};

/// What `runs` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
    app: AppName,
    #[command(flatten)]
    form: FormatArgs,
}

/// Lists runs, the newest first.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    stored_app(&mesh, &args.app).await?;
    let mut runs = Vec::new();
    if let Some(ledger) = mesh.ledgers().read(args.app.as_str()).await? {
        runs.extend(ledger.value.active.iter().rev().map(|run| RunView::of_active(&args.app, run, &[])));
    }
    runs.extend(finished(&mesh, &args.app).await?);
    session.output.show(&RunsView(runs), args.form.format)?;
    Ok(Exit::Success)
}

/// The last runs that ended, the newest first.
pub(crate) async fn finished(mesh: &Mesh, app: &AppName) -> anyhow::Result<Vec<RunView>> {
    let history = mesh.history().last(app).await?;
    Ok(history.iter().rev().map(|entry| RunView::of_summary(&entry.value)).collect())
}
