//! Messages about attempts, and what they make of a replica. Folding a message twice, late, or out of its attempt's time
//! changes nothing (guarantee G7).

use std::time::Duration;

use jiff::Timestamp;
use rand::Rng;

use super::{Record, Transition};
use crate::{
    end_notes::EndNotes,
    fleet::LoadChange,
    json_size::shortened,
    ledger::{Claim, OpenAttempt, Phase, Progress, Replica, ReplicaPlace, ReplicaState, StopReason},
    message::{AttemptEvent, AttemptReport},
    name::AgentName,
    outcome::{LostReason, Outcome},
    placement::Placement,
    retry::{self, RetryDecision},
    spec::{OnLost, OnOom, RetryPolicy},
    time,
};

impl Transition<'_> {
    /// Folds a message into the attempt that it is about, if that attempt is open and bound to the message's agent.
    pub(super) fn fold_report(&mut self, sequence: u64, report: &AttemptReport) {
        let id = &report.attempt;
        let Some(position) = self.ledger.active.iter().position(|run| run.uid == id.uid) else { return };
        let run = &mut self.ledger.active[position];
        if sequence <= run.results_through {
            return;
        }
        run.results_through = sequence;
        self.record = self.record.max(Record::WithNext);
        let Some(place) = run.place_of(&id.service, id.replica) else { return };
        run.note_attempt(place, id.attempt);
        self.fold_event(position, place, sequence, report);
    }

    /// Folds what an attempt's subject really ends with. The message there was folded before the ledger
    /// knew the attempt, or never: nobody sends it again, and the attempt would wait for it for ever.
    pub(super) fn fold_refusal(&mut self, refused: &AttemptReport, found: Option<(u64, &AttemptReport)>) {
        let id = &refused.attempt;
        let Some(position) = self.ledger.active.iter().position(|run| run.uid == id.uid) else { return };
        let run = &mut self.ledger.active[position];
        let Some(place) = run.place_of(&id.service, id.replica).filter(|_| run.is_open(id)) else { return };
        match found {
            Some((sequence, report)) if report.attempt == *id => self.fold_event(position, place, sequence, report),
            Some(_) => {}
            None => self.forget_claim(position, place),
        }
    }

    /// Folds a message into a replica, if it is about the open attempt and from the attempt's agent.
    fn fold_event(&mut self, position: usize, place: ReplicaPlace, sequence: u64, report: &AttemptReport) {
        let run = &self.ledger.active[position];
        let replica = run.replica(place);
        let ReplicaState::Open(open) = &replica.state else { return };
        let id = &report.attempt;
        if replica.last_attempt != id.attempt || open.agent != report.agent {
            return;
        }
        match &report.event {
            AttemptEvent::Claimed { machine, .. } => {
                let claim = Claim { sequence, machine: machine.digest() };
                self.take_claim(position, place, claim);
            }
            event => {
                let oom = run.service_spec(place.service).map(|service| service.oom).unwrap_or_default();
                if let Some(end) = AttemptEnd::of(event, oom, run.reason_bytes_max()) {
                    self.end_attempt(position, place, &report.agent, end);
                    self.note_end(position, place, event.notes());
                }
            }
        }
    }

    /// The claim is not in the stream any more: whoever says how the attempt ended says the first word.
    fn forget_claim(&mut self, run: usize, place: ReplicaPlace) {
        self.ledger.active[run].change(place, |replica| {
            if let ReplicaState::Open(OpenAttempt { progress: Progress::Claimed(claim), .. }) = &mut replica.state {
                claim.sequence = 0;
            }
        });
        self.note(Record::WithNext);
    }

    fn take_claim(&mut self, run: usize, place: ReplicaPlace, claim: Claim) {
        let run = &mut self.ledger.active[run];
        let going_on = *run.phase() == Phase::Running;
        run.change(place, |replica| {
            if let ReplicaState::Open(open) = &mut replica.state {
                open.progress = Progress::Claimed(claim);
                if !going_on {
                    // The stop may have been overtaken by the claim: say it again at once.
                    open.sent_at = None;
                }
            }
        });
    }

    /// A refusal concerns one host. It is final only where nobody is left, and for a replica that belongs to that host.
    fn or_elsewhere(&mut self, run: usize, place: ReplicaPlace, agent: &AgentName, end: AttemptEnd) -> AttemptEnd {
        let AttemptEnd::Refused(outcome) = end else { return end };
        let run = &mut self.ledger.active[run];
        if run.pinned_agent(place).is_some() || !run.note_refusal(place.service, agent) {
            return AttemptEnd::Refused(outcome);
        }
        let placement = Placement::new(self.context.fleet);
        match run.service_spec(place.service).map(|spec| placement.wanted_in(run, place.service, spec)) {
            Some(wanted) if placement.is_anybody_left(&wanted) => AttemptEnd::Elsewhere,
            Some(_) | None => AttemptEnd::Refused(outcome),
        }
    }

    /// Keeps what the engine said of the end of a replica's last attempt, as far as its outcome does not say it.
    fn note_end(&mut self, run: usize, place: ReplicaPlace, notes: EndNotes) {
        self.ledger.active[run].change(place, |replica| {
            if let ReplicaState::Ended { outcome, .. } = &replica.state {
                replica.notes = outcome.notes_beside(notes);
            }
        });
    }

    pub(super) fn end_attempt(&mut self, run: usize, place: ReplicaPlace, agent: &AgentName, end: AttemptEnd) {
        let end = self.or_elsewhere(run, place, agent, end);
        let run = &mut self.ledger.active[run];
        let Some(service) = run.service_spec(place.service) else { return };
        let (now, refusal_pause) = (self.context.now, self.context.timing.heartbeat);
        let rules = Rules { retry: service.retry, on_lost: run.spec.on_lost, agent, now, refusal_pause };
        let (load, phase, random) =
            (self.context.fleet.load_of(&service.container), run.phase().clone(), &mut *self.random);
        run.change(place, |replica| {
            replica.state = match &phase {
                Phase::Running => rules.after(replica, end, random),
                Phase::Stopping { reason } => after_while_stopping(replica, end, agent, reason),
            };
        });
        self.loads.push(LoadChange::Release(agent.clone(), load));
        self.note(Record::Due);
    }
}

