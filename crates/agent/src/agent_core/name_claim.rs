//! Whether an agent's name is free (protocol rule P10). The lock on the host is held already: whoever had the name on this
//! host is gone.
//!
//! That the key's last writer ran on this host is known in two ways: it names this machine and this boot of it, or this
//! host remembers that process from before a reboot. A machine id alone proves nothing: virtual machines that were copied
//! from one image share it, and two agents that each take the other for their own predecessor end each other's containers.
//! A copy that takes the name of a host that was left, or is lost, goes by an id of its own from then on: what a heartbeat
//! does not hold is lost at once only if it was claimed on the same machine (rule P9), and the other host may still run it.

use std::time::Duration;

use tickmesh_core::{
    id::Nonce,
    message::{AgentRecord, HeartbeatNumber, MachineId},
    timing::Timing,
};

use super::io::{Effect, KeyState};
use crate::{attempt_table::Intake, error::Error};

/// Heartbeats for which a key must not change before a process that ran before a reboot of this host counts as gone. A
/// copy of this host's disk may be running somewhere.
const HEARTBEATS_AFTER_BOOT: u32 = 3;

/// Looks at the key of a name until it is known whether the name is free.
#[derive(Debug)]
pub(super) struct NameClaim {
    /// The last processes on this host that had the name. More than one: a store that was restored names an earlier one.
    remembered: Vec<Nonce>,
    /// The look that later ones are compared with.
    first: Option<Look>,
    /// When the key is looked at again; `None` while a look is under way.
    look_at: Option<Duration>,
}

/// What one read of the key has shown.
#[derive(Debug, Clone, Copy)]
struct Look {
    revision: u64,
    is_readable: bool,
    at: Duration,
}

/// What an earlier process of the name left on its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Predecessor {
    /// Revision of its last heartbeat; 0: there was none.
    pub(super) revision: u64,
    /// Which heartbeat that was.
    pub(super) last: Option<(Nonce, HeartbeatNumber)>,
    /// Whether it was draining: the wish outlives the process.
    pub(super) intake: Intake,
    /// The id by which the host goes from now on.
    pub(super) machine: MachineId,
}

impl Predecessor {
    /// One of which nothing is known.
    fn unknown(revision: u64, us: &AgentRecord) -> Self {
        Self { revision, last: None, intake: Intake::Open, machine: us.machine.clone() }
    }
}

/// What a look at the key has shown.
#[derive(Debug)]
pub(super) enum Finding {
    /// The name is ours to take.
    Free(Predecessor),
    /// Nobody knows yet.
    Open,
    /// It lives elsewhere.
    InUse(Error),
}

/// Where the process ran that had a name before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// On this host, since it booted. The lock says that the process is gone.
    ThisBoot,
    /// On this host, before it booted.
    EarlierBoot,
    /// On another host, or nobody knows.
    Elsewhere,
}

impl NameClaim {
    /// The first look is under way.
    pub(super) fn begin(remembered: Vec<Nonce>) -> Self {
        Self { remembered, first: None, look_at: None }
    }

    /// The key was read. The name is free if nobody has it, if it was left in order, if its last process ran on this host, or
    /// if its key did not change for as long as it takes to be lost.
    pub(super) fn read(
        &mut self,
        current: Option<KeyState>,
        us: &AgentRecord,
        timing: &Timing,
        now: Duration,
    ) -> Finding {
        let Some(KeyState { revision, record }) = current else {
            return Finding::Free(Predecessor::unknown(0, us));
        };
        let first = self.compare(Look { revision, is_readable: record.is_some(), at: now });
        let is_still = |patience| first.revision == revision && now.saturating_sub(first.at) >= patience;
        let Some(record) = record else {
            // An agent of this name that lives writes over what is damaged.
            if is_still(timing.lost) {
                return Finding::Free(Predecessor::unknown(revision, us));
            }
            self.unread(timing, now);
            return Finding::Open;
        };
        let relation = self.relation(&record, us);
        let is_gone = match relation {
            Relation::ThisBoot => true,
            Relation::EarlierBoot => is_still(timing.heartbeat * HEARTBEATS_AFTER_BOOT),
            Relation::Elsewhere => is_still(timing.lost),
        };
        if is_gone || record.stopped {
            let last = Some((record.process, record.number));
            let machine = machine_after(relation, &record.machine, us);
            return Finding::Free(Predecessor { revision, last, intake: intake_of(&record), machine });
        }
        if first.revision != revision {
            return Finding::InUse(name_in_use(*record, us));
        }
        self.unread(timing, now);
        Finding::Open
    }

    /// The look with which this one is to be compared. That one heartbeat follows another is a sign of life; that a record
    /// was damaged, or was put back, is none, and begins the comparison anew.
    fn compare(&mut self, look: Look) -> Look {
        let first = match self.first {
            Some(first) if first.revision == look.revision || (first.is_readable && look.is_readable) => first,
            Some(_) | None => look,
        };
        self.first = Some(first);
        first
    }

    /// Where the process ran that wrote the key last.
    fn relation(&self, record: &AgentRecord, us: &AgentRecord) -> Relation {
        if !record.machine.is_same_as(&us.machine) {
            return Relation::Elsewhere;
        }
        if !us.boot.is_empty() && record.boot == us.boot {
            return Relation::ThisBoot;
        }
        if self.remembered.contains(&record.process) { Relation::EarlierBoot } else { Relation::Elsewhere }
    }

    /// The key is to be looked at again after a while.
    pub(super) fn unread(&mut self, timing: &Timing, now: Duration) {
        self.look_at = Some(now + timing.heartbeat);
    }

    /// Begins the next look, if it is due.
    pub(super) fn woken(&mut self, now: Duration) -> Option<Effect> {
        self.look_at.take_if(|at| *at <= now).map(|_| Effect::ReadKey)
    }

    /// When the next look is due.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        self.look_at
    }
}

/// The id by which a host goes after this predecessor.
fn machine_after(relation: Relation, before: &MachineId, us: &AgentRecord) -> MachineId {
    match relation {
        Relation::ThisBoot | Relation::EarlierBoot => before.clone().max(us.machine.clone()),
        Relation::Elsewhere if before.is_same_as(&us.machine) => us.machine.of_copy(&us.boot, us.process),
        Relation::Elsewhere => us.machine.clone(),
    }
}

/// Says who has the name.
pub(super) fn name_in_use(record: AgentRecord, us: &AgentRecord) -> Error {
    let is_clone = record.machine.is_same_as(&us.machine) && record.boot != us.boot;
    let AgentRecord { agent, machine, host, .. } = record;
    if is_clone { Error::Cloned { agent, machine, host } } else { Error::NameInUse { agent, machine, host } }
}

/// What people wish of the agent, as its key has it.
pub(super) fn intake_of(record: &AgentRecord) -> Intake {
    if record.draining { Intake::Draining { by: record.drain_by } } else { Intake::Open }
}
