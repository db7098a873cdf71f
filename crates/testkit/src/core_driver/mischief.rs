//! What goes wrong on purpose.

use std::time::Duration;

use rand::RngExt as _;
use tickmesh_core::{
    decide::{AppContent, Record},
    id::Epoch,
    message::{AttemptEvent, AttemptReport, Revoker, SCHEMA},
    outcome::LostReason,
    time,
};

use super::{
    agent::Condition,
    almanac::RHYTHMS,
    faults::Fault,
    leader::{Effect, Flow, act},
    makers::{APP, Revision, agent_name},
    world::World,
};

impl World {
    pub(super) fn set_clock_back(&mut self) {
        self.bus.count(Fault::ClockSetBack);
        self.bus.now = time::before(self.bus.now, Duration::from_millis(self.bus.random.random_range(1..3_000)));
    }

    /// Somebody applies another file, or removes the app, by a clock that is not the leader's.
    pub(super) fn edit(&mut self) {
        let revision = self.bus.newest_revision() + self.bus.random.random_range(1..3);
        let offset = Duration::from_millis(self.bus.random.random_range(0..600));
        let at = time::after(time::before(self.bus.now, Duration::from_millis(300)), offset);
        let at = at.max(self.bus.apps.last().map_or(at, |last| last.change.at));
        let new = match self.bus.random.random_range(0..10) {
            0..6 => {
                let rhythm = self.bus.random.random_range(0..RHYTHMS.len());
                Revision::applied(revision, at, Some(rhythm), &mut self.bus.random)
            }
            6 => Revision::applied(revision, at, None, &mut self.bus.random),
            7..9 => Revision::without_spec(revision, at, AppContent::Removed),
            _ => {
                self.bus.count(Fault::InvalidFile);
                Revision::without_spec(revision, at, AppContent::Invalid { reason: "line 3".to_owned() })
            }
        };
        self.bus.apps.push(new);
    }

    /// The leader dies here and now, or is only believed dead.
    pub(super) fn crash(&mut self) -> anyhow::Result<()> {
        let fault = if self.leader.dirty == Record::Due {
            Some(Fault::CrashBeforeRecord)
        } else if self.leader.todo.iter().any(|effect| matches!(effect, Effect::Act(_))) {
            Some(Fault::CrashBeforeAct)
        } else {
            (!self.leader.todo.is_empty()).then_some(Fault::CrashBeforeAcknowledge)
        };
        fault.into_iter().for_each(|fault| self.bus.count(fault));
        if self.bus.random.random_ratio(1, 2) {
            self.stale = Some(self.leader.clone());
        }
        self.install(Epoch(self.leader.tenure.epoch.0 + 1))
    }

    /// A leader that does not know that it was replaced records, or acts on what it had recorded.
    pub(super) fn let_stale_leader_act(&mut self) -> anyhow::Result<()> {
        let Some(mut stale) = self.stale.take() else { return Ok(()) };
        match stale.todo.pop_front() {
            Some(Effect::Act(action)) => {
                self.bus.count(Fault::StaleAct);
                act(&mut self.bus, &mut self.agents, action)?;
            }
            Some(Effect::Acknowledge(index)) => self.bus.commands[index].acknowledged = true,
            None if stale.dirty == Record::Unchanged => return Ok(()),
            None => {
                let stored = stale.flush(&mut self.bus)? == Flow::GoesOn;
                self.bus.count(if stored { Fault::StaleWriteStored } else { Fault::StaleWriteRefused });
                if !stored {
                    return Ok(());
                }
            }
        }
        self.stale = Some(stale);
        Ok(())
    }

    pub(super) fn trouble_agent(&mut self) {
        let index = self.some_agent();
        let agent = &mut self.agents[index];
        match (agent.condition, self.bus.random.random_range(0..6)) {
            (Condition::Well, 0..2) => agent.cut_off(&mut self.bus),
            (Condition::Well, 2..4) => agent.kill(&mut self.bus),
            (Condition::Well, 4) => agent.reboot(&mut self.bus),
            (Condition::Well, _) => agent.draining = !agent.draining,
            (Condition::CutOff, _) => agent.kill(&mut self.bus),
            (Condition::Dead, _) => {}
        }
    }

    pub(super) fn relieve_agent(&mut self) {
        let index = self.some_agent();
        let agent = &mut self.agents[index];
        agent.draining &= self.bus.random.random_ratio(1, 2);
        if agent.condition != Condition::Well {
            agent.come_back(&mut self.bus);
        }
    }

    /// An agent writes about somebody else's attempt, on a subject of its own: nobody may believe it.
    pub(super) fn forge_report(&mut self) {
        let open: Vec<_> = self.leader.ledger.active.iter().flat_map(|run| run.open_attempts(&APP)).collect();
        if open.is_empty() {
            return;
        }
        let (attempt, bound) = &open[self.bus.random.random_range(0..open.len())];
        // One name more than there are agents: a stranger.
        let agent = agent_name(self.bus.random.random_range(1..=self.agents.len() + 1));
        if agent == bound.agent {
            return;
        }
        let events = [
            AttemptEvent::Exited { exit_code: 0, oom_killed: false, started_at: None, finished_at: None },
            AttemptEvent::Lost { reason: LostReason::Fenced },
            AttemptEvent::Revoked { by: Revoker::Agent, reason: "forged".to_owned() },
        ];
        let event = events[self.bus.random.random_range(0..events.len())].clone();
        let report = AttemptReport { schema: SCHEMA, attempt: attempt.clone(), agent, at: self.bus.now, event };
        // Refused, if this agent has lied about this attempt before.
        if self.bus.results.publish(report, 0).is_ok() {
            self.bus.count(Fault::ReportForged);
        }
    }
}
