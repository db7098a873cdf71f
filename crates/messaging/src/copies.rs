//! The copies of the streams in a cluster, as their leaders see them.

use std::time::Duration;

use futures_util::future::join_all;

use crate::{
    error::{Error, chain},
    mesh::Mesh,
    names::StreamKind,
};

/// The copies of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamCopies {
    pub stream: StreamKind,
    /// Whether the stream can be read and written.
    pub state: CopiesState,
}

/// What is known of the copies of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopiesState {
    /// Somebody leads the stream.
    Led {
        /// Copies that there should be.
        wanted: usize,
        /// The copies beside that of the leader.
        peers: Vec<PeerCopy>,
    },
    /// Nobody answers for the stream.
    Leaderless {
        /// What came instead of an answer.
        reason: String,
    },
    /// The stream is not there, which others say.
    Absent,
}

/// A copy that follows the leader's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCopy {
    /// The server that has it.
    pub node: String,
    /// The leader takes it for up to date.
    pub is_current: bool,
    /// The leader takes the server for gone.
    pub is_offline: bool,
    /// How long the server has said nothing to the leader.
    pub silent: Duration,
    /// Operations that it is behind.
    pub lag: u64,
}

/// What the account has stored, and what it may store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreUse {
    /// Bytes that are stored or set aside, all copies together.
    pub used: u64,
    /// Bytes that may be.
    pub max: u64,
}

impl Mesh {
    /// Looks at the copies of every stream.
    pub async fn copies(&self) -> Vec<StreamCopies> {
        let looks = StreamKind::ALL.into_iter().map(async |stream| {
            let state = match self.stream_info(stream).await {
                Ok(info) => {
                    let peers = info.cluster.map(|cluster| cluster.replicas).unwrap_or_default().into_iter();
                    let peers = peers.map(|peer| PeerCopy {
                        node: peer.name,
                        is_current: peer.current,
                        is_offline: peer.offline,
                        silent: peer.active,
                        lag: peer.lag.unwrap_or(0),
                    });
                    CopiesState::Led { wanted: info.config.num_replicas, peers: peers.collect() }
                }
                Err(Error::StreamGone { .. }) => CopiesState::Absent,
                Err(error) => CopiesState::Leaderless { reason: chain(&error) },
            };
            StreamCopies { stream, state }
        });
        join_all(looks).await
    }

    /// Looks how much of its room the account has used; nothing where it has no limit. Limits of a server itself are told to
    /// its own account only.
    pub async fn store_use(&self) -> Result<Vec<StoreUse>, Error> {
        let account = self.link.context.query_account().await;
        let account = account.map_err(|source| Error::unavailable("ask JetStream how much room there is", source))?;
        let of = |used: u64, reserved: u64, max: Option<i64>| {
            let max = max.and_then(|max| u64::try_from(max).ok()).filter(|max| *max > 0)?;
            Some(StoreUse { used: used.max(reserved), max })
        };
        let whole = of(account.storage, account.reserved_storage, account.limits.max_storage);
        let tiers = account.tiers.values();
        let tiers = tiers.filter_map(|tier| of(tier.storage, tier.reserved_storage, tier.limits.max_storage));
        Ok(if account.tiers.is_empty() { whole.into_iter().collect() } else { tiers.collect() })
    }
}
