//! `tickmesh scheduler`: makes the mesh if it does not exist, and leads it or stands by.

use std::{num::NonZeroU64, path::PathBuf};

use hyper::Uri;
use tickmesh_core::fleet::Reservations;
use tickmesh_webhook::Target;

use super::{Session, notify::read_targets};
use crate::{
    exit::Exit,
    logging::LogArgs,
    parts::{self, Notices},
    process_metrics::MetricsArgs,
    secret_file,
};

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
    /// TOML file with the targets of notices, in tables `[notify.NAME]`. It may be the file of the settings
    #[arg(long, value_name = "FILE")]
    notify_file: Option<PathBuf>,
    /// Where to post, as JSON, what somebody should be told; may be repeated. The same for every scheduler of a mesh: the one that
    /// leads posts
    #[arg(long = "webhook", value_name = "URL")]
    webhooks: Vec<Uri>,
    /// File with the key that what is posted is signed with, as HMAC-SHA256 in the header `tickmesh-signature`
    #[arg(long, value_name = "FILE", requires = "webhooks")]
    webhook_secret_file: Option<PathBuf>,
    /// Where the page is, for links in notices
    #[arg(long, value_name = "URL")]
    public_url: Option<Uri>,
    /// Where to ping every 5 s while this scheduler leads and trusts its clock
    #[arg(long, value_name = "URL")]
    heartbeat_url: Option<Uri>,
    #[command(flatten)]
    metrics: MetricsArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

impl Args {
    /// Whom to tell, and how.
    fn notices(&self) -> anyhow::Result<Notices> {
        let read = |path: &PathBuf| secret_file::read(path, "a secret", 1);
        let secret = self.webhook_secret_file.as_ref().map(read).transpose()?;
        let mut targets = self.notify_file.as_deref().map(read_targets).transpose()?.unwrap_or_default();
        targets.extend(self.webhooks.iter().map(|url| Target::webhook(url.clone(), secret.clone())));
        let public_url = self.public_url.as_ref().map(ToString::to_string);
        Ok(Notices { targets, public_url, heartbeat_url: self.heartbeat_url.clone() })
    }
}

/// Runs until it is told to stop.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let notices = args.notices()?;
    let shutdown = parts::stop_on_signal()?;
    let metrics = args.metrics.listen().await?;
    let mesh = session.mesh.connect("scheduler").await?;
    parts::provision(&mesh, args.replicas.as_deref().map(str::parse).transpose()?).await?;
    let reservations = Reservations { cpu_shares_per_core: args.cpu_shares_per_core };
    parts::run_scheduler(mesh, reservations, notices, metrics, shutdown).await?;
    Ok(Exit::Success)
}
