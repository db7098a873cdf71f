//! What a host lets containers do, as far as only the host itself can tell: where the names of mounts lead.

use std::path::Path;

pub use tickmesh_core::policy::{Grant, HostPolicy, Refusal};

/// A mount that the host allows by its name, and not for what is behind that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Detour {
    /// It leads elsewhere: there is a symbolic link in it.
    #[error(
        "host path {path} leads to {target}, which is not allowed on this host: its agent was not started with `--allow-path {target}`"
    )]
    Link {
        path: String,
        /// Where it leads.
        target: String,
    },
    /// A volume of the engine, whose name says nothing, was made as a bind of a path.
    #[error(
        "volume {volume} is host path {path}, which is not allowed on this host: its agent was not started with `--allow-path {path}`"
    )]
    Volume { volume: String, path: String },
    /// The agent cannot tell.
    #[error("host path {path} is not allowed on this host: its agent cannot see where it leads ({reason})")]
    Unseen {
        path: String,
        /// Why not.
        reason: String,
    },
}

/// What is wrong with a volume that binds this path.
pub(crate) fn check_volume(policy: &HostPolicy, volume: &str, path: &str) -> Result<(), Detour> {
    if policy.allows_path(Path::new(path)) {
        return Ok(());
    }
    Err(Detour::Volume { volume: volume.to_owned(), path: path.to_owned() })
}

/// What is wrong with a path that leads to `target`, if this policy is a resolved one.
pub(crate) fn check_target(policy: &HostPolicy, path: &str, target: &Path) -> Result<(), Detour> {
    if policy.allows_path(target) {
        return Ok(());
    }
    Err(Detour::Link { path: path.to_owned(), target: target.display().to_string() })
}
