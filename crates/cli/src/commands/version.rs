//! `tickmesh version`: which build this is.

use super::Session;
use crate::{build::build, exit::Exit, output::FormatArgs, views::version::VersionView};

/// What `version` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    form: FormatArgs,
}

/// Shows the build of this program.
pub(crate) fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    session.output.show(&VersionView::of(&build()), args.form.format)?;
    Ok(Exit::Success)
}
