//! `tickmesh cancel`: stops a run, or whatever runs of an app.

use std::{pin::pin, time::Duration};

use tickmesh_client::{
    read,
    requests::{Watch, answer_at_last, until_ended, why_not},
};
use tickmesh_core::{
    id::{AttemptId, RunNumber},
    ledger::Verdict,
    message::CommandKind,
    name::{AgentName, AppName},
};
use tickmesh_messaging::Mesh;
use tokio::time::timeout;

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
    /// End it now, without waiting for its agents: what they still run may overlap the next run
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    form: FormatArgs,
}

/// What becomes of a container whose run was ended by force.
const LEFT_RUNNING: &str = "the agent stops it as soon as it is heard, and the next run may begin beside it; \
     look at `tickmesh agents`, and at `docker ps` on that host";

/// How long somebody waits before it is said that he need not: containers have 10 s to stop, if nothing else is set.
const HINT_AFTER: Duration = Duration::from_secs(20);

/// An attempt that has not ended.
struct Open {
    attempt: AttemptId,
    agent: AgentName,
}

/// Returns the attempts of an app that may have a container.
async fn open_attempts(mesh: &Mesh, app: &AppName) -> anyhow::Result<Vec<Open>> {
    let ledger = read::ledger(mesh, app).await?;
    let runs = ledger.iter().flat_map(|ledger| &ledger.active);
    let open = runs.flat_map(|run| run.open_attempts(app));
    Ok(open.map(|(attempt, open)| Open { attempt, agent: open.agent.clone() }).collect())
}

/// Asks the leader to stop runs.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let (app, record) = resolve(&mesh, &args.target.app).await?;
    let target = RunTarget { app: app.clone(), run: args.target.run };
    let kind = CommandKind::Cancel { run: target.run, force: args.force };
    let open = if args.force { open_attempts(&mesh, &app).await? } else { Vec::new() };
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
    for Open { attempt, agent } in open.iter().filter(|open| runs.contains(&open.attempt.run)) {
        session.output.talk(&format!("warning: {attempt} may still run on {agent}: {LEFT_RUNNING}"));
    }
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
        let mut ending = pin!(until_ended(&mut watch, runs));
        let ended = match timeout(HINT_AFTER, &mut ending).await {
            Ok(ended) => ended?,
            Err(_) => {
                session
                    .output
                    .talk(&format!("still waiting for the agents: `tickmesh cancel --force {target}` does not"));
                ending.await?
            }
        };
        let ended = ended.iter().map(|summary| {
            let text = escape::text(&format!("run {app}/{} ended: {}", summary.run, summary.outcome));
            DoneView { outcome: Some(summary.outcome.label()), ..done(Done::Ended, summary.run, text) }
        });
        session.output.show(&DoneListView(ended.collect()), args.form.format)?;
    }
    Ok(Exit::Success)
}
