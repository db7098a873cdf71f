//! `tickmesh ls`: the apps, and how they stand.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tickmesh_core::name::AppName;

use super::Session;
use crate::{
    exit::Exit,
    output::FormatArgs,
    views::app::{AppView, AppsView, Stored},
    zones,
};

/// What `ls` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    form: FormatArgs,
}

/// Lists apps.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let (apps, ledgers) = (mesh.apps().list().await?, mesh.ledgers().list().await?);
    let ledgers: BTreeMap<&str, _> = ledgers.iter().map(|entry| (entry.key.as_str(), &entry.value)).collect();
    let (zones, now) = (zones::database(), Timestamp::now());
    let mut views = Vec::new();
    for record in &apps {
        let app = AppName::new(record.key.clone())?;
        let stored = Stored { app: &app, record, ledger: ledgers.get(app.as_str()).copied() };
        views.extend(AppView::new(stored, &zones, now));
    }
    views.sort_by(|one, other| one.name.cmp(&other.name));
    session.output.show(&AppsView(views), args.form.format)?;
    Ok(Exit::Success)
}
