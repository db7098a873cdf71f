//! Why the page cannot be served.

use std::{io, net::SocketAddr};

/// Reason why the page cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Anybody on the network could stop runs.
    #[error("{0} can be reached from other hosts: that needs a token")]
    Open(SocketAddr),
    /// The address cannot be had.
    #[error("failed to listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
}
