//! `tickmesh runs`: the runs of an app that go on, and the last that ended.

use tickmesh_client::read;
use tickmesh_core::name::AppName;

use super::{Session, watch::WatchArgs, which_app::resolve};
use crate::{exit::Exit, output::FormatArgs};

/// What `runs` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
    #[arg(add = crate::completion::apps())]
    app: AppName,
    /// Show at most this many runs
    #[arg(long, short = 'n', value_name = "COUNT")]
    limit: Option<usize>,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    form: FormatArgs,
}

/// Lists runs, the newest first.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let (app, _) = resolve(&mesh, &args.app).await?;
    let show = async || {
        let mut runs = read::runs(&mesh, &app).await?;
        runs.0.truncate(args.limit.unwrap_or(usize::MAX));
        session.output.show(&runs, args.form.format)
    };
    args.watch.look(session, show).await
}
