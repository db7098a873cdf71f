//! `tickmesh events`: what became of instants, attempts and runs, one a line.

use clap::ValueEnum;
use futures_util::{StreamExt as _, stream::select_all};
use tickmesh_core::name::AppName;
use tickmesh_messaging::{Change, Error, Following, Mesh, Start};

use super::{Session, which_app::resolve};
use crate::{exit::Exit, views::event::EventView};

/// What `events` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those of an app
    #[arg(add = crate::completion::apps())]
    app: Option<AppName>,
    /// Show what comes from now on, until Ctrl-C, instead of what is kept
    #[arg(long, short = 'f')]
    follow: bool,
    /// Form of the output
    #[arg(short = 'o', long = "output", value_enum, default_value_t = LineFormat::Lines, value_name = "FORMAT")]
    format: LineFormat,
}

/// Form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LineFormat {
    /// For people
    Lines,
    /// One JSON object a line: `type`, `at`, and the message as it is on its subject
    Json,
}

/// Shows what is kept, or what comes.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let app = match &args.app {
        Some(typed) => Some(resolve(&mesh, typed).await?.0),
        None => None,
    };
    if args.follow {
        let mut coming = coming(&mesh, app.as_ref()).await?;
        while let Some(event) = coming.next().await.transpose()? {
            print(session, args.format, &event)?;
        }
        anyhow::bail!("the events cannot be followed any more");
    }
    for event in kept(&mesh, app.as_ref()).await? {
        print(session, args.format, &event)?;
    }
    Ok(Exit::Success)
}

fn print(session: &Session, format: LineFormat, event: &EventView) -> anyhow::Result<()> {
    match format {
        LineFormat::Lines => session.output.line(&event.line())?,
        LineFormat::Json => session.output.line(&serde_json::to_string(event)?)?,
    }
    session.output.flush()
}

/// What is stored, in the order of time.
async fn kept(mesh: &Mesh, app: Option<&AppName>) -> Result<Vec<EventView>, Error> {
    let mut events: Vec<EventView> = Vec::new();
    let (ticks, runs) = match app {
        Some(app) => (mesh.ticks().last(app).await?, mesh.history().last(app).await?),
        None => (mesh.ticks().list().await?, mesh.history().list().await?),
    };
    events.extend(ticks.into_iter().map(|entry| EventView::tick(entry.value)));
    events.extend(runs.into_iter().map(|entry| EventView::run(entry.value)));
    let reports = mesh.results().list().await?.into_iter().map(|entry| entry.value);
    events.extend(reports.filter(|report| app.is_none_or(|app| report.attempt.app == *app)).map(EventView::result));
    if app.is_none() {
        events.extend(mesh.events().list().await?.into_iter().map(|entry| EventView::mesh(entry.at, entry.value)));
    }
    events.sort_by_key(|event| event.at);
    Ok(events)
}

/// What comes from now on.
async fn coming(mesh: &Mesh, app: Option<&AppName>) -> Result<Following<EventView>, Error> {
    let (results, wanted) = (mesh.results(), app.cloned());
    let ticks = mesh.ticks().follow(app, Start::New).await?;
    let runs = mesh.history().follow(app, Start::New).await?;
    let reports = results.follow(results.last_sequence().await?).await?;
    let reports = reports.filter_map(move |change| {
        let event = match change {
            Ok(Change::Entry(entry)) if wanted.as_ref().is_none_or(|app| entry.value.attempt.app == *app) => {
                Some(Ok(EventView::result(entry.value)))
            }
            Ok(Change::Entry(_) | Change::Unreadable { .. } | Change::SnapshotEnd { .. }) => None,
            Err(error) => Some(Err(error)),
        };
        std::future::ready(event)
    });
    let mut sources: Vec<Following<EventView>> = vec![
        ticks.map(|entry| Ok(EventView::tick(entry?.value))).boxed(),
        runs.map(|entry| Ok(EventView::run(entry?.value))).boxed(),
        reports.boxed(),
    ];
    if app.is_none() {
        let events = mesh.events().follow(Start::New).await?;
        sources.push(events.map(|entry| entry.map(|entry| EventView::mesh(entry.at, entry.value))).boxed());
    }
    Ok(select_all(sources).boxed())
}
