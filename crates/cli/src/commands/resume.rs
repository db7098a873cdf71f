//! `tickmesh resume`: ends a pause.

use tickmesh_core::{ledger::Verdict, message::CommandKind, name::AppName};

use super::{Session, known_app};
use crate::{
    exit::Exit,
    requests::{self, unanswered, why_not},
};

/// What `resume` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
    app: AppName,
}

/// Lets a paused app go on, and says what it missed.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let app = &args.app;
    let mesh = session.mesh.open().await?;
    let (revision, _) = known_app(&mesh, app).await?;
    match requests::ask(&mesh, app, revision, CommandKind::Resume).await? {
        Some(Verdict::Resumed { skipped: 0 }) => session.output.line(&format!("app {app} goes on"))?,
        Some(Verdict::Resumed { skipped }) => {
            session.output.line(&format!("app {app} goes on; instants skipped while it was paused: {skipped}"))?;
        }
        Some(other) => anyhow::bail!("cannot resume app `{app}`: {}", why_not(&other)),
        None => session.output.talk(&unanswered()),
    }
    Ok(Exit::Success)
}
