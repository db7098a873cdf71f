//! What a scheduler process knows of itself, for whoever measures it. Put together when somebody asks, and not before.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tickmesh_core::{
    histogram::{Histogram, LATENESS_BOUNDS},
    id::Epoch,
    message::TickRecord,
};
use tickmesh_messaging::SchedulerRole;
use tokio::{
    sync::{Notify, oneshot},
    time::timeout,
};

use crate::{dispatcher::Dispatcher, effect::Effect, process::Process};

/// How long a process that is asked may take: a leader of a million apps takes a fraction of it for a turn.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// What a scheduler process knows of itself.
#[derive(Debug, Clone)]
pub struct Figures {
    /// What the process does, in a word.
    pub stage: &'static str,
    /// What others are told that it does.
    pub role: SchedulerRole,
    /// The tenure, while the process leads.
    pub epoch: Option<Epoch>,
    /// Effects that wait for others to end.
    pub waiting_effects: usize,
    /// What a leader has in memory; of a process that does not lead, nothing.
    pub leader: LeaderFigures,
    /// What was counted since the process began.
    pub counts: Counts,
}

/// What a leader has in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeaderFigures {
    /// Apps with a ledger.
    pub apps: usize,
    /// Runs that go on.
    pub active_runs: usize,
    /// Runs that wait for their start.
    pub queued_runs: usize,
    /// Apps with a replica that no agent takes.
    pub apps_pending: usize,
    /// Tick messages that are not known to be stored.
    pub unpublished_ticks: usize,
    /// Summaries of runs that are not known to be stored.
    pub unpublished_summaries: usize,
    /// Notices that are not known to be stored.
    pub unpublished_notices: usize,
}

/// What a process has counted since it began.
#[derive(Debug, Clone)]
pub struct Counts {
    /// Decisions of the clock that were sent to be published, by what became of the instant.
    pub decisions: BTreeMap<&'static str, u64>,
    /// From an instant to its decision.
    pub lateness: Histogram,
    /// Tenures of this process.
    pub tenures: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Self { decisions: BTreeMap::new(), lateness: Histogram::new(&LATENESS_BOUNDS), tenures: 0 }
    }
}

/// Where a scheduler process is asked. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct FigureBoard(Arc<Board>);

#[derive(Debug, Default)]
struct Board {
    asked: Notify,
    askers: Mutex<Vec<oneshot::Sender<Figures>>>,
}

impl FigureBoard {
    /// Asks the process. `None`: it does not run, or is too busy.
    pub async fn ask(&self) -> Option<Figures> {
        let (asker, answer) = oneshot::channel();
        self.0.askers.lock().unwrap_or_else(PoisonError::into_inner).push(asker);
        self.0.asked.notify_one();
        timeout(ANSWER_MAX, answer).await.ok()?.ok()
    }

    /// Waits until somebody asks.
    pub(crate) async fn asked(&self) {
        self.0.asked.notified().await;
    }

    /// Answers everybody who has asked.
    pub(crate) fn answer(&self, figures: impl FnOnce() -> Figures) {
        let askers = std::mem::take(&mut *self.0.askers.lock().unwrap_or_else(PoisonError::into_inner));
        if askers.is_empty() {
            return;
        }
        let figures = figures();
        for asker in askers {
            // Whoever asked may have gone.
            let _gone = asker.send(figures.clone());
        }
    }
}

/// What the driver counts as it goes.
#[derive(Debug)]
pub(crate) struct Counting {
    counts: Counts,
    role: SchedulerRole,
}

impl Default for Counting {
    fn default() -> Self {
        Self { counts: Counts::default(), role: SchedulerRole::Preparing }
    }
}

impl Counting {
    /// Counts an effect that begins.
    pub(crate) fn note(&mut self, effect: &Effect) {
        if let Effect::PublishTick { tick, .. } = effect {
            self.note_tick(tick);
        }
        if let Effect::ShowRole(role) = effect {
            let (led, leads) = (is_leading(&self.role), is_leading(role));
            self.counts.tenures += u64::from(leads && !led);
            self.role = role.clone();
        }
    }

    fn note_tick(&mut self, tick: &TickRecord) {
        *self.counts.decisions.entry(tick.admission.label()).or_default() += 1;
        if tick.admission.is_when_due() {
            self.counts.lateness.observe(tick.decided_at.duration_since(tick.scheduled_at).as_secs_f64());
        }
    }

    /// What the process knows now.
    pub(crate) fn figures(&self, process: &Process) -> Figures {
        let dispatcher = process.dispatcher();
        Figures {
            stage: process.stage(),
            role: self.role.clone(),
            epoch: dispatcher.map(|dispatcher| dispatcher.tenure().epoch),
            waiting_effects: process.waiting_effects(),
            leader: dispatcher.map(Dispatcher::figures).unwrap_or_default(),
            counts: self.counts.clone(),
        }
    }
}

fn is_leading(role: &SchedulerRole) -> bool {
    matches!(role, SchedulerRole::Leading { .. })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tickmesh_core::{
        message::{Admission, DiscardReason, SCHEMA},
        name::AppName,
    };

    use super::*;

    fn tick(admission: Admission, late: i64) -> Effect {
        let app = AppName::new("nightly").unwrap();
        let (scheduled_at, decided_at) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(late).unwrap());
        let tick = TickRecord { schema: SCHEMA, number: 1, app, scheduled_at, decided_at, admission, coalesced: 0 };
        Effect::PublishTick { tick, expected: 0 }
    }

    #[test]
    fn decisions_are_counted_and_those_when_due_are_late() {
        let mut counting = Counting::default();
        counting.note(&tick(Admission::Start { run: 1 }, 1));
        counting.note(&tick(Admission::Discard { reason: DiscardReason::Flushed, ticks: 1 }, 275));
        assert_eq!(counting.counts.decisions, [("discarded", 1), ("started", 1)].into());
        let samples = counting.counts.lateness.samples("t", "");
        assert!(samples.ends_with("t_sum 1\nt_count 1\n"), "{samples}");
    }

    #[test]
    fn doubt_begins_no_tenure() {
        let mut counting = Counting::default();
        let leading = |doubt: Option<&str>| {
            Effect::ShowRole(SchedulerRole::Leading { epoch: Epoch(1), doubt: doubt.map(ToOwned::to_owned) })
        };
        counting.note(&leading(None));
        counting.note(&leading(Some("it is wrong")));
        assert_eq!(counting.counts.tenures, 1);
        counting.note(&Effect::ShowRole(SchedulerRole::StandingBy { doubt: None }));
        counting.note(&leading(None));
        assert_eq!(counting.counts.tenures, 2);
    }

    #[tokio::test]
    async fn whoever_asks_is_answered() {
        let board = FigureBoard::default();
        let figures = Figures {
            stage: "leading",
            role: SchedulerRole::Preparing,
            epoch: None,
            waiting_effects: 3,
            leader: LeaderFigures::default(),
            counts: Counts::default(),
        };
        let answering = async {
            board.asked().await;
            board.answer(|| figures);
        };
        let (asked, ()) = tokio::join!(board.ask(), answering);
        assert_eq!(asked.unwrap().waiting_effects, 3);
    }
}
