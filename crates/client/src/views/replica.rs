//! One replica of a run.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use tickmesh_core::{
    end_notes::EndNotes,
    fleet::Fleet,
    history::ReplicaSummary,
    id::AttemptId,
    ledger::{ActiveRun, OpenAttempt, Phase, Replica, ReplicaPlace, ReplicaState},
    message::{AgentRecord, AttemptReport, Awaited, PullProgress},
    name::{AppName, ServiceName},
    outcome::{Outcome, exit_words},
    placement::Placement,
    quantity::bytes,
};
use tickmesh_messaging::Entry;

use super::{
    Tone,
    attempt::{AttemptView, End, end},
    tone,
};
use crate::when;

/// One replica of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplicaView {
    /// Its service.
    pub service: String,
    /// Its index, from 0.
    pub replica: u32,
    /// Number of its last attempt; 0: none was ordered.
    pub attempt: u32,
    /// Where that attempt is or was.
    pub agent: Option<String>,
    /// What it is doing.
    pub state: Doing,
    /// How it ended, or how its last attempt did.
    pub outcome: Option<&'static str>,
    /// Why it waits, or what is to be said about its end.
    pub reason: Option<String>,
    /// What the engine said of its end, as far as the outcome does not.
    #[serde(skip_serializing_if = "EndNotes::is_empty")]
    pub notes: EndNotes,
    /// What is on record about its attempts, where somebody should look at them: it was tried more than once, or did not succeed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptView>,
}

/// What a replica is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// It wants an agent.
    Pending,
    /// An agent was told to run it.
    Ordered,
    /// An agent made it its own, and waits for its image.
    Pulling,
    /// An agent has its image, and starts others first.
    Queued,
    /// An agent made it its own; a container runs, or soon will.
    Running,
    /// Its attempt ended; the leader has not taken it in yet.
    Reported,
    /// It ended.
    Ended,
}

impl Doing {
    /// In one word.
    pub fn label(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ordered => "ordered",
            Self::Pulling => "pulling",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Reported => "reported",
            Self::Ended => "ended",
        }
    }
}

/// The replicas of an active run. `reports` are newer than the ledger: a claim is no reason to write one.
pub fn of_active(run: &ActiveRun, reports: &[AttemptReport]) -> Vec<ReplicaView> {
    let views = run.replicas().map(|(service, index, replica)| match &replica.state {
        ReplicaState::Pending { .. } => {
            view(service, index, replica.last_attempt).doing(Doing::Pending, pending_reason(run, replica))
        }
        ReplicaState::Open(open) => open_view(view(service, index, replica.last_attempt), open, reports),
        ReplicaState::Ended { outcome, agent } => {
            let agent = agent.as_ref().map(ToString::to_string);
            ReplicaView { agent, ..view(service, index, replica.last_attempt) }.ended(outcome, replica.notes)
        }
    });
    views.collect()
}

/// Says why replicas are pending, as far as one look at the fleet can tell.
pub fn explain_pending(views: &mut [ReplicaView], run: &ActiveRun, fleet: &Fleet, now: Timestamp) {
    for (view, (service, index, replica)) in views.iter_mut().zip(run.replicas()) {
        let ReplicaState::Pending { not_before, .. } = &replica.state else { continue };
        let Some(place) = run.place_of(service, index) else { continue };
        let pause = || (*not_before > now).then(|| format!("next attempt {}", when::relative(*not_before, now)));
        let awaited = awaited(run, place.service).or_else(pause).or_else(|| no_fit(fleet, run, place));
        let reasons = [view.reason.take(), awaited];
        let reasons: Vec<String> = reasons.into_iter().flatten().collect();
        view.reason = (!reasons.is_empty()).then(|| reasons.join("; "));
    }
}

/// Says what replicas wait for that an agent has and does not run yet, as the agents' last heartbeats tell.
pub fn explain_preparing(views: &mut [ReplicaView], app: &AppName, run: &ActiveRun, agents: &[Entry<AgentRecord>]) {
    let preparing = agents.iter().flat_map(|agent| &agent.value.preparing);
    let awaited: BTreeMap<&AttemptId, Awaited> = preparing.map(|it| (&it.attempt, it.awaited)).collect();
    for (view, (service, index, replica)) in views.iter_mut().zip(run.replicas()) {
        let attempt = run.attempt_id(app, service, index, replica.last_attempt);
        let Some(awaited) = awaited.get(&attempt).filter(|_| view.state == Doing::Running) else { continue };
        let image = run.spec.service(service).map(|service| service.container.image.as_str()).unwrap_or_default();
        (view.state, view.reason) = match awaited {
            Awaited::Pulling(progress) => (Doing::Pulling, Some(pulling(image, *progress))),
            Awaited::Queued => (Doing::Queued, None),
        };
    }
}

