//! `tickmesh show`: everything about an app, or about one run of it.

use jiff::Timestamp;
use tickmesh_client::{read, zones};

use super::{
    Session,
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
            let details = read::details(&mesh, &app, &record, &zones, now).await?;
            session.output.show(&details.ok_or_else(|| unknown(&app))?, args.form.format)?;
        }
        Some(number) => {
            let run = read::run(&mesh, &app, number, &zones, now).await?;
            session.output.show(&run.ok_or_else(|| unknown_run(&app, number))?, args.form.format)?;
        }
    }
    Ok(Exit::Success)
}
