//! `tickmesh diff`: what `apply` would change.

use std::path::PathBuf;

use tickmesh_client::zones;
use tickmesh_core::{message::AppSource, name::AppName};

use super::{
    Session,
    apply::{Prepared, prepare},
};
use crate::{compose_file::VariableArgs, exit::Exit, source_diff};

/// What `diff` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Compose files, or directories of them; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Name of the app, instead of the file's (or for compose.yml the directory's)
    #[arg(long, value_name = "APP")]
    name: Option<AppName>,
    #[command(flatten)]
    variables: VariableArgs,
}

/// Shows what differs. Exits with 1 if anything does, as `diff` does.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let prepared = prepare(session, &args.files, args.name.as_ref(), &args.variables, &zones::database())?;
    let mesh = session.mesh.open().await?;
    let mut same = true;
    for Prepared { app, source, .. } in &prepared {
        let stored: Option<AppSource> = mesh.apps().read(app.as_str()).await?.and_then(|entry| entry.value.source);
        let diff = source_diff::between(stored.as_ref(), Some(source));
        if stored.is_none() {
            session.output.talk(&format!("app {app} is new"));
        }
        if !diff.is_empty() {
            session.output.foreign(&diff)?;
        }
        same &= stored.as_ref().is_some_and(|stored| stored.same_content(source));
    }
    Ok(if same { Exit::Success } else { Exit::Failed })
}
