//! What people ask of the leader: a durable queue that keeps every command until the leader has confirmed it.
//!
//! A work queue allows one consumer for a subject. What a dead leader had received but not confirmed would come back only
//! after [`CONFIRM_WITHIN`]; so a leader that begins to receive removes the consumer of its predecessor and makes one of its
//! own, under a name of its own. That brings everything back at once, and in order; and a predecessor that is alive after all
//! finds its consumer gone, so that it neither receives nor confirms anything more.

use std::time::Duration;

use async_nats::jetstream::{
    self, AckKind, ErrorCode,
    consumer::{AckPolicy, Consumer, pull},
    context::ConsumerInfoErrorKind,
    stream::ConsumerErrorKind,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use tickmesh_core::message::Command;
use tokio::{sync::watch, time::sleep};
use tracing::{debug, warn};

use crate::{
    error::{Error, Source, Unreadable, chain},
    follow::{Following, unique_name},
    record::Record as _,
    store::{Condition, Message, Store},
    wire::{decode, encode},
};

/// Two leaders that begin at once remove each other's consumers, at most this often: then one of them gives up.
const TAKE_OVERS_MAX: usize = 5;
/// A command that is not confirmed within this time is delivered again.
const CONFIRM_WITHIN: Duration = Duration::from_secs(30);
/// Commands delivered ahead of the one in work. Few: what a leader holds when it dies waits for the next one.
const BATCH: usize = 16;
/// How often the server says that it has nothing to say.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long one request for messages lasts.
const PULL_EXPIRES: Duration = Duration::from_secs(30);
/// Pause between attempts to receive on.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// The stream `commands`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Commands {
    store: Store,
}

impl Commands {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Stores a command for the leader, and returns its sequence. It may be sent again: the leader carries a
    /// request out once.
    pub async fn send(&self, command: &Command) -> Result<u64, Error> {
        let subject = self.store.names.command(&command.app);
        let body = encode(self.store.kind, &subject, command)?;
        // The server drops a repeat for as long as it remembers the id, which saves the leader a message. No more than that.
        let message = Message { body, condition: Condition::UnlessKnown(command.request.to_string()) };
        self.store.publish(&subject, message).await
    }

    /// Sequence of the oldest stored command; that of the next one to come if none is stored. Whatever is below was confirmed,
    /// or could not be read, and is never delivered again.
    pub async fn first_sequence(&self) -> Result<u64, Error> {
        self.store.first_sequence().await
    }

