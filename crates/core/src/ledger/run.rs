//! An active run: its replicas, which of them may begin, and how it ends.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    CarryOver, Waiting, bounds,
    index::Index,
    refusal::{HostRefusal, REFUSALS_MAX},
    replica::{Claim, OpenAttempt, Replica, ReplicaState},
    service::{Phase, ReplicaPlace, ServiceRun, StopReason},
};
use crate::{
    cause::Cause,
    end_notes::EndNotes,
    id::{AttemptId, RunNumber, RunToken, RunUid},
    message::RunRequest,
    name::{AgentName, AppName, ServiceName},
    outcome::Outcome,
    spec::{RunSpec, ServiceSpec},
};

/// A run that has not ended: some attempt of it may still have a container.
///
/// Its replicas change one by one, through [`ActiveRun::change`], which keeps what is known of all of them together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredRun")]
pub struct ActiveRun {
    pub number: RunNumber,
    /// Its random identity.
    pub uid: RunUid,
    /// Why it exists.
    pub cause: Cause,
    /// Its instant, if a schedule asked for it.
    pub scheduled_at: Option<Timestamp>,
    /// When it began.
    pub started_at: Timestamp,
    /// What a person asked to be different.
    #[serde(skip_serializing_if = "RunRequest::is_empty")]
    pub request: RunRequest,
    /// The spec it began with, and keeps.
    pub spec: Arc<RunSpec>,
    /// Every message about this run up to this sequence of the results stream is folded in.
    pub results_through: u64,
    /// New attempts get numbers above this one. Attempts up to here may have existed in a history
    /// that was lost with stored data, and their subjects may hold messages.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) attempts_used: u32,
    /// Agents that have refused a service of it, at most [`REFUSALS_MAX`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refusals: Vec<HostRefusal>,
    /// When a person first asked for the end of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_asked_at: Option<Timestamp>,
    phase: Phase,
    services: Vec<ServiceRun>,
    #[serde(skip)]
    index: Index,
}

/// A run as it is stored.
#[derive(Deserialize)]
struct StoredRun {
    #[serde(deserialize_with = "bounds::number")]
    number: RunNumber,
    uid: RunUid,
    cause: Cause,
    scheduled_at: Option<Timestamp>,
    started_at: Timestamp,
    #[serde(default)]
    request: RunRequest,
    spec: Arc<RunSpec>,
    #[serde(deserialize_with = "bounds::number")]
    results_through: u64,
    #[serde(default, deserialize_with = "bounds::attempts_used")]
    attempts_used: u32,
    #[serde(default)]
    refusals: Vec<HostRefusal>,
    #[serde(default)]
    end_asked_at: Option<Timestamp>,
    phase: Phase,
    services: Vec<ServiceRun>,
}

/// Highest attempt number that a message can make a run skip. A replica that is refused every two
/// seconds gets there in three weeks, and no message can use the numbers up.
const ATTEMPTS_BELIEVED_MAX: u32 = 1_000_000;

/// A service as those see it that wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ServiceState {
    /// It may yet succeed.
    Open,
    /// Every replica has succeeded.
    Succeeded,
    /// A replica has ended otherwise.
    Unsuccessful,
}

/// What a run begins with.
#[derive(Debug)]
pub struct NewRun {
    pub number: RunNumber,
    /// Its random identity.
    pub uid: RunUid,
    /// What asked for it.
    pub waiting: Waiting,
    /// When it begins.
    pub started_at: Timestamp,
    /// What it consists of.
    pub spec: Arc<RunSpec>,
    /// No message about it can be at or below this sequence.
    pub results_through: u64,
}

impl From<StoredRun> for ActiveRun {
    fn from(stored: StoredRun) -> Self {
        let StoredRun { number, uid, cause, scheduled_at, started_at, request, spec, results_through, .. } = stored;
        let StoredRun { attempts_used, mut refusals, end_asked_at, phase, services, .. } = stored;
        refusals.truncate(REFUSALS_MAX);
        let index = Index::default();
        Self {
            number,
            uid,
            cause,
            scheduled_at,
            started_at,
            request,
            spec,
            results_through,
            attempts_used,
            refusals,
            end_asked_at,
            phase,
            services,
            index,
        }
        .indexed()
    }
}

