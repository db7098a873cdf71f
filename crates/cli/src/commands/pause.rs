//! `tickmesh pause`: no ticks, and nothing that waits is started, until `resume`.

use tickmesh_client::requests::why_not;
use tickmesh_core::{ledger::Verdict, message::CommandKind, name::AppName};

use super::{Session, ask, which_app::known};
use crate::{
    exit::Exit,
    output::FormatArgs,
    views::done::{Done, DoneView},
};

/// What `pause` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
    #[arg(add = crate::completion::apps())]
    app: AppName,
    #[command(flatten)]
    form: FormatArgs,
}

/// Pauses an app. What is active goes on.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let (app, revision, _) = known(&mesh, &args.app).await?;
    let done = match ask(session, &mesh, &app, revision, CommandKind::Pause).await? {
        (request, Some(Verdict::Paused)) => {
            DoneView::app(Done::Paused, &app, format!("app {app} is paused")).of(request)
        }
        (_, Some(other)) => anyhow::bail!("cannot pause app `{app}`: {}", why_not(&other)),
        (request, None) => DoneView::stored(&app, request),
    };
    session.output.show(&done, args.form.format)?;
    Ok(Exit::Success)
}
