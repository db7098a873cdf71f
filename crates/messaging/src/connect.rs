//! The connection: found or refused with a clear reason at the start, then kept for ever in the background.

use std::{sync::Arc, time::Duration};

use async_nats::{
    Client, ConnectErrorKind, Event,
    jetstream::{Context, context::ContextBuilder},
};
use jiff::Timestamp;
use tickmesh_core::name::Namespace;
use tokio::{sync::watch, time::Instant};
use tracing::{debug, error, info, warn};

use crate::{
    denials::{self, Denial},
    error::{Error, NoAnswer, Source, chain},
    listing::Skipped,
    login::Login,
    servers::{Asked, LEAVE_AFTER, Servers},
};

/// Oldest server that will do: from 2.11 on a new cluster leader answers only after it has caught up.
const VERSION_MIN: (u64, u64) = (2, 11);
/// The oldest version as people read it.
const VERSION_MIN_TEXT: &str = "2.11";
/// How long a half-open connection may look alive: two of these. The library's minute would outlast every lease.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// Longest pause between two attempts to reconnect. Short, because a fleet of thousands is still only thousands of attempts
/// a second, and every one of them may hold containers that stop when the fence falls.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_millis(500);
/// How long a server may take to say at the start that it has JetStream, while there are others to ask.
const PROBE_MAX: Duration = Duration::from_millis(1_500);
/// Acknowledgements under way at once. Every publish of this crate awaits its own, so this only bounds memory; the library
/// blocks publishers beyond it, which the deadline on every call turns into an error.
const ACKNOWLEDGEMENTS_MAX: usize = 16_384;

/// How to reach a mesh.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Address of a server, or of several, separated by commas.
    pub url: String,
    /// Who this process is to NATS.
    pub login: Login,
    /// Namespace of the mesh.
    pub namespace: Namespace,
    /// What the server shows in its list of connections.
    pub client_name: String,
    /// How long one request may take, the first connect included.
    pub request_timeout: Duration,
}

/// A live connection, shared by all stores of a mesh.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) client: Client,
    pub(crate) context: Context,
    pub(crate) request_timeout: Duration,
    /// Counts the times that the connection was made. A change means: what the server kept for us may be gone.
    pub(crate) connections: watch::Receiver<u64>,
    /// Counts the records that this process could not read.
    pub(crate) skipped: Skipped,
    servers: Arc<Servers>,
    /// What the server has denied.
    pub(crate) denials: watch::Receiver<Denial>,
    /// Where, without credentials.
    url: String,
}

impl Link {
    /// Connects, and makes sure that the version of the server is good enough. NATS itself takes a round trip for the
    /// connection, half of one for what the server says of itself, and one for the login; there is none beyond these.
    pub(crate) async fn connect(options: &ConnectOptions) -> Result<Self, Error> {
        let url = redacted(&options.url);
        let (made, mut connections) = watch::channel(0);
        let (denying, denials) = watch::channel(Denial::default());
        let servers = Arc::new(Servers::default());
        let client = reach(options, &url, Told { made, denying }, servers.clone()).await?;
        await_event(&mut connections, options.request_timeout).await;
        check_version(&client.server_info().version, &url)?;
        let context = ContextBuilder::new()
            .timeout(options.request_timeout)
            .ack_timeout(options.request_timeout)
            .max_ack_inflight(ACKNOWLEDGEMENTS_MAX)
            .build(client.clone());
        Ok(Self {
            client,
            context,
            request_timeout: options.request_timeout,
            connections,
            skipped: Skipped::default(),
            servers,
            denials,
            url,
        })
    }

    /// Makes sure that JetStream answers, on whichever server it does.
    pub(crate) async fn find_jetstream(&self) -> Result<(), Error> {
        let servers = self.servers().await?;
        for others in (0..servers.max(1)).rev() {
            let time = if others == 0 { self.request_timeout } else { PROBE_MAX.min(self.request_timeout) };
            let problem = match self.ask_for_jetstream_within(time).await {
                Err(error) if others > 0 && error.is_unanswered() => error,
                found => return found,
            };
            warn!(problem = %chain(&problem), "JetStream does not answer on this server: trying another one");
            self.leave_server(time).await?;
        }
        Ok(())
    }

