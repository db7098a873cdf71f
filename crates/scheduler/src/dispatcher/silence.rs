//! Agents that fell silent, checked on the key and not on the watch, in the order of protocol rule P3; and heartbeats that
//! do not hold what they should (P9), judged once the results that they have seen are folded.

use tickmesh_core::{
    decide::Input,
    message::MeshEvent,
    name::{AgentName, AppName},
};

use super::{
    Dispatcher,
    agents::SilenceCheck,
    boundary::{Effect, Moment},
};

impl Dispatcher {
    /// Begins the checks for agents that have something to lose. An agent that holds nothing may be silent.
    pub(super) fn check_silence(&mut self, moment: Moment) {
        for (agent, state) in self.agents.iter_mut() {
            let bound = self.bound.get(agent).is_some_and(|apps| !apps.is_empty());
            if bound && state.may_be_checked(moment.uptime, &self.timing) {
                state.silence = SilenceCheck::ReadingEnd;
                self.effects.push(Effect::ReadResultsEnd { agent: agent.clone() });
            }
        }
    }

    pub(super) fn results_end(&mut self, agent: &AgentName, sequence: u64) {
        if let Some(state) = self.agents.get_mut(agent).filter(|state| state.silence == SilenceCheck::ReadingEnd) {
            state.silence = SilenceCheck::Folding { end: sequence };
        }
        self.read_silent_keys();
    }

    /// Results were folded: heartbeats and silent agents that waited for them are looked at.
    pub(super) fn results_folded(&mut self, moment: Moment) {
        let judged: Vec<AgentName> = self
            .agents
            .iter_mut()
            .filter(|(_, state)| state.unjudged && state.record.results_seen <= self.results_through)
            .map(|(agent, _)| agent.clone())
            .collect();
        for agent in judged {
            self.judge_agent(&agent, moment);
        }
        self.read_silent_keys();
    }

    fn read_silent_keys(&mut self) {
        for (agent, state) in self.agents.iter_mut() {
            if let SilenceCheck::Folding { end } = state.silence
                && end <= self.results_through
            {
                state.silence = SilenceCheck::ReadingKey;
                self.effects.push(Effect::ReadAgent { agent: agent.clone() });
            }
        }
    }

    /// The last check: the key still has the revision that the count began with. If it moved, the heartbeat will come as
    /// an event and begin the count anew.
    pub(super) fn agent_read(&mut self, agent: &AgentName, revision: u64, moment: Moment) {
        let Some(state) = self.agents.get_mut(agent).filter(|state| state.silence == SilenceCheck::ReadingKey) else {
            return;
        };
        if state.revision != revision {
            state.silence = SilenceCheck::None;
            return;
        }
        state.silence = SilenceCheck::Declared { at: moment.uptime };
        self.effects.push(Effect::Announce(MeshEvent::AgentLost { agent: agent.clone() }));
        for app in self.bound_apps(agent) {
            self.step(&app, Input::Silent(agent), moment);
        }
    }

    /// Judges a heartbeat, if everything that it has seen is folded.
    pub(super) fn judge_agent(&mut self, agent: &AgentName, moment: Moment) {
        let folded = self.results_through;
        let Some(state) = self.agents.get_mut(agent) else { return };
        if !self.loaded || !state.unjudged || state.record.results_seen > folded {
            return;
        }
        state.unjudged = false;
        let record = state.record.clone();
        for app in self.bound_apps(agent) {
            self.step(&app, Input::Heartbeat(&record), moment);
        }
    }

    fn bound_apps(&self, agent: &AgentName) -> Vec<AppName> {
        self.bound.get(agent).into_iter().flat_map(|apps| apps.keys().cloned()).collect()
    }
}