/// How an attempt ended, as far as its replica is concerned.
pub(super) enum AttemptEnd {
    /// It never began, and counts for nothing: it was not claimed, or given back before a start was asked for.
    NeverWas,
    /// Its container exited with 0.
    Succeeded,
    /// It ran to an end, or could not; another may be tried.
    Unsuccessful(Outcome),
    /// Another try on that host would end the same way, and there is no other one.
    Refused(Outcome),
    /// Its host refused it, and another one may take it.
    Elsewhere,
    /// Nobody knows.
    Lost(LostReason),
}

impl AttemptEnd {
    fn of(event: &AttemptEvent, oom: OnOom, reason_bytes_max: usize) -> Option<Self> {
        Some(match event {
            AttemptEvent::Claimed { .. } => return None,
            AttemptEvent::Revoked { .. }
            | AttemptEvent::Returned { .. }
            | AttemptEvent::Cancelled { exit_code: None } => Self::NeverWas,
            AttemptEvent::Cancelled { exit_code: Some(_) } => Self::Unsuccessful(Outcome::Cancelled),
            AttemptEvent::TimedOut { .. } => Self::Unsuccessful(Outcome::TimedOut),
            AttemptEvent::Exited { exit_code: 0, oom_killed: true, .. } if oom == OnOom::Fail => {
                Self::Unsuccessful(Outcome::Failed { exit_code: 0, out_of_memory: true })
            }
            AttemptEvent::Exited { exit_code: 0, .. } => Self::Succeeded,
            AttemptEvent::Exited { exit_code, .. } => Self::Unsuccessful(Outcome::exited(*exit_code, event.notes())),
            AttemptEvent::CouldNotStart { reason, permanent } => {
                let outcome = Outcome::CouldNotStart { reason: shortened(reason, reason_bytes_max) };
                if *permanent { Self::Refused(outcome) } else { Self::Unsuccessful(outcome) }
            }
            AttemptEvent::Lost { reason } => Self::Lost(*reason),
        })
    }
}

/// What decides about the next state of a replica of a run that goes on.
struct Rules<'a> {
    retry: RetryPolicy,
    on_lost: OnLost,
    /// Where the attempt was.
    agent: &'a AgentName,
    now: Timestamp,
    /// Before an attempt that nobody took is placed again. An agent that refuses (it holds more than this leader knows of)
    /// would be asked again at once, as fast as messages travel.
    refusal_pause: Duration,
}

impl Rules<'_> {
    fn after(&self, replica: &mut Replica, end: AttemptEnd, random: &mut dyn Rng) -> ReplicaState {
        match end {
            AttemptEnd::NeverWas => self.pending_after(self.refusal_pause, Some(self.agent)),
            AttemptEnd::Succeeded => ended(Outcome::Succeeded, self.agent),
            AttemptEnd::Unsuccessful(outcome) => {
                replica.failures += 1;
                match retry::after_failure(&self.retry, replica.failures, random) {
                    RetryDecision::After(pause) => self.pending_after(pause, None),
                    RetryDecision::GiveUp => ended(outcome, self.agent),
                }
            }
            AttemptEnd::Refused(outcome) => {
                replica.failures += 1;
                ended(outcome, self.agent)
            }
            // That host is not asked again, so nobody need wait.
            AttemptEnd::Elsewhere => self.pending_after(Duration::ZERO, Some(self.agent)),
            AttemptEnd::Lost(reason) => {
                replica.losses += u32::from(reason.counts());
                match retry::after_loss(self.on_lost, replica.losses) {
                    RetryDecision::After(pause) => self.pending_after(pause, Some(self.agent)),
                    RetryDecision::GiveUp => ended(Outcome::Lost { reason }, self.agent),
                }
            }
        }
    }

    fn pending_after(&self, pause: Duration, avoid: Option<&AgentName>) -> ReplicaState {
        ReplicaState::Pending { not_before: time::after(self.now, pause), avoid: avoid.cloned() }
    }
}

/// The last state of a replica of a run that is being stopped: nothing is tried again.
fn after_while_stopping(
    replica: &mut Replica,
    end: AttemptEnd,
    agent: &AgentName,
    reason: &StopReason,
) -> ReplicaState {
    let outcome = match end {
        // A container that was stopped while nobody watched looks like one that its engine stopped; and of one that was being stopped
        // for its host's sake the run wanted just that.
        AttemptEnd::NeverWas
        | AttemptEnd::Elsewhere
        | AttemptEnd::Lost(LostReason::EngineRestarted | LostReason::Drained) => reason.outcome(),
        AttemptEnd::Unsuccessful(Outcome::Cancelled) => {
            replica.failures += 1;
            reason.outcome()
        }
        AttemptEnd::Succeeded => Outcome::Succeeded,
        AttemptEnd::Unsuccessful(outcome) | AttemptEnd::Refused(outcome) => {
            replica.failures += 1;
            outcome
        }
        AttemptEnd::Lost(reason) => {
            replica.losses += 1;
            Outcome::Lost { reason }
        }
    };
    ended(outcome, agent)
}

fn ended(outcome: Outcome, agent: &AgentName) -> ReplicaState {
    ReplicaState::Ended { outcome, agent: Some(agent.clone()) }
}
