//! `tickmesh rm`: removes apps. What is active of them is stopped, what waits is thrown away, and their run numbers never
//! come back.

use tickmesh_client::{
    edit::{self, Edited},
    read,
};
use tickmesh_core::name::AppName;
use tickmesh_messaging::Mesh;

use super::{
    Session,
    which_app::{known_exactly, unknown},
};
use crate::{
    connect::asker,
    exit::{BadInput, Exit},
    output::{FormatArgs, Several},
    views::done::{Done, DoneView},
};

/// What `rm` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Apps
    #[arg(required = true, value_name = "APP", add = crate::completion::apps())]
    apps: Vec<AppName>,
    /// Pass over apps that do not exist
    #[arg(long, short = 'f')]
    force: bool,
    #[command(flatten)]
    form: FormatArgs,
}

/// Removes all of them, or none if one is not known.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let mut apps = Vec::new();
    for app in &args.apps {
        match known_exactly(&mesh, app).await {
            Err(error) if args.force && error.is::<BadInput>() => {}
            known => {
                known?;
                apps.push(app.clone());
            }
        }
    }
    let mut several = session.output.several(args.form.format);
    let result = remove_all(session, &mesh, &apps, &mut several).await;
    several.end(result)?;
    Ok(Exit::Success)
}

async fn remove_all(session: &Session, mesh: &Mesh, apps: &[AppName], several: &mut Several) -> anyhow::Result<()> {
    for app in apps {
        several.tell(removed(app, remove(mesh, app).await?))?;
        announce_active(session, mesh, app).await?;
    }
    Ok(())
}

/// That an app is removed, as that revision.
pub(super) fn removed(app: &AppName, (_, number): (u64, u64)) -> DoneView {
    DoneView { revision: Some(number), ..DoneView::app(Done::Removed, app, format!("app {app} removed")) }
}

/// Writes the tombstone, and returns its revision in the bucket, and its number among those of the app.
pub(crate) async fn remove(mesh: &Mesh, app: &AppName) -> anyhow::Result<(u64, u64)> {
    match edit::remove(&asker(mesh), app).await?.ok_or_else(|| unknown(app))? {
        Edited::Stored { revision, number } | Edited::Unchanged { revision, number } => Ok((revision, number)),
        Edited::Contended { .. } => {
            anyhow::bail!("app `{app}` is being changed by others at the same time: look at it, and remove it again")
        }
    }
}

async fn announce_active(session: &Session, mesh: &Mesh, app: &AppName) -> anyhow::Result<()> {
    let ledger = read::ledger(mesh, app).await?;
    for run in ledger.iter().flat_map(|ledger| &ledger.active) {
        session.output.talk(&format!("run {app}/{} is being stopped", run.number));
    }
    Ok(())
}
