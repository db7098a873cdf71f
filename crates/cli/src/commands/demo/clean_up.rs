//! Leaves nothing of a demo behind: the app is removed, what still runs of it is stopped, and then the engine is asked
//! whether a container is left.

use std::time::Duration;

use anyhow::Context;
use tickmesh_agent::{
    engine::{ContainerEngine, docker::Docker},
    labels::Owner,
};
use tickmesh_client::requests::{News, Watch};
use tickmesh_core::name::AppName;
use tickmesh_messaging::Mesh;
use tokio::time::timeout;

use crate::commands::rm;

/// How long the mesh may take to stop what runs.
const STOP_MAX: Duration = Duration::from_secs(15);

/// Stops the app in order, and removes whatever container is left then.
pub(super) async fn clean_up(mesh: &Mesh, app: &AppName, engine: &Docker, owner: &Owner) -> anyhow::Result<()> {
    // A mesh that fails here has its containers removed all the same.
    let stopped = timeout(STOP_MAX, stop(mesh, app)).await;
    remove_containers(engine, owner).await?;
    stopped.context("the sample app did not stop in time")?
}

async fn stop(mesh: &Mesh, app: &AppName) -> anyhow::Result<()> {
    if mesh.apps().read(app.as_str()).await?.is_none() {
        return Ok(());
    }
    let (revision, _) = rm::remove(mesh, app).await?;
    let mut watch = Watch::begin(mesh, app).await?;
    loop {
        if let News::Ledger(ledger) = watch.next().await?
            && ledger.app_revision >= revision
            && ledger.active.is_empty()
        {
            return Ok(());
        }
    }
}

async fn remove_containers(engine: &Docker, owner: &Owner) -> anyhow::Result<()> {
    for container in engine.list(&owner.filter()).await? {
        engine.remove(&container.id).await?;
    }
    Ok(())
}