fn pulling(image: &str, PullProgress { done_bytes, total_bytes }: PullProgress) -> String {
    // Until the engine has told the size of a layer.
    if total_bytes == 0 {
        return format!("image {image}");
    }
    format!("image {image}: {} of {}", bytes(done_bytes), bytes(total_bytes))
}

/// Global services that have no replicas, since no agent has matched so far; and why none does.
pub fn unmatched(run: &ActiveRun, fleet: &Fleet) -> Vec<String> {
    let unmatched = run.unresolved().filter_map(|service| {
        let spec = run.service_spec(service)?;
        let why = Placement::new(fleet).explain_unmatched(&spec.constraints)?;
        Some(format!("service {} has no replicas yet: {why}", spec.name))
    });
    unmatched.collect()
}

/// Why a run gets no further: nothing of it is with an agent, and none that is there takes what is next. `None`: it does, or it
/// waits for something else.
pub fn waits_for_agent(run: &ActiveRun, fleet: &Fleet, now: Timestamp) -> Option<String> {
    let mut reason = None;
    for (service, index, replica) in run.replicas() {
        match &replica.state {
            ReplicaState::Open(_) => return None,
            ReplicaState::Pending { not_before, .. } if *not_before <= now => {
                let place = run.place_of(service, index)?;
                if awaited(run, place.service).is_none() {
                    // One that fits is about to be placed.
                    let obstacle = no_fit(fleet, run, place)?;
                    reason = reason.or(Some(obstacle));
                }
            }
            ReplicaState::Pending { .. } | ReplicaState::Ended { .. } => {}
        }
    }
    reason.or_else(|| unmatched(run, fleet).into_iter().next())
}

fn awaited(run: &ActiveRun, service: u32) -> Option<String> {
    let awaited: Vec<&str> = run.awaited_services(service).map(ServiceName::as_str).collect();
    match awaited.as_slice() {
        [] => None,
        [one] => Some(format!("waits for service {one}")),
        several => Some(format!("waits for services {}", several.join(", "))),
    }
}

fn no_fit(fleet: &Fleet, run: &ActiveRun, place: ReplicaPlace) -> Option<String> {
    let placement = Placement::new(fleet);
    let wanted = placement.wanted_in(run, place.service, run.service_spec(place.service)?);
    match run.pinned_agent(place) {
        Some(agent) => placement.explain_on(agent, wanted.load).map(|why| why.to_string()),
        None => placement.explain(wanted).map(|why| why.to_string()),
    }
}

/// A replica of a finished run.
pub fn of_summary(summary: &ReplicaSummary) -> ReplicaView {
    let agent = summary.agent.as_ref().map(ToString::to_string);
    ReplicaView { agent, ..view(&summary.service, summary.replica, summary.attempts) }
        .ended(&summary.outcome, summary.notes)
}

impl ReplicaView {
    /// `service/index`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.service, self.replica)
    }

    /// What it is doing, or how it ended.
    pub fn state_text(&self) -> &'static str {
        let is_over = matches!(self.state, Doing::Ended | Doing::Reported);
        self.outcome.filter(|_| is_over).unwrap_or(self.state.label())
    }

    /// How to take that.
    pub fn tone(&self) -> Tone {
        self.outcome.map_or(Tone::Busy, tone::outcome_tone)
    }

    /// Whether somebody should look at its attempts: more than one was needed, or none succeeded.
    pub fn is_troubled(&self) -> bool {
        let ended_badly = matches!(self.tone(), Tone::Bad | Tone::Unsure) && self.attempt > 0;
        ended_badly || self.attempt > 1
    }

    /// Says whether somebody cancelled it after an attempt was ordered: that may have taken its
    /// whole grace.
    pub fn was_cancelled(&self) -> bool {
        self.outcome == Some(Outcome::Cancelled.label()) && self.attempt > 0
    }

    fn doing(self, state: Doing, reason: Option<String>) -> Self {
        Self { state, reason, ..self }
    }

    fn ended(self, outcome: &Outcome, notes: EndNotes) -> Self {
        let reason = detail_with(outcome, notes);
        Self { state: Doing::Ended, outcome: Some(outcome.label()), reason, notes, ..self }
    }
}

