//! The first look at a mesh, for whoever connects, looks once and is gone: a person far away waits for every round trip.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use crate::{connect::ConnectOptions, error::Error, mesh::Mesh};

/// How long a server may take for everything that is looked at, while there are others to ask. A few round trips from another
/// continent fit in.
const LOOK_MAX: Duration = Duration::from_millis(2_000);
/// Before the next server, where one has said at once that it cannot answer.
const PAUSE: Duration = Duration::from_millis(200);
/// How long several servers are asked in turn: when one is lost, the others elect leaders of its streams for up to 9 s.
const LOOKS_MAX: Duration = Duration::from_secs(12);

impl Mesh {
    /// Connects to a mesh that exists, and looks at something on it. That JetStream answers and which mesh it is are asked at
    /// the same time, so that a look of one round trip costs one beyond the connect.
    ///
    /// A server that does not answer all of it is left for another one, where `look` is begun anew: it must change nothing. A
    /// server that is cut off from its cluster may still answer some questions. `is_unanswered` says which errors tell of that.
    pub async fn first_look<T, E: From<Error>>(
        options: &ConnectOptions,
        look: impl AsyncFn(&Self) -> Result<T, E>,
        is_unanswered: impl Fn(&E) -> bool,
    ) -> Result<(Self, T), E> {
        let mesh = Self::reach(options).await?;
        let (servers, begun) = (mesh.link.servers().await.map_err(E::from)?, Instant::now());
        loop {
            let is_last = servers < 2 || begun.elapsed() >= LOOKS_MAX;
            // On the heap: what is looked at may be much.
            let looking = Box::pin(async {
                let mut opening =
                    Box::pin(async { tokio::try_join!(mesh.link.ask_for_jetstream(), mesh.open_or_lost()) });
                let mut looking = Box::pin(look(&mesh));
                let mut looked = None;
                loop {
                    tokio::select! {
                        biased;
                        // A server that says no to these need not be waited for.
                        opened = &mut opening => {
                            opened.map_err(E::from)?;
                            break;
                        }
                        it = &mut looking, if looked.is_none() => looked = Some(it),
                    }
                }
                match looked {
                    Some(looked) => looked,
                    None => looking.await,
                }
            });
            if is_last {
                return looking.await.map(|looked| (mesh, looked));
            }
            match timeout(LOOK_MAX, looking).await {
                Ok(Ok(looked)) => return Ok((mesh, looked)),
                Ok(Err(error)) if !is_unanswered(&error) => return Err(error),
                Ok(Err(_)) => sleep(PAUSE).await,
                Err(_) => {}
            }
            warn!("this NATS server has not answered all that it was asked: going to another one");
            mesh.link.leave_server(LOOK_MAX).await.map_err(E::from)?;
        }
    }
}

impl Error {
    /// Whether another server of the cluster may answer what this one did not.
    pub fn is_unanswered(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::NoJetStream { .. } | Self::NoJetStreamLeader { .. } => true,
            Self::Login { .. }
            | Self::LoginRefused { .. }
            | Self::Unreachable { .. }
            | Self::ServerTooOld { .. }
            | Self::NotProvisioned { .. }
            | Self::StoreLost { .. }
            | Self::NoRoom { .. }
            | Self::Provision { .. }
            | Self::ForeignStream { .. }
            | Self::ForeignSetting { .. }
            | Self::StreamGone { .. }
            | Self::StateLost(_)
            | Self::Superseded { .. }
            | Self::Closed { .. }
            | Self::Denied { .. }
            | Self::Unreadable { .. }
            | Self::TooManyEdits { .. }
            | Self::Encode { .. }
            | Self::TooLarge { .. } => false,
        }
    }
}
