//! The handle on a mesh: everything that any part of tickmesh does on NATS begins here.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::connection::State;
use bytes::Bytes;
use futures_util::future::join_all;
use serde::Serialize;
use tickmesh_core::{
    history::RunSummary,
    id::MeshId,
    ledger::{Ledger, LedgerWrite},
    message::{AgentRecord, AppRecord, NoticeRecord, TickRecord},
};
use tokio::{sync::watch, time::sleep};
use tracing::warn;

use crate::{
    bucket::Bucket,
    commands::Commands,
    connect::{ConnectOptions, Link},
    edits::Edits,
    error::{Error, chain},
    events::Events,
    journal::Journal,
    lease::{LeaseRecord, RENEWALS_PER_TERM},
    listing::UnreadableRecord,
    logs::Logs,
    marks::StreamMarks,
    names::{MESH_KEY, Names, StreamKind},
    orders::Orders,
    record::Record,
    results::Results,
    schedulers::Schedulers,
    snapshot::StreamShape,
    store::{Patience, Store},
    streams::{Founding, StreamsThere, founding},
    topology::{
        MeshRecord, Provisioning, add_notices, check_streams, find_streams, provision_identity, provision_missing,
        provision_streams, refuse_roll_ups, restore_identity,
    },
};

/// Streams that must never lose a message: the next leader must find in them what the last one has seen.
pub const DURABLE_STREAMS: [StreamKind; 4] =
    [StreamKind::Apps, StreamKind::Ledger, StreamKind::Results, StreamKind::History];

/// How long schedulers have to answer who would make a mesh: they do so from memory.
const FOUNDING_ROLL: Duration = Duration::from_millis(500);
/// How long whoever answers has to say that the store is lost: a leader first gives its lease back, and looks several times.
const FOUNDING_MAX: Duration = Duration::from_secs(20);
/// Between two looks.
const FOUNDING_PAUSE: Duration = Duration::from_millis(500);

/// How much is in a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamSize {
    /// Its short name.
    pub stream: String,
    pub messages: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Sequence of the last message that it ever had.
    pub last_sequence: u64,
    /// Servers that keep a copy.
    pub replicas: usize,
}

/// A connection to a mesh. Cheap to clone; every clone uses the same connection, which is kept up for ever.
#[derive(Debug, Clone)]
pub struct Mesh {
    pub(crate) link: Arc<Link>,
    names: Arc<Names>,
}

impl Mesh {
    /// Connects to NATS. Fails, within the request timeout, if no server answers or the server will not do.
    pub async fn connect(options: &ConnectOptions) -> Result<Self, Error> {
        let mesh = Self::reach(options).await?;
        mesh.link.find_jetstream().await?;
        Ok(mesh)
    }

    /// Connects to NATS. Nobody knows yet whether JetStream answers there.
    pub(crate) async fn reach(options: &ConnectOptions) -> Result<Self, Error> {
        let link = Arc::new(Link::connect(options).await?);
        Ok(Self { link, names: Arc::new(Names::new(options.namespace.clone())) })
    }

    /// Makes all streams and the mesh's identity, as far as they do not exist. May be repeated, and by several at once.
    pub async fn provision(&self, settings: &Provisioning) -> Result<MeshId, Error> {
        provision_streams(&self.link, &self.names, settings).await?;
        provision_identity(&self.meta(), MeshId::from_random(rand::random())).await
    }

    /// Makes those streams that are missing of a mesh of that identity, and gives it back its identity if that is missing, too:
    /// every container carries it. Returns the identity that the mesh has. What was in those streams stays lost, and
    /// whoever is to lead finds that: see [`Error::StateLost`].
    pub async fn provision_missing(&self, id: MeshId, kinds: &BTreeSet<StreamKind>) -> Result<MeshId, Error> {
        provision_missing(&self.link, &self.names, kinds).await?;
        restore_identity(&self.meta(), id).await
    }

