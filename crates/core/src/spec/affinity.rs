//! Where a replica runs, seen from the other replicas of its run.

use serde::{Deserialize, Serialize};

use super::Operator;
use crate::name::ServiceName;

/// Where a replica runs, seen from other replicas of its run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affinity {
    /// Whether it runs on an agent that has a replica of one of the services, or on one that has none.
    pub operator: Operator,
    /// Services of the same app: alternatives.
    pub services: Vec<ServiceName>,
}

/// How widely the replicas of a service are spread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneSpread {
    /// The label whose values are the zones. An agent without it is in none.
    pub label: String,
    /// In how many zones there must be replicas.
    pub zones: u32,
}
