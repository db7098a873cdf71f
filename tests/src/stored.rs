//! How much tickmesh stores: counted from the streams' last sequences, which every stored message moves by one. And how much of it
//! is kept, in bytes as the server counts them.

use std::collections::BTreeMap;

use async_nats::jetstream;
use tickmesh_messaging::StreamKind;

use crate::world::World;

/// What is stored, by stream. Heartbeats, the lease and output are left out: they come with time and with what containers write,
/// not with runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored(BTreeMap<StreamKind, Amount>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Amount {
    /// Messages since the mesh was made.
    messages: u64,
    /// Bytes that are still there.
    bytes: u64,
}

impl World {
    /// Counts what is stored now.
    ///
    /// # Panics
    ///
    /// If the server does not answer.
    pub async fn stored(&self) -> Stored {
        let client = async_nats::connect(self.server.url()).await.expect("connect");
        let context = jetstream::new(client);
        let mut stored = BTreeMap::new();
        for kind in StreamKind::ALL.into_iter().filter(|kind| belongs_to_runs(*kind)) {
            let stream = context.get_stream(self.mesh.names().stream(kind)).await.expect("the stream exists");
            let state = &stream.cached_info().state;
            stored.insert(kind, Amount { messages: state.last_sequence, bytes: state.bytes });
        }
        Stored(stored)
    }
}

fn belongs_to_runs(kind: StreamKind) -> bool {
    match kind {
        StreamKind::Agents | StreamKind::Lease | StreamKind::Logs => false,
        StreamKind::Apps
        | StreamKind::Ledger
        | StreamKind::Commands
        | StreamKind::Ticks
        | StreamKind::Orders
        | StreamKind::Results
        | StreamKind::History
        | StreamKind::Notices
        | StreamKind::Mesh
        | StreamKind::Meta => true,
    }
}

impl Stored {
    /// The messages that were stored after `before`. The bytes remain what is kept, of messages from before, too.
    pub fn since(&self, before: &Self) -> Self {
        let since = |(kind, amount): (&StreamKind, &Amount)| {
            (*kind, Amount { messages: amount.messages - before.of(*kind), ..*amount })
        };
        Self(self.0.iter().map(since).collect())
    }

    /// The messages of one stream.
    pub fn of(&self, kind: StreamKind) -> u64 {
        self.0.get(&kind).map_or(0, |amount| amount.messages)
    }

    /// The messages of all streams, for each of so many runs.
    pub fn per_run(&self, runs: u64) -> f64 {
        ratio(self.all().messages, runs)
    }

    /// A table for people: one line a stream that has messages, or has got some, and the sum.
    pub fn table(&self, runs: u64) -> String {
        let line = |name: &str, Amount { messages, bytes }: Amount| {
            let (messages_per_run, bytes_per_run) = (ratio(messages, runs), ratio(bytes, runs));
            format!("{name:<10}{messages:>8}{messages_per_run:>10.2}{bytes:>12}{bytes_per_run:>10.0}")
        };
        let streams = self.0.iter().filter(|(_, amount)| **amount != Amount::default());
        let mut lines =
            vec![format!("{:<10}{:>8}{:>10}{:>12}{:>10}", "stream", "stored", "per run", "bytes kept", "per run")];
        lines.extend(streams.map(|(kind, amount)| line(kind.as_str(), *amount)));
        lines.push(line("all", self.all()));
        lines.join("\n")
    }

    fn all(&self) -> Amount {
        self.0.values().fold(Amount::default(), |sum, amount| Amount {
            messages: sum.messages + amount.messages,
            bytes: sum.bytes + amount.bytes,
        })
    }
}

/// So many messages, or bytes, for each of so many runs.
pub fn ratio(count: u64, runs: u64) -> f64 {
    count as f64 / runs as f64
}
