//! A new revision of the app: applied, not valid, or removed.

use jiff::Timestamp;

use super::{AppChange, AppContent, Clock, Record, Transition};
use crate::{
    id::RunNumber,
    json_size::shortened,
    ledger::{Pause, Phase, REASON_BYTES_MAX, Standing, StopReason},
    message::DiscardReason,
    spec::AppSpec,
};

/// Who paused an app whose file says so.
const BY_LABEL: &str = "the label `paused`";

impl Transition<'_> {
    /// Folds a revision. The old schedule is first decided up to the moment of the change, and no further even if that
    /// moment is long past, as it is for a leader that comes after hours without one; the new one yields nothing before it.
    /// An instant that jitter would have delayed beyond that moment is decided at once: it belongs to the old schedule.
    pub(super) fn fold_app(&mut self, change: AppChange) {
        if change.revision <= self.ledger.app_revision {
            return;
        }
        self.fold_instants(change.at);
        self.ledger.app_revision = change.revision;
        self.begin_at(change.at);
        self.note(Record::Due);
        match change.content {
            AppContent::Applied(spec) => {
                self.ledger.standing = Standing::Applied;
                self.heed_pause_label(&spec, change.at);
                self.spec = Some(spec);
            }
            AppContent::Invalid { reason } => {
                self.ledger.standing = Standing::Invalid { reason: shortened(&reason, REASON_BYTES_MAX) };
                self.spec = None;
            }
            AppContent::Removed => {
                self.ledger.standing = Standing::Removed;
                self.ledger.tombstone_revision = change.revision;
                (self.ledger.pause, self.ledger.pause_label) = (None, false);
                // Who removes an app removes its secrets.
                self.ledger.retained.clear();
                self.spec = None;
                self.discard_waiting(DiscardReason::Flushed, |_| true);
                self.stop_all(&StopReason::Removed);
            }
        }
        self.tell_revision(change.at);
    }

    /// The label acts when it changes: a file that is applied again does not undo what somebody did by hand meanwhile.
    fn heed_pause_label(&mut self, spec: &AppSpec, at: Timestamp) {
        if spec.paused != self.ledger.pause_label {
            self.ledger.pause_label = spec.paused;
            self.tell_resumed(at);
            self.ledger.pause = spec.paused.then(|| Pause { by: BY_LABEL.to_owned(), since: at });
        }
    }

    fn begin_at(&mut self, at: Timestamp) {
        self.ledger.decided_through = self.ledger.decided_through.max(at);
    }

    /// Lets every active run end.
    pub(super) fn stop_all(&mut self, reason: &StopReason) {
        let numbers: Vec<_> = self.ledger.active.iter().map(|run| run.number).collect();
        for number in numbers {
            self.stop_run(number, reason.clone());
        }
    }

    /// Lets a run end. One that is being stopped keeps its reason; when a person asks for its end, the
    /// time after which nobody is waited for begins ([`super::ending`]).
    pub(super) fn stop_run(&mut self, number: RunNumber, reason: StopReason) {
        let now = self.context.now;
        let Some(run) = self.ledger.active.iter_mut().find(|run| run.number == number) else { return };
        let is_clock_right = self.context.clock == Clock::Running;
        let asked = reason.is_asked_for() && is_clock_right && run.ask_to_end(now);
        let is_running = *run.phase() == Phase::Running;
        if is_running {
            run.stop(reason);
        }
        if asked || is_running {
            self.note(Record::Due);
        }
    }
}
