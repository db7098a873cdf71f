//! `tickmesh ls`: the apps, and how they stand.

use jiff::Timestamp;
use tickmesh_client::{read, zones};

use super::Session;
use crate::{exit::Exit, output::FormatArgs};

/// What `ls` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    form: FormatArgs,
}

/// Lists apps.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let apps = read::apps(&mesh, &zones::database(), Timestamp::now()).await?;
    session.output.show(&apps, args.form.format)?;
    Ok(Exit::Success)
}
