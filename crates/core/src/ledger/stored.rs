//! A replica as a ledger stores it. A run may have thousands, and each change writes them all: what is zero is left out,
//! an attempt's number is stored once, moments are milliseconds, and what nobody asks for any more is forgotten (what a
//! replica that has ended went through, when an attempt's last order was sent). The size of one has a limit.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Claim, OpenAttempt, Progress, Replica, ReplicaState, bounds::ATTEMPTS_MAX};
use crate::{end_notes::EndNotes, message::MachineDigest, name::AgentName, outcome::Outcome};

/// Longest replica, with the comma before it. A reason that takes more than [`super::reasons::REASON_SHORT_BYTES_MAX`] is not
/// counted in full.
pub(super) const REPLICA_BYTES_MAX: usize = 181;

/// All that any replica has. Which fields are there says what it is doing: `not_before` pending, `ordered_at` ordered,
/// `claim` claimed, `outcome` ended.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredReplica {
    #[serde(default, skip_serializing_if = "is_zero")]
    attempt: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    failures: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    losses: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    avoid: Option<AgentName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<AgentName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ordered_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    machine: Option<MachineDigest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    #[serde(default, skip_serializing_if = "EndNotes::is_empty")]
    notes: EndNotes,
}

/// Why a stored replica makes no sense.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damaged {
    #[error("a replica is neither pending, nor ordered, claimed or ended")]
    State,
    #[error("a replica has had more attempts than any can have")]
    Number,
}

impl From<Replica> for StoredReplica {
    fn from(replica: Replica) -> Self {
        let Replica { last_attempt, failures, losses, notes, state } = replica;
        let nothing = Self {
            attempt: last_attempt,
            failures: 0,
            losses: 0,
            not_before: None,
            avoid: None,
            agent: None,
            ordered_at: None,
            claim: None,
            machine: None,
            outcome: None,
            notes: EndNotes::default(),
        };
        match state {
            ReplicaState::Pending { not_before, avoid } => {
                Self { failures, losses, not_before: Some(not_before.as_millisecond()), avoid, ..nothing }
            }
            ReplicaState::Open(OpenAttempt { agent, progress, sent_at: _ }) => {
                let open = Self { failures, losses, agent: Some(agent), ..nothing };
                match progress {
                    Progress::Ordered { at } => Self { ordered_at: Some(at.as_millisecond()), ..open },
                    Progress::Claimed(Claim { sequence, machine }) => {
                        Self { claim: Some(sequence), machine: Some(machine), ..open }
                    }
                }
            }
            ReplicaState::Ended { outcome, agent } => Self { outcome: Some(outcome), agent, notes, ..nothing },
        }
    }
}

impl TryFrom<StoredReplica> for Replica {
    type Error = Damaged;

    fn try_from(stored: StoredReplica) -> Result<Self, Damaged> {
        if stored.attempt.max(stored.failures).max(stored.losses) > ATTEMPTS_MAX {
            return Err(Damaged::Number);
        }
        let StoredReplica { attempt, failures, losses, agent, avoid, machine, notes, .. } = stored;
        let state = match (stored.not_before, stored.ordered_at, stored.claim, stored.outcome, agent) {
            (Some(at), None, None, None, None) => ReplicaState::Pending { not_before: moment(at), avoid },
            (None, Some(at), None, None, Some(agent)) => open(agent, Progress::Ordered { at: moment(at) }),
            (None, None, Some(sequence), None, Some(agent)) => {
                let machine = machine.ok_or(Damaged::State)?;
                open(agent, Progress::Claimed(Claim { sequence, machine }))
            }
            (None, None, None, Some(outcome), agent) => ReplicaState::Ended { outcome, agent },
            (_, _, _, _, _) => return Err(Damaged::State),
        };
        Ok(Self { last_attempt: attempt, failures, losses, notes, state })
    }
}

/// Whoever reads it is another process than the one that sent the last order: it sends one of its own.
fn open(agent: AgentName, progress: Progress) -> ReplicaState {
    ReplicaState::Open(OpenAttempt { agent, progress, sent_at: None })
}

/// The last millisecond of the calendar can be stored, and not be read: it is as good as never, and so is the end of time.
fn moment(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
