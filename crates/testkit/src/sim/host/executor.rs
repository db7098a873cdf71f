//! Does what an agent asks for its attempts, as production's executor does: each effect until it is answered.

use std::{sync::Arc, time::Duration};

use tickmesh_agent::{
    attempt::{self, Effect as E, Event as V, Stop, Terms},
    attempt_table::Task,
    container,
    default_limits::DefaultLimits,
    engine::{ContainerId, ContainerRequest, ContainerStatus, Error},
    labels::Tag as ContainerTag,
};
use tickmesh_core::{
    id::AttemptId,
    message::{AttemptEvent, AttemptReport, SCHEMA},
};
use tickmesh_messaging::Cas;

use super::{
    agent::{Agent, Tag},
    requests::{EngineSays, EngineTag, Op, Reply},
};
use crate::sim::{
    context::SimContext,
    faults::Fault,
    net::{Answer, Call, Kind, Record, Write},
};

/// Before something that has to be done is tried again.
const PAUSE: Duration = Duration::from_millis(500);

impl Agent {
    /// Begins an effect for an attempt.
    pub(super) fn begin(&mut self, context: &mut SimContext, Task { attempt, effect }: Task) {
        match effect {
            E::Decline { event } => self.append(context, Tag::Decline(attempt.clone()), &attempt, event, 0),
            E::Claim { nonce } => {
                let event = AttemptEvent::Claimed { nonce, machine: self.machine.clone() };
                self.append(context, Tag::Claim(attempt.clone()), &attempt, event, 0);
            }
            E::Report { claim_sequence, event } => {
                if let AttemptEvent::Returned { .. } = event {
                    context.count(Fault::AttemptReturned);
                }
                self.append(context, Tag::End(attempt.clone()), &attempt, event, claim_sequence);
            }
            E::Pull { .. } => self.work(context, attempt, Op::Pull),
            // What the pull says later is passed over.
            E::AbandonPull => _ = self.abandoned_pulls.insert(attempt),
            // What the engine says of the creation later is passed over, too.
            E::AbandonCreate => _ = self.abandoned_creates.insert(attempt),
            E::Create { claim_sequence, job } => {
                let mounts = !job.order.container.volumes.is_empty();
                if mounts && context.mishap(Fault::HostRefused) {
                    return self.work(context, attempt, Op::LookBehind);
                }
                let terms = Terms::of(&job.order);
                let tag = ContainerTag { attempt: attempt.clone(), nonce: job.nonce, claim_sequence, terms };
                let name = self.ownership.container_name(&attempt);
                let limits = DefaultLimits::default();
                let request = container::request(name, self.ownership.owner(), &tag, &job.order, limits);
                self.work(context, attempt, Op::Create(Box::new(request)));
            }
            E::Start { container } => {
                let seen = context.witness.start_asked(&attempt, self.clock.wall(context), context.server_time());
                context.judge(seen);
                self.work(context, attempt, Op::Start(container));
            }
            E::Watch { container, .. } => self.work(context, attempt, Op::Wait(container)),
            E::Time { container, limit } => self.work(context, attempt, Op::RunningFor(container, limit)),
            E::Stop { container } => self.work(context, attempt, Op::Stop(container)),
            // Output is nobody's concern here; that its container does not run any more is.
            E::Collect { container } => self.work(context, attempt, Op::Kill(container)),
            E::Remove { container } => self.work(context, attempt, Op::Remove(container)),
        }
    }

    fn work(&self, context: &mut SimContext, attempt: AttemptId, op: Op) {
        context.ask_engine(self.host, Duration::ZERO, self.address, EngineTag::Attempt(attempt), op);
    }

    fn again(&self, context: &mut SimContext, attempt: AttemptId, op: Op) {
        context.ask_engine(self.host, PAUSE, self.address, EngineTag::Attempt(attempt), op);
    }

    /// Stores a message on an attempt's subject, however long that takes.
    pub(super) fn append(
        &self,
        context: &mut SimContext,
        tag: Tag,
        attempt: &AttemptId,
        event: AttemptEvent,
        expected: u64,
    ) {
        let (agent, at) = (self.ownership.owner().agent.clone(), context.server_time());
        let report = AttemptReport { schema: SCHEMA, attempt: attempt.clone(), agent, at, event };
        let subject = context.net.result_subject(attempt, &report.agent);
        let record = Record::Report(Arc::new(report));
        context.call(self.address, tag.into(), Call::Write(Write { kind: Kind::Results, subject, record, expected }));
    }

