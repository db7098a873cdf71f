//! `tickmesh agents`: the Docker hosts, and what they carry.

use tickmesh_client::read;

use super::Session;
use crate::{exit::Exit, output::FormatArgs};

/// What `agents` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    form: FormatArgs,
}

/// Lists agents.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let (agents, now) = read::agents(&mesh).await?;
    session.output.show_at(&agents, args.form.format, now)?;
    Ok(Exit::Success)
}
