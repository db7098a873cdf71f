//! How much tickmesh stores: counted from the streams' last sequences, which every stored message moves by one.

use std::{collections::BTreeMap, fmt};

use async_nats::jetstream;
use tickmesh_messaging::StreamKind;

use crate::world::World;

/// Messages stored since the mesh was made, by stream. Heartbeats, the lease and output are left out: they come with time and
/// with what containers write, not with runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored(BTreeMap<StreamKind, u64>);

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
            stored.insert(kind, stream.cached_info().state.last_sequence);
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
        | StreamKind::Mesh
        | StreamKind::Meta => true,
    }
}

impl Stored {
    /// What was stored after `before`.
    pub fn since(&self, before: &Self) -> Self {
        Self(self.0.iter().map(|(kind, count)| (*kind, count - before.of(*kind))).collect())
    }

    /// The messages of one stream.
    pub fn of(&self, kind: StreamKind) -> u64 {
        self.0.get(&kind).copied().unwrap_or(0)
    }

    /// The messages of all streams, for each of so many runs.
    pub fn per_run(&self, runs: u64) -> f64 {
        ratio(self.0.values().sum(), runs)
    }

    /// A table for people: one line a stream that has got messages, and the sum.
    pub fn table(&self, runs: u64) -> String {
        let line = |name: &dyn fmt::Display, count: u64| format!("{name:<10}{count:>8}{:>10.2}", ratio(count, runs));
        let streams = self.0.iter().filter(|(_, count)| **count > 0);
        let mut lines = vec![format!("{:<10}{:>8}{:>10}", "stream", "stored", "per run")];
        lines.extend(streams.map(|(kind, count)| line(&kind.as_str(), *count)));
        lines.push(line(&"all", self.0.values().sum()));
        lines.join("\n")
    }
}

/// So many messages for each of so many runs.
pub fn ratio(count: u64, runs: u64) -> f64 {
    count as f64 / runs as f64
}
