//! Start orders that came before their instant by the clock of this host. What a job reads from that clock is never before the
//! instant that it runs for: the order waits until then. To the mesh it is an order that nobody has claimed yet; its age counts
//! from when it came.

use std::time::Duration;

use tickmesh_core::{
    id::Nonce,
    message::{Order, OrderKind},
};

use super::{
    AgentCore,
    io::{Effect, Moment},
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
    /// Uptime of the host when it came.
    came_at: Duration,
    /// Uptime at which the host's clock shows the instant.
    due_at: Duration,
}

impl EarlyOrders {
    /// Returns when the next one is due.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        self.0.iter().map(|early| early.due_at).min()
    }

    fn add(&mut self, order: EarlyOrder) {
        if self.0.len() < ORDERS_MAX {
            self.0.push(order);
        }
    }

    /// Removes and returns an order that is due.
    fn take_due(&mut self, now: Duration) -> Option<EarlyOrder> {
        let index = self.0.iter().position(|early| early.due_at <= now)?;
        Some(self.0.remove(index))
    }
}

/// How long it is until the instant of a start order by the host's clock; `None`: nothing holds it up.
fn early_by(order: &Order, now: Moment) -> Option<Duration> {
    let OrderKind::Start(start) = &order.kind else { return None };
    let ahead = Duration::try_from(start.scheduled_at?.duration_since(now.wall)).ok()?;
    (!ahead.is_zero() && ahead <= BEHIND_MAX).then_some(ahead)
}

impl AgentCore {
    /// Takes an order, or keeps it until its instant.
    pub(super) fn order_came(&mut self, order: Order, nonce: Nonce, now: Moment) -> Vec<Effect> {
        match early_by(&order, now) {
            Some(wait) => {
                let (came_at, due_at) = (now.uptime, now.uptime + wait);
                self.early.add(EarlyOrder { order, nonce, came_at, due_at });
                Vec::new()
            }
            None => self.order(order, nonce, now.uptime),
        }
    }

    /// Takes the orders whose instant has come, as far as orders are taken now.
    pub(super) fn take_early(&mut self, now: Duration) -> Vec<Effect> {
        let mut effects = Vec::new();
        while self.takes_orders() {
            let Some(EarlyOrder { order, nonce, came_at, .. }) = self.early.take_due(now) else { break };
            effects.extend(self.order(order, nonce, came_at));
        }
        effects
    }
}
