//! What the server and its client library bring about alone, on the same servers in the same run: the limits, and a rival.
//!
//! The limits are one publish for each order, and two of which the second waits for the first (a ledger is compared and set, then
//! the order is sent). The rival is the server's own schedule of messages. All are timed at one reader.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use async_nats::{
    HeaderMap,
    header::{NATS_SCHEDULE, NATS_SCHEDULE_TARGET},
    jetstream::{
        Context,
        consumer::pull,
        message::PublishMessage,
        stream::{Config, Stream},
    },
};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp, Unit};
use tickmesh_testkit::nats::Server;
use tickmesh_tests::World;
use tokio::time::timeout;

use crate::{cpu::CpuTimes, heap, spread::Spread, stage::context};

/// What the kernel calls the threads on which all of it is published and read.
pub(crate) const CLIENT: &str = "bench";
/// Publishes under way at once.
const PUBLISHES_AT_ONCE: usize = 1_024;
/// All of it takes fractions of a second, with a disk that is waited for each time some seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long before they are due messages are scheduled: this, and so much for each.
const LEAD: Duration = Duration::from_secs(2);
const LEAD_PER_MESSAGE: Duration = Duration::from_micros(400);

/// Bodies as large as those of the mesh.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) order: usize,
    pub(crate) ledger: usize,
}

/// One round of all.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) heap: Spread,
    pub(crate) publish: Published,
    pub(crate) two_publishes: Published,
    pub(crate) schedules: Spread,
}

/// When messages arrived, and what that took of the processors.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) late: Spread,
    pub(crate) cpu: CpuTimes,
}

/// Streams beside those of the mesh, on the same servers and with as many copies.
pub(crate) struct Neighbours {
    writer: Context,
    orders: Stream,
    schedules: Stream,
    /// Process ids.
    servers: Vec<u32>,
    /// Each measurement has subjects of its own.
    used: AtomicUsize,
}

impl Neighbours {
    /// Makes the streams.
    pub(crate) async fn prepare(world: &World) -> anyhow::Result<Self> {
        let reader = context(world).await?;
        let config = |name: &str| Config {
            name: format!("bench_{name}"),
            subjects: vec![format!("bench.{name}.>")],
            num_replicas: world.servers().count(),
            allow_direct: true,
            ..Config::default()
        };
        reader.create_stream(Config { max_messages_per_subject: 1, ..config("ledger") }).await?;
        let schedules = Config { allow_message_schedules: true, allow_rollup: true, ..config("schedules") };
        Ok(Self {
            writer: context(world).await?,
            orders: reader.create_stream(config("orders")).await?,
            schedules: reader
                .create_stream(schedules)
                .await
                .context("a stream with schedules: is the server older than 2.12?")?,
            servers: world.servers().map(Server::pid).collect(),
            used: AtomicUsize::new(0),
        })
    }

    /// One round of all, one after the other.
    pub(crate) async fn measure(&self, count: usize, sizes: Sizes) -> anyhow::Result<Figures> {
        Ok(Figures {
            heap: heap::measure(count).await?,
            publish: self.publish(count, sizes).await.context("publish once each")?,
            two_publishes: self.two_publishes(count, sizes).await.context("publish twice each")?,
            schedules: self.schedules(count, sizes).await.context("let the server publish")?,
        })
    }

    async fn publish(&self, count: usize, sizes: Sizes) -> anyhow::Result<Published> {
        let subject = self.subject("orders");
        let messages = read(&self.orders, &subject).await?;
        let (cpu_before, begin) = (CpuTimes::now(&self.servers)?, Instant::now());
        let (context, body) = (self.writer.clone(), Bytes::from(vec![b'x'; sizes.order]));
        let publisher = tokio::spawn(each(count, move |_| {
            let (context, subject, body) = (context.clone(), subject.clone(), body.clone());
            async move { publish(&context, subject, PublishMessage::build().payload(body)).await.map(drop) }
        }));
        let late = arrivals(messages, count, move || begin.elapsed().try_into()).await?;
        publisher.await??;
        Ok(Published { late, cpu: CpuTimes::now(&self.servers)?.since(&cpu_before) })
    }

