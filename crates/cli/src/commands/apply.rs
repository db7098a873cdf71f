//! `tickmesh apply`: puts apps under control of the mesh, or changes them.

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use jiff::{Timestamp, tz::TimeZoneDatabase};
use tickmesh_client::{
    edit::{self, Edited},
    views::validation::ValidationView,
    zones,
};
use tickmesh_core::{message::AppSource, name::AppName};
use tickmesh_messaging::Mesh;

use super::{
    Session,
    rm::{remove, removed},
    validate::print_diagnostics,
};
use crate::{
    compose_file::{Source, VariableArgs},
    connect::asker,
    exit::{BadInput, Exit},
    output::{Format, FormatArgs, Several},
    views::done::{Done, DoneView},
};

/// What files in a directory are called.
const EXTENSIONS: [&str; 2] = ["yml", "yaml"];

/// What `apply` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Compose files, or directories of them; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Name of the app, instead of the file's (or for compose.yml the directory's)
    #[arg(long, value_name = "APP")]
    name: Option<AppName>,
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,
    /// Remove every other app of the mesh. Asks first
    #[arg(long)]
    prune: bool,
    /// Do not ask
    #[arg(long, requires = "prune")]
    yes: bool,
    #[command(flatten)]
    variables: VariableArgs,
    #[command(flatten)]
    form: FormatArgs,
}

/// What became of it.
pub(super) enum Applied {
    /// It is stored now.
    Stored {
        /// Its revision.
        revision: u64,
    },
    /// It was there already.
    Unchanged {
        /// The revision that was.
        revision: u64,
    },
}

/// A file that may be applied.
pub(super) struct Prepared {
    /// The app.
    pub app: AppName,
    /// What is stored of it.
    pub source: AppSource,
    /// When it will run, in one line.
    pub when: String,
    /// The first instants of that.
    pub next: Vec<Timestamp>,
}

/// Checks the files, stores them, and says when they will run. Nothing is stored if one of them is not valid.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let prepared = prepare(session, &args.files, args.name.as_ref(), &args.variables, &zones::database())?;
    let mesh = session.mesh.open().await?;
    let others = if args.prune { others(&mesh, &prepared).await? } else { Vec::new() };
    if !args.dry_run && !others.is_empty() && !args.yes {
        ask(session, &others)?;
    }
    let mut several = session.output.several(args.form.format);
    let result = match args.dry_run {
        true => dry_run(&mesh, &prepared, &others, &mut several).await,
        false => apply_all(&mesh, prepared, &others, &mut several).await,
    };
    several.end(result)?;
    Ok(Exit::Success)
}

async fn apply_all(
    mesh: &Mesh,
    prepared: Vec<Prepared>,
    others: &[AppName],
    several: &mut Several,
) -> anyhow::Result<()> {
    for Prepared { app, source, when, next } in prepared {
        let mut done = applied(&app, &apply(mesh, &app, source).await?);
        done.text.push_str(&format!("\n  {when}"));
        several.tell(DoneView { next, ..done })?;
    }
    for app in others {
        several.tell(removed(app, remove(mesh, app).await?))?;
    }
    Ok(())
}

impl Applied {
    /// The revision that is stored now.
    pub(super) fn revision(&self) -> u64 {
        match self {
            Self::Stored { revision } | Self::Unchanged { revision } => *revision,
        }
    }
}

/// That an app is stored.
pub(super) fn applied(app: &AppName, applied: &Applied) -> DoneView {
    let revision = applied.revision();
    let (done, what) = match applied {
        Applied::Stored { .. } => (Done::Applied, "applied"),
        Applied::Unchanged { .. } => (Done::Unchanged, "unchanged"),
    };
    let text = format!("app {app} {what} (revision {revision})");
    DoneView { revision: Some(revision), ..DoneView::app(done, app, text) }
}

