//! `tickmesh restore`: makes a mesh of a backup, where there is none or in the place of one that is damaged.
//!
//! A backup is older than what agents and people have seen. So the restored mesh goes on as after an accepted loss: run and
//! attempt numbers move ahead, and what runs and no ledger knows is stopped. The identity comes last: a mesh without one is not
//! there, and no scheduler makes another one before the rest is done. Until then nobody leads by the lease of the copy either.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use tickmesh_client::read::ROLL_PATIENCE;
use tickmesh_messaging::{Error, Mesh, SchedulerRole, StreamKind};

use super::{
    Session,
    doctor::loss::{self, Before},
};
use crate::{
    backup_file::{BackupReader, Head, Section},
    consent,
    exit::{BadInput, Exit},
};

/// What `restore` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File that `tickmesh backup` has written
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Servers that keep a copy of everything, if not as many as there were
    #[arg(long, value_name = "COUNT", value_parser = ["1", "3"])]
    replicas: Option<String>,
    /// Replace what there is of the mesh without asking
    #[arg(long)]
    yes: bool,
    /// Say what is in the file, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Says what a stage that is done has changed, when the next one fails.
const HALF_DONE: &str = "the mesh is restored in part, and nobody leads it: run `tickmesh restore` again";

/// Replaces the mesh by what the file has.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mut backup = BackupReader::open(&args.file)?;
    ensure_complete(args, &backup)?;
    let Head { namespace, made_at, build, .. } = backup.head.clone();
    let what = format!("{}: mesh {namespace}, of {made_at:.0}, by {build}", args.file.display());
    if args.dry_run {
        session.output.line(&what)?;
        for Section { stream, shape } in &backup.sections {
            session.output.line(&format!("  {stream}: {} messages", shape.messages()))?;
        }
        return Ok(Exit::Success);
    }
    if namespace != session.mesh.namespace {
        let problem = format!("the backup is of namespace `{namespace}`, and this is `{}`", session.mesh.namespace);
        return Err(BadInput::new(problem).hint(format!("restore it with --namespace {namespace}")).into());
    }
    let mesh = session.mesh.connect("cli").await?;
    let before = before(&mesh).await?;
    let there = mesh.find_streams().await?;
    if there.were_used() && !args.yes {
        let streams = there.found.len();
        consent::ask(session, &format!("replace the {streams} streams of mesh {namespace} that are there"))?;
    }
    session.output.line(&what)?;
    let replicas = args.replicas.as_deref().map(str::parse).transpose()?;
    replace(session, &mesh, &mut backup, replicas, &before).await.context(HALF_DONE)?;
    Ok(Exit::Success)
}

/// What those know who have seen the mesh before. Nobody may be about to lead it.
async fn before(mesh: &Mesh) -> anyhow::Result<Before> {
    let cards = mesh.schedulers().roll(ROLL_PATIENCE).await?;
    // One that refuses to lead goes on refusing: the lease of the copy says that it is not to be led on.
    if let Some(card) = cards.iter().find(|card| !matches!(card.role, SchedulerRole::Refusing { .. })) {
        let problem = format!("scheduler {} on {} runs, and would lead meanwhile", card.id, card.host);
        return Err(BadInput::new(problem)
            .hint("stop every scheduler first: `systemctl stop tickmesh-scheduler`")
            .into());
    }
    Ok(Before::of(&cards, mesh).await)
}

/// A mesh needs every stream but the output.
fn ensure_complete(args: &Args, backup: &BackupReader) -> anyhow::Result<()> {
    let has = |kind: &StreamKind| backup.sections.iter().any(|section| section.stream == kind.as_str());
    let missing = StreamKind::BACKUP_ORDER.into_iter().filter(|kind| *kind != StreamKind::Logs && !has(kind));
    let missing: Vec<&str> = missing.map(StreamKind::as_str).collect();
    if !missing.is_empty() {
        bail!("{} has no stream {}", args.file.display(), missing.join(", "));
    }
    Ok(())
}

async fn replace(
    session: &Session,
    mesh: &Mesh,
    backup: &mut BackupReader,
    replicas: Option<usize>,
    before: &Before,
) -> anyhow::Result<()> {
    // The identity goes first and comes last: a scheduler that is started meanwhile finds a store that is lost, and waits.
    for kind in StreamKind::ALL.into_iter().rev() {
        mesh.remove_stream(kind).await?;
    }
    while let Some(Section { stream, shape }) = backup.section()? {
        let Some(kind) = StreamKind::ALL.into_iter().find(|kind| kind.as_str() == stream) else {
            bail!("the backup has a stream `{stream}`, which this release does not know");
        };
        let shape = match replicas {
            Some(replicas) => shape.with_replicas(replicas),
            None => shape,
        };
        if kind == StreamKind::Meta {
            finish(session, mesh, before).await?;
        }
        let mut is_read = false;
        let next = || -> anyhow::Result<Option<Bytes>> {
            let piece = backup.piece()?;
            is_read = piece.is_none();
            Ok(piece.map(Bytes::from))
        };
        let restored = mesh.restore_stream(kind, &shape, next).await;
        // One that is there already takes nothing: what it would have had is passed over.
        while !is_read {
            is_read = backup.piece()?.is_none();
        }
        let is_named_already = kind == StreamKind::Meta && is_identity_there(mesh, backup).await?;
        if !is_named_already {
            restored?;
        }
        if kind == StreamKind::Lease {
            loss::withhold(mesh, before).await?;
        }
        session.output.line(&format!("{stream}: {} messages", shape.messages()))?;
    }
    session.output.line("restored: the next scheduler that starts or stands by leads")
}

/// What is left to do when everything but the identity is there.
async fn finish(session: &Session, mesh: &Mesh, before: &Before) -> anyhow::Result<()> {
    let missing = mesh.find_streams().await?.missing;
    let missing = missing.into_iter().filter(|kind| *kind != StreamKind::Meta).collect();
    mesh.make_missing(&missing).await?;
    loss::accept_restored(session, mesh, before).await
}

/// A scheduler that knows the mesh gives it its identity back as soon as nothing else is missing.
async fn is_identity_there(mesh: &Mesh, backup: &BackupReader) -> anyhow::Result<bool> {
    match mesh.open().await {
        Ok(id) => Ok(id == backup.head.mesh),
        Err(Error::NotProvisioned { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
