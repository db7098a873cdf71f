//! `tickmesh runs`: the runs of an app that go on, and the last that ended.

use tickmesh_client::{read, views::run::RunsView};
use tickmesh_core::name::AppName;
use tickmesh_messaging::Mesh;

use super::{Session, watch::WatchArgs, which_app::look_up};
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
    let read = async |mesh: &Mesh| -> anyhow::Result<_> {
        let (app, on_record) = look_up(mesh, &args.app).await?;
        Ok(read::runs_on_record(&app, &on_record))
    };
    let show = async |mut runs: RunsView| {
        runs.0.truncate(args.limit.unwrap_or(usize::MAX));
        session.output.show(&runs, args.form.format)
    };
    args.watch.look(session, read, show).await
}
