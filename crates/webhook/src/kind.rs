//! What notices are about.

use serde::Serialize;
use tickmesh_core::{message::AppNotice, spec::Topic};

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A run did not succeed, and nobody had cancelled it.
    RunFailed,
    /// A run succeeded after one that did not.
    RunRecovered,
    /// A run has found no agent for some minutes.
    RunPending,
    /// It does not wait any more.
    RunPlaced,
    /// No run has succeeded for as long as `expect_success` says.
    AppOverdue,
    /// The app is not overdue any more.
    AppOnTime,
    /// A run goes on for longer than `warn_after` says.
    RunLong,
    /// It has ended.
    RunLongOver,
    /// Ticks will have no run: as many wait as may.
    TickDropped,
    /// The stored file of an app is not valid any more.
    AppInvalid,
    /// It is valid again.
    AppValid,
    /// The ledger of an app cannot be read.
    AppUnreadable,
    /// An agent fell silent.
    AgentLost,
    /// It is heard again.
    AgentBack,
    /// The container engine of an agent does not answer.
    EngineLost,
    /// It answers again.
    EngineBack,
    /// The leader does not trust its clock.
    LeaderDoubted,
    /// Somebody leads who trusts the clock.
    LeaderTrusted,
    /// Notices of several kinds.
    Digest,
    /// Somebody wants to see whether a target works.
    Test,
}

/// What a notice does to its incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opens,
    Closes,
    /// There is none.
    Tells,
}

impl Kind {
    pub(crate) fn of_app(notice: &AppNotice) -> Self {
        match notice {
            AppNotice::Failed { .. } => Self::RunFailed,
            AppNotice::Recovered { .. } => Self::RunRecovered,
            AppNotice::Pending { .. } => Self::RunPending,
            AppNotice::Placed { .. } => Self::RunPlaced,
            AppNotice::Overdue { .. } => Self::AppOverdue,
            AppNotice::OnTime { .. } => Self::AppOnTime,
            AppNotice::Long { .. } => Self::RunLong,
            AppNotice::LongOver { .. } => Self::RunLongOver,
            AppNotice::Dropped { .. } => Self::TickDropped,
            AppNotice::Invalid { .. } => Self::AppInvalid,
            AppNotice::Valid => Self::AppValid,
        }
    }

    /// The topic by which targets and apps choose; `None`: everybody is told.
    pub fn topic(self) -> Option<Topic> {
        Some(match self {
            Self::RunFailed => Topic::Failure,
            Self::RunRecovered => Topic::Recovery,
            Self::RunPending | Self::RunPlaced => Topic::Pending,
            Self::AppOverdue | Self::AppOnTime => Topic::Overdue,
            Self::RunLong | Self::RunLongOver => Topic::Long,
            Self::TickDropped => Topic::Dropped,
            Self::AppInvalid | Self::AppValid | Self::AppUnreadable => Topic::Invalid,
            Self::AgentLost | Self::AgentBack => Topic::Agent,
            Self::EngineLost | Self::EngineBack => Topic::Engine,
            Self::LeaderDoubted | Self::LeaderTrusted => Topic::Leader,
            Self::Digest | Self::Test => return None,
        })
    }

    fn phase(self) -> Phase {
        match self {
            Self::RunFailed
            | Self::RunPending
            | Self::AppOverdue
            | Self::RunLong
            | Self::AppInvalid
            | Self::AgentLost
            | Self::EngineLost
            | Self::LeaderDoubted => Phase::Opens,
            Self::RunRecovered
            | Self::RunPlaced
            | Self::AppOnTime
            | Self::RunLongOver
            | Self::AppValid
            | Self::AgentBack
            | Self::EngineBack
            | Self::LeaderTrusted => Phase::Closes,
            Self::TickDropped | Self::AppUnreadable | Self::Digest | Self::Test => Phase::Tells,
        }
    }

    /// Whether something is wrong from now on.
    pub fn opens(self) -> bool {
        self.phase() == Phase::Opens
    }

    /// Whether something that was wrong is well again.
    pub fn closes(self) -> bool {
        self.phase() == Phase::Closes
    }
}
