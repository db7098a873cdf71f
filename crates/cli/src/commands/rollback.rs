//! `tickmesh rollback`: an earlier revision of an app again, as a new one.

use tickmesh_core::name::AppName;

use super::{Session, apply, which_app::resolve};
use crate::exit::{BadInput, Exit};

/// What `rollback` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
    #[arg(add = crate::completion::apps())]
    app: AppName,
    /// The revision to go back to, instead of the one before the last
    #[arg(value_name = "REVISION")]
    revision: Option<u64>,
}

/// Applies it again. What runs goes on as it began.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let (app, record) = resolve(&mesh, &args.app).await?;
    let revisions = mesh.apps().history(app.as_str()).await?;
    let mut earlier = revisions.iter().rev().filter(|entry| match args.revision {
        Some(wanted) => entry.sequence == wanted,
        None => entry.sequence < record.sequence && entry.value.source != record.value.source,
    });
    let found = earlier.find_map(|entry| Some((entry.sequence, entry.value.source.clone()?)));
    let Some((revision, source)) = found else {
        let problem = match args.revision {
            Some(wanted) => format!("app `{app}` has no file of revision {wanted}, or not any more"),
            None => format!("no earlier revision of app `{app}` is kept"),
        };
        return Err(BadInput::new(problem).hint(format!("`tickmesh history {app}` lists those that are kept")).into());
    };
    let line = match apply::apply(&mesh, &app, source).await? {
        apply::Applied::Stored { revision: new } => format!("app {app} is revision {revision} again (revision {new})"),
        apply::Applied::Unchanged { revision: same } => format!("app {app} unchanged (revision {same})"),
    };
    session.output.line(&line)?;
    Ok(Exit::Success)
}
