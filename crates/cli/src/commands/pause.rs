//! `tickmesh pause`: no ticks, and nothing that waits is started, until `resume`.

use tickmesh_client::requests::why_not;
use tickmesh_core::{ledger::Verdict, message::CommandKind, name::AppName};
use tickmesh_messaging::Mesh;

use super::{Session, apps::SeveralArgs, ask};
use crate::{
    exit::Exit,
    output::FormatArgs,
    views::done::{Done, DoneView},
};

/// What `pause` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    apps: SeveralArgs,
    #[command(flatten)]
    form: FormatArgs,
}

/// Pauses an app. What is active goes on.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let act = async |app, revision| pause(session, &mesh, app, revision).await;
    args.apps.each(session, &mesh, args.form.format, act).await?;
    Ok(Exit::Success)
}

async fn pause(session: &Session, mesh: &Mesh, app: AppName, revision: u64) -> anyhow::Result<DoneView> {
    Ok(match ask(session, mesh, &app, revision, CommandKind::Pause).await? {
        (request, Some(Verdict::Paused)) => {
            DoneView::app(Done::Paused, &app, format!("app {app} is paused")).of(request)
        }
        (_, Some(other)) => anyhow::bail!("cannot pause app `{app}`: {}", why_not(&other)),
        (request, None) => DoneView::stored(&app, request),
    })
}