    /// A message was answered: what the attempt is told.
    pub(super) fn appended(
        &self,
        context: &SimContext,
        tag: &Tag,
        answer: &Answer,
    ) -> Option<(AttemptId, attempt::Event)> {
        let Answer::Written(written) = answer else { return None };
        let (attempt, event) = match (tag, written) {
            (Tag::Decline(attempt), _) => (attempt, V::Declined),
            (Tag::Claim(attempt), Cas::Stored { sequence }) => {
                (attempt, V::ClaimStored { sequence: *sequence, at: self.clock.uptime(context) })
            }
            (Tag::Claim(attempt), Cas::Refused { .. }) => (attempt, V::ClaimRefused),
            (Tag::End(attempt), Cas::Stored { .. }) => (attempt, V::EndStored),
            (Tag::End(attempt), Cas::Refused { .. }) => (attempt, V::EndRefused),
            (_, _) => return None,
        };
        Some((attempt.clone(), event))
    }

    /// The engine answered something about an attempt: what the attempt is told.
    pub(super) fn worked(&mut self, context: &mut SimContext, attempt: AttemptId, says: EngineSays) -> Option<V> {
        let again = match (says.op, says.reply) {
            (Op::Pull, _) if self.abandoned_pulls.remove(&attempt) => return None,
            (Op::LookBehind | Op::Create(_) | Op::Find(_), _) if self.abandoned_creates.remove(&attempt) => {
                self.taken.remove(&attempt);
                return None;
            }
            (Op::Pull, Ok(_)) => return Some(V::ImageReady),
            (Op::Create(_), Ok(Reply::Container(view))) => return Some(V::Created { container: view.id }),
            (Op::Create(request), Err(Error::NameTaken { .. })) => {
                let name = request.name.clone();
                self.taken.insert(attempt.clone(), request);
                Op::Find(name)
            }
            (Op::Find(_), reply) => return self.found(context, attempt, reply),
            (Op::Start(_), Ok(_)) => return Some(V::Started),
            // It may still take effect, and a second start after a quick exit would run the job twice.
            (Op::Start(container), Err(Error::Unavailable { .. })) => Op::Inspect(container),
            (Op::Inspect(_), Ok(Reply::Container(view))) => return Some(looked_after(&view.status)),
            (Op::Wait(_), Ok(Reply::Exited(exit))) => return Some(V::Exited(exit)),
            (Op::Wait(container), Err(Error::Unavailable { .. })) => {
                self.again(context, attempt, Op::Wait(container));
                return Some(V::WatchInterrupted);
            }
            (Op::Start(_) | Op::Inspect(_) | Op::Wait(_), Err(Error::NotFound { .. })) => {
                return Some(V::ContainerGone);
            }
            (Op::Kill(_), Ok(_) | Err(Error::NotFound { .. })) => return Some(V::Collected),
            (Op::Remove(_), Ok(_)) => return Some(V::Removed),
            (Op::RunningFor(container, limit), Ok(Reply::RunningFor(age))) => {
                return self.aged(context, attempt, container, limit, age);
            }
            (op, Err(Error::Unavailable { .. })) => op,
            (Op::LookBehind, Err(error)) => return Some(V::NotAllowed { reason: error.to_string() }),
            (Op::Pull, Err(error)) => return Some(V::CouldNotPull { reason: error.to_string() }),
            (Op::Create(_), Err(error)) => return Some(V::CouldNotCreate { reason: error.to_string() }),
            (Op::Start(_), Err(error)) => return Some(V::CouldNotStart { reason: error.to_string() }),
            (_, _) => return None,
        };
        self.again(context, attempt, again);
        None
    }

    /// Tells when a container has run for as long as it may, unless its attempt has ended meanwhile.
    fn aged(
        &self,
        context: &mut SimContext,
        attempt: AttemptId,
        container: ContainerId,
        limit: Duration,
        age: Duration,
    ) -> Option<V> {
        self.core.attempts().started(&attempt)?;
        if age >= limit {
            return Some(V::StopWanted(Stop::TimedOut));
        }
        let (tag, op) = (EngineTag::Attempt(attempt), Op::RunningFor(container, limit));
        context.ask_engine(self.host, limit - age, self.address, tag, op);
        None
    }

    /// A name was taken: by a try of this very claim whose answer was lost, or by another one.
    fn found(&mut self, context: &mut SimContext, attempt: AttemptId, reply: Result<Reply, Error>) -> Option<V> {
        let wanted: Box<ContainerRequest> = self.taken.remove(&attempt)?;
        match reply {
            Ok(Reply::Container(view)) => {
                let own = wanted.labels.iter().all(|(key, value)| view.labels.get(key) == Some(value));
                let taken = || V::CouldNotCreate { reason: "the name is taken".to_owned() };
                Some(if own { V::Created { container: view.id } } else { taken() })
            }
            Ok(_) | Err(_) => {
                self.again(context, attempt, Op::Create(wanted));
                None
            }
        }
    }
}

fn looked_after(status: &ContainerStatus) -> V {
    match status {
        ContainerStatus::Created => V::StartUnanswered,
        ContainerStatus::Running | ContainerStatus::Exited(_) => V::Started,
        ContainerStatus::Removing => V::ContainerGone,
    }
}
