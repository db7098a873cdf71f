//! What can happen next.

use tickmesh_agent::agent_core;
use tickmesh_core::{agent_wish::WishAnswer, name::AgentName};
use tickmesh_scheduler::effect::{Wish, WishId};

use super::{
    fault_injection::Relief,
    host::{self, EngineAct, EngineSays, Word},
    net::{Flight, FollowerId, Said},
    process_table::Address,
    restoration::Restoration,
    scheduler,
};

/// One thing on the agenda.
#[derive(Debug)]
pub(super) enum SimEvent {
    /// A request leaves its sender.
    Depart(Box<Flight>),
    /// A request reaches the server.
    Arrive(Box<Flight>),
    /// Its sender hears of it, or has waited long enough.
    Back(Box<Flight>, Said),
    /// A follower gets what is new.
    Deliver(FollowerId),
    /// So does the consumer of commands.
    DeliverCommands { consumer: u64 },
    /// A process hears that its consumer of commands is gone: somebody else has made one.
    Superseded(Address, u64),
    /// A process looks at its clock; the number tells a clock that was set anew meanwhile.
    Wake(Address, u64),
    /// The engine of a host does something.
    Engine(usize, EngineAct),
    /// It answers a process.
    EngineSays(Address, Box<EngineSays>),
    /// A guard is told something by the agent of its host.
    ToGuard(Address, Word),
    /// An agent has waited for an answer of this guard for as long as it waits.
    GuardDoubted(Address),
    /// An agent is told something by its guard.
    ToAgent(Address, Box<agent_core::Event>),
    /// People do something.
    Operators,
    /// People ask a scheduler for what they wish of an agent.
    Ask(AgentName),
    /// A wish of theirs reaches a scheduler.
    Wished(Address, Wish),
    /// They hear what came of it.
    WishAnswered(WishId, WishAnswer),
    /// They have waited for the answer for as long as they wait.
    WishUnanswered(AgentName, WishId),
    /// Something goes wrong.
    Trouble,
    /// It is well again.
    Relief(Relief),
    /// The store is copied, restored from the copy, and the loss accepted.
    Restoration(Restoration),
}

impl SimEvent {
    /// The process that does something with it. One that is dead does not, and one that stands still does so later.
    pub(super) fn recipient(&self) -> Option<Address> {
        match self {
            Self::Depart(flight) | Self::Back(flight, _) => Some(flight.from),
            Self::Wake(address, _)
            | Self::Wished(address, _)
            | Self::Superseded(address, _)
            | Self::EngineSays(address, _)
            | Self::ToGuard(address, _)
            | Self::ToAgent(address, _) => Some(*address),
            Self::Arrive(_)
            | Self::Deliver(_)
            | Self::DeliverCommands { .. }
            | Self::Engine(..)
            | Self::GuardDoubted(_)
            | Self::Operators
            | Self::Ask(_)
            | Self::WishAnswered(..)
            | Self::WishUnanswered(..)
            | Self::Trouble
            | Self::Relief(_)
            | Self::Restoration(_) => None,
        }
    }
}

/// What a call was for.
#[derive(Debug, Clone)]
pub(super) enum Tag {
    Scheduler(scheduler::Tag),
    Agent(host::Tag),
}