/// What is to be said about an end besides its outcome's label.
pub(super) fn detail_with(outcome: &Outcome, notes: EndNotes) -> Option<String> {
    let texts: Vec<String> =
        detail(outcome).into_iter().chain((!notes.is_empty()).then(|| notes.to_string())).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// What the engine said of the ends of replicas: of the first in full, and of how many others.
pub(super) fn notes_of_all(replicas: &[ReplicaSummary]) -> Option<String> {
    let mut noted = replicas.iter().filter(|replica| !replica.notes.is_empty());
    let ReplicaSummary { service, replica, notes, .. } = noted.next()?;
    Some(match noted.count() {
        0 => format!("{service}/{replica}: {notes}"),
        others => format!("{service}/{replica}: {notes}; notes on {others} more"),
    })
}

/// What is to be said about an outcome besides its label.
pub fn detail(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Failed { exit_code, out_of_memory } => Some(exit_words(*exit_code, *out_of_memory)),
        Outcome::Lost { reason } => Some(reason.to_string()),
        Outcome::CouldNotStart { reason } => Some(reason.clone()),
        Outcome::Skipped { dependency } => Some(format!("service {dependency} did not succeed")),
        Outcome::Succeeded | Outcome::TimedOut | Outcome::Cancelled => None,
    }
}

fn view(service: &ServiceName, replica: u32, attempt: u32) -> ReplicaView {
    ReplicaView {
        service: service.to_string(),
        replica,
        attempt,
        agent: None,
        state: Doing::Pending,
        outcome: None,
        reason: None,
        notes: EndNotes::default(),
        attempts: Vec::new(),
    }
}

fn pending_reason(run: &ActiveRun, replica: &Replica) -> Option<String> {
    if *run.phase() != Phase::Running {
        return Some("the run is being stopped".to_owned());
    }
    match (replica.failures, replica.losses) {
        (0, 0) => None,
        (failures, 0) => Some(format!("retry after {failures} failed")),
        (failures, losses) => Some(format!("retry after {failures} failed, {losses} lost")),
    }
}

fn open_view(base: ReplicaView, open: &OpenAttempt, reports: &[AttemptReport]) -> ReplicaView {
    let base = ReplicaView { agent: Some(open.agent.to_string()), ..base };
    let is_mine = |report: &&AttemptReport| {
        let id = &report.attempt;
        id.service.as_str() == base.service && id.replica == base.replica && id.attempt == base.attempt
    };
    let Some(last) = reports.iter().rfind(is_mine) else {
        let state = if open.claim().is_some() { Doing::Running } else { Doing::Ordered };
        return base.doing(state, None);
    };
    match end(&last.event) {
        None => base.doing(Doing::Running, None),
        Some(End::Outcome(outcome)) => {
            let notes = outcome.notes_beside(last.event.notes());
            base.reported(&outcome, notes)
        }
        Some(end @ (End::Revoked { .. } | End::Returned { .. })) => base.doing(Doing::Reported, Some(end.text())),
    }
}

