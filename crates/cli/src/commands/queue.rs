//! `tickmesh queue`: what of an app waits for its start; or nothing any more.

use tickmesh_client::{read, requests::why_not, zones};
use tickmesh_core::{ledger::Verdict, message::CommandKind, name::AppName};
use tickmesh_messaging::Mesh;

use super::{Session, ask, which_app::known};
use crate::{
    exit::Exit,
    output::FormatArgs,
    views::done::{Done, DoneView},
};

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
        return flush(session, &mesh, &app, revision, args.form).await;
    }
    let queue = read::queue(&mesh, &app, &source, &zones::database()).await?;
    session.output.show(&queue, args.form.format)?;
    Ok(Exit::Success)
}

async fn flush(session: &Session, mesh: &Mesh, app: &AppName, revision: u64, form: FormatArgs) -> anyhow::Result<Exit> {
    let done = match ask(session, mesh, app, revision, CommandKind::Flush).await? {
        (request, Some(Verdict::Flushed { waiting })) => {
            let text = format!("app {app}: runs thrown out of the queue: {waiting}");
            DoneView { waiting: Some(waiting), ..DoneView::app(Done::Flushed, app, text).of(request) }
        }
        (_, Some(other)) => anyhow::bail!("cannot empty the queue of app `{app}`: {}", why_not(&other)),
        (request, None) => DoneView::stored(app, request),
    };
    session.output.show(&done, form.format)?;
    Ok(Exit::Success)
}
