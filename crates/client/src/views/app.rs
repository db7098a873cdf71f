//! Apps as lists show them: what was applied, together with what the leader has made of it.

use jiff::{Timestamp, tz::TimeZoneDatabase};
use serde::Serialize;
use tickmesh_core::{
    compose::Reading,
    fleet::Fleet,
    id::RunNumber,
    ledger::{Counters, Ledger, RecentRun, Standing, State},
    message::{AppRecord, AppSource},
    name::AppName,
    schedule::Schedule,
    spec::About,
};
use tickmesh_messaging::{Entry, UnreadableRecord, chain};

use super::{Tone, replica};
use crate::{
    stored::{undecided_after, understand_stored},
    when,
};

/// One app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AppView {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Words by which lists are filtered.
    pub tags: Vec<String>,
    /// `waiting`, `running`, `pending`, `stopping`, `paused`, `invalid`, `unreadable` or `removed`.
    pub state: State,
    /// Why it is invalid, unreadable or pending.
    pub reason: Option<String>,
    /// The schedule's expression; `null`: run by hand.
    pub schedule: Option<String>,
    /// The schedule in words.
    pub schedule_words: Option<String>,
    /// Time zone of the schedule.
    pub timezone: String,
    /// When it falls due next, unless it is paused.
    pub next: Option<Timestamp>,
    /// Number of the revision that is applied, from 1.
    pub revision: u64,
    /// Whether the leader has taken that revision in.
    pub known_to_leader: bool,
    /// Who applied it.
    pub applied_by: String,
    pub applied_at: Timestamp,
    /// Runs that wait.
    pub queue: QueueView,
    /// Numbers of the active runs.
    pub active: Vec<RunNumber>,
    /// The last runs that ended, oldest first.
    pub recent: Vec<RecentView>,
    /// What became of every instant.
    pub counters: Counters,
}

/// Runs that wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct QueueView {
    /// How many wait.
    pub waiting: usize,
    /// How many may.
    pub limit: u32,
}

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecentView {
    /// Its number.
    pub run: RunNumber,
    /// How it ended.
    pub outcome: String,
    pub finished_at: Timestamp,
}

/// All apps, by name.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct AppsView(pub Vec<AppView>);

/// What is stored about an app.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// Its name.
    pub app: &'a AppName,
    /// What was applied, if it ever was.
    pub record: &'a Entry<AppRecord>,
    /// The leader's record, if it has one yet.
    pub ledger: LedgerState<'a>,
}

/// What is known of an app's ledger.
#[derive(Debug, Clone, Copy)]
pub enum LedgerState<'a> {
    /// There is none yet.
    Absent,
    Known(&'a Ledger),
    /// It cannot be read, for this reason.
    Unreadable(&'a str),
}

impl<'a> LedgerState<'a> {
    /// Returns the ledger, if it can be read.
    pub fn known(self) -> Option<&'a Ledger> {
        match self {
            Self::Known(ledger) => Some(ledger),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }
}

impl<'a> From<Option<&'a Ledger>> for LedgerState<'a> {
    fn from(ledger: Option<&'a Ledger>) -> Self {
        ledger.map_or(Self::Absent, Self::Known)
    }
}

impl AppView {
    /// How an app stands. `None`: it is removed, and nothing of it is active.
    pub fn new(stored: Stored<'_>, zones: &TimeZoneDatabase, now: Timestamp) -> Option<Self> {
        let source = stored.record.value.source.as_ref();
        let reading = source.map(|source| understand_stored(stored.app, source, zones));
        Self::of(stored, reading.as_ref(), now)
    }