    /// Asks whether JetStream answers here.
    pub(crate) async fn ask_for_jetstream(&self) -> Result<(), Error> {
        self.ask_for_jetstream_within(self.request_timeout).await
    }

    async fn ask_for_jetstream_within(&self, time: Duration) -> Result<(), Error> {
        let account = self.context.query_account();
        let problem: Source = match denials::within(time, account, &self.denials, "$JS.API.INFO").await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.into(),
            Err(late) => late.into(),
        };
        Err(Error::no_jetstream(self.url.clone(), problem))
    }

    /// Returns how many servers are known, and notes which one this is: once, before any is left.
    pub(crate) async fn servers(&self) -> Result<usize, Error> {
        let pool = self.client.server_pool().await;
        let pool = pool.map_err(|source| Error::unavailable("ask the NATS client for its servers", source))?;
        self.servers.connected_to(pool.iter().find(|server| server.did_connect).map(|server| server.addr.clone()));
        Ok(pool.len())
    }

    /// Goes to another server, and waits for that at most so long.
    pub(crate) async fn leave_server(&self, time: Duration) -> Result<(), Error> {
        let mut connections = self.connections.clone();
        connections.mark_unchanged();
        self.servers.leave();
        let left = self.client.force_reconnect().await;
        left.map_err(|source| Error::unavailable("leave a NATS server", source))?;
        let _late = within(time, connections.changed()).await;
        Ok(())
    }

    /// Takes note of an answer, or of its absence, and leaves a server that has answered nothing for long.
    pub(crate) async fn noted<T>(&self, asked: Asked, answer: Result<T, Error>) -> Result<T, Error> {
        match &answer {
            Err(Error::Unavailable { .. }) => self.unanswered(asked).await,
            Ok(_) | Err(_) => self.servers.answered(asked),
        }
        answer
    }

    /// Takes note of an answer.
    pub(crate) fn answered(&self, asked: Asked) {
        self.servers.answered(asked);
    }

    /// Takes note that there was no answer.
    pub(crate) async fn unanswered(&self, asked: Asked) {
        if !self.servers.unanswered(asked, Instant::now()) {
            return;
        }
        let others = self.client.server_pool().await.map_or(0, |servers| servers.len().saturating_sub(1));
        if others > 0 {
            warn!(?asked, "this NATS server has answered nothing for {LEAVE_AFTER:?}: going to another one");
            // The client is closed: then nobody needs a server.
            let _closed = self.client.force_reconnect().await;
        }
    }
}

async fn reach(options: &ConnectOptions, url: &str, told: Told, servers: Arc<Servers>) -> Result<Client, Error> {
    let connected = told.made.subscribe();
    let login = options.login.clone().or_of(&options.url);
    login.check(Timestamp::now()).map_err(|source| Error::Login { source })?;
    let settings = login
        .options()
        .name(&options.client_name)
        .connection_timeout(options.request_timeout)
        .request_timeout(Some(options.request_timeout))
        .ping_interval(PING_INTERVAL)
        .reconnect_delay_callback(reconnect_pause)
        .reconnect_to_server_callback(move |pool, _| {
            // The first time the library tries all of them, one after the other.
            let chosen = if *connected.borrow() == 0 { None } else { servers.choose(&pool) };
            async { chosen }
        })
        .event_callback(move |event| {
            told.note(&event);
            async {}
        });
    let servers: Vec<&str> = options.url.split(',').map(str::trim).collect();
    let unreachable = |source| Error::Unreachable { url: url.to_owned(), source };
    match tokio::time::timeout(options.request_timeout, settings.connect(servers)).await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(problem)) => Err(match problem.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                Error::LoginRefused { url: url.to_owned(), login: login.to_string() }
            }
            ConnectErrorKind::ServerParse
            | ConnectErrorKind::Dns
            | ConnectErrorKind::TimedOut
            | ConnectErrorKind::Tls
            | ConnectErrorKind::Io
            | ConnectErrorKind::MaxReconnects => unreachable(problem.into()),
        }),
        Err(_) => Err(unreachable(NoAnswer::Late(options.request_timeout).into())),
    }
}

