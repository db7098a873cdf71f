//! Admission: what becomes of a tick or a manual run, and how a run begins.

use std::{iter, sync::Arc};

use jiff::Timestamp;

use super::{Record, Transition};
use crate::{
    id::{RunNumber, RunUid},
    ledger::{ActiveRun, Cause, Phase, Replica, ReplicaState, ServiceRun, TICKS_PENDING_MAX, Verdict, Waiting},
    message::{Admission, Command, DropReason, RunRequest, SCHEMA, TickRecord},
    spec::{AppSpec, RunSpec, ServiceSpec},
};

/// An instant to be admitted, with those that are folded into it.
pub(super) struct Tick {
    pub(super) scheduled_at: Timestamp,
    pub(super) cause: Cause,
    pub(super) coalesced: u64,
}

impl Transition<'_> {
    /// Starts, enqueues or drops a tick, counts it, and puts the decision on record.
    pub(super) fn admit_tick(&mut self, spec: &AppSpec, tick: Tick) {
        let waiting = Waiting {
            cause: tick.cause,
            scheduled_at: Some(tick.scheduled_at),
            enqueued_at: self.context.now,
            request: RunRequest::default(),
        };
        let admission = self.admit(spec, waiting);
        let counters = &mut self.ledger.counters;
        match &admission {
            Admission::Start { .. } => counters.started += 1,
            Admission::Enqueue { .. } => counters.enqueued += 1,
            Admission::Drop { .. } => counters.dropped += 1,
        }
        let (app, now) = (self.context.app.clone(), self.context.now);
        self.ledger.ticks.push(|number| TickRecord {
            schema: SCHEMA,
            number,
            app,
            scheduled_at: tick.scheduled_at,
            decided_at: now,
            admission,
            coalesced: tick.coalesced,
        });
        self.ledger.ticks.keep_newest(TICKS_PENDING_MAX);
    }

    /// Starts, enqueues or drops a run that a person asked for. It obeys the same bound as a tick.
    pub(super) fn admit_manual(&mut self, spec: &AppSpec, command: &Command, run: &RunRequest) -> Verdict {
        let waiting = Waiting {
            cause: Cause::Manual { by: command.by.clone(), request: command.request },
            scheduled_at: None,
            enqueued_at: self.context.now,
            request: run.clone(),
        };
        match self.admit(spec, waiting) {
            Admission::Start { run } => {
                self.ledger.counters.manual.started += 1;
                Verdict::Started { run }
            }
            Admission::Enqueue { waiting } => {
                self.ledger.counters.manual.enqueued += 1;
                Verdict::Enqueued { waiting }
            }
            Admission::Drop { reason } => {
                self.ledger.counters.manual.dropped += 1;
                Verdict::Dropped { reason }
            }
        }
    }

    /// One run at a time (guarantee G1), and never more waiting than may (G3).
    fn admit(&mut self, spec: &AppSpec, waiting: Waiting) -> Admission {
        if self.ledger.active.is_empty() && self.ledger.queue.is_empty() && self.ledger.has_room_for_run(&spec.run) {
            return Admission::Start { run: self.start_run(waiting, spec.run.clone()) };
        }
        if self.ledger.queue.len() >= spec.queue_limit as usize {
            return Admission::Drop { reason: DropReason::QueueFull };
        }
        if !self.ledger.has_room_in_queue(&waiting) {
            return Admission::Drop { reason: DropReason::QueueTooLarge };
        }
        self.ledger.queue.push_back(waiting);
        Admission::Enqueue { waiting: self.ledger.queue.len() as u32 }
    }

    /// Begins a run; its replicas are placed when the decision comes to [`Transition::progress`].
    pub(super) fn start_run(&mut self, waiting: Waiting, spec: Arc<RunSpec>) -> RunNumber {
        self.ledger.last_run += 1;
        let number = self.ledger.last_run;
        let (uid, now) = (self.random_uid(), self.context.now);
        self.ledger.active.push(ActiveRun {
            number,
            uid,
            cause: waiting.cause,
            scheduled_at: waiting.scheduled_at,
            started_at: now,
            request: waiting.request,
            services: spec.services.iter().map(|service| new_service_run(service, now)).collect(),
            spec,
            results_through: self.context.results_through,
            phase: Phase::Running,
        });
        self.note(Record::Due);
        number
    }

    fn random_uid(&mut self) -> RunUid {
        let mut bytes = [0; 16];
        self.random.fill_bytes(&mut bytes);
        RunUid::from_random(bytes)
    }
}

fn new_service_run(service: &ServiceSpec, now: Timestamp) -> ServiceRun {
    let replica = Replica {
        last_attempt: 0,
        failures: 0,
        losses: 0,
        state: ReplicaState::Pending { not_before: now, avoid: None },
    };
    ServiceRun { name: service.name.clone(), replicas: iter::repeat_n(replica, service.scale as usize).collect() }
}
