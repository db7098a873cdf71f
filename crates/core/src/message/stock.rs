//! What the engine of a host has, as far as placement asks for it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::json_size::encoded_bytes;

/// Most that a heartbeat says of the networks of an engine, and as much again of its volumes: some hundred names. It goes to
/// the store every two seconds, and every scheduler keeps it.
pub const STOCK_BYTES_MAX: usize = 4 * 1024;

/// Names that an engine knows. `None`: nobody tells, and then the host may have everything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EngineStock {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<BTreeSet<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<BTreeSet<String>>,
}

impl EngineStock {
    /// Returns what fits into a heartbeat: a list that is too long is not told at all, since what is cut off it would count
    /// as missing.
    #[must_use]
    pub fn bounded(self) -> Self {
        let fits = |names: &BTreeSet<String>| encoded_bytes(names) <= STOCK_BYTES_MAX;
        Self { networks: self.networks.filter(fits), volumes: self.volumes.filter(fits) }
    }

    /// Whether nothing is told.
    pub fn is_untold(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_that_is_too_long_is_not_told() {
        let names = |count: usize| Some((0..count).map(|index| format!("volume-{index:05}")).collect());
        let stock = EngineStock { networks: names(3), volumes: names(1_000) }.bounded();
        assert_eq!(stock, EngineStock { networks: names(3), volumes: None });
    }
}
