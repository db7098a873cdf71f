//! `tickmesh rm`: removes apps. What is active of them is stopped, what waits is thrown away, and their run numbers never
//! come back.

use tickmesh_client::edit::{self, Edited};
use tickmesh_core::name::AppName;
use tickmesh_messaging::Mesh;

use super::{
    Session,
    which_app::{known_exactly, unknown},
};
use crate::{connect::asker, exit::Exit};

/// What `rm` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Apps
    #[arg(required = true, value_name = "APP", add = crate::completion::apps())]
    apps: Vec<AppName>,
}

/// Removes all of them, or none if one is not known.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    for app in &args.apps {
        known_exactly(&mesh, app).await?;
    }
    for app in &args.apps {
        remove(&mesh, app).await?;
        session.output.line(&format!("app {app} removed"))?;
        announce_active(session, &mesh, app).await?;
    }
    Ok(Exit::Success)
}

/// Writes the tombstone, and returns its revision.
pub(crate) async fn remove(mesh: &Mesh, app: &AppName) -> anyhow::Result<u64> {
    match edit::remove(&asker(mesh), app).await?.ok_or_else(|| unknown(app))? {
        Edited::Stored { revision } | Edited::Unchanged { revision } => Ok(revision),
        Edited::Contended { .. } => {
            anyhow::bail!("app `{app}` is being changed by others at the same time: look at it, and remove it again")
        }
    }
}

async fn announce_active(session: &Session, mesh: &Mesh, app: &AppName) -> anyhow::Result<()> {
    let ledger = mesh.ledgers().read(app.as_str()).await?;
    for run in ledger.iter().flat_map(|entry| &entry.value.active) {
        session.output.talk(&format!("run {app}/{} is being stopped", run.number));
    }
    Ok(())
}
