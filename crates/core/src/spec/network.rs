//! The networks of its host to which a container is connected.

use serde::{Deserialize, Serialize};

use super::is_default;

/// Networks that every engine has, and the word for the one that it takes where nothing is said.
const BUILT_IN: [&str; 4] = ["bridge", "default", "host", "none"];

/// A network of the host to which a container is connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Its name on the host.
    pub name: String,
    /// Names by which other containers on it find this one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub aliases: Vec<String>,
}

/// Says whether every engine has a network of this name.
pub fn is_built_in(name: &str) -> bool {
    BUILT_IN.contains(&name)
}