    /// Makes those streams that are missing of a mesh that was there, and leaves its identity alone.
    pub async fn make_missing(&self, kinds: &BTreeSet<StreamKind>) -> Result<(), Error> {
        provision_missing(&self.link, &self.names, kinds).await
    }

    /// Looks which streams are there.
    pub async fn find_streams(&self) -> Result<StreamsThere, Error> {
        find_streams(&self.link, &self.names).await
    }

    /// Makes the mesh, or what is missing of it, unless its store is lost: see [`Founding`]. Whoever answers that it knows a
    /// mesh has some time to find out. `replicas` is wished for, and without that wish a mesh that is there stays as it is.
    pub async fn found(&self, replicas: Option<usize>) -> Result<Founding, Error> {
        let deadline = Instant::now() + FOUNDING_MAX;
        loop {
            let is_there = match self.open().await {
                Ok(_) => true,
                Err(Error::NotProvisioned { .. }) => false,
                Err(error) => return Err(error),
            };
            let streams = self.find_streams().await?;
            let cards = if is_there { Vec::new() } else { self.schedulers().roll(FOUNDING_ROLL).await? };
            let settings = Provisioning::default();
            let settings = Provisioning { replicas: replicas.unwrap_or(settings.replicas), ..settings };
            match founding(is_there, &streams, &cards) {
                Founding::Lost => return Ok(Founding::Lost),
                Founding::Ask if Instant::now() >= deadline => return Ok(Founding::Lost),
                Founding::Ask => sleep(FOUNDING_PAUSE).await,
                Founding::Make => return self.provision(&settings).await.map(|_| Founding::Make),
                Founding::Exists if replicas.is_some() => {
                    return self.provision(&settings).await.map(|_| Founding::Exists);
                }
                Founding::Exists => return self.bring_up_to_date().await.map(|()| Founding::Exists),
            }
        }
    }

    /// Brings the streams of a mesh that an earlier release made to what every release since relies on.
    pub async fn bring_up_to_date(&self) -> Result<(), Error> {
        // Nobody is told anything without it, and jobs run all the same.
        if let Err(error) = add_notices(&self.link, &self.names).await {
            warn!(error = %chain(&error), "there is no stream for notices: nobody is told of anything");
        }
        refuse_roll_ups(&self.link, &self.names).await
    }

