//! `tickmesh diff`: what `apply` would change.

use std::path::PathBuf;

use tickmesh_client::zones;
use tickmesh_core::{message::AppSource, name::AppName};

use super::{
    Session,
    prepare::{Files, Prepared, prepare, vanished},
};
use crate::{compose_file::ProjectArgs, exit::Exit, source_diff};

/// What `diff` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Compose files, or directories of them; `-` is stdin
    #[arg(required_unless_present = "file_options", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Compose file that is merged over the one before; repeated
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file_options: Vec<PathBuf>,
    /// Name of the app or of the stack's project, instead of the file's (or for compose.yml the
    /// directory's)
    #[arg(long, value_name = "APP")]
    name: Option<AppName>,
    #[command(flatten)]
    project: ProjectArgs,
}

/// Shows what differs. Exits with 1 if anything does, as `diff` does.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let Args { files, file_options: merged, name, project } = args;
    let files = Files { files, merged, name: name.as_ref(), project, keep_going: false };
    let prepared = prepare(session, files, &zones::database())?.apps;
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
    for app in vanished(&mesh, &prepared).await? {
        session.output.talk(&format!("app {app} is in its file no more: `apply --prune` would remove it"));
        same = false;
    }
    Ok(if same { Exit::Success } else { Exit::Failed })
}
