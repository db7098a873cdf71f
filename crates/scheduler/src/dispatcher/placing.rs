//! What is bound to which agent, and whose turn it is to get one: the app that has waited longest gets as much as there is
//! room for. One that got something and wants more waits behind all others then, so that an app of many replicas does not
//! keep the small ones waiting until its run is through.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Included},
};

use tickmesh_core::{
    decide::{Input, Placing},
    fleet::LoadChange,
    ledger::Ledger,
    name::{AgentName, AppName},
};

use super::{Dispatcher, app::Ticket};
use crate::clock::Moment;

/// Apps that wait for an agent, oldest first.
#[derive(Debug, Default)]
pub(super) struct PlacementQueue {
    waiting: BTreeMap<Ticket, AppName>,
    last: Ticket,
}

impl PlacementQueue {
    fn join(&mut self, app: &AppName) -> Ticket {
        self.last += 1;
        self.waiting.insert(self.last, app.clone());
        self.last
    }

    /// The first one behind `served` that had joined by the time of `last`.
    fn next(&self, served: Ticket, last: Ticket) -> Option<(Ticket, AppName)> {
        let (ticket, app) = self.waiting.range((Excluded(served), Included(last))).next()?;
        Some((*ticket, app.clone()))
    }
}

impl Dispatcher {
    /// Whether an app may be placed at once. While others wait it joins the queue, so that one whose queue is never empty
    /// does not keep them waiting for ever.
    pub(super) fn placing(&self, app: &AppName) -> Placing {
        if self.serving || self.placement_queue.waiting.values().all(|waiting| waiting == app) {
            Placing::Now
        } else {
            Placing::InTurn
        }
    }

    /// Notes whether an app waits for an agent after a decision, which has got it some or none.
    pub(super) fn note_unplaced(&mut self, app: &AppName, unplaced: bool, got_some: bool, placing: Placing) {
        let Some(state) = self.apps.get_mut(app) else { return };
        if let Some(ticket) = state.ticket.take_if(|_| !unplaced || got_some) {
            self.placement_queue.waiting.remove(&ticket);
        }
        if unplaced && state.ticket.is_none() {
            state.ticket = Some(self.placement_queue.join(app));
        }
        // It was not even tried: there may be room for it beside those before it.
        self.room |= unplaced && placing == Placing::InTurn;
    }

    /// Asks again for the replicas that no agent took, oldest first, if the fleet changed since.
    pub(super) fn place_unplaced(&mut self, moment: Moment) {
        if !std::mem::take(&mut self.room) || self.placement_queue.waiting.is_empty() || !self.fleet.has_vacancy() {
            return;
        }
        self.serving = true;
        let (mut served, last) = (0, self.placement_queue.last);
        // Few apps of a long queue have their turn: to ask for each of the others would only be to hear that all is full.
        while self.fleet.has_vacancy()
            && let Some((ticket, app)) = self.placement_queue.next(served, last)
        {
            self.step(&app, Input::Clock, moment);
            served = ticket;
        }
        self.serving = false;
        self.room = false;
    }

    /// Counts in what a loaded ledger has bound.
    pub(super) fn bind_loaded(&mut self, app: &AppName, ledger: &Ledger) {
        self.fleet.bind_all(ledger);
        for (_, agent) in ledger.active.iter().flat_map(|run| run.bound_agents()) {
            *self.bound.entry(agent.clone()).or_default().entry(app.clone()).or_default() += 1;
        }
    }

    pub(super) fn apply_load(&mut self, app: &AppName, change: &LoadChange) {
        self.fleet.apply(change);
        match change {
            LoadChange::Bind(agent, _) => {
                *self.bound.entry(agent.clone()).or_default().entry(app.clone()).or_default() += 1;
            }
            LoadChange::Release(agent, _) => {
                self.room = true;
                self.unbind(app, agent);
            }
        }
    }

    fn unbind(&mut self, app: &AppName, agent: &AgentName) {
        let Some(apps) = self.bound.get_mut(agent) else { return };
        let Some(count) = apps.get_mut(app) else { return };
        *count -= 1;
        if *count == 0 {
            apps.remove(app);
        }
    }

    /// The fleet as one agent's heartbeat leaves it.
    pub(super) fn refresh_agent(&mut self, agent: &AgentName, moment: Moment) {
        let view = self.agents.view(agent, moment.uptime, &self.timing);
        if view.as_ref() != self.fleet.agent(agent) {
            self.fleet.see(agent, view);
            self.room = true;
        }
    }

    /// The fleet as the time leaves it: who has said nothing for long is not ready any more.
    pub(super) fn refresh_fleet(&mut self, moment: Moment) {
        let views = self.agents.views(moment.uptime, &self.timing);
        if views != *self.fleet.agents() {
            self.fleet.see_all(views);
            self.room = true;
        }
    }
}
