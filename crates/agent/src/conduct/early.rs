//! Start orders that came before their instant by the clock of this host. What a job reads from that clock is never before the
//! instant that it runs for: the order waits until then, as if it had been under way for longer. Every rule of the protocol
//! allows that.

use std::time::Duration;

use tickmesh_core::{
    id::Nonce,
    message::{Order, OrderKind},
};

use super::{
    Conduct,
    boundary::{Effect, Moment},
};

/// A clock that is behind by more is wrong, and holds nothing up. A leader decides by the server's clock, to within half a
/// second, and a host whose clock is kept by NTP is nearer to that than a second.
const BEHIND_MAX: Duration = Duration::from_secs(2);
/// More orders than an agent has slots: those that come on top are sent again by the leader.
const ORDERS_MAX: usize = 4_096;

/// The orders that wait for their instant.
#[derive(Debug, Default)]
pub(super) struct EarlyOrders(Vec<EarlyOrder>);

#[derive(Debug)]
struct EarlyOrder {
    order: Order,
    nonce: Nonce,
    /// Uptime of the host at which its clock shows the instant.
    due_at: Duration,
}

impl EarlyOrders {
    /// Returns when the next one is due.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        self.0.iter().map(|early| early.due_at).min()
    }

    fn add(&mut self, order: Order, nonce: Nonce, due_at: Duration) {
        if self.0.len() < ORDERS_MAX {
            self.0.push(EarlyOrder { order, nonce, due_at });
        }
    }

    /// Takes one out that is due.
    fn take_due(&mut self, now: Duration) -> Option<(Order, Nonce)> {
        let index = self.0.iter().position(|early| early.due_at <= now)?;
        let EarlyOrder { order, nonce, .. } = self.0.remove(index);
        Some((order, nonce))
    }
}

/// How long it is until the instant of a start order by the host's clock; `None`: nothing holds it up.
fn early_by(order: &Order, now: Moment) -> Option<Duration> {
    let OrderKind::Start(start) = &order.kind else { return None };
    let ahead = Duration::try_from(start.scheduled_at?.duration_since(now.wall)).ok()?;
    (!ahead.is_zero() && ahead <= BEHIND_MAX).then_some(ahead)
}

impl Conduct {
    /// Takes an order, or keeps it until its instant.
    pub(super) fn order_came(&mut self, order: Order, nonce: Nonce, now: Moment) -> Vec<Effect> {
        match early_by(&order, now) {
            Some(wait) => {
                self.early.add(order, nonce, now.uptime + wait);
                Vec::new()
            }
            None => self.order(order, nonce, now.uptime),
        }
    }

    /// Takes the orders whose instant has come, as far as orders are taken now.
    pub(super) fn take_early(&mut self, now: Duration) -> Vec<Effect> {
        let mut effects = Vec::new();
        while self.takes_orders() {
            let Some((order, nonce)) = self.early.take_due(now) else { break };
            effects.extend(self.order(order, nonce, now));
        }
        effects
    }
}
