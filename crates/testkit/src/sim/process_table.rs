//! Who lives, who stands still, and who hears the server.

use std::collections::BTreeMap;

use tickmesh_messaging::lease::Presence;

/// Where a process runs. There is at most one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Scheduler(usize),
    /// The agent process of a host.
    Agent(usize),
    /// The guard of a host. It does not talk to the server.
    Guard(usize),
}

/// One process, or one tenure of a scheduler: what is addressed to an earlier one goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) place: Place,
    pub(super) life: u32,
}

#[derive(Debug, Default, Clone, Copy)]
struct Standing {
    life: u32,
    alive: bool,
    paused: bool,
    cut_off: bool,
    /// A scheduler: it stands by, and does not doubt its clock.
    could_lead: bool,
    /// An agent: it has a guard answer, or does something about it.
    minds_guard: bool,
}

/// The standing of every place.
#[derive(Debug, Default)]
pub(super) struct ProcessTable {
    standings: BTreeMap<Place, Standing>,
    /// Scheduler processes by the ids that they lead under.
    enrolled: BTreeMap<String, Address>,
    /// Nobody hears the server.
    pub(super) server_down: bool,
}

impl ProcessTable {
    /// A process begins.
    pub(super) fn begin(&mut self, place: Place) -> Address {
        let standing = self.standings.entry(place).or_default();
        standing.life += 1;
        standing.alive = true;
        standing.paused = false;
        standing.minds_guard = false;
        standing.could_lead = false;
        Address { place, life: standing.life }
    }

    /// A scheduler process gets an id that no other one ever has.
    pub(super) fn enrol(&mut self, address: Address) -> String {
        let id = format!("{:?} {}", address.place, address.life);
        self.enrolled.insert(id.clone(), address);
        id
    }

    /// What the server would say of a scheduler process.
    pub(super) fn presence(&self, id: &str) -> Presence {
        match self.enrolled.get(id) {
            Some(address) if !self.is_current(*address) => Presence::Gone,
            Some(address) if self.is_paused(address.place) || self.hears_nothing(address.place) => Presence::Unknown,
            Some(_) => Presence::Answers,
            None => Presence::Gone,
        }
    }

    /// A scheduler process shows what it does.
    pub(super) fn show(&mut self, place: Place, could_lead: bool) {
        self.standings.entry(place).or_default().could_lead = could_lead;
    }

    /// Whether another scheduler than the one there would answer that it stands by without doubt.
    pub(super) fn has_successor(&self, place: Place) -> bool {
        let answers = |it: Place| self.works(it) && !self.hears_nothing(it);
        self.standings.iter().any(|(it, standing)| *it != place && standing.could_lead && answers(*it))
    }

    /// A process dies.
    pub(super) fn end(&mut self, place: Place) {
        let standing = self.standings.entry(place).or_default();
        standing.alive = false;
        standing.paused = false;
    }

    pub(super) fn is_alive(&self, place: Place) -> bool {
        self.standing(place).alive
    }

    /// Whether the process still is who it was.
    pub(super) fn is_current(&self, address: Address) -> bool {
        let standing = self.standing(address.place);
        standing.alive && standing.life == address.life
    }

    pub(super) fn is_paused(&self, place: Place) -> bool {
        self.standing(place).paused
    }

    /// Whether a process is alive and does what it should.
    pub(super) fn works(&self, place: Place) -> bool {
        let standing = self.standing(place);
        standing.alive && !standing.paused
    }

    pub(super) fn pause(&mut self, place: Place) {
        self.standings.entry(place).or_default().paused = true;
    }

    pub(super) fn resume(&mut self, place: Place) {
        self.standings.entry(place).or_default().paused = false;
    }

    /// An agent process begins to see to it that a guard answers.
    pub(super) fn mind_guard(&mut self, agent: Place) {
        self.standings.entry(agent).or_default().minds_guard = true;
    }

    /// Whether an agent process would replace a guard that does not answer.
    pub(super) fn minds_guard(&self, agent: Place) -> bool {
        self.works(agent) && self.standing(agent).minds_guard
    }

    pub(super) fn cut_off(&mut self, place: Place) {
        self.standings.entry(place).or_default().cut_off = true;
    }

    pub(super) fn reconnect(&mut self, place: Place) {
        self.standings.entry(place).or_default().cut_off = false;
    }

    /// Whether nothing gets from the process to the server, and nothing back.
    pub(super) fn hears_nothing(&self, place: Place) -> bool {
        self.server_down || self.standing(place).cut_off
    }

    fn standing(&self, place: Place) -> Standing {
        self.standings.get(&place).copied().unwrap_or_default()
    }
}
