//! `tickmesh show`: everything about an app, or about one run of it.

use jiff::{Timestamp, tz::TimeZoneDatabase};
use tickmesh_client::{
    leadership::leadership,
    read,
    views::{details::DetailsView, run::RunView},
    zones,
};
use tickmesh_core::{id::RunNumber, name::AppName};
use tickmesh_messaging::Mesh;

use super::{
    Session, leader,
    which_app::{look_up, unknown, unknown_run},
};
use crate::{exit::Exit, output::FormatArgs, target::RunTarget};

/// What `show` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An app, or a run of it
    #[arg(value_name = "APP[/RUN]", add = crate::completion::apps())]
    target: RunTarget,
    #[command(flatten)]
    form: FormatArgs,
}

/// Shows an app or a run.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let (zones, now) = (zones::database(), Timestamp::now());
    let RunTarget { app: typed, run } = &args.target;
    let read = async |mesh: &Mesh| -> anyhow::Result<_> {
        let (shown, leadership) = tokio::join!(look(mesh, typed, *run, &zones, now), leadership(mesh));
        Ok((shown?, leadership))
    };
    let (_, (shown, leadership)) = session.mesh.first_look(read).await?;
    match shown {
        Shown::App(mut details) => {
            leadership.correct_details(&mut details);
            session.output.show(&*details, args.form.format)?;
        }
        Shown::Run(mut run) => {
            leadership.correct_run(&mut run);
            session.output.show(&*run, args.form.format)?;
        }
    }
    leader::warn_of(session, &leadership);
    Ok(Exit::Success)
}

/// What is shown.
enum Shown {
    App(Box<DetailsView>),
    Run(Box<RunView>),
}

async fn look(
    mesh: &Mesh,
    typed: &AppName,
    run: Option<RunNumber>,
    zones: &TimeZoneDatabase,
    now: Timestamp,
) -> anyhow::Result<Shown> {
    let (app, on_record) = look_up(mesh, typed).await?;
    Ok(match run {
        None => {
            let details = read::details(mesh, &app, &on_record, zones, now).await?;
            Shown::App(Box::new(details.ok_or_else(|| unknown(&app))?))
        }
        Some(number) => {
            let run = read::run_on_record(mesh, &app, &on_record, number, zones, now).await?;
            Shown::Run(Box::new(run.ok_or_else(|| unknown_run(&app, number))?))
        }
    })
}
