//! What a container is called, and how it finds others by name.

use serde::{Deserialize, Serialize};

use super::is_default;

/// What a container is called, and how it finds others by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Naming {
    /// Name of the host that the container believes to be.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hostname: Option<String>,
    /// Domain of that name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub domainname: Option<String>,
    /// Addresses of name servers, instead of the host's.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dns: Vec<String>,
    /// Domains in which short names are looked up.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dns_search: Vec<String>,
    /// Options of the resolver, as `resolv.conf` has them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dns_options: Vec<String>,
    /// Further hosts, as `name:address`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub extra_hosts: Vec<String>,
}
