//! Agents that fell silent, checked on the key and not on the watch, in the order of protocol rule P3; and heartbeats that
//! hold less than they should (P9) or more (P8), judged once the results that they have seen are folded.

use std::collections::BTreeSet;

use tickmesh_core::{
    decide::{Action, Input},
    id::{AttemptId, Epoch},
    message::{MeshEvent, Order, OrderKind, SCHEMA},
    name::{AgentName, AppName},
};

use super::{
    Conflict, Dispatcher,
    agents::{AgentState, SilenceCheck},
};
use crate::{clock::Moment, effect::Effect};

impl Dispatcher {
    /// Begins the checks for agents that have something to lose. Of one that holds nothing only the world is told, as this leader's
    /// watch has it: nothing follows from it.
    pub(super) fn check_silence(&mut self, moment: Moment) {
        for (agent, state) in self.agents.iter_mut() {
            if !state.may_be_checked(moment.uptime, &self.timing) {
                continue;
            }
            let bound = self.bound.get(agent).is_some_and(|apps| !apps.is_empty());
            if bound {
                state.silence = SilenceCheck::ReadingEnd;
                self.outcome.effects.push(Effect::ReadResultsEnd { agent: agent.clone() });
            } else if is_missed(state) && !std::mem::replace(&mut state.announced, true) {
                self.outcome.effects.push(Effect::Announce(MeshEvent::AgentLost { agent: agent.clone() }));
            }
        }
    }

    pub(super) fn results_end(&mut self, agent: &AgentName, sequence: u64) {
        self.agents.fold_before_reading(agent, sequence);
        self.read_silent_keys();
    }

    /// Results were folded: heartbeats and silent agents that waited for them are looked at.
    pub(super) fn results_folded(&mut self, moment: Moment) {
        self.judge_agents(moment);
        self.read_silent_keys();
    }

    /// Judges the heartbeats of which everything that they have seen is folded.
    pub(super) fn judge_agents(&mut self, moment: Moment) {
        if !self.caught_up {
            return;
        }
        for agent in self.agents.begin_judging(self.results_through) {
            self.judge_agent(&agent, moment);
        }
    }

    fn read_silent_keys(&mut self) {
        let read = self.agents.begin_reading(self.results_through);
        self.outcome.effects.extend(read.into_iter().map(|agent| Effect::ReadAgent { agent }));
    }

    /// The last check: the key still has the revision that the count began with. If it moved, the heartbeat will come as
    /// an event and begin the count anew.
    pub(super) fn agent_read(&mut self, agent: &AgentName, revision: u64, moment: Moment) {
        let Some(state) = self.agents.get_mut(agent) else { return };
        let SilenceCheck::ReadingKey { results_through } = state.silence else { return };
        if state.revision != revision {
            state.silence = SilenceCheck::None;
            return;
        }
        state.silence = SilenceCheck::Declared { at: moment.uptime };
        if !std::mem::replace(&mut state.announced, true) {
            self.outcome.effects.push(Effect::Announce(MeshEvent::AgentLost { agent: agent.clone() }));
        }
        for app in self.bound_apps(agent) {
            self.step(&app, Input::Silent { agent, results_through }, moment);
        }
    }

    fn judge_agent(&mut self, agent: &AgentName, moment: Moment) {
        let Some(state) = self.agents.get_mut(agent) else { return };
        let machine_for = state.machine_for(moment.uptime);
        let Some(record) = state.record.clone() else { return };
        for app in self.bound_apps(agent) {
            self.step(&app, Input::Heartbeat { record: &record, machine_for }, moment);
        }
        self.ask_about_orphans(agent, &record.held);
    }

    /// What an agent holds and no ledger has open was ended by a leader while the agent was away: it is stopped. Asked only
    /// at the second heartbeat, since the end of an attempt may have overtaken the first; and only after the stored ledger
    /// was read, since another leader may know what this one does not (protocol rule P8).
    fn ask_about_orphans(&mut self, agent: &AgentName, held: &BTreeSet<AttemptId>) {
        let is_orphan = |id: &&AttemptId| !self.is_open(id) && !self.is_frozen(&id.app);
        let orphans: BTreeSet<AttemptId> = held.iter().filter(is_orphan).cloned().collect();
        let Some(state) = self.agents.get_mut(agent) else { return };
        let before = std::mem::replace(&mut state.orphans, orphans);
        for attempt in state.orphans.intersection(&before) {
            let (app, attempt) = (attempt.app.clone(), Box::new(attempt.clone()));
            self.outcome.effects.push(Effect::ReadLedger { app, attempt, agent: agent.clone() });
        }
    }

    fn is_open(&self, attempt: &AttemptId) -> bool {
        let ledger = self.apps.get(&attempt.app).and_then(|state| state.ledger.as_ref());
        ledger.is_some_and(|ledger| ledger.active.iter().any(|run| run.is_open(attempt)))
    }

    /// The stored ledger of an orphan's app was read.
    pub(super) fn ledger_read(
        &mut self,
        app: &AppName,
        epoch: Option<Epoch>,
        attempt: AttemptId,
        agent: AgentName,
    ) -> Result<(), Conflict> {
        if epoch.is_some_and(|epoch| epoch > self.tenure.epoch) {
            let reason = format!("the ledger of `{app}` was written by a later tenure");
            return Err(Conflict { reason });
        }
        if !self.is_open(&attempt) && !self.is_frozen(app) {
            let epoch = self.tenure.epoch;
            let stop = Order { schema: SCHEMA, epoch, agent, attempt, kind: OrderKind::Stop };
            self.outcome.effects.push(Effect::Act(Action::Send(stop)));
        }
        Ok(())
    }

    fn bound_apps(&self, agent: &AgentName) -> Vec<AppName> {
        self.bound.get(agent).into_iter().flat_map(|apps| apps.keys().cloned()).collect()
    }
}

/// Whether somebody expects to hear of an agent that holds nothing: it was neither stopped in order nor forgotten.
fn is_missed(state: &AgentState) -> bool {
    state.record.as_ref().is_some_and(|record| !record.stopped && !record.forgotten)
}
