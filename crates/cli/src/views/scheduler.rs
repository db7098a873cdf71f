//! Schedulers: who leads, and who stands by.

use jiff::Timestamp;
use serde::Serialize;
use tickmesh_messaging::{Entry, LeaseRecord, SchedulerCard, SchedulerRole};

use super::{Detail, Style, Table, Tone, View, cell};
use crate::when;

/// One scheduler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SchedulerView {
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
    /// Why it does not do what it should.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a scheduler does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SchedulerState {
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
    /// It holds the lease, and does not answer.
    Silent,
}

impl SchedulerState {
    fn text(self) -> (&'static str, Tone) {
        match self {
            Self::Leading => ("leading", Tone::Good),
            Self::Doubting => ("leading, decides no ticks", Tone::Bad),
            Self::Preparing => ("reading what is stored", Tone::Unsure),
            Self::StandingBy => ("standing by", Tone::Plain),
            Self::Refusing => ("refusing to lead", Tone::Bad),
            Self::Silent => ("has the lease, does not answer", Tone::Unsure),
        }
    }
}

impl SchedulerView {
    /// One that answered.
    pub(crate) fn of(card: &SchedulerCard) -> Self {
        let (state, epoch, reason) = match &card.role {
            SchedulerRole::Preparing => (SchedulerState::Preparing, None, None),
            SchedulerRole::StandingBy => (SchedulerState::StandingBy, None, None),
            SchedulerRole::Leading { epoch, doubt: None } => (SchedulerState::Leading, Some(epoch.0), None),
            SchedulerRole::Leading { epoch, doubt } => (SchedulerState::Doubting, Some(epoch.0), doubt.clone()),
            SchedulerRole::Refusing { reason, .. } => (SchedulerState::Refusing, None, Some(reason.clone())),
        };
        Self {
            id: card.id.clone(),
            host: card.host.clone(),
            state,
            since: card.since,
            epoch,
            version: Some(card.version.clone()),
            reason,
        }
    }

    /// The holder of the lease, which did not answer.
    pub(crate) fn silent(entry: &Entry<LeaseRecord>) -> Self {
        Self {
            id: entry.value.holder.clone(),
            host: entry.value.host.clone(),
            state: SchedulerState::Silent,
            since: entry.at,
            epoch: None,
            version: None,
            reason: None,
        }
    }
}

/// All schedulers, the leader first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct SchedulersView(pub Vec<SchedulerView>);

impl View for SchedulersView {
    fn text(&self, style: &Style) -> String {
        let mut headings = vec!["STATE", "HOST", "SINCE", "VERSION", "ID"];
        if style.detail == Detail::Wide {
            headings.push("EPOCH");
        }
        let mut table = Table::new(headings);
        for scheduler in &self.0 {
            let (state, tone) = scheduler.state.text();
            let mut cells = vec![
                cell(state, tone),
                cell(&scheduler.host, Tone::Plain),
                cell(when::relative(scheduler.since, style.now), Tone::Plain),
                cell(scheduler.version.as_deref().unwrap_or("-"), Tone::Plain),
                cell(&scheduler.id, Tone::Plain),
            ];
            if style.detail == Detail::Wide {
                let epoch = scheduler.epoch.map_or_else(|| "-".to_owned(), |epoch| epoch.to_string());
                cells.push(cell(epoch, Tone::Plain));
            }
            table.row(cells);
        }
        let mut text = table.into_text();
        for (scheduler, reason) in self.0.iter().filter_map(|it| Some((it, it.reason.as_ref()?))) {
            text.push_str(&format!("{} on {}: {reason}\n", scheduler.id, scheduler.host));
        }
        text
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|scheduler| scheduler.id.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_core::{id::Epoch, message::SCHEMA};

    use super::*;
    use crate::fixture;

    fn card(role: SchedulerRole) -> SchedulerCard {
        let (id, host, version) = ("p1".to_owned(), "h1".to_owned(), "1.2".to_owned());
        SchedulerCard { schema: SCHEMA, id, host, version, role, since: fixture::now() }
    }

    #[track_caller]
    fn check(role: SchedulerRole, shown: &[&str]) {
        let style = Style { detail: Detail::Wide, now: fixture::now() };
        let text = SchedulersView(vec![SchedulerView::of(&card(role))]).text(&style);
        for part in shown {
            assert!(text.contains(part), "{part:?} is missing in {text}");
        }
    }

    #[test]
    fn each_scheduler_says_what_it_does_and_why() {
        check(SchedulerRole::StandingBy, &["standing by", "h1", "p1", "1.2"]);
        check(SchedulerRole::Leading { epoch: Epoch(7), doubt: None }, &["leading ", "7"]);
        let doubt = Some("the clock is wrong".to_owned());
        check(SchedulerRole::Leading { epoch: Epoch(7), doubt }, &["decides no ticks", "p1 on h1: the clock is wrong"]);
        let reason = "data was lost".to_owned();
        check(
            SchedulerRole::Refusing { reason, data_lost: true, acceptance: 0 },
            &["refusing to lead", "p1 on h1: data was lost"],
        );
    }
}
