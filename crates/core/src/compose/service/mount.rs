//! The mounts of a container, whichever key of a service asks for them, and the checks of their
//! paths.

use super::super::{report::Place, value::Refused};
use crate::spec::Volume;

/// Longest path, that of Linux.
const PATH_BYTES_MAX: usize = 4096;

/// A volume, and where the file asks for it.
#[derive(Debug)]
pub(super) struct Mount {
    pub(super) volume: Volume,
    pub(super) place: Place,
}

/// A path of the Docker host that runs the container.
pub(super) fn path_of_host(text: &str) -> Result<String, Refused> {
    if !text.starts_with('/') {
        // The folder of the file, which a dot stands for, is known or not; what has no dot is none.
        let expected = match text.starts_with(['.', '~']) {
            true => "an absolute path: there is no project directory on the agents",
            false => "a path of a host: one that begins in the folder of the file begins with `./`",
        };
        return Err(Refused::new(text, expected));
    }
    if text.contains(':') {
        return Err(Refused::new(text, "a path of a host: the engine takes what comes after a colon for another one"));
    }
    clean_path(text).ok_or_else(|| Refused::new(text, "a path of a host without `..`"))
}

/// An absolute path in the container.
pub(super) fn target_path(text: &str) -> Result<String, Refused> {
    if text.contains(':') {
        return Err(Refused::new(
            text,
            "a path in the container: the engine takes what comes after a colon for a mode",
        ));
    }
    clean_path(text)
        .filter(|path| path != "/")
        .ok_or_else(|| Refused::new(text, "an absolute path in the container, without `..` and other than `/`"))
}

/// An absolute path without empty parts and `.`, so that one path has one spelling. `..` is refused rather than resolved:
/// what an agent allows is decided by comparing paths.
pub(super) fn clean_path(text: &str) -> Option<String> {
    if !text.starts_with('/') || text.len() > PATH_BYTES_MAX || text.contains('\0') {
        return None;
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return None;
    }
    Some(format!("/{}", parts.join("/")))
}
