//! Orders: sent once when something is decided, and again while reality disagrees.

use jiff::Timestamp;

use super::{Action, Record, Transition};
use crate::{
    id::AttemptId,
    ledger::{ActiveRun, OpenAttempt, Phase, Progress, ReplicaState},
    message::{Order, OrderKind, RunRequest, SCHEMA, StartOrder},
    name::AgentName,
    spec::ContainerSpec,
    time,
    timing::Timing,
};

/// What an open attempt needs now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Start,
    Stop,
    /// Nobody takes it (protocol rule P12).
    Revoke,
}

impl Transition<'_> {
    pub(super) fn send_orders(&mut self) {
        let (app, now, timing) = (self.context.app, self.context.now, self.context.timing);
        let mut due: Vec<(AttemptId, AgentName, Wanted)> = Vec::new();
        for run in &self.ledger.active {
            for (id, open) in run.open_attempts(app) {
                if let Some(wanted) = wanted(open, &run.phase, now, timing) {
                    due.push((id, open.agent.clone(), wanted));
                }
            }
        }
        for (id, agent, wanted) in due {
            self.mark_sent(&id);
            match wanted {
                Wanted::Start => self.send_start(id, agent),
                Wanted::Stop => self.send(id, agent, OrderKind::Stop),
                Wanted::Revoke => self.revoke(id, &agent, "nobody took it"),
            }
        }
    }

    fn mark_sent(&mut self, id: &AttemptId) {
        let run = self.ledger.active.iter_mut().find(|run| run.uid == id.uid);
        if let Some(replica) = run.and_then(|run| run.replica_mut(&id.service, id.replica))
            && let ReplicaState::Open(open) = &mut replica.state
        {
            open.sent_at = Some(self.context.now);
            self.record = self.record.max(Record::WithNext);
        }
    }

    fn send_start(&mut self, id: AttemptId, agent: AgentName) {
        let start = self.ledger.active.iter().find(|run| run.uid == id.uid).and_then(|run| start_order(run, &id));
        if let Some(start) = start {
            self.send(id, agent, OrderKind::Start(Box::new(start)));
        }
    }

    fn send(&mut self, attempt: AttemptId, agent: AgentName, kind: OrderKind) {
        let epoch = self.context.tenure.epoch;
        self.actions.push(Action::Send(Order { schema: SCHEMA, epoch, agent, attempt, kind }));
    }
}

fn wanted(open: &OpenAttempt, phase: &Phase, now: Timestamp, timing: &Timing) -> Option<Wanted> {
    if open.sent_at.is_some_and(|sent_at| now < time::after(sent_at, timing.resend)) {
        return None;
    }
    match (&open.progress, phase) {
        (Progress::Ordered { at }, _) if time::after(*at, timing.unclaimed) <= now => Some(Wanted::Revoke),
        (_, Phase::Stopping { .. }) => Some(Wanted::Stop),
        (Progress::Ordered { .. }, Phase::Running) => Some(Wanted::Start),
        (Progress::Claimed(_), Phase::Running) => None,
    }
}

fn start_order(run: &ActiveRun, id: &AttemptId) -> Option<StartOrder> {
    let service = run.spec.service(&id.service)?;
    Some(StartOrder {
        container: with_request(service.container.clone(), &run.request),
        remove_containers: service.remove_containers,
        replicas: service.scale,
        scheduled_at: run.scheduled_at,
        cause: run.cause.clone(),
    })
}

/// The container with what a person asked to be different in this run.
fn with_request(mut container: ContainerSpec, request: &RunRequest) -> ContainerSpec {
    container.environment.extend(request.environment.clone());
    if !request.arguments.is_empty() {
        container.command = Some(request.arguments.clone());
    }
    container
}

/// When [`Transition::send_orders`] has something to do for this attempt, unless something else happens first.
pub(super) fn overdue_at(open: &OpenAttempt, phase: &Phase, timing: &Timing, now: Timestamp) -> Option<Timestamp> {
    let waits = open.claim().is_none() || *phase != Phase::Running;
    waits.then(|| open.sent_at.map_or(now, |sent_at| time::after(sent_at, timing.resend)))
}
