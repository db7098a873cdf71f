//! Which orders an agent believes. An order names the tenure that sent it. The agent refuses orders
//! of a tenure older than the newest that it knows. Only the lease can tell it of a newer one: an order that could do so
//! by itself would make the agent deaf to every real leader.
//!
//! The lease counts only while somebody renews it. A store that was restored from an older copy has a lease and start
//! orders of runs that ended since. Schedulers refuse to lead on such a store, and nobody renews its lease. An agent
//! that has just started knows no tenure, and would otherwise start these runs again beside the present ones. Nor does one
//! that follows orders anew after a lost connection know whether the store is still the one that it knew: it believes
//! no tenure, too, until it has seen the lease renewed since.

use std::time::Duration;

use tickmesh_core::{
    id::{Epoch, Nonce},
    message::{Order, OrderKind},
};

use super::{
    AgentCore,
    io::{Effect, LeaseSeen},
};

/// How long an agent waits for the lease to be renewed before it takes the lease for a dead one. A leader renews it
/// every second, and loses it after four.
pub(super) const LEASE_PATIENCE: Duration = Duration::from_secs(5);
/// How often the agent reads the lease meanwhile.
pub(super) const LEASE_INTERVAL: Duration = Duration::from_millis(500);

/// What an agent process knows of tenures.
#[derive(Debug, Default)]
pub(super) struct Tenures {
    /// The newest one whose orders were ever believed. Older ones are refused from then on.
    newest: Epoch,
    /// Whether orders of the newest one are believed without a look at the lease.
    is_trusted: bool,
    /// The lease as it was read last.
    lease: Option<LastLease>,
    /// An order of a tenure that is not trusted, while the lease is read. No other order is taken meanwhile.
    unconfirmed: Option<Unconfirmed>,
}

/// A revision of the lease.
#[derive(Debug, Clone, Copy)]
struct LastLease {
    /// The revision; 0 if nobody has held the lease yet.
    revision: u64,
    /// When the agent read this revision first, as uptime of the host.
    since: Duration,
    /// Whether the agent had read an earlier revision before: somebody wrote this one meanwhile.
    is_renewal: bool,
}

/// An order that waits until the lease is read.
#[derive(Debug)]
struct Unconfirmed {
    order: Order,
    nonce: Nonce,
    /// When it came, as uptime: its age counts from then, and so does what the guard is asked about it (rule P4).
    at: Duration,
    /// When the lease is read again; `None`: an answer is under way.
    read_at: Option<Duration>,
}

/// What a revision of the lease says about its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renewal {
    /// The holder wrote since the agent looked last.
    Seen,
    /// It may still come.
    Awaited,
    /// It should have come by now.
    Missing,
}

impl Tenures {
    /// Returns whether an order waits until the lease is read.
    pub(super) fn is_confirming(&self) -> bool {
        self.unconfirmed.is_some()
    }

    /// Returns when the lease is to be read again.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        self.unconfirmed.as_ref()?.read_at
    }

    /// Trusts no tenure until the lease has been renewed once more.
    pub(super) fn doubt(&mut self) {
        self.is_trusted = false;
        self.lease = None;
    }

    /// Reads the lease again if it is time to.
    pub(super) fn woken(&mut self, now: Duration) -> Option<Effect> {
        let unconfirmed = self.unconfirmed.as_mut().filter(|it| it.read_at.is_some_and(|at| at <= now))?;
        unconfirmed.read_at = None;
        Some(Effect::ReadLease)
    }

    /// Compares a revision with the last one. A lower one is of another copy of the store: its renewal is still to be seen.
    fn renewal(&mut self, revision: u64, now: Duration) -> Renewal {
        let last = self.lease.filter(|last| last.revision <= revision);
        match last {
            Some(last) if last.revision == revision => {
                if now >= last.since + LEASE_PATIENCE {
                    return Renewal::Missing;
                }
                if last.is_renewal { Renewal::Seen } else { Renewal::Awaited }
            }
            Some(_) => {
                self.lease = Some(LastLease { revision, since: now, is_renewal: true });
                Renewal::Seen
            }
            None => {
                self.lease = Some(LastLease { revision, since: now, is_renewal: false });
                Renewal::Awaited
            }
        }
    }
}

impl AgentCore {
    /// Takes an order of a tenure that is trusted, and reads the lease for one that is not. `at` is the host's uptime when it came.
    pub(super) fn order(&mut self, order: Order, nonce: Nonce, at: Duration) -> Vec<Effect> {
        if !self.takes_orders() {
            return Vec::new();
        }
        if order.epoch < self.tenures.newest {
            let newest = self.tenures.newest;
            tracing::debug!(attempt_id = %order.attempt, epoch = %order.epoch, %newest, "order refused");
            return Vec::new();
        }
        if order.epoch > self.tenures.newest || !self.tenures.is_trusted {
            self.tenures.unconfirmed = Some(Unconfirmed { order, nonce, at, read_at: None });
            return vec![Effect::ReadLease];
        }
        self.believe(order, nonce, at)
    }

    /// Decides about the order that waits. A start is obeyed if the lease has its tenure and is being renewed; a wish
    /// that something stops is always obeyed: whoever accepts a loss of data says it before there is a lease.
    pub(super) fn lease_read(&mut self, lease: LeaseSeen, now: Duration) -> Vec<Effect> {
        let LeaseSeen { revision, newest } = lease;
        let renewal = self.tenures.renewal(revision, now);
        let is_serving = self.is_serving();
        let Some(mut waiting) = self.tenures.unconfirmed.take().filter(|_| is_serving) else {
            return Vec::new();
        };
        let is_of_lease = waiting.order.epoch <= newest;
        let is_stop = matches!(waiting.order.kind, OrderKind::Stop);
        if is_of_lease && renewal == Renewal::Awaited && !is_stop {
            waiting.read_at = Some(now + LEASE_INTERVAL);
            self.tenures.unconfirmed = Some(waiting);
            return Vec::new();
        }
        let Unconfirmed { order, nonce, at, read_at: _ } = waiting;
        if is_of_lease && renewal == Renewal::Seen {
            (self.tenures.newest, self.tenures.is_trusted) = (order.epoch, true);
            return self.believe(order, nonce, at);
        }
        if is_stop {
            return self.believe(order, nonce, at);
        }
        if is_of_lease {
            tracing::warn!(
                attempt_id = %order.attempt,
                epoch = %order.epoch,
                "order refused: nobody renews the lease of its tenure"
            );
        } else {
            tracing::error!(attempt_id = %order.attempt, epoch = %order.epoch, %newest, "order of no tenure refused");
        }
        Vec::new()
    }
}