    /// How an app stands, for a caller that has read its file already.
    pub fn of(stored: Stored<'_>, reading: Option<&Reading>, now: Timestamp) -> Option<Self> {
        let Stored { app, record, .. } = stored;
        let ledger = stored.ledger.known();
        let state = state(stored, reading);
        if state == State::Removed {
            return None;
        }
        let spec = reading.and_then(|reading| reading.spec.as_ref());
        let is_paused = ledger.is_some_and(|ledger| ledger.pause.is_some());
        let schedule = spec.and_then(|spec| spec.schedule.as_ref());
        let About { description, owner, tags } = spec.map(|spec| spec.about.clone()).unwrap_or_default();
        Some(Self {
            name: app.to_string(),
            description,
            owner,
            tags,
            state,
            reason: reason(stored, reading).filter(|_| matches!(state, State::Invalid | State::Unreadable)),
            schedule: schedule.map(|schedule| schedule.expression().to_owned()),
            schedule_words: schedule.map(Schedule::in_words),
            timezone: zone_of(record.value.source.as_ref(), reading),
            next: spec
                .filter(|_| !is_paused && state != State::Unreadable)
                .and_then(|spec| spec.due_after(undecided_after(spec, ledger, now))),
            revision: record.value.number.unwrap_or(record.sequence),
            known_to_leader: is_known(stored),
            applied_by: record.value.by.clone(),
            applied_at: record.at,
            queue: QueueView {
                waiting: ledger.map_or(0, |ledger| ledger.queue.len()),
                limit: spec.map_or(0, |spec| spec.queue_limit),
            },
            active: ledger.iter().flat_map(|ledger| &ledger.active).map(|run| run.number).collect(),
            recent: ledger.iter().flat_map(|ledger| &ledger.recent).map(RecentView::from).collect(),
            counters: ledger.map(|ledger| ledger.counters).unwrap_or_default(),
        })
    }

    /// How an app stands whose stored file cannot be read: what was applied before goes on being what it was, and no run of it
    /// begins.
    pub fn damaged(record: &UnreadableRecord, revision: u64, ledger: Option<&Ledger>) -> Self {
        Self {
            name: record.key.clone(),
            description: None,
            owner: None,
            tags: Vec::new(),
            state: ledger.filter(|ledger| !ledger.active.is_empty()).map_or(State::Invalid, Ledger::state),
            reason: Some(format!("the stored file cannot be read: {}: apply it again", chain(&record.error))),
            schedule: None,
            schedule_words: None,
            timezone: "-".to_owned(),
            next: None,
            revision,
            known_to_leader: ledger.is_some_and(|ledger| ledger.app_revision >= record.sequence),
            applied_by: "-".to_owned(),
            applied_at: record.at,
            queue: QueueView { waiting: ledger.map_or(0, |ledger| ledger.queue.len()), limit: 0 },
            active: ledger.iter().flat_map(|ledger| &ledger.active).map(|run| run.number).collect(),
            recent: ledger.iter().flat_map(|ledger| &ledger.recent).map(RecentView::from).collect(),
            counters: ledger.map(|ledger| ledger.counters).unwrap_or_default(),
        }
    }

    /// Says that the app waits for an agent, if that is what all its active runs do.
    pub fn look_for_agents(&mut self, ledger: &Ledger, fleet: &Fleet, now: Timestamp) {
        if self.state == State::Running
            && let Some(reason) = waits_for_agents(ledger, fleet, now)
        {
            (self.state, self.reason) = (State::Pending, Some(reason));
        }
    }

    /// The state in its tone, or in the words of an app that the leader has not seen.
    pub fn state_tone(&self) -> Tone {
        match self.state {
            State::Waiting => Tone::Plain,
            State::Running => Tone::Busy,
            State::Pending | State::Stopping | State::Paused => Tone::Unsure,
            State::Invalid | State::Unreadable => Tone::Bad,
            State::Removed => Tone::Dim,
        }
    }

    /// The last run that ended, for people.
    pub fn last_text(&self, now: Timestamp) -> String {
        let last = self.recent.last();
        last.map_or("-".to_owned(), |last| format!("{} {}", last.outcome, when::relative(last.finished_at, now)))
    }
}

/// Why no active run of an app gets any further for want of an agent; `None`: one does, or there is none.
pub fn waits_for_agents(ledger: &Ledger, fleet: &Fleet, now: Timestamp) -> Option<String> {
    let mut reasons = ledger.active.iter().map(|run| replica::waits_for_agent(run, fleet, now));
    let first = reasons.next()??;
    reasons.all(|reason| reason.is_some()).then_some(first)
}

/// What an app is doing. A revision that the leader has not folded yet counts as what it will be: it is stored, and so it will be
/// folded.
pub fn state(stored: Stored<'_>, reading: Option<&Reading>) -> State {
    let will_be = match reading {
        Some(reading) if reading.spec.is_some() => State::Waiting,
        Some(_) => State::Invalid,
        None => State::Removed,
    };
    match stored.ledger {
        LedgerState::Unreadable(_) => State::Unreadable,
        LedgerState::Known(ledger) if is_known(stored) || !ledger.active.is_empty() => ledger.state(),
        LedgerState::Known(_) | LedgerState::Absent => will_be,
    }
}

fn is_known(stored: Stored<'_>) -> bool {
    stored.ledger.known().is_some_and(|ledger| ledger.app_revision >= stored.record.sequence)
}

