//! What goes wrong in a history, and how often it did.

use std::collections::BTreeMap;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A kind of fault. Each must occur, or the simulator proves less than it says.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

faults! {
    /// A request never reached the server.
    RequestLost,
    /// A write was stored, and its writer never heard of it.
    AcknowledgementLost,
    /// A request arrived long after its sender had given it up, died or lost its office.
    ActDelayed,
    /// A compare-and-set found another writer's record.
    WriteRefused,
    /// A follower heard nothing for a while, while everything else went on.
    WatchStalled,
    /// The server was away for everybody.
    ServerDown,
    /// The server had forgotten a message id, and stored a command twice.
    IdForgotten,
    /// A command was delivered again.
    CommandRedelivered,
    /// A command was delivered after a later one.
    CommandOvertaken,
    /// A sender repeated its command.
    CommandRepeated,
    /// Somebody acted on a view of the app that was not the newest.
    CommandOutdated,
    /// The acknowledgement of a command's confirmation was lost.
    ConfirmationLost,
    /// An order was older than an order lives when its agent looked.
    OrderExpired,
    /// An order was stored twice.
    OrderTwice,
    /// A scheduler of the release before began, in an upgrade or after a rollback.
    EarlierRelease,
    /// An order came again, as one of a tenure that there will never be.
    OrderForged,
    /// Somebody stored something that nobody can read in the place of a record.
    RecordDamaged,
    /// It was the ledger of an app.
    LedgerUnreadable,
    /// It was the lease.
    LeaseDamaged,
    /// It was the key of an agent.
    AgentKeyDamaged,
    /// A stream was restored from an older copy.
    StreamRegressed,
    /// The whole store was restored from an older copy in the middle of a history.
    StoreRestored,
    /// The server came back with an empty store while schedulers and agents were alive.
    StoreLost,
    /// A scheduler said that the store is lost.
    StoreLossShown,
    /// An older copy was put back into a lost store, with schedulers alive.
    RestoredAlive,
    /// An app was gone from its bucket, without a record that it was removed.
    AppLost,
    /// Somebody accepted that what was stored since is lost.
    LossAccepted,
    /// Agents held what no restored ledger knew, and were told to stop it.
    OrphanStopped,
    /// A person ended a run without waiting for its agents.
    EndForced,
    /// A process died between two effects of one step.
    CrashBetweenEffects,
    /// A scheduler was killed.
    SchedulerKilled,
    /// A scheduler was stopped, and went on later.
    SchedulerPaused,
    /// A scheduler was cut off from the server.
    SchedulerCutOff,
    /// A standby took the holder of the lease for gone, and did not wait for the end of its term.
    HolderUnheard,
    /// A leader stood still between a decision and its effects, until its lease was too old.
    StoodStillBeforeActing,
    /// A scheduler took over from another one, with all that it had read as a standby.
    TakenOver,
    /// An urgent effect began while others waited.
    EffectOvertaken,
    /// A scheduler process was stopped in order.
    SchedulerStopped,
    /// A leader was asked to let another one lead.
    SteppedDown,
    /// The leader of a stream said that the stream ends earlier than it does.
    StreamLagged,
    /// A scheduler refused to lead, since something was missing that it had seen.
    LeadingRefused,
    /// A new leader had to read on before it could lead.
    FollowerLagged,
    /// Apps that were due took more than one turn of their leader.
    BurstSpannedTurns,
    /// A leader did not trust its clock.
    ClockDoubted,
    /// The lease was restored from an older copy, with a stream.
    LeaseRegressed,
    /// A scheduler's wall clock was wrong from the beginning.
    ClockSkewed,
    /// The wall clock of an agent's host was wrong.
    HostClockSkewed,
    /// A scheduler's wall clock was set.
    ClockStepped,
    /// An agent process was killed.
    AgentKilled,
    /// An agent process was stopped in order.
    AgentStopped,
    /// An agent process was stopped in order because its host was to go down.
    HostStopping,
    /// An agent process was paused, and went on later.
    AgentPaused,
    /// An agent was cut off from the server.
    AgentCutOff,
    /// A guard was killed.
    GuardKilled,
    /// A guard was paused, and went on later.
    GuardPaused,
    /// A guard's deadline passed.
    GuardFenced,
    /// Another host ran an agent of the same name.
    NameTwice,
    /// That host was a copy of the other one, with its machine id.
    HostCopied,
    /// A host was rebooted.
    HostRebooted,
    /// The engine did not answer for a while.
    EngineFrozen,
    /// The engine did not answer for so long that its agent took nothing any more.
    EngineLost,
    /// An agent gave back an attempt that its engine was not asked to start.
    AttemptReturned,
    /// A host refused what it allows by name.
    HostRefused,
    /// An engine did not answer while everything else was well.
    HostSick,
    /// The leader's clock went wrong while everything else was well.
    LeaderClockWrong,
    /// A leader in doubt of its clock heard of a standby without doubt.
    SuccessorFound,
    /// The engine was restarted, and stopped its containers.
    EngineRestarted,
    /// The engine started a container long after it was asked to.
    StartSlow,
    /// The engine created a container long after it was asked to.
    CreateSlow,
    /// An image could not be had.
    PullFailed,
    /// A container could not be started.
    StartFailed,
    /// A container was removed by hand.
    ContainerRemoved,
    /// A container exited with an error.
    ContainerFailed,
    /// An app was changed.
    AppEdited,
    /// An app was removed.
    AppRemoved,
    /// A removed app was applied again.
    AppReturned,
    /// A file that is not valid was stored.
    FileInvalid,
    /// An agent was told to drain.
    AgentDrained,
    /// It was told by when, too.
    DrainedBy,
    /// It was told to take work again.
    AgentUndrained,
    /// Somebody said of a silent agent that its host will not come back.
    AgentForgotten,
    /// Somebody said so too early, and was refused.
    ForgetRefused,
    /// A wish about an agent never reached the scheduler that was asked.
    WishLost,
    /// Nobody heard what came of a wish.
    WishAnswerLost,
    /// A scheduler was asked that may not lead.
    WishMisdirected,
    /// The lease of a leader was too old for a wish when the agent's key was read.
    WishTooLate,
    /// The agent's key changed between the look at it and the write of a wish.
    WishOvertaken,
    /// Nobody answered a wish for so long that it was given up.
    WishGivenUp,
}

/// What happened in a history, or in many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events that leaders folded, the mere passage of time apart.
    pub inputs: u64,
    /// Tenures that began.
    pub tenures: u64,
    /// Instants that were decided.
    pub instants: u64,
    /// Runs that ended.
    pub runs: u64,
    /// Containers that were started.
    pub containers: u64,
    /// Pairs of containers of one replica that a listed exception to G8 explains.
    pub excused: u64,
    /// How often each fault occurred.
    pub faults: BTreeMap<Fault, u64>,
}

impl Summary {
    /// Adds what happened in another history.
    pub fn add(&mut self, other: &Self) {
        self.inputs += other.inputs;
        self.tenures += other.tenures;
        self.instants += other.instants;
        self.runs += other.runs;
        self.containers += other.containers;
        self.excused += other.excused;
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
    }

    /// Kinds that never occurred.
    pub fn missing_faults(&self) -> Vec<Fault> {
        Fault::ALL.iter().copied().filter(|fault| !self.faults.contains_key(fault)).collect()
    }

    /// How many faults there were, of all kinds.
    pub fn fault_count(&self) -> u64 {
        self.faults.values().sum()
    }
}
