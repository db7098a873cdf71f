//! The floor: what the server and the client library alone need to bring so many messages to a consumer.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_nats::jetstream::{self, consumer::pull};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::SignedDuration;
use tickmesh_core::name::AgentName;
use tickmesh_messaging::StreamKind;
use tickmesh_tests::World;
use tokio::time::timeout;

use crate::spread::Spread;

/// Publishes under way at once.
const PUBLISHES_AT_ONCE: usize = 1_024;
/// An agent that does not exist.
const AGENT: &str = "floor";
/// All of it takes fractions of a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// Publishes `count` messages of `bytes` bytes on the stream of orders, pipelined, to one consumer. Returned is how long after
/// the begin they were there.
pub(crate) async fn measure(world: &World, count: usize, bytes: usize) -> anyhow::Result<Spread> {
    let subject = world.mesh.names().order(&AgentName::new(AGENT)?);
    let reader = jetstream::new(async_nats::connect(world.server.url()).await?);
    let orders = reader.get_stream(world.mesh.names().stream(StreamKind::Orders)).await?;
    let config = pull::OrderedConfig { filter_subject: subject.clone(), ..pull::OrderedConfig::default() };
    let messages = orders.create_consumer(config).await?.messages().await?;

    let writer = jetstream::new(async_nats::connect(world.server.url()).await?);
    let begin = Instant::now();
    let publisher = tokio::spawn(publish(writer, subject, count, bytes));
    let arrivals = messages.take(count).map_ok(|_| begin.elapsed()).try_collect::<Vec<_>>();
    let arrivals = timeout(PATIENCE, arrivals).await.context("the floor's messages did not arrive")??;
    publisher.await??;
    Ok(Spread::of(arrivals.into_iter().map(SignedDuration::try_from).collect::<Result<_, _>>()?))
}

async fn publish(context: jetstream::Context, subject: String, count: usize, bytes: usize) -> anyhow::Result<()> {
    let body = Bytes::from(vec![b'x'; bytes]);
    let publishes = stream::iter(0..count).map(|_| async {
        let acknowledgement = context.publish(subject.clone(), body.clone()).await?;
        anyhow::Ok(acknowledgement.await?)
    });
    publishes.buffer_unordered(PUBLISHES_AT_ONCE).try_for_each(|_| async { Ok(()) }).await
}
