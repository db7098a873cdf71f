//! `tickmesh events`: what became of instants, attempts and runs, one a line.

use clap::ValueEnum;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use tickmesh_client::{
    events::{self, Position, Wanted},
    views::event::EventView,
};
use tickmesh_core::name::AppName;

use super::{Session, logs::moment, which_app::resolve};
use crate::{exit::Exit, views::event::line};

/// Events that are shown unless more are asked for.
const TAIL_DEFAULT: u32 = 1_000;
/// Most events that are held in memory at once.
const TAIL_MAX: u32 = 100_000;

/// What `events` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those of an app
    #[arg(add = crate::completion::apps())]
    app: Option<AppName>,
    /// Show what comes from now on, until Ctrl-C, instead of what is kept
    #[arg(long, short = 'f')]
    follow: bool,
    /// Only the newest of what is kept
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = TAIL_DEFAULT, conflicts_with = "follow", value_parser = clap::value_parser!(u32).range(0..=i64::from(TAIL_MAX)))]
    tail: u32,
    /// Only what is not older than that: `10m`, or a moment in RFC 3339
    #[arg(long, value_name = "TIME", conflicts_with = "follow", value_parser = moment)]
    since: Option<Timestamp>,
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
    let wanted = Wanted { since: args.since, count: args.tail as usize };
    let kept = events::kept(&mesh, app.as_ref(), wanted).await?;
    if kept.earlier > 0 {
        session.output.talk(&format!("{} earlier events are not shown: see --tail and --since", kept.earlier));
    }
    kept.events.iter().try_for_each(|event| print(session, args.format, event))?;
    Ok(Exit::Success)
}

fn print(session: &Session, format: LineFormat, event: &EventView) -> anyhow::Result<()> {
    match format {
        LineFormat::Lines => session.output.line(&line(event))?,
        LineFormat::Json => session.output.line(&serde_json::to_string(event)?)?,
    }
    session.output.flush()
}
