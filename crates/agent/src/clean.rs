//! Which kept containers go: those whose run has left the history. Pure; the agent asks once a minute.

use tickmesh_core::{
    id::AttemptId,
    ledger::{Ledger, Standing},
};

/// Whether nobody can look the attempt's run up any more. `ledger` is the app's, if it has one.
pub fn is_forgotten(attempt: &AttemptId, ledger: Option<&Ledger>) -> bool {
    let Some(ledger) = ledger else { return true };
    if ledger.active.iter().any(|run| run.uid == attempt.uid) {
        return false;
    }
    match ledger.standing {
        // Nothing will push its runs out of the history any more.
        Standing::Removed => true,
        Standing::Applied | Standing::Invalid { .. } => {
            ledger.recent.iter().map(|run| run.run).min().is_some_and(|oldest| attempt.run < oldest)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use tickmesh_core::{
        ledger::{ActiveRun, CarryOver, Cause, NewRun, RecentRun, Waiting},
        message::RunRequest,
        spec::RunSpec,
    };

    use super::*;
    use crate::fixture;

    fn ledger(recent: impl IntoIterator<Item = u64>) -> Ledger {
        let recent = recent.into_iter().map(|run| RecentRun {
            run,
            outcome: "failed".to_owned(),
            finished_at: Timestamp::UNIX_EPOCH,
        });
        Ledger { recent: recent.collect(), ..Ledger::new(1, Timestamp::UNIX_EPOCH) }
    }

    fn active_run() -> ActiveRun {
        let attempt = fixture::attempt();
        let waiting = Waiting {
            cause: Cause::Schedule,
            scheduled_at: None,
            enqueued_at: Timestamp::UNIX_EPOCH,
            request: RunRequest::default(),
            carried: CarryOver::default(),
        };
        ActiveRun::begin(NewRun {
            number: attempt.run,
            uid: attempt.uid,
            waiting,
            started_at: Timestamp::UNIX_EPOCH,
            spec: Arc::new(RunSpec::new(Vec::new())),
            results_through: 0,
        })
    }

    #[track_caller]
    fn check(ledger: Option<Ledger>, forgotten: bool) {
        assert_eq!(fixture::attempt().run, 42);
        assert_eq!(is_forgotten(&fixture::attempt(), ledger.as_ref()), forgotten, "{ledger:?}");
    }

    #[test]
    fn a_container_is_kept_while_its_run_is_in_the_history() {
        check(Some(ledger(33..=42)), false);
        check(Some(ledger(42..=51)), false);
        check(Some(ledger(43..=52)), true);
    }

    #[test]
    fn a_run_that_has_not_finished_is_not_history_yet() {
        check(Some(ledger([])), false);
        check(Some(ledger(32..=41)), false);
        check(Some(Ledger { active: vec![active_run()], ..ledger(43..=52) }), false);
    }

    #[test]
    fn without_its_app_a_container_goes() {
        check(None, true);
        check(Some(Ledger { standing: Standing::Removed, ..ledger(40..=42) }), true);
        let removed = Ledger { standing: Standing::Removed, active: vec![active_run()], ..ledger(40..=41) };
        check(Some(removed), false);
    }
}
