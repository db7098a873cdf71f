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
use tickmesh_core::{
    id::Epoch,
    message::{Order, OrderKind},
};
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

fn order(sighting: &Sighting) -> anyhow::Result<Order> {
    serde_json::from_slice(&sighting.body).context("read an order")
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
        for sighting in self.seen() {
            let (at, order) = (sighting.at, order(&sighting)?);
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

    /// Newest tenure that an order came from.
    pub(crate) fn newest_epoch(&self) -> anyhow::Result<Option<Epoch>> {
        let Some(last) = self.seen().pop() else { return Ok(None) };
        Ok(Some(order(&last)?.epoch))
    }

    /// When the first order of a later tenure than that came.
    pub(crate) fn first_after(&self, epoch: Epoch) -> anyhow::Result<Option<Timestamp>> {
        let mut later = None;
        for sighting in self.seen().iter().rev() {
            if order(sighting)?.epoch <= epoch {
                break;
            }
            later = Some(sighting.at);
        }
        Ok(later)
    }

    /// Size of the largest order.
    pub(crate) fn order_bytes(&self) -> usize {
        self.seen().iter().map(|sighting| sighting.body.len()).max().unwrap_or(0)
    }

    fn seen(&self) -> Vec<Sighting> {
        self.seen.lock().expect("nobody panicked").clone()
    }
}
