//! `tickmesh resume`: ends a pause.

use tickmesh_client::requests::{unanswered, why_not};
use tickmesh_core::{ledger::Verdict, message::CommandKind, name::AppName};

use super::{Session, which_app::known};
use crate::{connect::asker, exit::Exit};

/// What `resume` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
    #[arg(add = crate::completion::apps())]
    app: AppName,
}

/// Lets a paused app go on, and says what it missed.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let (app, revision, _) = known(&mesh, &args.app).await?;
    match asker(&mesh).ask(&app, revision, CommandKind::Resume).await? {
        Some(Verdict::Resumed { skipped: 0 }) => session.output.line(&format!("app {app} goes on"))?,
        Some(Verdict::Resumed { skipped }) => {
            session.output.line(&format!("app {app} goes on; instants skipped while it was paused: {skipped}"))?;
        }
        Some(other) => anyhow::bail!("cannot resume app `{app}`: {}", why_not(&other)),
        None => session.output.talk(&unanswered()),
    }
    Ok(Exit::Success)
}