fn reason(stored: Stored<'_>, reading: Option<&Reading>) -> Option<String> {
    if let LedgerState::Unreadable(reason) = stored.ledger {
        let app = stored.app;
        return Some(format!("its ledger cannot be read: {reason}: `tickmesh doctor --repair ledger/{app}`"));
    }
    match stored.ledger.known().map(|ledger| &ledger.standing) {
        Some(Standing::Invalid { reason }) => Some(reason.clone()),
        Some(Standing::Applied | Standing::Removed) | None => {
            let first = reading?.diagnostics.iter().find(|diagnostic| diagnostic.is_error())?;
            Some(first.to_string())
        }
    }
}

fn zone_of(source: Option<&AppSource>, reading: Option<&Reading>) -> String {
    let stored = || source.map(|source| source.timezone.clone());
    reading.map(|reading| reading.timezone.clone()).or_else(stored).unwrap_or_else(|| "-".to_owned())
}

impl From<&RecentRun> for RecentView {
    fn from(run: &RecentRun) -> Self {
        Self { run: run.run, outcome: run.outcome.clone(), finished_at: run.finished_at }
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_core::ledger::{Cause, Pause, StopReason};

    use tickmesh_testkit::records as fixture;

    use super::*;

    fn view(record: &Entry<AppRecord>, ledger: Option<&Ledger>) -> Option<AppView> {
        let app = fixture::app();
        AppView::new(Stored { app: &app, record, ledger: ledger.into() }, &TimeZoneDatabase::bundled(), fixture::now())
    }

    #[track_caller]
    fn check_state(compose: Option<&str>, ledger: Option<&Ledger>, expected: Option<State>) {
        let found = view(&fixture::record(compose, 2), ledger).map(|view| view.state);
        assert_eq!(found, expected);
    }

    fn at_revision(revision: u64, standing: Standing, ledger: Ledger) -> Ledger {
        Ledger { app_revision: revision, standing, ..ledger }
    }

    #[test]
    fn an_app_that_the_leader_has_not_seen_counts_as_what_it_will_be() {
        let removed = at_revision(1, Standing::Removed, fixture::ledger(vec![]));
        let invalid = at_revision(1, Standing::Invalid { reason: "old".to_owned() }, fixture::ledger(vec![]));
        for ledger in [None, Some(&removed), Some(&invalid)] {
            check_state(Some(fixture::COMPOSE), ledger, Some(State::Waiting));
            check_state(Some("services: ["), ledger, Some(State::Invalid));
            check_state(None, ledger, None);
        }
    }

    #[test]
    fn otherwise_the_ledger_says_it() {
        let run = fixture::active(1, Cause::Schedule, vec![fixture::pending()]);
        let running = at_revision(2, Standing::Applied, fixture::ledger(vec![run.clone()]));
        check_state(Some(fixture::COMPOSE), Some(&running), Some(State::Running));
        let mut stopping = run;
        stopping.stop(StopReason::Cancelled { by: "me@here".to_owned() });
        let removed = at_revision(2, Standing::Removed, fixture::ledger(vec![stopping]));
        check_state(None, Some(&removed), Some(State::Stopping));
        check_state(None, Some(&at_revision(2, Standing::Removed, fixture::ledger(vec![]))), None);
        let invalid = at_revision(2, Standing::Invalid { reason: "bad".to_owned() }, fixture::ledger(vec![]));
        let view = view(&fixture::record(Some(fixture::COMPOSE), 2), Some(&invalid)).unwrap();
        assert_eq!((view.state, view.reason.as_deref()), (State::Invalid, Some("bad")));
    }

    #[test]
    fn the_next_instant_is_one_that_is_not_decided_yet() {
        let record = fixture::record(Some(fixture::COMPOSE), 1);
        let next = |ledger: Option<&Ledger>| view(&record, ledger).unwrap().next.unwrap().to_string();
        assert_eq!(next(None), "2026-11-22T18:30:00Z");
        let ahead = Ledger { decided_through: "2026-11-22T18:30:00Z".parse().unwrap(), ..fixture::ledger(vec![]) };
        assert_eq!(next(Some(&ahead)), "2026-11-23T18:30:00Z");
        let pause = Some(Pause { by: "me@here".to_owned(), since: fixture::now() });
        let paused = Ledger { pause, ..fixture::ledger(vec![]) };
        assert_eq!(view(&record, Some(&paused)).unwrap().next, None, "no tick starts anything");
    }
}
