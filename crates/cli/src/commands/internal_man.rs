//! `tickmesh internal-man`: writes the manual pages, for packages.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::{exit::Exit, settings};

/// What `internal-man` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder for the pages, which must exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes a page for each command.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let written = clap_mangen::generate_to(settings::command(), &args.folder);
    written.with_context(|| format!("failed to write manual pages to {}", args.folder.display()))?;
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page_and_internal_ones_have_none() {
        let folder = tempfile::tempdir().unwrap();
        run(&Args { folder: folder.path().to_owned() }).unwrap();
        let page = |name: &str| std::fs::read_to_string(folder.path().join(name));
        let apply = page("tickmesh-apply.1").unwrap();
        assert!(apply.contains("tickmesh apply nightly.yml"), "its example is missing in {apply}");
        assert!(page("tickmesh.1").unwrap().contains("tickmesh\\-apply(1)"));
        assert!(page("tickmesh-agent-drain.1").is_ok());
        assert!(page("tickmesh-internal-guard.1").is_err());
    }
}
