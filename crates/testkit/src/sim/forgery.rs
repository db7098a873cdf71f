//! Messages that somebody else writes in the name of a scheduler.

use std::sync::Arc;

use rand::RngExt as _;
use tickmesh_core::{
    id::Epoch,
    message::{Order, OrderKind},
};

use super::{
    faults::Fault,
    net::{Kind, Record},
    world::World,
};

impl World {
    /// An order comes again, as one of a tenure that there will never be.
    pub(super) fn forge_order(&mut self) {
        let stored = self.context.net.stream(Kind::Orders).last_per_subject();
        let starts = |order: &&Arc<Order>| matches!(order.kind, OrderKind::Start(_));
        let orders: Vec<_> = stored.iter().filter_map(|stored| stored.record.order()).filter(starts).collect();
        if orders.is_empty() {
            return;
        }
        let order = orders[self.context.random.random_range(0..orders.len())];
        let forged = Order { epoch: Epoch(u64::MAX), ..(**order).clone() };
        self.context.count(Fault::OrderForged);
        let agent = forged.agent.as_str().into();
        self.context.store(Kind::Orders, &agent, Record::Order(Arc::new(forged)), None);
    }
}
