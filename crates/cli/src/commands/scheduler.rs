//! `tickmesh scheduler`: makes the mesh if it does not exist, and leads it or stands by.

use std::num::NonZeroU64;

use tickmesh_core::fleet::Reservations;

use super::Session;
use crate::{exit::Exit, logging::LogArgs, parts};

/// What `scheduler` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Copies of everything stored: 3 needs a cluster of three NATS servers. Without it, a mesh that exists stays as it is,
    /// and a new one has 1
    #[arg(long, value_name = "COUNT", value_parser = ["1", "3"])]
    replicas: Option<String>,
    /// `cpu_shares` that stand for one reserved core (100 in the original). Without it they are passed on to the engine as a
    /// weight, and reserve nothing. The same for every scheduler of a mesh
    #[arg(long, value_name = "SHARES")]
    cpu_shares_per_core: Option<NonZeroU64>,
    #[command(flatten)]
    pub log: LogArgs,
}

/// Runs until it is told to stop.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let shutdown = parts::stop_on_signal()?;
    let mesh = session.mesh.connect("scheduler").await?;
    parts::provision(&mesh, args.replicas.as_deref().map(str::parse).transpose()?).await?;
    let reservations = Reservations { cpu_shares_per_core: args.cpu_shares_per_core };
    parts::run_scheduler(mesh, reservations, shutdown).await?;
    Ok(Exit::Success)
}
