//! `tickmesh retry`: a new run of what did not succeed in an earlier one.

use tickmesh_client::read;
use tickmesh_core::message::CommandKind;

use super::{
    Session,
    run::{Asked, wait_for_answer, wait_for_end},
    which_app::{known, unknown_run},
};
use crate::{
    connect::asker,
    exit::{BadInput, Exit},
    output::FormatArgs,
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
    #[command(flatten)]
    form: FormatArgs,
}

/// Asks for the run.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let RunTarget { app, run } = &args.target;
    let missing = || BadInput::new(format!("`{app}` names no run")).hint(format!("`tickmesh runs {app}` lists them"));
    let run = run.ok_or_else(missing)?;
    let mesh = session.mesh.open().await?;
    let (app, revision, _) = known(&mesh, app).await?;
    // The leader would refuse it too, but later, and with another exit code.
    if read::replicas(&mesh, &app, run).await?.is_none() {
        return Err(unknown_run(&app, run).into());
    }
    let sent = asker(&mesh).send(&app, revision, CommandKind::Retry { run }).await?;
    let asked = Asked { mesh: &mesh, app: &app, request: sent, format: args.form.format };
    if args.wait { wait_for_end(session, asked).await } else { wait_for_answer(session, asked).await }
}
