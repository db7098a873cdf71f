//! `tickmesh pause`: no ticks, and nothing that waits is started, until `resume`.

use tickmesh_core::{ledger::Verdict, message::CommandKind, name::AppName};

use super::{Session, known_app};
use crate::{
    exit::Exit,
    requests::{self, unanswered, why_not},
};

/// What `pause` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
    app: AppName,
}

/// Pauses an app. What is active goes on.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let app = &args.app;
    let mesh = session.mesh.open().await?;
    let (revision, _) = known_app(&mesh, app).await?;
    match requests::ask(&mesh, app, revision, CommandKind::Pause).await? {
        Some(Verdict::Paused) => session.output.line(&format!("app {app} is paused"))?,
        Some(other) => anyhow::bail!("cannot pause app `{app}`: {}", why_not(&other)),
        None => session.output.talk(&unanswered()),
    }
    Ok(Exit::Success)
}
