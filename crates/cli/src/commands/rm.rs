//! `tickmesh rm`: removes apps. What is active of them is stopped, what waits is thrown away, and their run numbers never
//! come back.

use tickmesh_core::{
    message::{AppRecord, SCHEMA},
    name::AppName,
};
use tickmesh_messaging::{Cas, Mesh};

use super::{
    Session,
    which_app::{known_exactly, unknown},
};
use crate::{connect::who, exit::Exit};

/// Tries to write against others who change the app at the same time.
const TRIES: usize = 2;

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
    let edits = mesh.edits();
    let tombstone = AppRecord { schema: SCHEMA, by: who(), source: None };
    let mut current = edits.current(app).await?;
    for _ in 0..TRIES {
        let entry = current.ok_or_else(|| unknown(app))?;
        if entry.value.source.is_none() {
            return Ok(entry.sequence);
        }
        match edits.write(app, &tombstone, Some(&entry)).await? {
            Cas::Stored { sequence } => return Ok(sequence),
            Cas::Refused { current: newer } => current = newer,
        }
    }
    anyhow::bail!("app `{app}` is being changed by others at the same time: look at it, and remove it again")
}

async fn announce_active(session: &Session, mesh: &Mesh, app: &AppName) -> anyhow::Result<()> {
    let ledger = mesh.ledgers().read(app.as_str()).await?;
    for run in ledger.iter().flat_map(|entry| &entry.value.active) {
        session.output.talk(&format!("run {app}/{} is being stopped", run.number));
    }
    Ok(())
}
