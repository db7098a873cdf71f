//! `tickmesh resume`: ends a pause.

use tickmesh_client::requests::why_not;
use tickmesh_core::{ledger::Verdict, message::CommandKind, name::AppName};
use tickmesh_messaging::Mesh;

use super::{Session, apps::SeveralArgs, ask};
use crate::{
    exit::Exit,
    output::FormatArgs,
    views::done::{Done, DoneView},
};

/// What `resume` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    apps: SeveralArgs,
    #[command(flatten)]
    form: FormatArgs,
}

/// Lets a paused app go on, and says what it missed.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let act = async |app, revision| resume(session, &mesh, app, revision).await;
    args.apps.each(session, &mesh, args.form.format, act).await?;
    Ok(Exit::Success)
}

async fn resume(session: &Session, mesh: &Mesh, app: AppName, revision: u64) -> anyhow::Result<DoneView> {
    Ok(match ask(session, mesh, &app, revision, CommandKind::Resume).await? {
        (request, Some(Verdict::Resumed { skipped })) => {
            let text = match skipped {
                0 => format!("app {app} goes on"),
                _ => format!("app {app} goes on; instants skipped while it was paused: {skipped}"),
            };
            DoneView { skipped: Some(skipped), ..DoneView::app(Done::Resumed, &app, text).of(request) }
        }
        (_, Some(other)) => anyhow::bail!("cannot resume app `{app}`: {}", why_not(&other)),
        (request, None) => DoneView::stored(&app, request),
    })
}