impl ActiveRun {
    /// A run that begins: its replicas are due, but for those that had succeeded before.
    pub fn begin(new: NewRun) -> Self {
        let NewRun { number, uid, waiting, started_at, spec, results_through } = new;
        let Waiting { cause, scheduled_at, enqueued_at: _, request, carried } = waiting;
        let service = |service| new_service(service, &carried, started_at);
        let services = spec.services.iter().map(service).collect();
        Self {
            number,
            uid,
            cause,
            scheduled_at,
            started_at,
            request,
            spec,
            results_through,
            attempts_used: 0,
            refusals: Vec::new(),
            end_asked_at: None,
            phase: Phase::Running,
            services,
            index: Index::default(),
        }
        .indexed()
    }

    fn indexed(mut self) -> Self {
        self.index = Index::of_services(&self.spec, &self.services);
        for (place, replica) in places(&self.services) {
            self.index.insert(place, replica, &self.phase);
        }
        for service in 0..self.services.len() as u32 {
            if self.service_state(service) == ServiceState::Succeeded {
                self.open_gates(service);
            }
        }
        self
    }

    /// The run's token.
    pub fn token(&self) -> RunToken {
        RunToken::new(self.number, self.uid)
    }

    /// Whether it goes on.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// When a person first asked for the end of the run, as far as this ledger knows.
    pub fn end_asked_at(&self) -> Option<Timestamp> {
        self.end_asked_at
    }

    /// Notes that a person asks for the end of the run. Returns whether nobody had before.
    pub(crate) fn ask_to_end(&mut self, now: Timestamp) -> bool {
        let is_first = self.end_asked_at.is_none();
        self.end_asked_at.get_or_insert(now);
        is_first
    }

    /// Attempts of a replica after its first one. After a loss, only those since are known.
    pub fn retries_of(&self, replica: &Replica) -> u32 {
        let skipped = if replica.last_attempt > self.attempts_used { self.attempts_used } else { 0 };
        (replica.last_attempt - skipped).saturating_sub(1)
    }

    /// Number of the next attempt of a replica: above everything that its subjects may hold.
    pub(crate) fn next_attempt(&self, place: ReplicaPlace) -> u32 {
        self.replica(place).last_attempt.max(self.attempts_used) + 1
    }

    /// Notes that somebody has used this attempt number, though this ledger did not give it out: the
    /// ledger is older than the message. A number beyond [`ATTEMPTS_BELIEVED_MAX`] is not believed.
    pub(crate) fn note_attempt(&mut self, place: ReplicaPlace, attempt: u32) {
        if attempt > self.replica(place).last_attempt && attempt <= ATTEMPTS_BELIEVED_MAX {
            self.attempts_used = self.attempts_used.max(attempt);
        }
    }

    /// Notes that an agent refuses a service. Returns whether the run can remember it: if not, its replicas could be sent there
    /// again and again.
    pub(crate) fn note_refusal(&mut self, service: u32, agent: &AgentName) -> bool {
        let is_known = self.refused_by(service).any(|refuser| refuser == agent);
        if !is_known && self.refusals.len() < REFUSALS_MAX {
            self.refusals.push(HostRefusal { service, agent: agent.clone() });
            return true;
        }
        is_known
    }

    /// Services that an agent has refused.
    pub(crate) fn refused_services(&self) -> BTreeSet<u32> {
        let services = self.services.len();
        self.refusals.iter().map(|refusal| refusal.service).filter(|service| (*service as usize) < services).collect()
    }

    /// Agents that have refused a service.
    pub fn refused_by(&self, service: u32) -> impl Iterator<Item = &AgentName> {
        self.refusals.iter().filter(move |refusal| refusal.service == service).map(|refusal| &refusal.agent)
    }

    /// Its services, in the order of the spec.
    pub fn services(&self) -> &[ServiceRun] {
        &self.services
    }

    /// Every replica, with its service and index.
    pub fn replicas(&self) -> impl Iterator<Item = (&ServiceName, u32, &Replica)> {
        self.services
            .iter()
            .flat_map(|service| (0..).zip(&service.replicas).map(|(index, replica)| (&service.name, index, replica)))
    }

    /// One replica.
    pub fn replica(&self, place: ReplicaPlace) -> &Replica {
        &self.services[place.service as usize].replicas[place.replica as usize]
    }

