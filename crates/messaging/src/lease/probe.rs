//! Asks the holder of the lease for a sign of life, so that a standby need not wait for the end of a term when the holder's
//! process is gone: the server knows at once, and says that nobody responds.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::state::{DESERTED_FOR, Presence};
use crate::{
    mesh::Mesh,
    schedulers::{Heard, Schedulers},
};

/// How long a connection must have lasted before what it says of others counts: after a restart of the server, everybody is
/// gone for a moment.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// Asks again and again.
#[derive(Debug)]
pub(super) struct Probe {
    schedulers: Schedulers,
    connections: watch::Receiver<u64>,
    settled_at: Instant,
    ask_at: Instant,
}

impl Probe {
    pub(super) fn new(mesh: &Mesh) -> Self {
        let now = Instant::now();
        Self {
            schedulers: mesh.schedulers(),
            connections: mesh.connections(),
            settled_at: now + SETTLED_AFTER,
            ask_at: now,
        }
    }

    /// The next answer about `holder`; never, if there is nobody to ask about. May be dropped at any moment.
    pub(super) async fn next(&mut self, holder: Option<&str>) -> Presence {
        let Some(holder) = holder else { return std::future::pending().await };
        sleep_until(self.ask_at).await;
        self.ask_at = Instant::now() + DESERTED_FOR;
        let heard = self.schedulers.knock(holder, DESERTED_FOR).await;
        // From the answer on, too: the next one must not come a hair too early to count.
        self.ask_at = Instant::now() + DESERTED_FOR;
        if self.connections.has_changed().unwrap_or(true) {
            self.connections.mark_unchanged();
            self.settled_at = Instant::now() + SETTLED_AFTER;
        }
        match heard {
            Heard::Answer => Presence::Answers,
            Heard::Nobody if Instant::now() >= self.settled_at => Presence::Gone,
            Heard::Nobody | Heard::Nothing => Presence::Unknown,
        }
    }
}
