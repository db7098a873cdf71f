//! `tickmesh schema`: what editors complete and check `x-tickmesh` by.

use tickmesh_core::compose;

use super::Session;
use crate::exit::Exit;

/// `schema` takes nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Prints it.
pub(crate) fn run(session: &Session, _args: &Args) -> anyhow::Result<Exit> {
    session.output.line(&serde_json::to_string_pretty(&compose::schema())?)?;
    Ok(Exit::Success)
}
