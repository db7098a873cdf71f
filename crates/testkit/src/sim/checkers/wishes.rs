//! Wishes about agents: what was granted stands until somebody wishes something else, and nobody forgets an agent that may live.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use tickmesh_core::{message::AgentRecord, name::AgentName, time};

use crate::sim::net::Stored;

/// What was granted, by agent.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    /// Whether the agent is to drain.
    granted: BTreeMap<AgentName, bool>,
    /// Whether the last record of each agent says that it drains, and where that is.
    last: BTreeMap<AgentName, (u64, bool)>,
}

impl Wishes {
    /// Somebody begins to wish something else, or what was granted does not count any more.
    pub(super) fn forget(&mut self, agent: &AgentName) {
        self.granted.remove(agent);
    }

    /// The store was restored: wishes since then are gone.
    pub(super) fn forget_all(&mut self) {
        *self = Self::default();
    }

    /// Somebody hears that a wish was granted, by the record at that sequence.
    pub(super) fn granted(&mut self, agent: &AgentName, draining: bool, sequence: u64) -> anyhow::Result<()> {
        // The record that it is about may have been lost with the store, and another one be there.
        let Some((last, says)) = self.last.get(agent).filter(|(last, _)| *last >= sequence) else { return Ok(()) };
        ensure!(*says == draining, "granted at {sequence}: agent {agent} drains: {draining}; at {last} it says {says}");
        self.granted.insert(agent.clone(), draining);
        Ok(())
    }

    /// An agent's key was written.
    pub(super) fn stored(&mut self, record: &AgentRecord, sequence: u64) -> anyhow::Result<()> {
        let AgentRecord { agent, draining, .. } = record;
        self.last.insert(agent.clone(), (sequence, *draining));
        if record.forgotten {
            self.forget(agent);
            self.last.remove(agent);
        }
        let granted = self.granted.get(agent);
        ensure!(
            granted.is_none_or(|granted| granted == draining),
            "{agent} drains: {draining}, at {sequence}; the last wish that was granted says otherwise"
        );
        Ok(())
    }

    /// Something that cannot be read was stored on an agent's key.
    pub(super) fn damaged(&mut self, agent: &str) {
        self.granted.retain(|name, _| name.as_str() != agent);
        self.last.retain(|name, _| name.as_str() != agent);
    }
}

/// An agent is forgotten after the silence that makes it lost, or when it has stopped in order with nothing left.
pub(super) fn may_be_forgotten(before: Option<&Stored>, at: Timestamp, lost: Duration) -> anyhow::Result<()> {
    let before = before.context("an agent is forgotten that there never was")?;
    let is_over = before.record.agent().is_some_and(|record| record.stopped && record.held.is_empty());
    let heard_at = before.at;
    ensure!(is_over || time::after(heard_at, lost) <= at, "an agent heard of at {heard_at} is forgotten at {at}");
    Ok(())
}
