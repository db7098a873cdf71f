//! `tickmesh internal-guard`: the guard of an agent on this host, which the agent starts.

use anyhow::Context;
use tickmesh_agent::{engine::docker::Docker, guard_process};

use crate::{build::build, exit::Exit};

/// What `internal-guard` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Settings of the guard, as JSON
    #[arg(value_name = "SETTINGS", value_parser = settings)]
    settings: guard_process::Settings,
}

/// Guards until nobody needs that any more.
pub(crate) async fn run(args: &Args) -> anyhow::Result<Exit> {
    guard_process::run(args.settings.clone(), build(), Docker::connect).await.context("the guard failed")?;
    Ok(Exit::Success)
}

fn settings(text: &str) -> serde_json::Result<guard_process::Settings> {
    serde_json::from_str(text)
}
