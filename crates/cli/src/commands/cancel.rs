//! `tickmesh cancel`: stops a run, or whatever runs of an app.

use tickmesh_client::requests::{Watch, answer_at_last, until_ended, why_not};
use tickmesh_core::{id::RunNumber, ledger::Verdict, message::CommandKind};

use super::{Session, ask, which_app::resolve};
use crate::{
    escape,
    exit::Exit,
    output::FormatArgs,
    target::RunTarget,
    views::done::{Done, DoneListView, DoneView},
};

/// What `cancel` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A run, or an app: what runs of it
    #[arg(value_name = "APP[/RUN]", add = crate::completion::apps())]
    target: RunTarget,
    /// Wait until it has ended
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    form: FormatArgs,
}

/// Asks the leader to stop runs.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let (app, record) = resolve(&mesh, &args.target.app).await?;
    let target = RunTarget { app: app.clone(), run: args.target.run };
    let kind = CommandKind::Cancel { run: target.run };
    let (request, verdict) = ask(session, &mesh, &app, record.sequence, kind).await?;
    let verdict = match verdict {
        Some(verdict) => verdict,
        // Whoever waits for the end of a run waits for a leader, too: nothing is stopped without one.
        None if args.wait => answer_at_last(&mut Watch::begin(&mesh, &app).await?, request).await?,
        None => {
            session.output.show(&DoneListView(vec![DoneView::stored(&app, request)]), args.form.format)?;
            return Ok(Exit::Success);
        }
    };
    let Verdict::Stopping { runs } = verdict else {
        anyhow::bail!("cannot cancel {target}: {}", why_not(&verdict));
    };
    let done =
        |done, run: RunNumber, text: String| DoneView { run: Some(run), ..DoneView::app(done, &app, text).of(request) };
    let stopping = runs.iter().map(|run| done(Done::Stopping, *run, format!("run {app}/{run} is being stopped")));
    let stopping = DoneListView(stopping.collect());
    if !args.wait || args.form.format.is_for_people() {
        session.output.show(&stopping, args.form.format)?;
    }
    if args.wait {
        session.output.flush()?;
        // Anew: what was read while waiting for the answer is needed again.
        let mut watch = Watch::begin(&mesh, &app).await?;
        let ended = until_ended(&mut watch, runs).await?;
        let ended = ended.iter().map(|summary| {
            let text = escape::text(&format!("run {app}/{} ended: {}", summary.run, summary.outcome));
            DoneView { outcome: Some(summary.outcome.label()), ..done(Done::Ended, summary.run, text) }
        });
        session.output.show(&DoneListView(ended.collect()), args.form.format)?;
    }
    Ok(Exit::Success)
}
