//! A server as NATS JetStream behaves, and a network that loses, delays and repeats.
//!
//! ```text
//!   process --call--> client ~~request~~> server (streams, compare-and-set)
//!      ^                | ^                  |  `--> followers ~~messages~~> processes
//!      `----answer------' `~~~~~~answer~~~~~~'
//! ```
//!
//! A client that gets no answer, or a refusal, reads back from the stream's leader and judges by production's own
//! [`judge`](tickmesh_messaging::judge): a write may be stored although nobody heard of it. A request that its sender has given up
//! may still arrive, any time later.

mod client;
mod follow;
mod queue;
mod record;
mod server;
mod stream;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use tickmesh_core::{id::AttemptId, name::AgentName, time};
use tickmesh_messaging::{
    DURABLE_STREAMS, Names, StreamKind,
    lease::{StreamMark, StreamMarks},
};

pub(super) use self::{
    client::{Answer, Call, Flight, Said, Write},
    follow::{Follower, FollowerId},
    queue::Queue,
    record::Record,
    stream::{Stored, Stream},
};
use super::process_table::Address;

/// The streams that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Lease,
    Apps,
    Ledger,
    Agents,
    Commands,
    Orders,
    Results,
    Ticks,
    History,
    Notices,
}

/// Streams whose loss the lease tells: see [`DURABLE_STREAMS`].
pub(super) const DURABLE: [Kind; 4] = [Kind::Apps, Kind::Ledger, Kind::Results, Kind::History];

impl Kind {
    pub(super) const ALL: [Self; 10] = [
        Self::Lease,
        Self::Apps,
        Self::Ledger,
        Self::Agents,
        Self::Commands,
        Self::Orders,
        Self::Results,
        Self::Ticks,
        Self::History,
        Self::Notices,
    ];

    pub(super) fn production(self) -> StreamKind {
        match self {
            Self::Lease => StreamKind::Lease,
            Self::Apps => StreamKind::Apps,
            Self::Ledger => StreamKind::Ledger,
            Self::Agents => StreamKind::Agents,
            Self::Commands => StreamKind::Commands,
            Self::Orders => StreamKind::Orders,
            Self::Results => StreamKind::Results,
            Self::Ticks => StreamKind::Ticks,
            Self::History => StreamKind::History,
            Self::Notices => StreamKind::Notices,
        }
    }

    /// Messages kept of each subject, as production provisions it.
    fn per_subject_max(self) -> usize {
        match self {
            Self::Lease | Self::Ledger | Self::Agents => 1,
            Self::Apps | Self::Ticks | Self::History => 10,
            Self::Notices => 100,
            Self::Commands | Self::Orders | Self::Results => usize::MAX,
        }
    }
}

/// The server's memory.
#[derive(Debug)]
pub(super) struct Net {
    streams: BTreeMap<Kind, Stream>,
    pub(super) followers: BTreeMap<FollowerId, Follower>,
    next_follower: u64,
    pub(super) queue: Queue,
    names: Names,
    /// A stream was restored from an older copy: nobody may begin to lead until somebody accepts that.
    pub(super) regressed: bool,
    /// How often the whole store was restored from an older copy.
    pub(super) restores: u32,
    /// A single stream was restored, at the end of the history.
    pub(super) is_ending: bool,
    /// How often the server was started with another store. A request of an earlier time does not arrive any more.
    pub(super) starts: u32,
    /// The server has come back with an empty store. What was stored before is put aside.
    pub(super) is_lost: bool,
    /// A stream whose leader does not answer, and says that the stream ends earlier than it does.
    pub(super) lagging: Option<Kind>,
    /// Until when the watch of somebody stands still.
    pub(super) stalled_until: Duration,
}

/// Messages by which a stream seems to be shorter while its leader lags.
const LAG: u64 = 3;

impl Net {
    pub(super) fn new(names: Names) -> Self {
        let streams = Kind::ALL.map(|kind| (kind, Stream::new(kind.per_subject_max()))).into();
        let queue = Queue::default();
        Self {
            streams,
            followers: BTreeMap::new(),
            next_follower: 0,
            queue,
            names,
            regressed: false,
            restores: 0,
            is_ending: false,
            starts: 0,
            is_lost: false,
            lagging: None,
            stalled_until: Duration::ZERO,
        }
    }

    /// A copy of everything that is stored.
    pub(super) fn copy(&self) -> BTreeMap<Kind, Stream> {
        self.streams.clone()
    }

    pub(super) fn stream(&self, kind: Kind) -> &Stream {
        &self.streams[&kind]
    }

    pub(super) fn stream_mut(&mut self, kind: Kind) -> &mut Stream {
        self.streams.entry(kind).or_insert_with(|| Stream::new(kind.per_subject_max()))
    }

    /// Whether a follower of this process that must read to the end has not been given everything.
    pub(super) fn has_waiting_followers(&self, owner: Address) -> bool {
        let must_catch_up = |kind| matches!(kind, Kind::Ledger | Kind::Agents | Kind::Apps);
        let own = self.followers.values().filter(|follower| follower.owner == owner);
        let mut own = own.filter(|follower| must_catch_up(follower.kind));
        own.any(|follower| self.stream(follower.kind).after(follower.cursor).next().is_some())
    }

    /// The subject of an attempt's messages.
    pub(super) fn result_subject(&self, attempt: &AttemptId, agent: &AgentName) -> Arc<str> {
        self.names.result(attempt, agent).into()
    }

    /// What the lease notes of the streams. They are made anew when the store is restored; of one whose leader
    /// lags, less is shown than there is.
    pub(super) fn stream_marks(&self) -> StreamMarks {
        let durable = Kind::ALL.into_iter().filter(|kind| DURABLE_STREAMS.contains(&kind.production()));
        let made = u64::from(self.restores);
        let mark = |kind| {
            let behind = if self.lagging == Some(kind) { LAG } else { 0 };
            let last_sequence = self.stream(kind).last_sequence().saturating_sub(behind);
            StreamMark { last_sequence, created: time::after(Timestamp::UNIX_EPOCH, Duration::from_secs(made)) }
        };
        durable.map(|kind| (kind.production().as_str().to_owned(), mark(kind))).collect()
    }
}
