//! `tickmesh scheduler`: makes the mesh if it does not exist, and leads it or stands by.

use std::{num::NonZeroU64, path::PathBuf};

use hyper::Uri;
use tickmesh_core::fleet::Reservations;

use super::Session;
use crate::{exit::Exit, logging::LogArgs, parts, secret_file};

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
    /// Where to post, as JSON, that a run failed, an app recovered, a tick was dropped or an agent is lost; may be repeated. The same
    /// for every scheduler of a mesh: the one that leads posts
    #[arg(long = "webhook", value_name = "URL")]
    webhooks: Vec<Uri>,
    /// File with the key that what is posted is signed with, as HMAC-SHA256 in the header `tickmesh-signature`
    #[arg(long, value_name = "FILE", requires = "webhooks")]
    webhook_secret_file: Option<PathBuf>,
    #[command(flatten)]
    pub log: LogArgs,
}

impl Args {
    /// Whom to tell, if anybody.
    fn webhooks(&self) -> anyhow::Result<Option<tickmesh_webhook::Config>> {
        if self.webhooks.is_empty() {
            return Ok(None);
        }
        let read = |path: &PathBuf| secret_file::read(path, "a secret", 1);
        let secret = self.webhook_secret_file.as_ref().map(read).transpose()?;
        Ok(Some(tickmesh_webhook::Config { targets: self.webhooks.clone(), secret }))
    }
}

/// Runs until it is told to stop.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let webhooks = args.webhooks()?;
    let shutdown = parts::stop_on_signal()?;
    let mesh = session.mesh.connect("scheduler").await?;
    parts::provision(&mesh, args.replicas.as_deref().map(str::parse).transpose()?).await?;
    let reservations = Reservations { cpu_shares_per_core: args.cpu_shares_per_core };
    parts::run_scheduler(mesh, reservations, webhooks, shutdown).await?;
    Ok(Exit::Success)
}