    /// Where a replica is, if the run has it.
    pub fn place_of(&self, service: &ServiceName, replica: u32) -> Option<ReplicaPlace> {
        let position = self.index.position(service)?;
        let exists = (replica as usize) < self.services[position as usize].replicas.len();
        exists.then_some(ReplicaPlace { service: position, replica })
    }

    /// What a service is.
    pub fn service_spec(&self, service: u32) -> Option<&ServiceSpec> {
        self.spec.services.get(self.position_in_spec(service)?)
    }

    /// Where the spec has it.
    pub(crate) fn position_in_spec(&self, service: u32) -> Option<usize> {
        // The run has its services in the order of its spec, but what is read from a store may be damaged.
        let (name, services) = (&self.services[service as usize].name, &self.spec.services);
        let is_there = services.get(service as usize).is_some_and(|spec| spec.name == *name);
        if is_there { Some(service as usize) } else { services.iter().position(|spec| spec.name == *name) }
    }

    /// The agent that a replica of a global service belongs to.
    pub fn pinned_agent(&self, place: ReplicaPlace) -> Option<&AgentName> {
        self.services[place.service as usize].agents.as_ref()?.get(place.replica as usize)
    }

    /// Where its replicas are.
    pub(super) fn places(&self) -> impl Iterator<Item = ReplicaPlace> {
        places(&self.services).map(|(place, _)| place)
    }

