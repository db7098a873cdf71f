//! When orders arrive at a reader. It only writes down what comes and when: they are read after the measurement, so that the watch
//! costs as little as it can while somebody is measured.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use anyhow::Context as _;
use async_nats::jetstream::consumer::pull;
use bytes::Bytes;
use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use tickmesh_core::message::{Order, OrderKind};
use tickmesh_messaging::StreamKind;
use tickmesh_tests::World;
use tokio_util::task::AbortOnDropHandle;

use crate::stage::context;

/// A reader of all orders.
pub(crate) struct Watch {
    seen: Arc<Mutex<Vec<Sighting>>>,
    _reader: AbortOnDropHandle<()>,
}

#[derive(Clone)]
struct Sighting {
    at: Timestamp,
    body: Bytes,
}

impl Watch {
    /// Begins to read.
    pub(crate) async fn begin(world: &World) -> anyhow::Result<Self> {
        let orders = context(world).await?.get_stream(world.mesh.names().stream(StreamKind::Orders)).await?;
        let mut messages = orders.create_consumer(pull::OrderedConfig::default()).await?.messages().await?;
        let seen: Arc<Mutex<Vec<Sighting>>> = Arc::default();
        let writer = seen.clone();
        let reader = tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                // What a reader misses shows as a missing order.
                let Ok(message) = message else { continue };
                let sighting = Sighting { at: Timestamp::now(), body: message.payload.clone() };
                writer.lock().expect("nobody panicked").push(sighting);
            }
        });
        Ok(Self { seen, _reader: AbortOnDropHandle::new(reader) })
    }

    /// How late the first order of each attempt was, of those for instants that are `wanted`.
    pub(crate) fn lateness(&self, wanted: impl Fn(Timestamp) -> bool) -> anyhow::Result<Vec<SignedDuration>> {
        let (mut known, mut late) = (BTreeSet::new(), Vec::new());
        for Sighting { at, body } in self.seen() {
            let order: Order = serde_json::from_slice(&body).context("read an order")?;
            let OrderKind::Start(start) = order.kind else { continue };
            if let Some(instant) = start.scheduled_at
                && wanted(instant)
                && known.insert(order.attempt)
            {
                late.push(at.duration_since(instant));
            }
        }
        Ok(late)
    }

    /// Size of the largest order.
    pub(crate) fn order_bytes(&self) -> usize {
        self.seen().iter().map(|sighting| sighting.body.len()).max().unwrap_or(0)
    }

    fn seen(&self) -> Vec<Sighting> {
        self.seen.lock().expect("nobody panicked").clone()
    }
}
