//! `tickmesh pause`: no ticks, and nothing that waits is started, until `resume`.

use tickmesh_client::requests::{unanswered, why_not};
use tickmesh_core::{ledger::Verdict, message::CommandKind, name::AppName};

use super::{Session, which_app::known};
use crate::{connect::asker, exit::Exit};

/// What `pause` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
    #[arg(add = crate::completion::apps())]
    app: AppName,
}

/// Pauses an app. What is active goes on.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let (app, revision, _) = known(&mesh, &args.app).await?;
    match asker(&mesh).ask(&app, revision, CommandKind::Pause).await? {
        Some(Verdict::Paused) => session.output.line(&format!("app {app} is paused"))?,
        Some(other) => anyhow::bail!("cannot pause app `{app}`: {}", why_not(&other)),
        None => session.output.talk(&unanswered()),
    }
    Ok(Exit::Success)
}