/// Waits until the event of the connection that was just made has come through, or the first writers would take it for a
/// second connection.
async fn await_event(connections: &mut watch::Receiver<u64>, time: Duration) {
    if within(time, connections.wait_for(|count| *count > 0)).await.is_err() {
        warn!("the NATS client does not tell that it is connected");
    }
}

/// Waits for the answer to `request`, at most for `time`.
pub(crate) async fn within<F: IntoFuture>(time: Duration, request: F) -> Result<F::Output, NoAnswer> {
    tokio::time::timeout(time, request).await.map_err(|_| NoAnswer::Late(time))
}

fn reconnect_pause(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts).unwrap_or(u32::MAX).min(16);
    Duration::from_millis(5).saturating_mul(1 << doublings).min(RECONNECT_PAUSE_MAX)
}

/// Who is told what happens to the connection.
struct Told {
    /// How often it was made.
    made: watch::Sender<u64>,
    denying: watch::Sender<Denial>,
}

impl Told {
    /// Logs what happens to the connection, and tells those who wait for that.
    fn note(&self, event: &Event) {
        match event {
            Event::Connected => {
                self.made.send_modify(|count| *count += 1);
                info!("connected to NATS");
            }
            Event::Disconnected => warn!("disconnected from NATS"),
            Event::ServerError(problem) => {
                error!(%problem, "NATS refused something");
                Denial::note(&self.denying, &problem.to_string());
            }
            Event::ClientError(problem) => error!(%problem, "NATS client failed"),
            Event::SlowConsumer(subscription) => error!(subscription, "messages from NATS were dropped unread"),
            Event::LameDuckMode => warn!("NATS server is about to stop"),
            Event::Draining | Event::Closed => debug!(%event, "NATS connection ends"),
        }
    }
}

fn check_version(found: &str, url: &str) -> Result<(), Error> {
    let mut numbers = found.split(['.', '-']).map(str::parse::<u64>);
    let version = match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        (_, _) => (0, 0),
    };
    if version < VERSION_MIN {
        return Err(Error::ServerTooOld { url: url.to_owned(), needed: VERSION_MIN_TEXT, found: found.to_owned() });
    }
    Ok(())
}

/// Returns the address without user names, passwords and tokens, for messages and logs.
pub fn redacted(url: &str) -> String {
    let hide = |server: &str| match (server.split_once("://"), server.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        (_, None) => server.to_owned(),
    };
    url.split(',').map(|server| hide(server.trim())).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_server(version: &str, problem: Option<&str>) {
        let found = check_version(version, "nats://localhost").err().map(|error| error.to_string());
        assert_eq!(found.as_deref(), problem, "{version}");
    }

    #[test]
    fn servers_before_2_11_are_refused() {
        for good in ["2.11.0", "2.12.1", "2.15.1", "3.0.0", "2.15.0-preview.1"] {
            check_server(good, None);
        }
        check_server("2.9.10", Some("NATS at `nats://localhost` is too old: needs >= 2.11, found 2.9.10"));
        check_server("strange", Some("NATS at `nats://localhost` is too old: needs >= 2.11, found strange"));
    }

    #[test]
    fn passwords_do_not_reach_messages() {
        assert_eq!(redacted("nats://me:secret@a:4222, b:4222,token@c"), "nats://a:4222,b:4222,c");
    }

    #[test]
    fn pauses_between_reconnects_grow_up_to_a_limit() {
        assert!(reconnect_pause(0) < reconnect_pause(3));
        assert_eq!(reconnect_pause(usize::MAX), RECONNECT_PAUSE_MAX);
    }
}