    /// Every attempt that may have a container, by id.
    pub fn open_attempts<'a>(&'a self, app: &'a AppName) -> impl Iterator<Item = (AttemptId, &'a OpenAttempt)> {
        places(&self.services).filter_map(|(place, _)| self.open_attempt(app, place))
    }

    /// The open attempts of one agent.
    pub fn open_attempts_on<'a>(
        &'a self,
        app: &'a AppName,
        agent: &AgentName,
    ) -> impl Iterator<Item = (AttemptId, &'a OpenAttempt)> {
        self.index.open_on(agent).filter_map(|place| self.open_attempt(app, place))
    }

    /// Every attempt whose agent has something to answer still: with when the last order for it was sent, longest ago first.
    pub fn unacknowledged(&self) -> impl Iterator<Item = (Option<Timestamp>, ReplicaPlace)> {
        self.index.unacknowledged()
    }

    /// The open attempt of a replica, if it has one.
    pub fn open_attempt(&self, app: &AppName, place: ReplicaPlace) -> Option<(AttemptId, &OpenAttempt)> {
        let replica = self.replica(place);
        match &replica.state {
            ReplicaState::Open(open) => {
                let service = &self.services[place.service as usize].name;
                Some((self.attempt_id(app, service, place.replica, replica.last_attempt), open))
            }
            ReplicaState::Pending { .. } | ReplicaState::Ended { .. } => None,
        }
    }

    /// Whether this attempt is open.
    pub fn is_open(&self, attempt: &AttemptId) -> bool {
        let replica = self.place_of(&attempt.service, attempt.replica).map(|place| self.replica(place));
        let open = replica.filter(|replica| matches!(replica.state, ReplicaState::Open(_)));
        attempt.uid == self.uid && open.is_some_and(|replica| replica.last_attempt == attempt.attempt)
    }

    /// The id of an attempt of this run.
    pub fn attempt_id(&self, app: &AppName, service: &ServiceName, replica: u32, attempt: u32) -> AttemptId {
        AttemptId { app: app.clone(), run: self.number, uid: self.uid, service: service.clone(), replica, attempt }
    }

    /// The agents that attempts are bound to, with the service of each attempt.
    pub fn bound_agents(&self) -> impl Iterator<Item = (&ServiceName, &AgentName)> {
        self.replicas().filter_map(|(service, _, replica)| match &replica.state {
            ReplicaState::Open(open) => Some((service, &open.agent)),
            ReplicaState::Pending { .. } | ReplicaState::Ended { .. } => None,
        })
    }

    /// How many attempts are open on each agent.
    pub fn open_by_agent(&self) -> impl Iterator<Item = (&AgentName, usize)> {
        self.index.open_by_agent()
    }

    /// The claims of attempts that have not ended.
    pub fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.replicas().filter_map(|(_, _, replica)| match &replica.state {
            ReplicaState::Open(open) => open.claim(),
            ReplicaState::Pending { .. } | ReplicaState::Ended { .. } => None,
        })
    }

    /// Whether every replica has ended, and so every attempt.
    pub fn has_ended(&self) -> bool {
        self.index.unended() == 0 && self.unresolved().next().is_none()
    }

    /// Services that may begin and have replicas that want an agent, and since when the first of them does.
    pub fn pending_services(&self) -> impl Iterator<Item = (u32, Timestamp)> {
        self.index.pending_services()
    }

    /// Replicas of a service that want an agent, the longest waiting first.
    pub fn pending(&self, service: u32) -> impl Iterator<Item = (Timestamp, ReplicaPlace)> {
        self.index.pending(service)
    }

    /// The first moment after `now` from which a replica wants an agent.
    pub fn next_pending_after(&self, now: Timestamp) -> Option<Timestamp> {
        self.index.next_pending_after(now)
    }

    /// Since when the longest waiting replica of a global service has waited for its agent.
    pub fn pinned_since(&self) -> Option<Timestamp> {
        self.pinned_services().map(|(_, since)| since).min()
    }

    /// The first moment after this one since which a pinned replica has waited.
    pub fn pinned_after(&self, moment: Timestamp) -> Option<Timestamp> {
        self.pinned_services().filter_map(|(service, _)| self.index.next_pending_of(service, moment)).min()
    }

    /// Global services of which a replica waits for its agent, and since when the first of them does.
    pub fn pinned_services(&self) -> impl Iterator<Item = (u32, Timestamp)> {
        self.pending_services().filter(|(service, _)| self.services[*service as usize].agents.is_some())
    }

    /// Global services that no agent has matched so far.
    pub fn unresolved(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.services).filter(|(_, service)| service.replicas.is_empty()).map(|(position, _)| position)
    }

    /// Reasons among the replicas that are longer than short.
    pub(super) fn long_reasons(&self) -> usize {
        self.index.long_reasons()
    }

    /// The services that have to succeed before this one may begin, and have not.
    pub fn awaited_services(&self, service: u32) -> impl Iterator<Item = &ServiceName> {
        let depends = self.service_spec(service).map(|spec| spec.depends.as_slice()).unwrap_or_default();
        let has_succeeded = |name: &ServiceName| {
            self.index.position(name).is_none_or(|position| self.service_state(position) == ServiceState::Succeeded)
        };
        depends.iter().filter(move |name| !has_succeeded(name))
    }

    /// Changes one replica. A service of which all have succeeded lets those begin that wait for it; one of which the first
    /// did not succeed lets them be skipped.
    pub fn change<T>(&mut self, place: ReplicaPlace, change: impl FnOnce(&mut Replica) -> T) -> T {
        let ReplicaPlace { service, replica } = place;
        let before = self.service_state(service);
        let it = &mut self.services[service as usize].replicas[replica as usize];
        self.index.remove(place, it);
        let changed = change(it);
        self.index.insert(place, it, &self.phase);
        self.after_change(service, before);
        changed
    }

    /// Gives a global service its replicas: one on each of these agents.
    pub fn resolve(&mut self, service: u32, agents: Vec<AgentName>, now: Timestamp) {
        let replicas = agents.iter().map(|_| pending(now)).collect();
        self.put_replicas(service, agents, replicas);
    }

    /// Ends a global service that no agent ever matched, as one replica.
    pub fn give_up(&mut self, service: u32, outcome: Outcome) {
        let ended = Replica { state: ReplicaState::Ended { outcome, agent: None }, ..pending(self.started_at) };
        self.put_replicas(service, Vec::new(), vec![ended]);
    }

    /// Lets the run end: nothing new of it is started, and its open attempts are told at once.
    pub fn stop(&mut self, reason: StopReason) {
        let outcome = reason.outcome();
        self.phase = Phase::Stopping { reason };
        let all: Vec<ReplicaPlace> = places(&self.services).map(|(place, _)| place).collect();
        for place in all {
            self.change(place, |replica| match &mut replica.state {
                ReplicaState::Pending { .. } => {
                    replica.state = ReplicaState::Ended { outcome: outcome.clone(), agent: None };
                }
                ReplicaState::Open(open) => open.sent_at = None,
                ReplicaState::Ended { .. } => {}
            });
        }
        let unresolved: Vec<u32> = self.unresolved().collect();
        for service in unresolved {
            self.give_up(service, outcome.clone());
        }
    }

    fn put_replicas(&mut self, service: u32, agents: Vec<AgentName>, replicas: Vec<Replica>) {
        let before = self.service_state(service);
        let run = &mut self.services[service as usize];
        (run.agents, run.replicas) = (Some(agents), replicas);
        for (index, replica) in (0..).zip(&run.replicas) {
            self.index.insert(ReplicaPlace { service, replica: index }, replica, &self.phase);
        }
        self.after_change(service, before);
    }

    fn after_change(&mut self, service: u32, before: ServiceState) {
        match (before, self.service_state(service), &self.phase) {
            (ServiceState::Open, ServiceState::Unsuccessful, Phase::Running) => self.skip_dependents(service),
            (ServiceState::Open, ServiceState::Succeeded, _) => self.open_gates(service),
            // In a run that is being stopped everything that was not tried has the same end.
            (ServiceState::Open, ServiceState::Unsuccessful, Phase::Stopping { .. })
            | (ServiceState::Open, ServiceState::Open, _)
            | (ServiceState::Succeeded | ServiceState::Unsuccessful, _, _) => {}
        }
    }

    fn service_state(&self, service: u32) -> ServiceState {
        let replicas = self.services[service as usize].replicas.len();
        if self.index.unsuccessful(service) > 0 {
            ServiceState::Unsuccessful
        } else if replicas > 0 && self.index.succeeded(service) as usize == replicas {
            ServiceState::Succeeded
        } else {
            ServiceState::Open
        }
    }

    fn open_gates(&mut self, service: u32) {
        for dependent in self.index.meet_dependents(service) {
            for (index, replica) in (0..).zip(&self.services[dependent as usize].replicas) {
                if matches!(replica.state, ReplicaState::Pending { .. }) {
                    let place = ReplicaPlace { service: dependent, replica: index };
                    self.index.remove(place, replica);
                    self.index.insert(place, replica, &self.phase);
                }
            }
        }
    }

    /// What waits for a service that did not succeed is not tried, and neither is what waits for that.
    fn skip_dependents(&mut self, service: u32) {
        let dependency = self.services[service as usize].name.clone();
        for dependent in self.index.dependents(service) {
            let outcome = Outcome::Skipped { dependency: dependency.clone() };
            if self.services[dependent as usize].replicas.is_empty() {
                self.give_up(dependent, outcome);
                continue;
            }
            for replica in 0..self.services[dependent as usize].replicas.len() as u32 {
                self.change(ReplicaPlace { service: dependent, replica }, |replica| {
                    if matches!(replica.state, ReplicaState::Pending { .. }) {
                        replica.state = ReplicaState::Ended { outcome: outcome.clone(), agent: None };
                    }
                });
            }
        }
    }
}

fn places(services: &[ServiceRun]) -> impl Iterator<Item = (ReplicaPlace, &Replica)> {
    (0..).zip(services).flat_map(|(service, run)| {
        (0..).zip(&run.replicas).map(move |(index, replica)| (ReplicaPlace { service, replica: index }, replica))
    })
}

fn new_service(service: &ServiceSpec, carried: &CarryOver, now: Timestamp) -> ServiceRun {
    let agents = if service.global { carried.agents(&service.name).map(<[AgentName]>::to_vec) } else { None };
    let count = match (&agents, service.global) {
        (Some(agents), _) => agents.len() as u32,
        (None, true) => 0,
        (None, false) => service.scale,
    };
    let replica = |index| match carried.has_succeeded(&service.name, index) {
        true => Replica { state: ReplicaState::Ended { outcome: Outcome::Succeeded, agent: None }, ..pending(now) },
        false => pending(now),
    };
    ServiceRun { name: service.name.clone(), agents, replicas: (0..count).map(replica).collect() }
}

fn pending(now: Timestamp) -> Replica {
    let state = ReplicaState::Pending { not_before: now, avoid: None };
    Replica { last_attempt: 0, failures: 0, losses: 0, notes: EndNotes::default(), state }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