impl ReplicaView {
    fn reported(self, outcome: &Outcome, notes: EndNotes) -> Self {
        Self { state: Doing::Reported, ..self.ended(outcome, notes) }
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_core::{
        fleet::{AgentView, Readiness},
        id::Nonce,
        ledger::{Cause, Progress},
        message::{AttemptEvent, Capacity, MachineId, Preparation},
        name::AgentName,
    };

    use tickmesh_testkit::records as fixture;

    use super::*;

    fn open() -> ReplicaState {
        ReplicaState::Open(OpenAttempt {
            agent: fixture::agent(),
            progress: Progress::Ordered { at: fixture::now() },
            sent_at: None,
        })
    }

    #[track_caller]
    fn check_open(reports: Vec<AttemptEvent>, state: Doing, text: &str) {
        let run = fixture::active(1, Cause::Schedule, vec![fixture::pending(), open()]);
        let reports: Vec<_> = reports.into_iter().map(|event| fixture::report(1, event)).collect();
        let view = &of_active(&run, &reports)[1];
        assert_eq!((view.state, view.state_text()), (state, text));
        assert_eq!(view.agent.as_deref(), Some("host-1"));
    }

    #[test]
    fn what_the_ledger_does_not_know_yet_is_read_from_the_results() {
        let claimed =
            || AttemptEvent::Claimed { nonce: Nonce::from_random([3; 16]), machine: MachineId("machine".to_owned()) };
        let exited = |exit_code| AttemptEvent::Exited {
            exit_code,
            oom_killed: false,
            unhealthy: false,
            started_at: None,
            finished_at: None,
        };
        check_open(vec![], Doing::Ordered, "ordered");
        check_open(vec![claimed()], Doing::Running, "running");
        check_open(vec![claimed(), exited(0)], Doing::Reported, "succeeded");
        check_open(vec![claimed(), exited(2)], Doing::Reported, "failed");
    }

    #[track_caller]
    fn check_pending(slots: Option<u32>, failures: u32, reason: Option<&str>) {
        let mut run = fixture::active(1, Cause::Schedule, vec![fixture::pending()]);
        run.change(ReplicaPlace { service: 0, replica: 0 }, |replica| replica.failures = failures);
        let mut fleet = Fleet::default();
        if let Some(slots) = slots {
            let capacity = Capacity { slots, cpu_millis: 1000, memory_bytes: 1 << 30, gpus: None };
            let view = AgentView { readiness: Readiness::Ready, capacity, traits: Default::default() };
            fleet.see(&fixture::agent(), Some(view));
        }
        let mut views = of_active(&run, &[]);
        explain_pending(&mut views, &run, &fleet, fixture::now());
        assert_eq!(views[0].reason.as_deref(), reason);
    }

    #[test]
    fn a_pending_replica_says_why() {
        check_pending(None, 0, Some("no agent is known"));
        check_pending(Some(0), 0, Some("0 of 1 agents fit: 1 without a free slot"));
        check_pending(Some(0), 2, Some("retry after 2 failed; 0 of 1 agents fit: 1 without a free slot"));
        check_pending(Some(1), 0, None);
    }

    fn fleet_of(slots: u32) -> Fleet {
        let capacity = Capacity { slots, cpu_millis: 1000, memory_bytes: 1 << 30, gpus: None };
        let mut fleet = Fleet::default();
        let view = AgentView { readiness: Readiness::Ready, capacity, traits: Default::default() };
        fleet.see(&fixture::agent(), Some(view));
        fleet
    }

    #[test]
    fn a_run_waits_for_an_agent_once_none_of_it_is_with_one() {
        let waits = |states, slots| {
            waits_for_agent(&fixture::active(1, Cause::Schedule, states), &fleet_of(slots), fixture::now())
        };
        let full = Some("0 of 1 agents fit: 1 without a free slot".to_owned());
        assert_eq!(waits(vec![fixture::pending()], 0), full);
        assert_eq!(waits(vec![fixture::pending()], 1), None, "it is about to be placed");
        assert_eq!(waits(vec![fixture::pending(), fixture::pending()], 1), None, "one of them is");
        assert_eq!(waits(vec![fixture::pending(), open()], 0), None, "something of it runs");
        let not_before = fixture::now() + jiff::SignedDuration::from_secs(4);
        assert_eq!(waits(vec![ReplicaState::Pending { not_before, avoid: None }], 0), None, "it pauses");
    }

    /// Two services of these settings: their pending replicas say this.
    #[track_caller]
    fn check_services(settings: [&str; 2], agents: &[(&str, Readiness)], expect: &[&str], unresolved: &[&str]) {
        let [first, second] = settings;
        let text = format!(
            "labels: {{tickmesh.project_type: batch}}\nservices:\n  s1: {{image: busybox, {first}}}\n  s2: {{image: busybox, {second}}}\n"
        );
        let mut run = fixture::active_of(&text);
        let mut fleet = Fleet::default();
        for (name, readiness) in agents {
            let capacity = Capacity { slots: 1, cpu_millis: 1000, memory_bytes: 1 << 30, gpus: None };
            let view = AgentView { readiness: *readiness, capacity, traits: Default::default() };
            fleet.see(&AgentName::new(*name).unwrap(), Some(view));
        }
        for service in run.unresolved().collect::<Vec<_>>() {
            let matching = Placement::new(&fleet).matching(&run.service_spec(service).unwrap().constraints);
            if !matching.is_empty() {
                run.resolve(service, matching, fixture::now());
            }
        }
        // What matched when the run began need not be there any more.
        for (name, view) in fleet.agents().clone() {
            fleet.see(&name, Some(AgentView { readiness: Readiness::Draining, ..view }));
        }
        let mut views = of_active(&run, &[]);
        explain_pending(&mut views, &run, &fleet, fixture::now());
        let reasons: Vec<_> = views.iter().map(|view| view.reason.as_deref().unwrap_or_default()).collect();
        assert_eq!((reasons.as_slice(), unmatched(&run, &fleet).as_slice()), (expect, &owned(unresolved)[..]));
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_replica_that_waits_for_a_service_or_for_its_own_agent_names_it() {
        let ready = [("h1", Readiness::Ready), ("h2", Readiness::Ready)];
        let nowhere = "0 of 2 agents fit: 2 draining";
        check_services(["", "depends_on: [s1]"], &ready, &[nowhere, "waits for service s1"], &[]);
        let on_each = ["its agent h1 is draining", "its agent h2 is draining"];
        check_services(["", "deploy: {mode: global}"], &ready, &[nowhere, on_each[0], on_each[1]], &[]);
    }

    #[test]
    fn a_global_service_without_an_agent_says_so() {
        let global = "deploy: {mode: global, placement: {constraints: [node.labels.disk == ssd]}}";
        let draining = [("h1", Readiness::Draining)];
        let expect = ["service s2 has no replicas yet: 0 of 1 agents fit: 1 draining"];
        check_services(["", global], &draining, &["0 of 1 agents fit: 1 draining"], &expect);
        check_services(
            ["", global],
            &[],
            &["no agent is known"],
            &["service s2 has no replicas yet: no agent is known"],
        );
    }

    #[test]
    fn a_replica_that_pauses_before_a_retry_says_how_long() {
        let later =
            ReplicaState::Pending { not_before: fixture::now() + jiff::SignedDuration::from_secs(4), avoid: None };
        let run = fixture::active(1, Cause::Schedule, vec![later]);
        let mut views = of_active(&run, &[]);
        explain_pending(&mut views, &run, &Fleet::default(), fixture::now());
        assert_eq!(views[0].reason.as_deref(), Some("next attempt in 4s"));
    }

    #[test]
    fn a_replica_that_its_agent_does_not_run_yet_says_what_it_waits_for() {
        let run = fixture::active(1, Cause::Schedule, vec![open(), open(), open(), open(), fixture::pending()]);
        let claimed =
            || AttemptEvent::Claimed { nonce: Nonce::from_random([1; 16]), machine: MachineId("m".to_owned()) };
        let ended = AttemptEvent::CouldNotStart { reason: "no".to_owned(), permanent: false };
        let events = [claimed(), claimed(), claimed(), ended, claimed()];
        let reports: Vec<_> = (0..).zip(events).map(|(replica, event)| fixture::report(replica, event)).collect();
        let pulling = |done_bytes, total_bytes| Awaited::Pulling(PullProgress { done_bytes, total_bytes });
        let awaited = [pulling(12 << 20, 40 << 20), pulling(0, 0), Awaited::Queued, pulling(1, 2), pulling(1, 2)];
        let agent = fixture::heartbeat((0..).zip(awaited).map(|(replica, awaited)| {
            let attempt = fixture::report(replica, claimed()).attempt;
            Preparation { attempt, awaited }
        }));
        let mut views = of_active(&run, &reports);
        explain_preparing(&mut views, &fixture::app(), &run, &[agent]);
        let shown: Vec<_> = views.iter().map(|view| (view.state_text(), view.reason.as_deref())).collect();
        let expected = [
            ("pulling", Some("image busybox: 12.0MiB of 40.0MiB")),
            ("pulling", Some("image busybox")),
            ("queued", None),
            // Its end is newer than the heartbeat.
            ("could_not_start", Some("no")),
            ("pending", None),
        ];
        assert_eq!(shown, expected);
    }
}
