//! `tickmesh cancel`: stops a run, or whatever runs of an app.

use tickmesh_client::requests::{Watch, unanswered, until_ended, why_not};
use tickmesh_core::{ledger::Verdict, message::CommandKind};

use super::{Session, which_app::resolve};
use crate::{connect::asker, exit::Exit, target::RunTarget};

/// What `cancel` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A run, or an app: what runs of it
    #[arg(value_name = "APP[/RUN]", add = crate::completion::apps())]
    target: RunTarget,
    /// Wait until it has ended
    #[arg(long)]
    wait: bool,
}

/// Asks the leader to stop runs.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let (app, record) = resolve(&mesh, &args.target.app).await?;
    let target = RunTarget { app: app.clone(), run: args.target.run };
    let runs = match asker(&mesh).ask(&app, record.sequence, CommandKind::Cancel { run: target.run }).await? {
        Some(Verdict::Stopping { runs }) => runs,
        Some(other) => anyhow::bail!("cannot cancel {target}: {}", why_not(&other)),
        None => {
            session.output.talk(&unanswered());
            return Ok(Exit::Success);
        }
    };
    for run in &runs {
        session.output.line(&format!("run {app}/{run} is being stopped"))?;
    }
    if args.wait {
        // Anew: what was read while waiting for the answer is needed again.
        let mut watch = Watch::begin(&mesh, &app).await?;
        for summary in until_ended(&mut watch, runs).await? {
            session.output.line(&format!("run {app}/{} ended: {}", summary.run, summary.outcome))?;
        }
    }
    Ok(Exit::Success)
}
