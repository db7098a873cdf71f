//! `tickmesh show`: everything about an app, or about one run of it.

use jiff::Timestamp;
use tickmesh_client::{leadership::leadership, read, zones};

use super::{
    Session, leader,
    which_app::{resolve, unknown, unknown_run},
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
    let mesh = session.mesh.open().await?;
    let (zones, now) = (zones::database(), Timestamp::now());
    let (app, record) = resolve(&mesh, &args.target.app).await?;
    match args.target.run {
        None => {
            let (details, leadership) =
                tokio::join!(read::details(&mesh, &app, &record, &zones, now), leadership(&mesh));
            let (mut details, leadership) = (details?.ok_or_else(|| unknown(&app))?, leadership?);
            leadership.correct_details(&mut details);
            session.output.show(&details, args.form.format)?;
            leader::warn_of(session, &leadership);
        }
        Some(number) => {
            let (run, leadership) = tokio::join!(read::run(&mesh, &app, number, &zones, now), leadership(&mesh));
            let (mut run, leadership) = (run?.ok_or_else(|| unknown_run(&app, number))?, leadership?);
            leadership.correct_run(&mut run);
            session.output.show(&run, args.form.format)?;
            leader::warn_of(session, &leadership);
        }
    }
    Ok(Exit::Success)
}
