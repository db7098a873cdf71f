//! Schedulers: who leads, and who stands by.

use jiff::Timestamp;
use serde::Serialize;
use tickmesh_messaging::{Entry, LeaseRecord, SchedulerCard, SchedulerRole};

use super::Tone;

/// One scheduler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchedulerView {
    /// Id of its process.
    pub id: String,
    /// Its host.
    pub host: String,
    /// What it does.
    pub state: SchedulerState,
    /// Since when, by its own clock; of a silent one, when it renewed the lease last.
    pub since: Timestamp,
    /// Number of its tenure, if it leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Version of tickmesh, if it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Build of tickmesh, if it answers: the version and, as far as it is known, the commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// Why it does not do what it should.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a scheduler does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SchedulerState {
    /// It leads.
    Leading,
    /// It leads, and decides no ticks.
    Doubting,
    /// It reads what is stored.
    Preparing,
    /// It waits for the lease.
    StandingBy,
    /// It would not lead if it could.
    Refusing,
    /// It would not lead if it could: the store that it knows is lost.
    StoreLost,
    /// It holds the lease, and does not answer.
    Silent,
}

impl SchedulerState {
    /// In words, and how to take it.
    pub fn text(self) -> (&'static str, Tone) {
        match self {
            Self::Leading => ("leading", Tone::Good),
            Self::Doubting => ("leading, decides no ticks", Tone::Bad),
            Self::Preparing => ("reading what is stored", Tone::Unsure),
            Self::StandingBy => ("standing by", Tone::Plain),
            Self::Refusing => ("refusing to lead", Tone::Bad),
            Self::StoreLost => ("store lost", Tone::Bad),
            Self::Silent => ("has the lease, does not answer", Tone::Unsure),
        }
    }
}

impl SchedulerView {
    /// One that answered.
    pub fn of(card: &SchedulerCard) -> Self {
        let (state, epoch, reason) = match &card.role {
            SchedulerRole::Preparing => (SchedulerState::Preparing, None, None),
            SchedulerRole::StandingBy { doubt } => (SchedulerState::StandingBy, None, doubt.clone()),
            SchedulerRole::Leading { epoch, doubt: None } => (SchedulerState::Leading, Some(epoch.0), None),
            SchedulerRole::Leading { epoch, doubt } => (SchedulerState::Doubting, Some(epoch.0), doubt.clone()),
            SchedulerRole::Refusing { reason, store: Some(_), .. } => {
                (SchedulerState::StoreLost, None, Some(reason.clone()))
            }
            SchedulerRole::Refusing { reason, .. } => (SchedulerState::Refusing, None, Some(reason.clone())),
        };
        Self {
            id: card.id.clone(),
            host: card.host.clone(),
            state,
            since: card.since,
            epoch,
            version: Some(card.version.clone()),
            build: Some(card.build.shown_with(&card.version)),
            reason,
        }
    }

    /// The holder of the lease, which did not answer.
    pub fn silent(entry: &Entry<LeaseRecord>) -> Self {
        Self {
            id: entry.value.holder.clone(),
            host: entry.value.host.clone(),
            state: SchedulerState::Silent,
            since: entry.at,
            epoch: None,
            version: None,
            build: None,
            reason: None,
        }
    }
}

/// All schedulers, the leader first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct SchedulersView(pub Vec<SchedulerView>);
