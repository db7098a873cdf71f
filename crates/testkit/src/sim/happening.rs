//! What can happen next.

use tickmesh_agent::conduct;

use super::{
    census::Address,
    host::{self, EngineAct, EngineSays, Word},
    mischief::Relief,
    net::{Flight, FollowerId, Said},
    scheduler,
};

/// One thing on the agenda.
#[derive(Debug)]
pub(super) enum Happening {
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
    ToAgent(Address, Box<conduct::Event>),
    /// People do something.
    People,
    /// Something goes wrong.
    Trouble,
    /// It is well again.
    Relief(Relief),
}

impl Happening {
    /// The process that does something with it. One that is dead does not, and one that stands still does so later.
    pub(super) fn recipient(&self) -> Option<Address> {
        match self {
            Self::Depart(flight) | Self::Back(flight, _) => Some(flight.from),
            Self::Wake(address, _)
            | Self::Superseded(address, _)
            | Self::EngineSays(address, _)
            | Self::ToGuard(address, _)
            | Self::ToAgent(address, _) => Some(*address),
            Self::Arrive(_)
            | Self::Deliver(_)
            | Self::DeliverCommands { .. }
            | Self::Engine(..)
            | Self::GuardDoubted(_)
            | Self::People
            | Self::Trouble
            | Self::Relief(_) => None,
        }
    }
}

/// What a call was for.
#[derive(Debug, Clone)]
pub(super) enum Tag {
    Scheduler(scheduler::Tag),
    Agent(host::Tag),
}
