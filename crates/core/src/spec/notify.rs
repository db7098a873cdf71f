//! Who is told of an app, and of what.

use std::collections::BTreeSet;

/// Who is told of an app, and of what (labels `notify` and `notify_on`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotifyChoice {
    /// Names of targets of the schedulers; `None`: those that take every app.
    pub targets: Option<BTreeSet<String>>,
    /// What they are told; `None`: what each target takes.
    pub topics: Option<BTreeSet<Topic>>,
}

/// What a notice is about. A notice that closes an incident has the topic of the one that opened it, but for recoveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// A run did not succeed.
    Failure,
    /// A run succeeded after one that did not.
    Recovery,
    /// A run finds no agent.
    Pending,
    /// No run has succeeded for too long.
    Overdue,
    /// A run goes on for too long.
    Long,
    /// Ticks have no run.
    Dropped,
    /// The stored file of an app is not valid.
    Invalid,
    /// An agent is lost.
    Agent,
    /// A container engine does not answer.
    Engine,
    /// The leader decides nothing.
    Leader,
}

impl Topic {
    /// Every topic, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::Failure,
        Self::Recovery,
        Self::Pending,
        Self::Overdue,
        Self::Long,
        Self::Dropped,
        Self::Invalid,
        Self::Agent,
        Self::Engine,
        Self::Leader,
    ];

    /// Returns the word for the topic.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Recovery => "recovery",
            Self::Pending => "pending",
            Self::Overdue => "overdue",
            Self::Long => "long",
            Self::Dropped => "dropped",
            Self::Invalid => "invalid",
            Self::Agent => "agent",
            Self::Engine => "engine",
            Self::Leader => "leader",
        }
    }

    /// Returns the topic that a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.as_str() == word)
    }

    /// Returns whether the topic is about an app, and not about the mesh.
    pub const fn is_of_app(self) -> bool {
        match self {
            Self::Failure
            | Self::Recovery
            | Self::Pending
            | Self::Overdue
            | Self::Long
            | Self::Dropped
            | Self::Invalid => true,
            Self::Agent | Self::Engine | Self::Leader => false,
        }
    }
}
