//! `tickmesh history`: the revisions of an app that are kept, and what each changed.

use tickmesh_core::name::AppName;

use super::{Session, which_app::resolve};
use crate::{
    exit::{BadInput, Exit},
    output::FormatArgs,
    source_diff,
    views::revision::{ChangeView, RevisionsView},
};

/// What `history` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
    #[arg(add = crate::completion::apps())]
    app: AppName,
    /// Show what this revision changed
    #[arg(value_name = "REVISION")]
    revision: Option<u64>,
    #[command(flatten)]
    form: FormatArgs,
}

/// Lists revisions, the newest first, or shows one.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let (app, _) = resolve(&mesh, &args.app).await?;
    let revisions = mesh.revisions(&app).await?;
    let Some(wanted) = args.revision else {
        session.output.show(&RevisionsView::new(&revisions), args.form.format)?;
        return Ok(Exit::Success);
    };
    let Some(place) = revisions.iter().position(|entry| entry.value.number == Some(wanted)) else {
        return Err(BadInput::new(format!("app `{app}` has no revision {wanted}, or not any more"))
            .hint(format!("`tickmesh history {app}` lists those that are kept"))
            .into());
    };
    let before = place.checked_sub(1).and_then(|before| revisions[before].value.source.as_ref());
    let diff = source_diff::between(before, revisions[place].value.source.as_ref());
    if args.form.format.is_for_people() {
        session.output.foreign(&diff)?;
        return Ok(Exit::Success);
    }
    // The list has the newest first.
    let revision = RevisionsView::new(&revisions).0.swap_remove(revisions.len() - 1 - place);
    session.output.show(&ChangeView { revision, diff }, args.form.format)?;
    Ok(Exit::Success)
}
