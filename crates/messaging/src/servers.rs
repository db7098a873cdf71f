//! Which of several servers this process is connected to, and when it leaves one. A server that is cut off from the others
//! of its cluster still talks to its clients: it answers pings, and stores nothing. Only what it fails to answer tells.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_nats::{ReconnectToServer, Server, ServerAddr};
use rand::seq::IndexedRandom as _;
use tokio::time::Instant;

/// How long a server may leave everything of a kind unanswered. A cluster that elects a leader is silent for some 4 s.
pub(crate) const LEAVE_AFTER: Duration = Duration::from_secs(8);

/// What a request is about. A server that has just been cut off may still answer reads from memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To read something.
    Read,
    /// To store something.
    Write,
}

/// What this process knows of its servers.
#[derive(Debug, Default)]
pub(crate) struct Servers(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The server that was chosen last; `None`: the library chose the first one.
    current: Option<ServerAddr>,
    /// The current server is to be left for another one.
    leaving: bool,
    /// Since when no read was answered.
    unread_since: Option<Instant>,
    /// Since when no write was answered.
    unwritten_since: Option<Instant>,
}

impl Servers {
    /// Notes the server that the library chose at the first connect.
    pub(crate) fn connected_to(&self, address: Option<ServerAddr>) {
        self.known(|known| known.current = address);
    }

    /// Notes an answer.
    pub(crate) fn answered(&self, asked: Asked) {
        self.known(|known| *known.since(asked) = None);
    }

    /// Notes that there was no answer. Returns whether the server is to be left now.
    pub(crate) fn unanswered(&self, asked: Asked, now: Instant) -> bool {
        self.known(|known| {
            let since = *known.since(asked).get_or_insert(now);
            let is_over = now.duration_since(since) >= LEAVE_AFTER;
            if is_over {
                // The next server has as much time.
                (known.unread_since, known.unwritten_since) = (None, None);
                known.leaving = true;
            }
            is_over
        })
    }

    /// Makes the next choice one of another server, whatever this one has answered.
    pub(crate) fn leave(&self) {
        self.known(|known| known.leaving = true);
    }

    /// Chooses among the servers that are known: one that failed least often, and not the one that is to be left.
    pub(crate) fn choose(&self, pool: &[Server]) -> Option<ReconnectToServer> {
        self.known(|known| {
            let left = known.current.as_ref().filter(|_| known.leaving);
            let others: Vec<&Server> = pool.iter().filter(|server| Some(&server.addr) != left).collect();
            let fewest = others.iter().map(|server| server.failed_attempts).min()?;
            let best: Vec<&Server> = others.into_iter().filter(|server| server.failed_attempts == fewest).collect();
            let address = best.choose(&mut rand::rng())?.addr.clone();
            known.current = Some(address.clone());
            known.leaving = false;
            Some(ReconnectToServer { addr: address, delay: None })
        })
    }

    fn known<T>(&self, act: impl FnOnce(&mut Known) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    fn since(&mut self, asked: Asked) -> &mut Option<Instant> {
        match asked {
            Asked::Read => &mut self.unread_since,
            Asked::Write => &mut self.unwritten_since,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn silence_of_eight_seconds_is_enough() {
        let (servers, begun) = (Servers::default(), Instant::now());
        assert!(!servers.unanswered(Asked::Write, begun));
        assert!(!servers.unanswered(Asked::Write, begun + seconds(7)));
        assert!(servers.unanswered(Asked::Write, begun + seconds(8)));
        assert!(!servers.unanswered(Asked::Write, begun + seconds(9)), "the next server has its own time");
    }

    #[test]
    fn answered_reads_do_not_hide_unanswered_writes() {
        let (servers, begun) = (Servers::default(), Instant::now());
        assert!(!servers.unanswered(Asked::Write, begun));
        servers.answered(Asked::Read);
        assert!(servers.unanswered(Asked::Write, begun + seconds(8)));
        assert!(!servers.unanswered(Asked::Write, begun + seconds(10)));
        servers.answered(Asked::Write);
        assert!(!servers.unanswered(Asked::Write, begun + seconds(20)));
    }
}
