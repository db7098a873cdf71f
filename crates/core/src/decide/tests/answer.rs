//! What a decision said, in the words of a story.

use super::super::{Action, Record};
use crate::{
    id::AttemptId,
    message::{AttemptEvent, Order, OrderKind},
};

/// What a decision said, the ledger aside.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) record: Record,
    pub(super) actions: Vec<Action>,
    pub(super) unplaced: bool,
}

impl Answer {
    pub(super) fn orders(&self) -> Vec<&Order> {
        let mut orders = Vec::new();
        for action in &self.actions {
            match action {
                Action::Send(order) => orders.push(order),
                Action::StoreReport { .. } => {}
            }
        }
        orders
    }

    pub(super) fn starts(&self) -> Vec<&AttemptId> {
        let start = |order: &&Order| matches!(order.kind, OrderKind::Start(_));
        self.orders().into_iter().filter(start).map(|order| &order.attempt).collect()
    }

    pub(super) fn stops(&self) -> Vec<&AttemptId> {
        let stop = |order: &&Order| matches!(order.kind, OrderKind::Stop);
        self.orders().into_iter().filter(stop).map(|order| &order.attempt).collect()
    }

    /// What is to be stored on attempts' subjects, with the expected sequences.
    pub(super) fn stored(&self) -> Vec<(&AttemptId, &AttemptEvent, u64)> {
        let mut stored = Vec::new();
        for action in &self.actions {
            match action {
                Action::StoreReport { report, expected } => stored.push((&report.attempt, &report.event, *expected)),
                Action::Send(_) => {}
            }
        }
        stored
    }
}
