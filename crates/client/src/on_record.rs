//! What is on record about one app, looked at in one round trip.

use futures_util::{FutureExt as _, future::try_join3};
use tickmesh_core::{
    history::RunSummary,
    ledger::{ActiveRun, Ledger},
    message::AppRecord,
    name::AppName,
};
use tickmesh_messaging::{Entry, Error, Mesh, chain};

/// What is on record about an app.
#[derive(Debug)]
pub struct OnRecord {
    /// What was applied last, a tombstone included; `None`: nothing ever was.
    pub record: Option<Entry<AppRecord>>,
    /// The ledger, if there is one, or why it cannot be read.
    pub(crate) ledger: Result<Option<Ledger>, String>,
    /// The runs of the history.
    history: Vec<RunSummary>,
}

impl OnRecord {
    /// Looks at all of it at once.
    pub async fn look(mesh: &Mesh, app: &AppName) -> Result<Self, Error> {
        let (apps, ledgers, journal) = (mesh.apps(), mesh.ledgers(), mesh.history());
        let (record, ledger, history) = try_join3(
            apps.read(app.as_str()).boxed(),
            ledgers.read_listed(app.as_str()).boxed(),
            journal.look(app).boxed(),
        )
        .await?;
        let ledger = match ledger {
            None => Ok(None),
            Some(Ok(entry)) => Ok(Some(entry.value)),
            Some(Err(unreadable)) => Err(chain(&unreadable.error)),
        };
        let values = |listing: tickmesh_messaging::Listing<RunSummary>| listing.into_iter().map(|entry| entry.value);
        let record = match record {
            Some(record) => Some(mesh.number(record).await?),
            None => None,
        };
        let mut looked = Self { record, ledger, history: values(history).collect() };
        // A run that has left the ledger is in the history, but the history may have been read before that.
        if looked.misses_a_run() {
            looked.history = values(journal.look(app).await?).collect();
        }
        Ok(looked)
    }

    /// The ledger, if there is one that can be read.
    pub(crate) fn known_ledger(&self) -> Option<&Ledger> {
        self.ledger.as_ref().ok()?.as_ref()
    }

    /// The runs that go on. One that is in the history by now has ended since its ledger was read.
    pub(crate) fn active(&self) -> impl Iterator<Item = &ActiveRun> {
        let active = self.known_ledger().map(|ledger| &ledger.active);
        active.into_iter().flatten().filter(|run| self.history.iter().all(|ended| ended.run != run.number))
    }

    /// The last runs that ended, the oldest first: those of the history, and those that are still on their way there.
    pub(crate) fn ended(&self) -> Vec<RunSummary> {
        let pending = self.known_ledger().map(|ledger| &ledger.history.pending).into_iter().flatten();
        let unpublished = pending.filter(|it| self.history.iter().all(|known| known.run != it.run));
        self.history.iter().chain(unpublished).cloned().collect()
    }

    /// Whether the ledger tells of a run that is nowhere.
    fn misses_a_run(&self) -> bool {
        let Some(ledger) = self.known_ledger() else { return false };
        let Some(last) = ledger.recent.back() else { return false };
        let is_it = |summary: &RunSummary| summary.run == last.run;
        !self.history.iter().any(is_it) && !ledger.history.pending.iter().any(is_it)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tickmesh_core::{
        ledger::{Cause, RecentRun},
        outcome::Outcome,
    };
    use tickmesh_testkit::records as fixture;

    use super::*;

    fn ended(run: u64) -> RunSummary {
        fixture::summary(run, Cause::Schedule, &[Outcome::Succeeded])
    }

    fn looked(ledger: Ledger, history: &[u64]) -> OnRecord {
        OnRecord { record: None, ledger: Ok(Some(ledger)), history: history.iter().copied().map(ended).collect() }
    }

    fn numbers(on_record: &OnRecord) -> (Vec<u64>, Vec<u64>) {
        let active = on_record.active().map(|run| run.number).collect();
        (active, on_record.ended().iter().map(|summary| summary.run).collect())
    }

    /// The ledger and the history are read at the same time, and a run moves from one to the other.
    #[test]
    fn run_that_ends_meanwhile_is_in_one_list() {
        let active = || fixture::ledger(vec![fixture::active(4, Cause::Schedule, vec![fixture::pending()])]);
        assert_eq!(numbers(&looked(active(), &[3])), (vec![4], vec![3]));
        assert_eq!(numbers(&looked(active(), &[3, 4])), (vec![], vec![3, 4]));
        let mut pending = fixture::ledger(vec![]);
        pending.history.push(|_| ended(4));
        assert_eq!(numbers(&looked(pending.clone(), &[3])), (vec![], vec![3, 4]));
        assert_eq!(numbers(&looked(pending, &[3, 4])), (vec![], vec![3, 4]));
    }

    #[test]
    fn history_from_before_the_ledger_is_found_out() {
        let mut ledger = fixture::ledger(vec![]);
        assert!(!looked(ledger.clone(), &[]).misses_a_run());
        let recent = RecentRun { run: 4, outcome: "succeeded".to_owned(), finished_at: Timestamp::UNIX_EPOCH };
        ledger.recent.push_back(recent);
        assert!(looked(ledger.clone(), &[3]).misses_a_run());
        assert!(!looked(ledger.clone(), &[3, 4]).misses_a_run());
        ledger.history.push(|_| ended(4));
        assert!(!looked(ledger, &[3]).misses_a_run());
    }
}
