//! `tickmesh apply`: puts an app under control of the mesh, or changes it.

use std::path::PathBuf;

use jiff::Timestamp;
use tickmesh_core::{
    message::{AppRecord, AppSource, SCHEMA},
    name::AppName,
};
use tickmesh_messaging::{Cas, Mesh};

use super::{Session, validate::print_diagnostics};
use crate::{
    compose_file::{Source, Understood, VariableArgs},
    connect::who,
    exit::{BadInput, Exit},
    output::Format,
    views::validation::ValidationView,
    zones,
};

/// Tries to write. Whoever lost against another writer once sees his file and may well overwrite it; twice is a fight that
/// people should know about.
const TRIES: usize = 2;

/// What `apply` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Compose file; `-` is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name of the app, instead of the file's (or for compose.yml the directory's)
    #[arg(long, value_name = "APP")]
    name: Option<AppName>,
    #[command(flatten)]
    variables: VariableArgs,
}

/// What became of it.
enum Applied {
    /// It is stored now.
    Stored { revision: u64 },
    /// It was there already.
    Unchanged { revision: u64 },
}

/// Checks the file, stores it, and says when it will run.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let source = Source::read(&args.file)?;
    let app = match &args.name {
        Some(name) => name.clone(),
        None => source.app_name()?,
    };
    let zones = zones::database();
    let understood = source.understand(&app, &args.variables.all(), &zones)?;
    let reading = &understood.reading;
    print_diagnostics(session.output, &reading.diagnostics, Format::Table);
    if reading.spec.is_none() {
        return Err(BadInput::new(format!("{} is not valid, and app `{app}` is as it was", source.name)).into());
    }
    let view = ValidationView::new(&source.name, reading, &zones, Timestamp::now());
    let mesh = session.mesh.open().await?;
    let applied = apply(&mesh, &app, app_source(source, understood)).await?;
    let line = match applied {
        Applied::Stored { revision } => format!("app {app} applied (revision {revision})"),
        Applied::Unchanged { revision } => format!("app {app} unchanged (revision {revision})"),
    };
    session.output.line(&line)?;
    session.output.line(&format!("  {}", view.when()))?;
    Ok(Exit::Success)
}

/// Stores a source under a name.
pub(crate) async fn store(mesh: &Mesh, app: &AppName, source: AppSource) -> anyhow::Result<()> {
    apply(mesh, app, source).await.map(drop)
}

/// What is stored of a file that was read.
pub(crate) fn app_source(source: Source, Understood { reading, env_files }: Understood) -> AppSource {
    AppSource {
        compose: source.text,
        file_name: source.name,
        variables: reading.variables_used,
        env_files,
        timezone: reading.timezone,
    }
}

async fn apply(mesh: &Mesh, app: &AppName, source: AppSource) -> anyhow::Result<Applied> {
    let edits = mesh.edits();
    let record = AppRecord { schema: SCHEMA, by: who(), source: Some(source) };
    let mut current = edits.current(app).await?;
    for _ in 0..TRIES {
        if let Some(entry) = &current
            && entry.value.source == record.source
        {
            return Ok(Applied::Unchanged { revision: entry.sequence });
        }
        match edits.write(app, &record, current.as_ref()).await? {
            Cas::Stored { sequence } => return Ok(Applied::Stored { revision: sequence }),
            Cas::Refused { current: newer } => current = newer,
        }
    }
    let by = current.map(|entry| format!(" (revision {} by {})", entry.sequence, entry.value.by));
    anyhow::bail!("app `{app}` is being changed by others at the same time{}: apply again", by.unwrap_or_default())
}
