//! Agents that refuse a service of a run for reasons that they do not publish: where a path leads, say. Another try there
//! would end the same way, so its replicas go elsewhere.

use serde::{Deserialize, Serialize};

use crate::name::AgentName;

/// Refusals that a run remembers. Few agents allow by name what they refuse when they look; once so many have, the next
/// refusal is final.
pub(super) const REFUSALS_MAX: usize = 16;

/// One agent's refusal of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HostRefusal {
    /// Position of the service.
    pub(super) service: u32,
    pub(super) agent: AgentName,
}
