//! What belongs to a compose file: the folder in which its paths begin, the files that it is merged
//! with, and the service of a stack that the app is.
//!
//! ```text
//! files --yaml--> trees --include, extends--> trees --merge--> one tree --profiles--> what is read
//! ```
//!
//! All files are read into trees of places and merged there, by the rules of the compose
//! specification. So whatever reads the merged tree knows nothing of files, and every finding has
//! its place in its own.

mod assemble;
mod extends;
mod include;
mod merge;
mod outline;
mod pairs;
mod paths;
mod profiles;
mod rules;
mod sources;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub(super) use self::{
    assemble::assemble,
    outline::{is_scheduled, tells_when},
    sources::Sources,
};
pub use self::{
    outline::{Outline, Scheduled, outline, project_name},
    paths::{join as join_paths, shown as shown_path},
};
use crate::name::ServiceName;

/// Most files that one app is read from.
pub const PROJECT_FILES_MAX: usize = 64;

/// What a compose file is read with besides its variables and env files. It is stored with the app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Name by which compose knows the networks and volumes of a stack; `None`: the app is no part
    /// of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The service of a stack that the app is; `None`: the app is the whole file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// Absolute path of the folder in which relative paths of the hosts begin; `None`: there may be
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Files that are merged over the first one, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
    /// What is in the overrides, and in the files that any of them names with `extends` or
    /// `include`. Paths begin in the folder.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Profiles whose services belong to the app.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub profiles: BTreeSet<String>,
}

impl Project {
    /// The project of a file that stands alone.
    pub const ALONE: &'static Self = &Self {
        name: None,
        service: None,
        folder: None,
        overrides: Vec::new(),
        files: BTreeMap::new(),
        profiles: BTreeSet::new(),
    };

    /// Whether the file stands alone.
    pub fn is_alone(&self) -> bool {
        self == Self::ALONE
    }
}
