//! `tickmesh rollback`: an earlier revision of an app again, as a new one.

use tickmesh_core::{message::AppRecord, name::AppName};
use tickmesh_messaging::Entry;

use super::{Session, apply, which_app::resolve};
use crate::{
    exit::{BadInput, Exit},
    output::FormatArgs,
};

/// What `rollback` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
    #[arg(add = crate::completion::apps())]
    app: AppName,
    /// The revision to go back to, instead of the one before the last
    #[arg(value_name = "REVISION")]
    revision: Option<u64>,
    #[command(flatten)]
    form: FormatArgs,
}

/// Applies it again. What runs goes on as it began.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let (app, record) = resolve(&mesh, &args.app).await?;
    let revisions = mesh.revisions(&app).await?;
    let current = record.value.source.as_ref();
    let is_current = |entry: &Entry<AppRecord>| {
        entry.value.source.as_ref().zip(current).is_some_and(|(one, other)| one.same_content(other))
    };
    let mut earlier = revisions.iter().rev().filter(|entry| match args.revision {
        Some(wanted) => entry.value.number == Some(wanted),
        None => entry.sequence < record.sequence && !is_current(entry),
    });
    let found = earlier.find_map(|entry| Some((entry.value.number?, entry.value.source.clone()?)));
    let Some((revision, source)) = found else {
        let problem = match args.revision {
            Some(wanted) => format!("app `{app}` has no file of revision {wanted}, or not any more"),
            None => format!("no earlier revision of app `{app}` is kept"),
        };
        return Err(BadInput::new(problem).hint(format!("`tickmesh history {app}` lists those that are kept")).into());
    };
    let applied = apply::apply(&mesh, &app, source).await?;
    let mut done = apply::applied(&app, &applied);
    if let apply::Applied::Stored { number: new, .. } = applied {
        done.text = format!("app {app} is revision {revision} again (revision {new})");
    }
    session.output.show(&done, args.form.format)?;
    Ok(Exit::Success)
}
