//! Wishes of people about an agent: drain it, let it take work again, forget it.
//!
//! People ask the leader, and only the leader and the agent itself write the agent's key: whoever may
//! ask for a drain cannot write a heartbeat, and so cannot declare an agent lost. [`WishWork`] says
//! what is read and written for a wish, and in which order. It does no I/O: whoever runs it asks for the
//! next [`WishStep`] and brings the answer.
//!
//! **Why a leader that is deposed meanwhile does no harm.** The key is read while the lease of the leader
//! is trusted, so before any later leader reads it. The write is a compare-and-set on the very record
//! that was read and judged, whenever it arrives. Every wish that is granted writes, even where the key
//! says so already: a wish that a later leader granted is on the key, and the late write is refused. The
//! deposed leader does not read the key again. A heartbeat in between refuses the write as well, so an
//! agent that was silent when its silence was judged has been silent until it is forgotten.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{id::Nonce, message::AgentRecord, name::AgentName, time};

/// Tries to write a wish. Heartbeats come every 2 s and each try takes milliseconds, so even a
/// second try is rare.
pub const WISH_TRIES_MAX: u32 = 20;

/// What somebody wishes of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "snake_case")]
pub enum AgentWish {
    /// The agent takes no new attempts.
    Drain {
        /// Milliseconds after which the agent stops what still runs, to run elsewhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline_ms: Option<u64>,
    },
    /// The agent takes new attempts again.
    Undrain,
    /// The host of the agent will not come back, and nothing that the agent held is waited for.
    Forget,
}

impl AgentWish {
    /// Returns the wish to drain an agent. A deadline beyond all clocks is one that is refused.
    pub fn drain(deadline: Option<Duration>) -> Self {
        let millis = |deadline: Duration| u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        Self::Drain { deadline_ms: deadline.map(millis) }
    }
}

/// What the leader says to a wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum WishAnswer {
    /// The wish is on the agent's key.
    Granted {
        /// Sequence of the record that says so.
        sequence: u64,
        /// The agent was stopped in order.
        stopped: bool,
        /// Attempts that the agent held at its last heartbeat.
        held: usize,
    },
    /// No agent has this name.
    UnknownAgent {
        /// An agent of this name was forgotten.
        forgotten: bool,
    },
    /// The wish makes no sense now.
    Refused {
        /// Why, for people.
        reason: String,
        /// What they can do.
        hint: String,
    },
    /// The scheduler that was asked does not lead. It has changed nothing.
    NotLeading,
    /// Too many wishes wait. This one has changed nothing.
    Busy,
    /// Nobody knows whether the wish was written. It may be asked for again.
    Failed {
        /// What went wrong, for people.
        reason: String,
    },
}

/// What is stored on an agent's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentKey {
    /// Nothing.
    Absent,
    /// A heartbeat.
    Record {
        /// The heartbeat.
        record: Box<AgentRecord>,
        sequence: u64,
        /// When it was stored, by the store's clock.
        at: Timestamp,
    },
    /// Something that cannot be read.
    Unreadable {
        sequence: u64,
        /// When it was stored, by the store's clock.
        at: Timestamp,
        /// A later release wrote it, and can read it.
        is_newer: bool,
    },
}

/// What is to be done next for a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WishStep {
    /// Read where the results end, from their stream's leader.
    ReadResultsEnd,
    /// Read the store's clock.
    ReadClock,
    /// Read the agent's key, from its stream's leader.
    ReadKey,
    /// Write the agent's key, if it still has this sequence.
    Write {
        /// The record.
        record: Box<AgentRecord>,
        /// The sequence of what it replaces.
        expected: u64,
    },
    /// Nothing: this is the answer.
    Done(WishAnswer),
}

/// What came of a [`WishStep`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepDone {
    /// Where the results end.
    ResultsEnd(u64),
    /// What the store's clock says.
    Clock(Timestamp),
    /// What is on the key, and whether whoever carries the wish out still led after it was read.
    Key {
        /// What is stored.
        key: AgentKey,
        /// The lease under which the wish is carried out was trusted after the key was read.
        is_trusted: bool,
    },
    /// The record was stored at this sequence.
    Stored(u64),
    /// Something else was on the key by then.
    Overtaken,
    /// The store did not answer.
    Failed(String),
}

/// A wish that is being carried out.
#[derive(Debug, Clone)]
pub struct WishWork {
    agent: AgentName,
    wish: AgentWish,
    /// An agent that is silent for so long is lost.
    lost: Duration,
    /// Stands for the process in a record of an agent of which nothing can be read.
    nonce: Nonce,
    results_end: u64,
    now: Timestamp,
    tries: u32,
    /// What the key said when it was judged.
    judged: JudgedHeartbeat,
    step: WishStep,
}

/// What an agent's last heartbeat says of its work.
#[derive(Debug, Clone, Copy, Default)]
struct JudgedHeartbeat {
    stopped: bool,
    held: usize,
}

impl WishWork {
    /// Begins. `lost` is the silence after which an agent is lost, and `nonce` is a random one.
    ///
    /// For a forget, the end of the results is read before the key: claims that are stored later are not judged
    /// by the record that says that the agent holds nothing. An agent that still claims would not have been
    /// silent. The clock is read before the key as well, so silence is never judged too long.
    pub fn new(agent: AgentName, wish: AgentWish, lost: Duration, nonce: Nonce) -> Self {
        let step = match wish {
            AgentWish::Forget => WishStep::ReadResultsEnd,
            AgentWish::Drain { .. } | AgentWish::Undrain => WishStep::ReadClock,
        };
        let (now, judged) = (Timestamp::MIN, JudgedHeartbeat::default());
        Self { agent, wish, lost, nonce, results_end: 0, now, tries: 0, judged, step }
    }

