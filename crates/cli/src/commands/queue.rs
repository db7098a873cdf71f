//! `tickmesh queue`: what of an app waits for its start; or nothing any more.

use tickmesh_client::{
    read,
    requests::{unanswered, why_not},
    zones,
};
use tickmesh_core::{ledger::Verdict, message::CommandKind, name::AppName};
use tickmesh_messaging::Mesh;

use super::{Session, which_app::known};
use crate::{connect::asker, exit::Exit, output::FormatArgs};

/// What `queue` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
    #[arg(add = crate::completion::apps())]
    app: AppName,
    /// Throw away what waits
    #[arg(long)]
    flush: bool,
    #[command(flatten)]
    form: FormatArgs,
}

/// Lists what waits, or throws it away.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let (app, revision, source) = known(&mesh, &args.app).await?;
    if args.flush {
        return flush(session, &mesh, &app, revision).await;
    }
    let queue = read::queue(&mesh, &app, &source, &zones::database()).await?;
    session.output.show(&queue, args.form.format)?;
    Ok(Exit::Success)
}

async fn flush(session: &Session, mesh: &Mesh, app: &AppName, revision: u64) -> anyhow::Result<Exit> {
    match asker(mesh).ask(app, revision, CommandKind::Flush).await? {
        Some(Verdict::Flushed { waiting }) => {
            session.output.line(&format!("app {app}: runs thrown out of the queue: {waiting}"))?;
        }
        Some(other) => anyhow::bail!("cannot empty the queue of app `{app}`: {}", why_not(&other)),
        None => session.output.talk(&unanswered()),
    }
    Ok(Exit::Success)
}