    /// The commands that nobody has confirmed, oldest first, then those to come. Whoever received before is told
    /// [`Error::Superseded`]. A command that cannot be read is logged and removed.
    pub async fn receive(&self) -> Result<Following<Delivery>, Error> {
        let consumer = self.take_over().await?;
        let connections = self.store.link.connections.clone();
        let messages = self.pull(&consumer).await?;
        let receiver = Receiver { commands: self.clone(), consumer, messages, connections };
        let deliveries = stream::unfold(Some(receiver), |receiver| async {
            let mut receiver = receiver?;
            match receiver.next().await {
                Ok(delivery) => Some((Ok(delivery), Some(receiver))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(deliveries.boxed())
    }

    /// Removes whatever consumer there is and makes a new one.
    async fn take_over(&self) -> Result<Consumer<pull::Config>, Error> {
        let mut problem = Error::Superseded { stream: self.store.name.clone() };
        for _ in 0..TAKE_OVERS_MAX {
            self.remove_consumers().await?;
            let request = self.store.link.context.create_consumer_on_stream(consumer_config(), &self.store.name);
            match self.store.bounded(request).await {
                Ok(Ok(consumer)) => return Ok(consumer),
                // Most likely another leader was faster.
                Ok(Err(error)) => problem = self.unavailable(error),
                Err(late) => return Err(self.unavailable(late)),
            }
            sleep(RETRY_PAUSE).await;
        }
        Err(problem)
    }

    async fn remove_consumers(&self) -> Result<(), Error> {
        let stream = self.store.handle().await?;
        let names = match self.store.bounded(stream.consumer_names().try_collect::<Vec<_>>()).await {
            Ok(Ok(names)) => names,
            Ok(Err(error)) => return Err(self.unavailable(error)),
            Err(late) => return Err(self.unavailable(late)),
        };
        for name in names {
            match self.store.bounded(stream.delete_consumer(&name)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) if is_missing(&error.kind()) => {}
                Ok(Err(error)) => return Err(self.unavailable(error)),
                Err(late) => return Err(self.unavailable(late)),
            }
        }
        Ok(())
    }

    async fn pull(&self, consumer: &Consumer<pull::Config>) -> Result<pull::Stream, Error> {
        let request = consumer.stream().max_messages_per_batch(BATCH).expires(PULL_EXPIRES).heartbeat(HEARTBEAT);
        match self.store.bounded(request.messages()).await {
            Ok(Ok(messages)) => Ok(messages),
            Ok(Err(error)) => Err(self.unavailable(error)),
            Err(late) => Err(self.unavailable(late)),
        }
    }

    fn unavailable(&self, source: impl Into<Source>) -> Error {
        Error::unavailable(format!("receive from stream `{}`", self.store.name), source)
    }

    fn superseded(&self) -> Error {
        Error::Superseded { stream: self.store.name.clone() }
    }
}

fn consumer_config() -> pull::Config {
    pull::Config {
        durable_name: Some(unique_name()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: CONFIRM_WITHIN,
        ..pull::Config::default()
    }
}

fn is_missing(kind: &ConsumerErrorKind) -> bool {
    matches!(kind, ConsumerErrorKind::JetStream(problem) if problem.error_code() == ErrorCode::CONSUMER_NOT_FOUND)
}

/// A command in the hands of the leader. Dropped without [`Delivery::confirm`], it is delivered again.
#[derive(Debug)]
pub struct Delivery {
    pub command: Command,
    /// Its sequence in the stream.
    pub sequence: u64,
    message: jetstream::Message,
    store: Store,
}

impl Delivery {
    /// Removes the command from the queue. `Ok` only once the server has said so: then it is never delivered again.
    ///
    /// The library's `double_ack` is not used: it takes the server's "nobody listens on this subject", which is what a
    /// superseded leader is told, for an acknowledgement.
    pub async fn confirm(self) -> Result<(), Error> {
        let action = || format!("confirm the command at sequence {}", self.sequence);
        let Some(subject) = self.message.reply.clone() else {
            return Err(Error::unavailable(action(), "it was not delivered by a consumer"));
        };
        match self.store.bounded(self.store.link.client.request(subject, AckKind::Ack.into())).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Error::unavailable(action(), error)),
            Err(late) => Err(Error::unavailable(action(), late)),
        }
    }
}

/// Who receives from the queue.
#[derive(Debug, PartialEq, Eq)]
enum Owner {
    Us,
    /// The server does not say.
    Unknown,
}

/// Receives commands over any number of connections. The consumer outlives them, and the library pulls from it again after
/// each; what the server sent before that is still here and must not be thrown away, or it comes back only after
/// [`CONFIRM_WITHIN`].
struct Receiver {
    commands: Commands,
    consumer: Consumer<pull::Config>,
    messages: pull::Stream,
    connections: watch::Receiver<u64>,
}

impl Receiver {
    /// The next command. An error is the last item.
    async fn next(&mut self) -> Result<Delivery, Error> {
        loop {
            let message = tokio::select! {
                biased;
                message = self.messages.next() => message,
                connection = self.connections.changed() => {
                    self.commands.store.still_open(connection)?;
                    self.check_owner().await?;
                    continue;
                }
            };
            match message {
                Some(Ok(message)) => {
                    if let Some(delivery) = self.accept(message).await {
                        return Ok(delivery);
                    }
                }
                Some(Err(error)) if error.kind() == pull::MessagesErrorKind::ConsumerDeleted => {
                    return Err(self.commands.superseded());
                }
                Some(Err(error)) => {
                    debug!(%error, "receiving commands anew");
                    self.resume().await?;
                }
                None => self.resume().await?,
            }
        }
    }

    /// Pulls again. Waits while the server is away.
    async fn resume(&mut self) -> Result<(), Error> {
        loop {
            self.commands.store.still_open(self.connections.has_changed())?;
            if self.check_owner().await? == Owner::Us {
                match self.commands.pull(&self.consumer).await {
                    Ok(messages) => {
                        self.messages = messages;
                        return Ok(());
                    }
                    Err(error) => warn!(error = %chain(&error), "cannot receive commands, trying again"),
                }
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    /// A consumer that is gone was removed by another leader: [`Error::Superseded`].
    async fn check_owner(&self) -> Result<Owner, Error> {
        let problem = match self.commands.store.bounded(self.consumer.get_info()).await {
            Ok(Ok(_)) => return Ok(Owner::Us),
            Ok(Err(error)) if error.kind() == ConsumerInfoErrorKind::NotFound => {
                return Err(self.commands.superseded());
            }
            Ok(Err(error)) => self.commands.unavailable(error),
            Err(late) => self.commands.unavailable(late),
        };
        warn!(error = %chain(&problem), "cannot look after the queue of commands");
        Ok(Owner::Unknown)
    }

    /// The command in a message. What is none is removed from the queue, or it would come back for ever.
    async fn accept(&self, message: jetstream::Message) -> Option<Delivery> {
        let store = &self.commands.store;
        let problem = match (decode::<Command>(&message.payload), message.info()) {
            (Ok(command), Ok(info)) if command.belongs_on(&store.names, &message.subject) => {
                let sequence = info.stream_sequence;
                return Some(Delivery { command, sequence, message, store: store.clone() });
            }
            (Ok(_), Ok(_)) => chain(&Unreadable::Misplaced),
            (Err(error), _) => chain(&error),
            (Ok(_), Err(error)) => error.to_string(),
        };
        warn!(subject = %message.subject, problem, "removing a command that cannot be read");
        if let Err(error) = message.ack_with(AckKind::Term).await {
            warn!(%error, "the command will come again");
        }
        None
    }
}
