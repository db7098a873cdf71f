//! What the streams hold: production's own records.

use std::sync::Arc;

use tickmesh_core::{
    history::RunSummary,
    ledger::Ledger,
    message::{AgentRecord, AttemptReport, Command, NoticeRecord, Order, OrderKind, TickRecord},
};
use tickmesh_messaging::LeaseRecord;

use crate::sim::generators::Edition;

/// A record, as its writer made it: equal bodies are equal records.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sim) enum Record {
    Lease(Arc<LeaseRecord>),
    App(Arc<Edition>),
    Ledger(Arc<Ledger>),
    Agent(Arc<AgentRecord>),
    Command(Arc<Command>),
    Order(Arc<Order>),
    Report(Arc<AttemptReport>),
    Tick(Arc<TickRecord>),
    History(Arc<RunSummary>),
    Notice(Arc<NoticeRecord>),
    /// What nobody can read. The number tells it from others.
    Unreadable(u64),
}

impl Record {
    /// The number of an outbox's message (protocol rule P11).
    pub(in crate::sim) fn number(&self) -> u64 {
        match self {
            Self::Tick(tick) => tick.number,
            Self::History(summary) => summary.number,
            Self::Notice(notice) => notice.number,
            Self::Lease(_)
            | Self::App(_)
            | Self::Ledger(_)
            | Self::Agent(_)
            | Self::Command(_)
            | Self::Order(_)
            | Self::Report(_)
            | Self::Unreadable(_) => 0,
        }
    }

    /// In short, for whoever replays a history.
    pub(super) fn brief(&self) -> String {
        match self {
            Self::Lease(lease) => format!("{} renewal {} released {}", lease.holder, lease.renewal, lease.released),
            Self::App(edition) => format!("edition {} {:?}", edition.number, edition.spec),
            Self::Ledger(ledger) => format!("{ledger:?}"),
            Self::Agent(record) => format!("heartbeat {} of {} {:?}", record.number, record.machine, record.held),
            Self::Command(command) => format!("{command:?}"),
            Self::Order(order) => {
                let verb = if matches!(order.kind, OrderKind::Stop) { "stop" } else { "start" };
                format!("{verb} {} in tenure {}", order.attempt, order.epoch)
            }
            Self::Report(report) => format!("{} {:?}", report.attempt, report.event),
            Self::Tick(tick) => format!("{tick:?}"),
            Self::History(summary) => format!("{summary:?}"),
            Self::Notice(notice) => format!("{notice:?}"),
            Self::Unreadable(number) => format!("unreadable {number}"),
        }
    }

    pub(in crate::sim) fn is_readable(&self) -> bool {
        !matches!(self, Self::Unreadable(_))
    }

    pub(in crate::sim) fn lease(&self) -> Option<&Arc<LeaseRecord>> {
        if let Self::Lease(lease) = self { Some(lease) } else { None }
    }

    pub(in crate::sim) fn order(&self) -> Option<&Arc<Order>> {
        if let Self::Order(order) = self { Some(order) } else { None }
    }

    pub(in crate::sim) fn ledger(&self) -> Option<&Arc<Ledger>> {
        if let Self::Ledger(ledger) = self { Some(ledger) } else { None }
    }

    pub(in crate::sim) fn agent(&self) -> Option<&Arc<AgentRecord>> {
        if let Self::Agent(record) = self { Some(record) } else { None }
    }

    pub(in crate::sim) fn report(&self) -> Option<&Arc<AttemptReport>> {
        if let Self::Report(report) = self { Some(report) } else { None }
    }

    pub(in crate::sim) fn tick(&self) -> Option<&Arc<TickRecord>> {
        if let Self::Tick(tick) = self { Some(tick) } else { None }
    }

    pub(in crate::sim) fn history(&self) -> Option<&Arc<RunSummary>> {
        if let Self::History(summary) = self { Some(summary) } else { None }
    }
}
