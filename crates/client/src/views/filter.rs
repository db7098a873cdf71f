//! Which apps a list shows.

use tickmesh_core::ledger::State;

use super::app::AppView;

/// A choice of apps by what they do, or by how their last run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppFilter {
    /// Every app.
    All,
    /// Apps with an active run.
    Running,
    /// Apps whose active runs wait for an agent.
    Pending,
    /// Apps whose last run ended otherwise than well, and was not cancelled.
    Failed,
    /// Paused apps.
    Paused,
    /// Apps whose stored file is not valid.
    Invalid,
    /// Apps that wait for their next instant.
    Waiting,
    /// Apps whose ledger cannot be read.
    Unreadable,
}

impl AppFilter {
    /// Every filter, with its name.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::All, "all"),
        (Self::Running, "running"),
        (Self::Pending, "pending"),
        (Self::Failed, "failed"),
        (Self::Paused, "paused"),
        (Self::Invalid, "invalid"),
        (Self::Waiting, "waiting"),
        (Self::Unreadable, "unreadable"),
    ];

    /// Returns the filter of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(filter, _)| *filter)
    }

    /// Returns all names, for people.
    pub fn names() -> String {
        Self::ALL.map(|(_, name)| name).join(", ")
    }

    /// Returns whether an app belongs to the choice. `last` is the outcome of its last run.
    pub fn wants(self, state: State, last: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Running => matches!(state, State::Running | State::Pending | State::Stopping),
            Self::Pending => state == State::Pending,
            Self::Failed => last.is_some_and(|last| !matches!(last, "succeeded" | "cancelled")),
            Self::Paused => state == State::Paused,
            Self::Invalid => state == State::Invalid,
            Self::Waiting => state == State::Waiting,
            Self::Unreadable => state == State::Unreadable,
        }
    }

    /// Returns whether the app of a view belongs to the choice.
    pub fn wants_view(self, app: &AppView) -> bool {
        self.wants(app.state, app.recent.last().map(|run| run.outcome.as_str()))
    }
}
