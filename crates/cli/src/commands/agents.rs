//! `tickmesh agents`: the Docker hosts, and what they carry.

use jiff::Timestamp;
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
    session.output.show(&read::agents(&mesh, Timestamp::now()).await?, args.form.format)?;
    Ok(Exit::Success)
}
