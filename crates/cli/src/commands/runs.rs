//! `tickmesh runs`: the runs of an app that go on, and the last that ended.

use tickmesh_client::read;
use tickmesh_core::name::AppName;

use super::{Session, which_app::resolve};
use crate::{exit::Exit, output::FormatArgs};

/// What `runs` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
    #[arg(add = crate::completion::apps())]
    app: AppName,
    #[command(flatten)]
    form: FormatArgs,
}

/// Lists runs, the newest first.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let (app, _) = resolve(&mesh, &args.app).await?;
    session.output.show(&read::runs(&mesh, &app).await?, args.form.format)?;
    Ok(Exit::Success)
}