    /// The identity of a mesh that was provisioned before; else [`Error::NotProvisioned`].
    pub async fn open(&self) -> Result<MeshId, Error> {
        match self.meta::<MeshRecord>().read(MESH_KEY).await {
            Ok(Some(entry)) => Ok(entry.value.id),
            Ok(None) | Err(Error::StreamGone { .. }) => {
                Err(Error::NotProvisioned { namespace: self.names.namespace().to_string() })
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the mesh like [`Self::open`], but says so if a scheduler that answers knows a mesh whose store is lost.
    pub async fn open_or_lost(&self) -> Result<MeshId, Error> {
        let opened = self.open().await;
        if let Err(Error::NotProvisioned { .. }) = opened
            && self.schedulers().roll(FOUNDING_ROLL).await?.iter().any(|card| card.role.store_lost().is_some())
        {
            return Err(Error::StoreLost { namespace: self.names.namespace().to_string() });
        }
        opened
    }

    /// Makes sure that the streams have the settings without which promises would be broken. Who provisions does not change
    /// those that an administrator may have had a reason for; who leads must be able to rely on them.
    pub async fn check_streams(&self) -> Result<(), Error> {
        check_streams(&self.link, &self.names).await
    }

    /// How everything is called.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The apps as they were applied. Key: the app. To write them, use [`Self::edits`].
    pub fn apps(&self) -> Bucket<AppRecord> {
        Bucket::new(self.store(StreamKind::Apps))
    }

    /// Where apps are edited.
    pub fn edits(&self) -> Edits {
        Edits::new(self.apps(), self.ledgers())
    }

    /// The ledgers. Key: the app.
    pub fn ledgers(&self) -> Bucket<Ledger> {
        Bucket::new(self.store(StreamKind::Ledger))
    }

    /// Who wrote the ledgers, for those who need nothing else of them. Key: the app.
    pub fn ledger_writes(&self) -> Bucket<LedgerWrite> {
        Bucket::new(self.store(StreamKind::Ledger))
    }

    /// The agents' heartbeats. Key: the agent.
    pub fn agents(&self) -> Bucket<AgentRecord> {
        Bucket::new(self.store(StreamKind::Agents))
    }

    /// The lease. Key: `leader`. Schedulers use [`Self::lease_for`].
    pub fn lease(&self) -> Bucket<LeaseRecord> {
        Bucket::new(self.store(StreamKind::Lease))
    }

    /// Decisions of the clock.
    pub fn ticks(&self) -> Journal<TickRecord> {
        Journal::new(self.store(StreamKind::Ticks))
    }

    /// Finished runs.
    pub fn history(&self) -> Journal<RunSummary> {
        Journal::new(self.store(StreamKind::History))
    }

    /// What people should hear of apps.
    pub fn notices(&self) -> Journal<NoticeRecord> {
        Journal::new(self.store(StreamKind::Notices))
    }

    /// Claims and ends of attempts.
    pub fn results(&self) -> Results {
        Results::new(self.store(StreamKind::Results))
    }

    /// Wake-ups for agents.
    pub fn orders(&self) -> Orders {
        Orders::new(self.store(StreamKind::Orders))
    }

    /// What people ask of the leader.
    pub fn commands(&self) -> Commands {
        Commands::new(self.store(StreamKind::Commands))
    }

    /// Output of containers.
    pub fn logs(&self) -> Logs {
        Logs::new(self.store(StreamKind::Logs))
    }

    /// What happens to the mesh itself.
    pub fn events(&self) -> Events {
        Events::new(self.store(StreamKind::Mesh))
    }

    /// The lease, for schedulers whose leases last that long. A renewal that takes longer than until the
    /// next one is due is tried again; one older than a term is worthless.
    pub fn lease_for(&self, term: Duration) -> Bucket<LeaseRecord> {
        self.lease().with_patience(Patience { request: term / RENEWALS_PER_TERM, total: term })
    }

    /// Where every stream stands whose loss would break a promise. A leader keeps it in its lease, so that the next one notices
    /// a loss.
    pub async fn stream_marks(&self) -> Result<StreamMarks, Error> {
        let mut marks = StreamMarks::new();
        for kind in DURABLE_STREAMS {
            marks.insert(kind.as_str().to_owned(), self.store(kind).mark().await?);
        }
        Ok(marks)
    }

    pub(crate) async fn stream_info(&self, kind: StreamKind) -> Result<async_nats::jetstream::stream::Info, Error> {
        self.store(kind).info().await
    }

    /// How much is in each stream, for people.
    pub async fn stream_states(&self) -> Result<Vec<StreamSize>, Error> {
        let mut sizes = Vec::new();
        let infos = StreamKind::ALL.map(async |kind| (kind, self.stream_info(kind).await));
        for (kind, info) in join_all(infos).await {
            let info = match info {
                // A mesh that an earlier release made gets the stream with its next scheduler.
                Err(Error::StreamGone { .. }) if kind == StreamKind::Notices => continue,
                info => info?,
            };
            sizes.push(StreamSize {
                stream: kind.as_str().to_owned(),
                messages: info.state.messages,
                bytes: info.state.bytes,
                last_sequence: info.state.last_sequence,
                replicas: info.config.num_replicas,
            });
        }
        Ok(sizes)
    }

    /// Whom schedulers are asked, and how they answer.
    pub fn schedulers(&self) -> Schedulers {
        Schedulers::new(self.link.clone(), self.names.clone())
    }

    /// Version of the server that we are connected to.
    pub fn server_version(&self) -> String {
        self.link.client.server_info().version
    }

    /// Finds the records that cannot be read, in every stream but those whose messages are gone within the hour or are
    /// output.
    pub async fn unreadable(&self) -> Result<Vec<UnreadableRecord>, Error> {
        let mut found = Vec::new();
        if let Some(stored) = self.store(StreamKind::Meta).last(&self.names.key(StreamKind::Meta, MESH_KEY)).await? {
            found.extend(stored.listed::<MeshRecord>(&self.store(StreamKind::Meta), MESH_KEY).err());
        }
        found.extend(self.lease().list().await?.unreadable);
        found.extend(self.apps().list().await?.unreadable);
        found.extend(self.ledgers().list().await?.unreadable);
        found.extend(self.agents().list().await?.unreadable);
        found.extend(self.ticks().list().await?.unreadable);
        found.extend(self.history().list().await?.unreadable);
        match self.notices().list().await {
            Err(Error::StreamGone { .. }) => {}
            notices => found.extend(notices?.unreadable),
        }
        found.extend(self.events().list().await?.unreadable);
        Ok(found)
    }

    /// Writes the identity of the mesh anew if its record is damaged. `id` is the one that this process has read before.
    pub async fn keep_identity(&self, id: MeshId) -> Result<(), Error> {
        match self.open().await {
            Err(error) if error.unreadable_at().is_some() => restore_identity(&self.meta(), id).await.map(drop),
            found => found.map(drop),
        }
    }

    /// How many records of each stream this process could not read since it connected. One that is read again is counted
    /// again.
    pub fn skipped(&self) -> impl Iterator<Item = (StreamKind, u64)> {
        self.link.skipped.counts()
    }

    /// Whether there is a connection right now.
    pub fn is_connected(&self) -> bool {
        self.link.client.connection_state() == State::Connected
    }

    /// Asks JetStream something and returns how long the answer took.
    pub async fn round_trip(&self) -> Result<Duration, Error> {
        let begin = Instant::now();
        let answer = self.link.context.query_account().await;
        answer.map_err(|source| Error::unavailable("ask JetStream for its state", source))?;
        Ok(begin.elapsed())
    }

    /// Ends the connection, of every clone. What was sent before is on its way; nothing works afterwards. Whoever stops a
    /// server in order does this first, or its connections would be kept up, loudly, until the process ends.
    pub async fn close(&self) {
        let client = &self.link.client;
        // Both fail where the connection has ended before. The second one fails once it has ended.
        let closing = async { (client.drain().await, client.flush().await) };
        let _ended = tokio::time::timeout(self.link.request_timeout, closing).await;
    }

    /// Counts the times that the connection was made.
    pub fn connections(&self) -> watch::Receiver<u64> {
        self.link.connections.clone()
    }

    /// Copies a stream while it is used: see [`StreamKind::BACKUP_ORDER`].
    pub async fn copy_stream<E: From<Error>>(
        &self,
        kind: StreamKind,
        begin: impl FnOnce(&StreamShape) -> Result<(), E>,
        keep: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<StreamShape, E> {
        self.store(kind).copy(begin, keep).await
    }

    /// Makes a stream of a copy. It must not be there.
    pub async fn restore_stream<E: From<Error>>(
        &self,
        kind: StreamKind,
        shape: &StreamShape,
        next: impl FnMut() -> Result<Option<Bytes>, E>,
    ) -> Result<(), E> {
        self.store(kind).restore(shape, next).await
    }

    /// Removes a stream with all that is in it, if it is there.
    pub async fn remove_stream(&self, kind: StreamKind) -> Result<(), Error> {
        self.store(kind).remove().await
    }

    pub(crate) fn meta<T: Record>(&self) -> Bucket<T> {
        Bucket::new(self.store(StreamKind::Meta))
    }

    pub(crate) fn store(&self, kind: StreamKind) -> Store {
        Store::new(self.link.clone(), self.names.clone(), kind)
    }
}
