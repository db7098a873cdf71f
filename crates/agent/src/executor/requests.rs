//! What the core of an agent asks for that is not about one attempt's life: one function for each request. An outage is an
//! answer where the core decides when to try again, and waited for where it cannot go on anyway.

use std::sync::Arc;

use tickmesh_core::{
    id::AttemptId,
    message::{AgentRecord, AttemptEvent},
    name::AgentName,
};
use tickmesh_messaging::{Cas, Entry, Following, ForAgent, LEASE_KEY, LeaseRecord, Mesh};

use tokio::time::timeout;

use super::surroundings::Surroundings;
use crate::{
    agent_core::{Event, KeyState, LeaseSeen},
    attempt::LastReport,
    backoff::Backoff,
    engine::{self, ContainerEngine, ContainerId},
    error::{Error, chain},
};

impl<E: ContainerEngine> Surroundings<E> {
    pub(crate) async fn read_key(self: Arc<Self>) -> Event {
        match self.mesh.agents().read(self.agent().as_str()).await {
            Ok(current) => Event::KeyRead { current: current.map(key_state) },
            Err(error) if error.may_pass() => {
                tracing::warn!(error = %chain(&error), "agent's key not read yet");
                Event::KeyUnread
            }
            Err(error) => match error.unreadable_at() {
                Some(revision) => {
                    tracing::warn!(error = %chain(&error), "agent's key is damaged");
                    Event::KeyRead { current: Some(KeyState { revision, record: None }) }
                }
                None => self.failed(error),
            },
        }
    }

    pub(crate) async fn list(self: Arc<Self>) -> Event {
        match self.engine.list(&self.ownership.filter()).await {
            Ok(containers) => Event::Listed { containers },
            Err(error) => Event::Unlisted(error),
        }
    }

    pub(crate) async fn read_report(self: Arc<Self>, attempt: AttemptId) -> Event {
        let mut backoff = Backoff::default();
        loop {
            match self.mesh.results().last_of(&attempt, self.agent()).await {
                Ok(last) => {
                    let last = last.map(|entry| LastReport { sequence: entry.sequence, event: entry.value.event });
                    return Event::ReportRead { last };
                }
                Err(error) if error.may_pass() => {
                    tracing::warn!(attempt_id = %attempt, error = %chain(&error), "last report not read yet");
                    backoff.pause().await;
                }
                // Guessing about a container is worse than no agent.
                Err(error) => return self.failed(error),
            }
        }
    }

    pub(crate) async fn read_lease(self: Arc<Self>) -> Event {
        let mut backoff = Backoff::default();
        loop {
            match self.mesh.lease().read(LEASE_KEY).await {
                Ok(lease) => {
                    let seen = |entry: Entry<LeaseRecord>| LeaseSeen {
                        revision: entry.sequence,
                        newest: entry.value.epoch(entry.sequence),
                    };
                    return Event::LeaseRead(lease.map(seen).unwrap_or_default());
                }
                // Whoever holds it writes over one that is damaged.
                Err(error) if error.may_pass() || error.unreadable_at().is_some() => {
                    tracing::warn!(error = %chain(&error), "lease not read yet: no order is taken");
                    backoff.pause().await;
                }
                Err(error) => return self.failed(error),
            }
        }
    }

    pub(crate) async fn read_results_end(self: Arc<Self>) -> Event {
        match self.mesh.results().last_sequence().await {
            Ok(sequence) => Event::ResultsEnd { sequence },
            Err(error) => self.heartbeat_unanswered(error),
        }
    }

    pub(crate) async fn write_key(self: Arc<Self>, record: Box<AgentRecord>, expected: u64) -> Event {
        match self.mesh.agents().compare_and_set(record.agent.as_str(), &record, expected).await {
            Ok(Cas::Stored { sequence }) => Event::KeyWritten { revision: sequence },
            Ok(Cas::Refused { current }) => Event::KeyRefused { current: current.map(key_state) },
            Err(error) => match error.unreadable_at() {
                Some(revision) => {
                    tracing::warn!(error = %chain(&error), "writing over the agent's damaged key");
                    Event::KeyRefused { current: Some(KeyState { revision, record: None }) }
                }
                None => self.heartbeat_unanswered(error),
            },
        }
    }

    fn heartbeat_unanswered(&self, error: tickmesh_messaging::Error) -> Event {
        if !error.may_pass() {
            return self.failed(error);
        }
        tracing::warn!(error = %chain(&error), "heartbeat not acknowledged");
        Event::HeartbeatUnanswered
    }

    pub(crate) async fn probe_engine(self: Arc<Self>) -> Event {
        let patience = self.probe_patience;
        match timeout(patience, self.engine.probe()).await {
            Ok(Ok(stock)) => Event::EngineAnswered { stock: Box::new(stock) },
            Ok(Err(error)) => Event::EngineSilent(error),
            Err(late) => Event::EngineSilent(engine::Error::Unavailable {
                attempted: format!("ask the engine whether it works, within {patience:?}"),
                source: Box::new(late),
            }),
        }
    }

    pub(crate) async fn remove_own(self: Arc<Self>, container: ContainerId) -> Event {
        match self.engine.remove(&container).await {
            Ok(()) => Event::OwnRemoved,
            Err(error) => Event::OwnNotRemoved(error),
        }
    }

    pub(crate) async fn tell_end(
        self: Arc<Self>,
        attempt: AttemptId,
        claim_sequence: u64,
        event: AttemptEvent,
    ) -> Event {
        let report = self.report(&attempt, event);
        if let Err(error) = self.mesh.results().append(&report, claim_sequence).await {
            tracing::error!(attempt_id = %attempt, error = %chain(&error), "end not told");
        }
        Event::EndTold
    }

    fn agent(&self) -> &AgentName {
        &self.ownership.owner().agent
    }

    fn failed(&self, source: tickmesh_messaging::Error) -> Event {
        Event::Failed(Error::Messaging { agent: self.agent().clone(), source })
    }
}

fn key_state(entry: Entry<AgentRecord>) -> KeyState {
    KeyState { revision: entry.sequence, record: Some(Box::new(entry.value)) }
}

/// Begins to read orders, however long that takes: an outage of NATS ends, and what was adopted is watched meanwhile.
pub(crate) async fn follow_orders(mesh: Mesh, agent: AgentName) -> Result<Following<ForAgent>, Error> {
    let mut backoff = Backoff::default();
    loop {
        match mesh.orders().follow(&agent).await {
            Ok(orders) => return Ok(orders),
            Err(error) if error.may_pass() => {
                tracing::warn!(error = %chain(&error), "orders not read yet");
                backoff.pause().await;
            }
            Err(source) => return Err(Error::Messaging { agent, source }),
        }
    }
}
