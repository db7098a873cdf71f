//! `tickmesh agents`: the Docker hosts, and what they carry.

use jiff::Timestamp;

use super::Session;
use crate::{exit::Exit, output::FormatArgs, views::agent::AgentsView};

/// What `agents` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    form: FormatArgs,
}

/// Lists agents.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let (agents, ledgers) = (mesh.agents().list().await?, mesh.ledgers().list().await?);
    session.output.show(&AgentsView::new(&agents, &ledgers, Timestamp::now()), args.form.format)?;
    Ok(Exit::Success)
}
