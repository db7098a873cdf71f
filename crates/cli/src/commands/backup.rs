//! `tickmesh backup`: a copy of everything that counts, while the mesh works.

use std::path::PathBuf;

use tickmesh_messaging::StreamKind;

use super::Session;
use crate::{
    backup_file::{BackupWriter, Head, Section},
    exit::{BadInput, Exit},
};

/// What `backup` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Leave out the output of containers, which is most of what is stored
    #[arg(long)]
    without_logs: bool,
    /// Write over a file that exists
    #[arg(long)]
    force: bool,
}

/// Copies the streams of the mesh into a file.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    if args.file.exists() && !args.force {
        let problem = format!("{} exists", args.file.display());
        return Err(BadInput::new(problem).hint("give it another name, or write over it with --force").into());
    }
    let mesh = session.mesh.open().await?;
    let head = Head::new(session.mesh.namespace.clone(), mesh.open().await?);
    let mut writer = BackupWriter::create(&args.file, &head)?;
    let (mut streams, mut messages) = (0, 0);
    for kind in StreamKind::BACKUP_ORDER {
        if args.without_logs && kind == StreamKind::Logs {
            continue;
        }
        let writer = std::cell::RefCell::new(&mut writer);
        let begin = |shape: &_| {
            let section = Section { stream: kind.as_str().to_owned(), shape: Clone::clone(shape) };
            writer.borrow_mut().begin(&section)
        };
        let shape = mesh.copy_stream(kind, begin, |piece| writer.borrow_mut().piece(piece)).await?;
        writer.borrow_mut().end()?;
        (streams, messages) = (streams + 1, messages + shape.messages());
    }
    let bytes = writer.finish()?;
    let size = bytes.div_ceil(1024);
    session.output.line(&format!("{}: {streams} streams, {messages} messages, {size} KiB", args.file.display()))?;
    Ok(Exit::Success)
}