    async fn two_publishes(&self, count: usize, sizes: Sizes) -> anyhow::Result<Published> {
        let (orders, ledgers) = (self.subject("orders"), self.subject("ledger"));
        let (order, ledger) = (Bytes::from(vec![b'x'; sizes.order]), Bytes::from(vec![b'x'; sizes.ledger]));
        let first = stream::iter(0..count).map(|index| {
            let message = PublishMessage::build().payload(ledger.clone());
            publish(&self.writer, format!("{ledgers}.{index}"), message)
        });
        let revisions: Vec<u64> = first.buffered(PUBLISHES_AT_ONCE).try_collect().await?;

        let messages = read(&self.orders, &orders).await?;
        let (cpu_before, begin) = (CpuTimes::now(&self.servers)?, Instant::now());
        let context = self.writer.clone();
        let publisher = tokio::spawn(each(count, move |index| {
            let (context, orders, ledger_subject) = (context.clone(), orders.clone(), format!("{ledgers}.{index}"));
            let set = PublishMessage::build().payload(ledger.clone()).expected_last_subject_sequence(revisions[index]);
            let send = PublishMessage::build().payload(order.clone());
            async move {
                publish(&context, ledger_subject, set).await?;
                publish(&context, orders, send).await.map(drop)
            }
        }));
        let late = arrivals(messages, count, move || begin.elapsed().try_into()).await?;
        publisher.await??;
        Ok(Published { late, cpu: CpuTimes::now(&self.servers)?.since(&cpu_before) })
    }

    async fn schedules(&self, count: usize, sizes: Sizes) -> anyhow::Result<Spread> {
        let subject = self.subject("schedules");
        let messages = read(&self.schedules, &format!("{subject}.fired.>")).await?;
        let lead = LEAD + LEAD_PER_MESSAGE * u32::try_from(count)?;
        let due = (Timestamp::now() + lead).round(Unit::Second)?;
        let (context, body) = (self.writer.clone(), Bytes::from(vec![b'x'; sizes.order]));
        each(count, move |index| {
            let mut headers = HeaderMap::new();
            headers.insert(NATS_SCHEDULE, format!("@at {due}"));
            headers.insert(NATS_SCHEDULE_TARGET, format!("{subject}.fired.{index}"));
            let message = PublishMessage::build().payload(body.clone()).headers(headers);
            let (context, subject) = (context.clone(), format!("{subject}.due.{index}"));
            async move { publish(&context, subject, message).await.map(drop) }
        })
        .await?;
        ensure!(Timestamp::now() < due, "to schedule {count} messages took until they were due");
        arrivals(messages, count, move || Ok(Timestamp::now().duration_since(due))).await
    }

    fn subject(&self, stream: &str) -> String {
        format!("bench.{stream}.{}", self.used.fetch_add(1, Ordering::Relaxed))
    }
}

async fn read(stream: &Stream, subject: &str) -> anyhow::Result<pull::Ordered> {
    let config = pull::OrderedConfig { filter_subject: subject.to_owned(), ..pull::OrderedConfig::default() };
    Ok(stream.create_consumer(config).await?.messages().await?)
}

/// When so many messages arrive, by a clock.
async fn arrivals(
    messages: pull::Ordered,
    count: usize,
    clock: impl Fn() -> Result<SignedDuration, jiff::Error>,
) -> anyhow::Result<Spread> {
    let arrivals = messages.take(count).map(|message| anyhow::Ok(message.map(|_| clock())??)).try_collect::<Vec<_>>();
    Ok(Spread::of(timeout(PATIENCE, arrivals).await.context("the messages did not arrive")??))
}

/// Does something for each number below `count`, many at once.
async fn each<F: Future<Output = anyhow::Result<()>>>(
    count: usize,
    work: impl FnMut(usize) -> F,
) -> anyhow::Result<()> {
    stream::iter(0..count).map(work).buffer_unordered(PUBLISHES_AT_ONCE).try_for_each(|()| async { Ok(()) }).await
}

/// Publishes, waits until it is stored, and says where.
async fn publish(context: &Context, subject: String, message: PublishMessage) -> anyhow::Result<u64> {
    let stored = context.send_publish(subject, message).await?;
    Ok(stored.await?.sequence)
}
