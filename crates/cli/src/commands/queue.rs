//! `tickmesh queue`: what of an app waits for its start; or nothing any more.

use jiff::tz::TimeZone;
use tickmesh_core::{ledger::Verdict, message::CommandKind, name::AppName};
use tickmesh_messaging::Mesh;

use super::{Session, known_app};
use crate::{
    compose_file::understand_stored,
    exit::Exit,
    output::FormatArgs,
    requests::{self, unanswered, why_not},
    views::details::{QueueListView, WaitingView},
    zones,
};

/// What `queue` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
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
    if args.flush {
        return flush(session, &mesh, &args.app).await;
    }
    session.output.show(&waiting(&mesh, &args.app).await?, args.form.format)?;
    Ok(Exit::Success)
}

async fn waiting(mesh: &Mesh, app: &AppName) -> anyhow::Result<QueueListView> {
    let (_, source) = known_app(mesh, app).await?;
    let schedule = understand_stored(app, &source, &zones::database()).spec.and_then(|spec| spec.schedule);
    let ledger = mesh.ledgers().read(app.as_str()).await?;
    Ok(QueueListView {
        waiting: ledger.iter().flat_map(|ledger| &ledger.value.queue).map(WaitingView::from).collect(),
        zone: schedule.map_or(TimeZone::UTC, |schedule| schedule.zone().clone()),
    })
}

async fn flush(session: &Session, mesh: &Mesh, app: &AppName) -> anyhow::Result<Exit> {
    let (revision, _) = known_app(mesh, app).await?;
    match requests::ask(mesh, app, revision, CommandKind::Flush).await? {
        Some(Verdict::Flushed { waiting }) => {
            session.output.line(&format!("app {app}: runs thrown out of the queue: {waiting}"))?;
        }
        Some(other) => anyhow::bail!("cannot empty the queue of app `{app}`: {}", why_not(&other)),
        None => session.output.talk(&unanswered()),
    }
    Ok(Exit::Success)
}
