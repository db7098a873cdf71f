//! What goes wrong in a history, and how often it did.

use std::collections::BTreeMap;

/// A kind of fault. Each must occur, or the driver proves less than it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The leader did not look at its clock for longer than `late_after`.
    LeaderPaused,
    /// The clock was set back.
    ClockSetBack,
    /// The leader died with decisions that were not recorded.
    CrashBeforeRecord,
    /// The leader died with recorded decisions that it had not acted on.
    CrashBeforeAct,
    /// The leader died before it acknowledged a command that it had carried out.
    CrashBeforeAcknowledge,
    /// The leader died between two steps of its take-over.
    CrashDuringTakeOver,
    /// The leader died between storing a message of an outbox and noting that.
    CrashAfterPublish,
    /// A leader that was replaced still acted on what it had recorded.
    StaleAct,
    /// A leader that was replaced tried to record a decision, and was refused.
    StaleWriteRefused,
    /// A leader that was replaced recorded a decision before its successor recorded anything.
    StaleWriteStored,
    /// An order never arrived.
    OrderLost,
    /// An order arrived twice.
    OrderTwice,
    /// An order overtook another one.
    OrderOvertook,
    /// An order of an older tenure was refused.
    OrderStale,
    /// A message about an attempt came again, from an older sequence.
    ReportReplayed,
    /// An agent wrote about an attempt that is not its own.
    ReportForged,
    /// A heartbeat came after a newer one.
    HeartbeatLate,
    /// The leader's word about an attempt came too late: the agent had been faster.
    WordRefused,
    /// A tick or history message was stored already when its outbox was published again.
    PublishRefused,
    /// A sender repeated its command.
    CommandTwice,
    /// The stream delivered a command again.
    CommandRedelivered,
    /// A command was from before the app's last tombstone.
    CommandFromBeforeTombstone,
    /// The leader learned of an edit after it had decided beyond it.
    EditLate,
    /// The app was removed while a run was active.
    RemovedDuringRun,
    /// A file that is not valid was stored.
    InvalidFile,
    /// An agent was cut off from the mesh.
    AgentCutOff,
    /// An agent process was killed.
    AgentKilled,
    /// A host was rebooted.
    HostRebooted,
    /// A guard stopped the containers of an agent that was away for too long.
    AgentFenced,
    /// An agent would not take an attempt.
    AttemptRefused,
    /// A claim was stored, but its acknowledgement did not arrive.
    ClaimAcknowledgementLost,
    /// A container was removed by hand.
    ContainerRemoved,
    /// A container could not be started.
    CouldNotStart,
    /// A container exited with an error.
    ContainerFailed,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 34] = [
        Self::LeaderPaused,
        Self::ClockSetBack,
        Self::CrashBeforeRecord,
        Self::CrashBeforeAct,
        Self::CrashBeforeAcknowledge,
        Self::CrashDuringTakeOver,
        Self::CrashAfterPublish,
        Self::StaleAct,
        Self::StaleWriteRefused,
        Self::StaleWriteStored,
        Self::OrderLost,
        Self::OrderTwice,
        Self::OrderOvertook,
        Self::OrderStale,
        Self::ReportReplayed,
        Self::ReportForged,
        Self::HeartbeatLate,
        Self::WordRefused,
        Self::PublishRefused,
        Self::CommandTwice,
        Self::CommandRedelivered,
        Self::CommandFromBeforeTombstone,
        Self::EditLate,
        Self::RemovedDuringRun,
        Self::InvalidFile,
        Self::AgentCutOff,
        Self::AgentKilled,
        Self::HostRebooted,
        Self::AgentFenced,
        Self::AttemptRefused,
        Self::ClaimAcknowledgementLost,
        Self::ContainerRemoved,
        Self::CouldNotStart,
        Self::ContainerFailed,
    ];
}

/// What happened in a history, or in many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Inputs that the core got.
    pub inputs: u64,
    /// Instants that were decided.
    pub instants: u64,
    /// Runs that ended.
    pub runs: u64,
    /// Containers that were started.
    pub containers: u64,
    /// How often each fault occurred.
    pub faults: BTreeMap<Fault, u64>,
}

impl Summary {
    /// Adds what happened in another history.
    pub fn add(&mut self, other: &Self) {
        self.inputs += other.inputs;
        self.instants += other.instants;
        self.runs += other.runs;
        self.containers += other.containers;
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
    }

    /// Kinds that never occurred.
    pub fn missing_faults(&self) -> Vec<Fault> {
        Fault::ALL.into_iter().filter(|fault| !self.faults.contains_key(fault)).collect()
    }
}
