//! `tickmesh apply`: puts apps under control of the mesh, or changes them.

use std::{collections::BTreeSet, path::PathBuf};

use tickmesh_client::{
    edit::{self, Edited},
    zones,
};
use tickmesh_core::{message::AppSource, name::AppName};
use tickmesh_messaging::Mesh;

use super::{
    Session, fit, images,
    prepare::{AllPrepared, Files, Prepared, check_origins, prepare, vanished},
    rm::{remove, removed},
};
use crate::{
    compose_file::ProjectArgs,
    connect::asker,
    consent,
    exit::Exit,
    inputs::inputs,
    output::{FormatArgs, Several},
    views::done::{Done, DoneView},
};

/// What `apply` takes.
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
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,
    /// Build images of `build` alone with docker compose, on this host
    #[arg(long, conflicts_with = "dry_run")]
    build: bool,
    /// Push the images that are built, and apply the app with them by their digests
    #[arg(long, requires = "build", value_name = "REGISTRY")]
    push: Option<String>,
    /// Remove every other app of the mesh; with stacks alone, those of their projects. Asks first
    #[arg(long)]
    prune: bool,
    /// Leave out files that are not valid, and apply the others
    #[arg(long)]
    keep_going: bool,
    /// Do not ask
    #[arg(long, requires = "prune")]
    yes: bool,
    #[command(flatten)]
    project: ProjectArgs,
    #[command(flatten)]
    form: FormatArgs,
}

/// What became of it.
pub(super) enum Applied {
    /// It is stored now.
    Stored {
        /// Its revision in the bucket.
        revision: u64,
        /// Its number among those of the app.
        number: u64,
    },
    /// It was there already.
    Unchanged {
        /// Its revision in the bucket.
        revision: u64,
        /// Its number among those of the app.
        number: u64,
    },
}

/// Checks the files, stores them, and says when they will run. Nothing is stored if one of them is
/// not valid, unless the others are to go on.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let Args { files, file_options: merged, name, project, keep_going, .. } = args;
    let files = Files { files, merged, name: name.as_ref(), project, keep_going: *keep_going };
    let AllPrepared { apps: mut prepared, refused } = prepare(session, files, &zones::database())?;
    if args.build {
        images::build(session, &inputs(&args.files, merged)?, &mut prepared, args.push.as_deref())?;
    }
    let mesh = session.mesh.open().await?;
    check_origins(&mesh, &prepared).await?;
    let are_stacks = prepared.iter().all(|it| it.source.project.service.is_some()) && !prepared.is_empty();
    let others = match args.prune {
        true if are_stacks => vanished(&mesh, &prepared).await?,
        // What a file that is not valid would be called, nobody knows.
        true if refused.is_empty() => others(&mesh, &prepared).await?,
        true | false => Vec::new(),
    };
    if !args.prune {
        tell_vanished(session, &mesh, &prepared).await?;
    }
    if !args.dry_run && !others.is_empty() && !args.yes {
        let names: Vec<&str> = others.iter().map(AppName::as_str).collect();
        consent::ask(session, &format!("remove {}", names.join(", ")))?;
    }
    let mut several = session.output.several(args.form.format);
    let result = match args.dry_run {
        true => dry_run(&mesh, &prepared, &others, &mut several).await,
        false => apply_all(session, &mesh, prepared, &others, &mut several).await,
    };
    several.end(result)?;
    if refused.is_empty() {
        return Ok(Exit::Success);
    }
    session.output.talk(&format!("not valid, and left out: {}", refused.join(", ")));
    Ok(Exit::BadInput)
}

/// Names the apps whose services are in the files of their stacks no more.
async fn tell_vanished(session: &Session, mesh: &Mesh, prepared: &[Prepared]) -> anyhow::Result<()> {
    for app in vanished(mesh, prepared).await? {
        session.output.talk(&format!("app {app} is in its file no more, and goes on: --prune removes it"));
    }
    Ok(())
}

async fn apply_all(
    session: &Session,
    mesh: &Mesh,
    prepared: Vec<Prepared>,
    others: &[AppName],
    several: &mut Several,
) -> anyhow::Result<()> {
    for Prepared { app, source, when, next, host_paths } in prepared {
        let mut done = applied(&app, &apply(mesh, &app, source.clone()).await?);
        fit::warn(mesh, session.output, &app, &source).await?;
        done.text.push_str(&format!("\n  {when}"));
        for (written, path) in &host_paths {
            done.text.push_str(&format!("\n  {written} is {path} on each host"));
        }
        several.tell(DoneView { next, ..done })?;
    }
    for app in others {
        several.tell(removed(app, remove(mesh, app).await?))?;
    }
    Ok(())
}

impl Applied {
    /// The revision in the bucket that is stored now.
    pub(super) fn revision(&self) -> u64 {
        match self {
            Self::Stored { revision, .. } | Self::Unchanged { revision, .. } => *revision,
        }
    }

    /// Its number among those of the app.
    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Stored { number, .. } | Self::Unchanged { number, .. } => *number,
        }
    }
}

/// That an app is stored.
pub(super) fn applied(app: &AppName, applied: &Applied) -> DoneView {
    let revision = applied.number();
    let (done, what) = match applied {
        Applied::Stored { .. } => (Done::Applied, "applied"),
        Applied::Unchanged { .. } => (Done::Unchanged, "unchanged"),
    };
    let text = format!("app {app} {what} (revision {revision})");
    DoneView { revision: Some(revision), ..DoneView::app(done, app, text) }
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

async fn dry_run(mesh: &Mesh, prepared: &[Prepared], others: &[AppName], several: &mut Several) -> anyhow::Result<()> {
    for Prepared { app, source, when, next, host_paths: _ } in prepared {
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
        Edited::Stored { revision, number } => Ok(Applied::Stored { revision, number }),
        Edited::Unchanged { revision, number } => Ok(Applied::Unchanged { revision, number }),
        Edited::Contended { current } => {
            let by = current.record().map(|it| format!(" by {}", it.by));
            let by = by.unwrap_or_default();
            anyhow::bail!("app `{app}` is being changed by others at the same time{by}: apply again")
        }
    }
}
