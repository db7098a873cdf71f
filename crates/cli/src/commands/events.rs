//! `tickmesh events`: what became of instants, attempts and runs, one a line.

use clap::ValueEnum;
use futures_util::StreamExt as _;
use tickmesh_client::{
    events::{self, Position},
    views::event::EventView,
};
use tickmesh_core::name::AppName;

use super::{Session, which_app::resolve};
use crate::{exit::Exit, views::event::line};

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
        let mut coming = events::follow(&mesh, app.as_ref(), Position::end(&mesh).await?).await?;
        while let Some((_, event)) = coming.next().await.transpose()? {
            print(session, args.format, &event)?;
        }
        anyhow::bail!("the events cannot be followed any more");
    }
    for event in events::kept(&mesh, app.as_ref()).await? {
        print(session, args.format, &event)?;
    }
    Ok(Exit::Success)
}

fn print(session: &Session, format: LineFormat, event: &EventView) -> anyhow::Result<()> {
    match format {
        LineFormat::Lines => session.output.line(&line(event))?,
        LineFormat::Json => session.output.line(&serde_json::to_string(event)?)?,
    }
    session.output.flush()
}
