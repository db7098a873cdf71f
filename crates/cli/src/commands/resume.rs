//! `tickmesh resume`: ends a pause.

use tickmesh_client::requests::why_not;
use tickmesh_core::{ledger::Verdict, message::CommandKind, name::AppName};

use super::{Session, ask, which_app::known};
use crate::{
    exit::Exit,
    output::FormatArgs,
    views::done::{Done, DoneView},
};

/// What `resume` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
    #[arg(add = crate::completion::apps())]
    app: AppName,
    #[command(flatten)]
    form: FormatArgs,
}

/// Lets a paused app go on, and says what it missed.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let (app, revision, _) = known(&mesh, &args.app).await?;
    let done = match ask(session, &mesh, &app, revision, CommandKind::Resume).await? {
        (request, Some(Verdict::Resumed { skipped })) => {
            let text = match skipped {
                0 => format!("app {app} goes on"),
                _ => format!("app {app} goes on; instants skipped while it was paused: {skipped}"),
            };
            DoneView { skipped: Some(skipped), ..DoneView::app(Done::Resumed, &app, text).of(request) }
        }
        (_, Some(other)) => anyhow::bail!("cannot resume app `{app}`: {}", why_not(&other)),
        (request, None) => DoneView::stored(&app, request),
    };
    session.output.show(&done, args.form.format)?;
    Ok(Exit::Success)
}