    /// Returns what is to be done next.
    pub fn step(&self) -> &WishStep {
        &self.step
    }

    /// Takes what came of the step.
    pub fn done(&mut self, done: StepDone) {
        self.step = match done {
            StepDone::ResultsEnd(sequence) => {
                self.results_end = sequence;
                WishStep::ReadClock
            }
            StepDone::Clock(now) => {
                self.now = now;
                WishStep::ReadKey
            }
            // The tenure may be over, and a later leader may have granted another wish.
            StepDone::Key { is_trusted: false, .. } => WishStep::Done(WishAnswer::NotLeading),
            StepDone::Key { key, is_trusted: true } => self.judge(key),
            StepDone::Stored(sequence) => {
                let JudgedHeartbeat { stopped, held } = self.judged;
                WishStep::Done(WishAnswer::Granted { sequence, stopped, held })
            }
            StepDone::Overtaken if self.tries < WISH_TRIES_MAX => WishStep::ReadKey,
            StepDone::Overtaken => {
                let reason = format!("the key of agent `{}` changed {} times meanwhile", self.agent, self.tries);
                WishStep::Done(WishAnswer::Failed { reason })
            }
            StepDone::Failed(reason) => WishStep::Done(WishAnswer::Failed { reason }),
        };
    }

    fn judge(&mut self, key: AgentKey) -> WishStep {
        self.tries += 1;
        let (judged, expected) = match key {
            AgentKey::Absent => return unknown(false),
            AgentKey::Record { record, .. } if record.forgotten => return unknown(true),
            AgentKey::Record { record, sequence, at } => {
                self.judged = JudgedHeartbeat { stopped: record.stopped, held: record.held.len() };
                (self.wished(*record, at), sequence)
            }
            AgentKey::Unreadable { sequence, at, is_newer } => (self.wished_of_unreadable(at, is_newer), sequence),
        };
        match judged {
            Ok(record) => WishStep::Write { record: Box::new(record), expected },
            Err(Refusal { reason, hint }) => WishStep::Done(WishAnswer::Refused { reason, hint }),
        }
    }

    /// The record that has the wish. `at` is when the one that it replaces was stored.
    fn wished(&self, record: AgentRecord, at: Timestamp) -> Result<AgentRecord, Refusal> {
        match self.wish {
            AgentWish::Drain { deadline_ms } => {
                let drain_by = deadline_ms.map(|millis| self.drain_by(&record, at, millis)).transpose()?;
                Ok(AgentRecord { draining: true, drain_by, ..record })
            }
            AgentWish::Undrain => Ok(AgentRecord { draining: false, drain_by: None, ..record }),
            AgentWish::Forget => {
                let is_over = record.stopped && record.held.is_empty();
                if !is_over {
                    self.ensure_silent(at)?;
                }
                Ok(record.into_forgotten(self.results_end))
            }
        }
    }

    /// A deadline is an instant of the host's clock, so that the agent's next process keeps it too. The
    /// last heartbeat says what that clock said, and the store's clock how long ago.
    fn drain_by(&self, record: &AgentRecord, at: Timestamp, millis: u64) -> Result<Timestamp, Refusal> {
        let host_time = time::after(record.at, since(at, self.now));
        let too_late = |_| Refusal {
            reason: "the deadline is later than any clock can tell".to_owned(),
            hint: "leave it out to wait for as long as it takes".to_owned(),
        };
        host_time.checked_add(Duration::from_millis(millis)).map_err(too_late)
    }

    /// An agent that lives writes over what is unreadable, so of one that is silent nothing is known but its name.
    fn wished_of_unreadable(&self, at: Timestamp, is_newer: bool) -> Result<AgentRecord, Refusal> {
        let agent = &self.agent;
        if is_newer {
            let reason = format!("a later release of tickmesh wrote the key of agent `{agent}`");
            return Err(Refusal { reason, hint: "ask with that release, once a scheduler of it leads".to_owned() });
        }
        match self.wish {
            AgentWish::Drain { .. } | AgentWish::Undrain => {
                let reason = format!("the key of agent `{agent}` is damaged");
                Err(Refusal { reason, hint: "an agent that runs mends it within seconds: try again".to_owned() })
            }
            AgentWish::Forget => {
                self.ensure_silent(at)?;
                let record = AgentRecord::unknown(agent.clone(), self.nonce, self.now);
                Ok(record.into_forgotten(self.results_end))
            }
        }
    }

    /// What an agent that was heard of lately holds may run.
    fn ensure_silent(&self, heard_at: Timestamp) -> Result<(), Refusal> {
        // Only the store's clock: with one that is a minute ahead, a live agent would be declared lost, and its
        // containers would run twice.
        let silent_for = since(heard_at, self.now);
        if silent_for >= self.lost {
            return Ok(());
        }
        let (silent, lost) = (silent_for.as_secs(), self.lost.as_secs());
        let agent = &self.agent;
        Err(Refusal {
            reason: format!("agent `{agent}` was heard of {silent} s ago: its containers may run"),
            hint: format!("drain and stop it, or wait until it has been silent for {lost} s"),
        })
    }
}

struct Refusal {
    reason: String,
    hint: String,
}

fn unknown(forgotten: bool) -> WishStep {
    WishStep::Done(WishAnswer::UnknownAgent { forgotten })
}

/// Time between two instants of one clock; zero if it was set back in between.
fn since(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests;
