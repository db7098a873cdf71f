//! `tickmesh retry`: a new run of what did not succeed in an earlier one.

use tickmesh_core::message::CommandKind;

use super::{
    Session,
    run::{wait_for_answer, wait_for_end},
    which_app::known,
};
use crate::{
    connect::asker,
    exit::{BadInput, Exit},
    target::RunTarget,
};

/// What `retry` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A run that has ended
    #[arg(value_name = "APP/RUN", add = crate::completion::apps())]
    target: RunTarget,
    /// Wait for the end of the new run
    #[arg(long)]
    wait: bool,
}

/// Asks for the run.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let RunTarget { app, run } = &args.target;
    let missing = || BadInput::new(format!("`{app}` names no run")).hint(format!("`tickmesh runs {app}` lists them"));
    let run = run.ok_or_else(missing)?;
    let mesh = session.mesh.open().await?;
    let (app, revision, _) = known(&mesh, app).await?;
    let sent = asker(&mesh).send(&app, revision, CommandKind::Retry { run }).await?;
    if args.wait {
        wait_for_end(session, &mesh, &app, sent).await
    } else {
        wait_for_answer(session, &mesh, &app, sent).await
    }
}
