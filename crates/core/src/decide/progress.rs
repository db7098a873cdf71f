//! What follows from the state, whatever the input was: runs time out and end, the next one starts, replicas are placed,
//! orders sent.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::{Clock, Record, Transition};
use crate::{
    history::{ReplicaSummary, RequestSummary, RunSummary},
    ledger::{ActiveRun, HISTORY_RUNS, Phase, RecentRun, ReplicaPlace, ReplicaState, StopReason},
    message::SCHEMA,
    name::AgentName,
    outcome::Outcome,
    time,
};

impl Transition<'_> {
    pub(super) fn progress(&mut self) {
        self.time_out_runs();
        self.note_asked_ends();
        self.settle_runs();
        // A run that begins may be at its end already: a retry of what is not in the file any more.
        while self.start_waiting() {
            self.settle_runs();
        }
        self.place_replicas();
        self.send_orders();
        self.judge_notices();
        self.ledger.trim_retained();
    }

    fn settle_runs(&mut self) {
        self.resolve_global_services();
        self.give_absent_agents_up();
        self.give_refused_up();
        self.finish_runs();
    }

    /// Stops the runs that last longer than they may. Not while results from before the take-over are folded: they may have
    /// ended in time.
    fn time_out_runs(&mut self) {
        let now = self.context.now;
        let is_due = |run: &&ActiveRun| deadline(run).is_some_and(|deadline| deadline <= now);
        if self.context.clock == Clock::Running {
            let due: Vec<_> = self.ledger.active.iter().filter(is_due).map(|run| run.number).collect();
            for number in due {
                self.stop_run(number, StopReason::TimedOut);
            }
        }
    }

    /// A run has ended when every attempt of it is terminal or revoked, and not before (guarantee G1).
    fn finish_runs(&mut self) {
        while let Some(position) = self.ledger.active.iter().position(ActiveRun::has_ended) {
            let run = self.ledger.active.remove(position);
            // A ledger at rest has no room for runs: it would be most of its memory.
            if self.ledger.active.is_empty() {
                self.ledger.active = Vec::new();
            }
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
        self.tell_end(run.number, &outcome);
        let request = RequestSummary::of(&run.request);
        if outcome != Outcome::Succeeded {
            self.ledger.retain_values(run.number, run.request.environment);
        }
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
            request,
            replicas,
        });
    }

    /// The queue is looked at only when another run may begin, and not while the app is paused. What waited takes the spec as
    /// it is now. `false`: nothing was started.
    fn start_waiting(&mut self) -> bool {
        let Some(spec) = self.spec.clone() else { return false };
        let last_run = self.ledger.last_run;
        while self.ledger.pause.is_none()
            && !self.ledger.queue.is_empty()
            && self.may_start(&spec)
            && !self.must_wait_for_clock(&spec)
        {
            self.expire_waiting(&spec);
            let Some(waiting) = self.ledger.queue.pop_front() else { break };
            self.ledger.counters.count_started_later(waiting.cause.origin());
            self.start_run(waiting, spec.run());
        }
        self.ledger.last_run > last_run
    }
}

/// When a run has lasted as long as it may.
pub(super) fn deadline(run: &ActiveRun) -> Option<Timestamp> {
    let timeout = run.spec.timeout.filter(|_| *run.phase() == Phase::Running)?;
    Some(time::after(run.started_at, timeout))
}

fn keep_last<T>(items: &mut VecDeque<T>, count: usize) {
    while items.len() > count {
        items.pop_front();
    }
}

fn replica_summaries(run: &ActiveRun) -> Vec<ReplicaSummary> {
    let services = (0..).zip(run.services());
    let replicas = services.flat_map(|(service, it)| {
        (0..)
            .zip(&it.replicas)
            .map(move |(index, replica)| (ReplicaPlace { service, replica: index }, &it.name, replica))
    });
    replicas
        .filter_map(|(place, service, replica)| match &replica.state {
            ReplicaState::Ended { outcome, agent } => Some(ReplicaSummary {
                service: service.clone(),
                replica: place.replica,
                attempts: replica.last_attempt,
                notes: replica.notes,
                outcome: outcome.clone(),
                agent: agent.as_ref().or_else(|| agent_of(run, place, outcome)).cloned(),
            }),
            ReplicaState::Pending { .. } | ReplicaState::Open(_) => None,
        })
        .collect()
}

/// The agent that a replica of a global service would have run on. One that was skipped was nowhere yet: a retry looks for
/// agents anew.
fn agent_of<'a>(run: &'a ActiveRun, place: ReplicaPlace, outcome: &Outcome) -> Option<&'a AgentName> {
    run.pinned_agent(place).filter(|_| !matches!(outcome, Outcome::Skipped { .. }))
}
