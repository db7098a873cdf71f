//! What follows from the state, whatever the input was: runs end, the next one starts, replicas are placed, orders sent.

use std::collections::VecDeque;

use super::{Record, Transition};
use crate::{
    history::{ReplicaSummary, RunSummary},
    ledger::{ActiveRun, Cause, HISTORY_RUNS, Phase, RecentRun, ReplicaState},
    message::SCHEMA,
    outcome::Outcome,
};

impl Transition<'_> {
    pub(super) fn progress(&mut self) {
        self.cancel_pending();
        self.finish_runs();
        self.start_waiting();
        self.place_replicas();
        self.send_orders();
    }

    /// In a run that is being stopped nothing is started any more.
    fn cancel_pending(&mut self) {
        for run in self.ledger.active.iter_mut().filter(|run| run.phase != Phase::Running) {
            for replica in run.replicas_mut() {
                if matches!(replica.state, ReplicaState::Pending { .. }) {
                    replica.state = ReplicaState::Ended { outcome: Outcome::Cancelled, agent: None };
                }
            }
        }
    }

    /// A run has ended when every attempt of it is terminal or revoked, and not before (guarantee G1).
    fn finish_runs(&mut self) {
        let active = std::mem::take(&mut self.ledger.active);
        let (ended, active) = active.into_iter().partition(ActiveRun::has_ended);
        self.ledger.active = active;
        for run in ended {
            self.put_into_history(run);
            self.note(Record::Due);
        }
    }

    fn put_into_history(&mut self, run: ActiveRun) {
        let replicas = replica_summaries(&run);
        let outcome = Outcome::of_all(replicas.iter().map(|replica| &replica.outcome));
        let finished_at = self.context.now;
        self.ledger.recent.push_back(RecentRun { run: run.number, outcome: outcome.label().to_owned(), finished_at });
        keep_last(&mut self.ledger.recent, HISTORY_RUNS);
        let app = self.context.app.clone();
        self.ledger.history.push(|number| RunSummary {
            schema: SCHEMA,
            number,
            app,
            run: run.number,
            uid: run.uid,
            cause: run.cause,
            scheduled_at: run.scheduled_at,
            started_at: run.started_at,
            finished_at,
            outcome,
            replicas,
        });
    }

    /// The queue is looked at only when no run is active, and there is room for the next one. A queued tick takes the spec as it is now.
    fn start_waiting(&mut self) {
        let Some(spec) = self.spec.clone() else { return };
        if !self.ledger.active.is_empty() || !self.ledger.has_room_for_run(&spec.run) {
            return;
        }
        let Some(waiting) = self.ledger.queue.pop_front() else { return };
        match waiting.cause {
            Cause::Schedule | Cause::CatchUp { .. } => self.ledger.counters.started_later += 1,
            Cause::Manual { .. } => self.ledger.counters.manual.started_later += 1,
        }
        self.start_run(waiting, spec.run.clone());
    }
}

fn keep_last<T>(items: &mut VecDeque<T>, count: usize) {
    while items.len() > count {
        items.pop_front();
    }
}

fn replica_summaries(run: &ActiveRun) -> Vec<ReplicaSummary> {
    run.replicas()
        .filter_map(|(service, index, replica)| match &replica.state {
            ReplicaState::Ended { outcome, agent } => Some(ReplicaSummary {
                service: service.clone(),
                replica: index,
                attempts: replica.last_attempt,
                outcome: outcome.clone(),
                agent: agent.clone(),
            }),
            ReplicaState::Pending { .. } | ReplicaState::Open(_) => None,
        })
        .collect()
}
