//! Orders: sent once when something is decided, and again while reality disagrees.

use jiff::Timestamp;

use super::{Action, Record, Transition};
use crate::{
    id::AttemptId,
    ledger::{ActiveRun, OpenAttempt, Phase, Progress, ReplicaPlace, ReplicaState},
    message::{Order, OrderKind, RunRequest, SCHEMA, StartOrder},
    name::AgentName,
    spec::ContainerSpec,
    time,
    timing::Timing,
};

/// What an open attempt needs now that its agent has not claimed, or is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Start,
    Stop,
    /// Nobody takes it (protocol rule P12).
    Revoke,
}

impl Transition<'_> {
    pub(super) fn send_orders(&mut self) {
        for position in 0..self.ledger.active.len() {
            for place in self.due_orders(position) {
                self.send_due(position, place);
            }
        }
    }

    /// The attempts that need an order now: those to which none was sent, or none for a while.
    fn due_orders(&self, run: usize) -> Vec<ReplicaPlace> {
        let (now, resend) = (self.context.now, self.context.timing.resend);
        let is_due = |sent_at: Option<Timestamp>| sent_at.is_none_or(|sent_at| time::after(sent_at, resend) <= now);
        self.ledger.active[run]
            .unacknowledged()
            .take_while(|(sent_at, _)| is_due(*sent_at))
            .map(|(_, place)| place)
            .collect()
    }

    fn send_due(&mut self, run: usize, place: ReplicaPlace) {
        let (app, now, timing) = (self.context.app, self.context.now, self.context.timing);
        let run = &mut self.ledger.active[run];
        let Some((attempt, open)) = run.open_attempt(app, place) else { return };
        let (wanted, agent) = (wanted(open, run.phase(), now, timing), open.agent.clone());
        let kind = match wanted {
            Wanted::Start => start_order(run, place).map(|start| OrderKind::Start(Box::new(start))),
            Wanted::Stop => Some(OrderKind::Stop),
            Wanted::Revoke => None,
        };
        run.change(place, |replica| {
            if let ReplicaState::Open(open) = &mut replica.state {
                open.sent_at = Some(now);
            }
        });
        self.record = self.record.max(Record::WithNext);
        match kind {
            Some(kind) => self.send(attempt, agent, kind),
            None => self.revoke(attempt, &agent, "nobody took it"),
        }
    }

    pub(super) fn send(&mut self, attempt: AttemptId, agent: AgentName, kind: OrderKind) {
        let epoch = self.context.tenure.epoch;
        self.actions.push(Action::Send(Order { schema: SCHEMA, epoch, agent, attempt, kind }));
    }
}

fn wanted(open: &OpenAttempt, phase: &Phase, now: Timestamp, timing: &Timing) -> Wanted {
    match (&open.progress, phase) {
        (Progress::Ordered { at }, _) if time::after(*at, timing.unclaimed) <= now => Wanted::Revoke,
        (_, Phase::Stopping { .. }) => Wanted::Stop,
        // One that is claimed needs nothing, and is not asked about.
        (Progress::Ordered { .. } | Progress::Claimed(_), Phase::Running) => Wanted::Start,
    }
}

fn start_order(run: &ActiveRun, place: ReplicaPlace) -> Option<StartOrder> {
    let service = run.service_spec(place.service)?;
    Some(StartOrder {
        container: with_request(service.container.clone(), &run.request),
        remove_containers: service.remove_containers,
        attempt_timeout: service.attempt_timeout,
        on_disconnect: run.spec.on_disconnect,
        replicas: run.services()[place.service as usize].replicas.len() as u32,
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

/// When [`Transition::send_orders`] has something to do for this run, unless something else happens first.
pub(super) fn overdue_at(run: &ActiveRun, timing: &Timing, now: Timestamp) -> Option<Timestamp> {
    let (sent_at, _) = run.unacknowledged().next()?;
    Some(sent_at.map_or(now, |sent_at| time::after(sent_at, timing.resend)))
}
