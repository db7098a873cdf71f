//! A new revision of the app: applied, not valid, or removed.

use jiff::Timestamp;

use super::{AppChange, AppContent, Record, Transition};
use crate::{
    encoded::shortened,
    id::RunNumber,
    ledger::{Cause, Phase, REASON_BYTES_MAX, ReplicaState, Standing},
};

impl Transition<'_> {
    /// Folds a revision. The old schedule is first decided up to the moment of the change, and no further even if that
    /// moment is long past, as it is for a leader that comes after hours without one; the new one yields nothing before it.
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
                self.spec = Some(spec);
            }
            AppContent::Invalid { reason } => {
                self.ledger.standing = Standing::Invalid { reason: shortened(&reason, REASON_BYTES_MAX) };
                self.spec = None;
            }
            AppContent::Removed => {
                self.ledger.standing = Standing::Removed;
                self.ledger.tombstone_revision = change.revision;
                self.spec = None;
                self.flush_queue();
                self.stop_all("rm");
            }
        }
    }

    fn begin_at(&mut self, at: Timestamp) {
        self.ledger.decided_through = self.ledger.decided_through.max(at);
    }

    fn flush_queue(&mut self) {
        for waiting in self.ledger.queue.drain(..) {
            match waiting.cause {
                Cause::Schedule | Cause::CatchUp { .. } => self.ledger.counters.flushed += 1,
                Cause::Manual { .. } => self.ledger.counters.manual.flushed += 1,
            }
        }
    }

    fn stop_all(&mut self, by: &str) {
        let numbers: Vec<_> = self.ledger.active.iter().map(|run| run.number).collect();
        for number in numbers {
            self.stop_run(number, by);
        }
    }

    /// Lets a run end: nothing new of it is started, and its open attempts are told at once.
    pub(super) fn stop_run(&mut self, number: RunNumber, by: &str) {
        let Some(run) = self.ledger.active.iter_mut().find(|run| run.number == number) else { return };
        if run.phase == Phase::Running {
            run.phase = Phase::Stopping { by: by.to_owned() };
            for replica in run.replicas_mut() {
                if let ReplicaState::Open(open) = &mut replica.state {
                    open.sent_at = None;
                }
            }
            self.note(Record::Due);
        }
    }
}