/// Reads all files, and refuses all of them if one is not valid.
pub(super) fn prepare(
    session: &Session,
    paths: &[PathBuf],
    name: Option<&AppName>,
    variables: &VariableArgs,
    zones: &TimeZoneDatabase,
) -> anyhow::Result<Vec<Prepared>> {
    let mut files = Vec::new();
    for path in paths {
        files.extend(expand(path)?);
    }
    if name.is_some() && files.len() > 1 {
        return Err(BadInput::new("--name is for one file").into());
    }
    let variables = variables.all();
    let (mut prepared, mut refused): (Vec<Prepared>, Vec<String>) = (Vec::new(), Vec::new());
    for path in files {
        let source = Source::read(&path)?;
        let app = name.map_or_else(|| source.app_name(), |name| Ok(name.clone()))?;
        let understood = source.understand(&app, &variables, zones)?;
        print_diagnostics(session.output, &source.text, &understood.reading.diagnostics, Format::Table);
        if understood.reading.spec.is_none() {
            refused.push(source.name);
            continue;
        }
        if let Some(twin) = prepared.iter().find(|other| other.app == app) {
            let (one, other) = (&twin.source.file_name, &source.name);
            return Err(BadInput::new(format!("{one} and {other} are both called `{app}`")).into());
        }
        let view = ValidationView::new(&source.name, &understood.reading, zones, Timestamp::now());
        prepared.push(Prepared { app, source: understood.into_source(), when: view.when(), next: view.next });
    }
    match refused.as_slice() {
        [] => Ok(prepared),
        [one] if paths.len() == 1 && prepared.is_empty() => {
            Err(BadInput::new(format!("{one} is not valid, and nothing has changed")).into())
        }
        several => Err(BadInput::new(format!("not valid, so nothing has changed: {}", several.join(", "))).into()),
    }
}

/// A file, or the compose files of a directory in the order of their names.
fn expand(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let attempted = || format!("cannot list {}", path.display());
    let mut files = Vec::new();
    for entry in path.read_dir().with_context(attempted)? {
        let file = entry.with_context(attempted)?.path();
        let is_compose = file.extension().is_some_and(|it| EXTENSIONS.iter().any(|extension| it == *extension));
        if is_compose && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(BadInput::new(format!("there is no .yml or .yaml file in {}", path.display())).into());
    }
    Ok(files)
}

/// The apps of the mesh that are not among these files.
async fn others(mesh: &Mesh, prepared: &[Prepared]) -> anyhow::Result<Vec<AppName>> {
    let kept: BTreeSet<&AppName> = prepared.iter().map(|it| &it.app).collect();
    let stored = mesh.apps().list().await?;
    let present = stored.into_iter().filter(|entry| entry.value.source.is_some());
    let mut others: Vec<AppName> = present.filter_map(|entry| AppName::new(entry.key).ok()).collect();
    others.retain(|app| !kept.contains(app));
    others.sort();
    Ok(others)
}

/// Goes on only if somebody says so.
fn ask(session: &Session, others: &[AppName]) -> anyhow::Result<()> {
    let names: Vec<&str> = others.iter().map(AppName::as_str).collect();
    let names = names.join(", ");
    if !io::stdin().is_terminal() {
        return Err(BadInput::new(format!("--prune would remove {names}")).hint("say that it may with --yes").into());
    }
    session.output.talk(&format!("remove {names}? Type `yes`:"));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    if answer.trim() != "yes" {
        return Err(BadInput::new("nothing has changed").into());
    }
    Ok(())
}

async fn dry_run(mesh: &Mesh, prepared: &[Prepared], others: &[AppName], several: &mut Several) -> anyhow::Result<()> {
    for Prepared { app, source, when, next } in prepared {
        let stored = mesh.apps().read(app.as_str()).await?.and_then(|entry| entry.value.source);
        let (done, what) = match &stored {
            None => (Done::WouldBeNew, "would be new"),
            Some(stored) if stored.same_content(source) => (Done::Unchanged, "is unchanged"),
            Some(_) => (Done::WouldChange, "would change"),
        };
        let done = DoneView::app(done, app, format!("app {app} {what}\n  {when}"));
        several.tell(DoneView { next: next.clone(), ..done })?;
    }
    for app in others {
        several.tell(DoneView::app(Done::WouldBeRemoved, app, format!("app {app} would be removed")))?;
    }
    Ok(())
}

/// Stores a source under a name.
pub(crate) async fn store(mesh: &Mesh, app: &AppName, source: AppSource) -> anyhow::Result<()> {
    apply(mesh, app, source).await.map(drop)
}

/// Stores a source, unless it is there already. What runs goes on as it began.
pub(super) async fn apply(mesh: &Mesh, app: &AppName, source: AppSource) -> anyhow::Result<Applied> {
    match edit::apply(&asker(mesh), app, source).await? {
        Edited::Stored { revision } => Ok(Applied::Stored { revision }),
        Edited::Unchanged { revision } => Ok(Applied::Unchanged { revision }),
        Edited::Contended { current } => {
            let by = current.map(|entry| format!(" (revision {} by {})", entry.sequence, entry.value.by));
            let by = by.unwrap_or_default();
            anyhow::bail!("app `{app}` is being changed by others at the same time{by}: apply again")
        }
    }
}
