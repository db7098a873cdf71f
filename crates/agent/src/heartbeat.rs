//! The agent's key: who this is, and which attempts it holds.
//!
//! Each heartbeat is a compare-and-set on the one before, so of two processes with one name exactly one goes on (protocol rule
//! P10). It reads the last sequence of the results **before** the held attempts (rule P1): whatever was claimed up to that
//! sequence and is not in the list is not held, and the leader may say that it is lost.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use tickmesh_core::{id::AttemptId, message::AgentRecord, timing::Timing};
use tickmesh_messaging::{Bucket, Cas, Entry, Mesh, Results};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    error::{Error, chain},
    roster::Intake,
};

/// How long the farewell of an agent that stops may take. Without it the agent is lost by silence, which only takes longer.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(3);

/// What an earlier process of the name left on its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Predecessor {
    /// Revision of its last heartbeat; 0: there was none.
    pub(crate) revision: u64,
    /// Whether it was draining: the wish outlives the process.
    pub(crate) intake: Intake,
}

/// Looks whether the name is free: nobody has it, it was left in order, it belongs to this machine (whose lock we hold), or
/// its key did not change for as long as it takes to be lost.
pub(crate) async fn claim_name(mesh: &Mesh, us: &AgentRecord, timing: &Timing) -> Result<Predecessor, Error> {
    let agents = mesh.agents();
    let mut first_seen: Option<(u64, Instant)> = None;
    loop {
        match agents.read(us.agent.as_str()).await {
            Ok(None) => return Ok(Predecessor { revision: 0, intake: Intake::Open }),
            Ok(Some(entry)) => {
                let (revision, since) = *first_seen.get_or_insert((entry.sequence, Instant::now()));
                let silent = revision == entry.sequence && since.elapsed() >= timing.lost;
                if entry.value.machine == us.machine || entry.value.stopped || silent {
                    return Ok(Predecessor { revision: entry.sequence, intake: intake_of(&entry.value) });
                }
                if revision != entry.sequence {
                    let AgentRecord { agent, machine, host, .. } = entry.value;
                    return Err(Error::NameInUse { agent, machine, host });
                }
            }
            Err(error) if error.is_unavailable() => {
                tracing::warn!(error = %chain(&error), "agent's key not read yet");
            }
            Err(source) => return Err(Error::Messaging { agent: us.agent.clone(), source }),
        }
        sleep(timing.heartbeat).await;
    }
}

fn intake_of(record: &AgentRecord) -> Intake {
    if record.draining { Intake::Draining } else { Intake::Open }
}

/// Writes heartbeats.
pub(crate) struct Heart {
    agents: Bucket<AgentRecord>,
    results: Results,
    timing: Timing,
    /// The last heartbeat that was sent: the next one differs in what changes.
    record: AgentRecord,
    revision: u64,
    held: watch::Receiver<BTreeSet<AttemptId>>,
    intake: watch::Sender<Intake>,
}

/// What became of one heartbeat.
enum Beat {
    Acknowledged,
    /// Somebody else wrote, but no other agent process: the next one is on top of that.
    Again,
    Unanswered(tickmesh_messaging::Error),
}

impl Heart {
    /// A heart that beats on top of what the predecessor left. `intake` carries the wishes that people write on the key.
    pub(crate) fn new(
        mesh: &Mesh,
        record: AgentRecord,
        timing: Timing,
        predecessor: Predecessor,
        held: watch::Receiver<BTreeSet<AttemptId>>,
        intake: watch::Sender<Intake>,
    ) -> Self {
        let Predecessor { revision, .. } = predecessor;
        Self { agents: mesh.agents(), results: mesh.results(), timing, record, revision, held, intake }
    }

    /// Beats once, however long that takes.
    pub(crate) async fn first(&mut self) -> Result<(), Error> {
        loop {
            match self.beat().await? {
                Beat::Acknowledged => return Ok(()),
                Beat::Again => {}
                Beat::Unanswered(error) => self.wait_to_retry(&error).await,
            }
        }
    }

    /// Beats until `stop`, then says farewell. Another process on the key is an error.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        if let Some(deposed) = stop.run_until_cancelled(self.go_on()).await {
            return deposed;
        }
        self.record.stopped = true;
        match tokio::time::timeout(FAREWELL_TIMEOUT, self.first()).await {
            Ok(farewell) => farewell,
            Err(_) => {
                tracing::warn!("stopping without a farewell");
                Ok(())
            }
        }
    }

    async fn go_on(&mut self) -> Result<(), Error> {
        loop {
            let next = Instant::now() + self.timing.heartbeat;
            self.first().await?;
            sleep_until(next).await;
        }
    }

    async fn wait_to_retry(&self, error: &tickmesh_messaging::Error) {
        tracing::warn!(error = %chain(error), "heartbeat not acknowledged");
        sleep(self.timing.heartbeat_retry).await;
    }

    async fn beat(&mut self) -> Result<Beat, Error> {
        // The order of these two lines is rule P1.
        let seen = match self.results.last_sequence().await {
            Ok(seen) => seen,
            Err(error) => return self.unanswered(error),
        };
        self.record.results_seen = seen;
        self.record.held = self.held.borrow().clone();
        self.record.draining = *self.intake.borrow() == Intake::Draining;
        self.record.at = Timestamp::now();
        // A body of its own for every try: a late acknowledgement of another one is told from this one's.
        self.record.number += 1;
        match self.agents.compare_and_set(self.record.agent.as_str(), &self.record, self.revision).await {
            Ok(Cas::Stored { sequence }) => {
                self.revision = sequence;
                Ok(Beat::Acknowledged)
            }
            Ok(Cas::Refused { current }) => self.refused(current),
            Err(error) => self.unanswered(error),
        }
    }

    fn refused(&mut self, current: Option<Entry<AgentRecord>>) -> Result<Beat, Error> {
        match current {
            // Forgotten by somebody: we are still here.
            None => self.revision = 0,
            // A try of ours whose answer was lost, or our record with somebody's wish in it.
            Some(entry) if entry.value.process == self.record.process => {
                self.revision = entry.sequence;
                self.intake.send_if_modified(|intake| {
                    let wished = intake_of(&entry.value);
                    std::mem::replace(intake, wished) != wished
                });
            }
            Some(_) => return Err(Error::Deposed { agent: self.record.agent.clone() }),
        }
        Ok(Beat::Again)
    }

    fn unanswered(&self, error: tickmesh_messaging::Error) -> Result<Beat, Error> {
        if error.is_unavailable() {
            return Ok(Beat::Unanswered(error));
        }
        Err(Error::Messaging { agent: self.record.agent.clone(), source: error })
    }
}
