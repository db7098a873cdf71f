//! The entries of a table of attempts, counted as they come and go: what is asked at every event must not cost a look at each of them.

use std::{collections::BTreeMap, time::Duration};

use tickmesh_core::{
    id::{AttemptId, Nonce},
    message::PullProgress,
    spec::OnDisconnect,
};

use crate::attempt::State;

/// An order, as far as it says how the host is to treat its attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ordered {
    /// When it came, as uptime of the host.
    pub at: Duration,
    /// Whether its container goes on without the mesh.
    pub on_disconnect: OnDisconnect,
}

/// Where an attempt came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A start order to this process: the claim, if there is one, carries this nonce.
    Started(Nonce, Ordered),
    /// A stop order for an attempt that was not known.
    Stopped,
    /// A container that an earlier process left.
    Adopted,
}

/// An attempt, and where it stands.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) origin: Origin,
    pub(super) state: State,
}

/// Attempts by id, and how many are in which state.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    entries: BTreeMap<AttemptId, Entry>,
    counts: Counts,
}

/// How many attempts are so.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    /// [`State::is_held`].
    pub(super) held: usize,
    /// [`State::takes_a_turn`].
    pub(super) taking_turns: usize,
    /// [`State::clears_away`].
    pub(super) clearing_away: usize,
}

impl Counts {
    fn of(state: &State) -> Self {
        Self {
            held: usize::from(state.is_held()),
            taking_turns: usize::from(state.takes_a_turn()),
            clearing_away: usize::from(state.clears_away()),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            held: self.held + other.held,
            taking_turns: self.taking_turns + other.taking_turns,
            clearing_away: self.clearing_away + other.clearing_away,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            held: self.held - other.held,
            taking_turns: self.taking_turns - other.taking_turns,
            clearing_away: self.clearing_away - other.clearing_away,
        }
    }
}

impl Attempts {
    pub(super) fn get(&self, attempt: &AttemptId) -> Option<&Entry> {
        self.entries.get(attempt)
    }

    pub(super) fn contains(&self, attempt: &AttemptId) -> bool {
        self.entries.contains_key(attempt)
    }

    /// Returns whether another attempt of the same replica has a container, or will get one.
    pub(super) fn runs_sibling(&self, attempt: &AttemptId) -> bool {
        self.siblings(attempt).any(|state| state.is_held() && !state.is_claiming() && !state.has_ended())
    }

    /// Returns whether another attempt of the same replica is being claimed: it is not known yet whether it will run.
    pub(super) fn claims_sibling(&self, attempt: &AttemptId) -> bool {
        self.siblings(attempt).any(State::is_claiming)
    }

    fn siblings(&self, attempt: &AttemptId) -> impl Iterator<Item = &State> {
        let of_replica = |attempt_number| AttemptId { attempt: attempt_number, ..attempt.clone() };
        let of_same = self.entries.range(of_replica(0)..=of_replica(u32::MAX));
        of_same.filter(move |(id, _)| id.attempt != attempt.attempt).map(|(_, entry)| &entry.state)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&AttemptId, &Entry)> {
        self.entries.iter()
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn insert(&mut self, attempt: AttemptId, entry: Entry) {
        self.counts = self.counts.plus(Counts::of(&entry.state));
        if let Some(before) = self.entries.insert(attempt, entry) {
            self.counts = self.counts.minus(Counts::of(&before.state));
        }
    }

    pub(super) fn remove(&mut self, attempt: &AttemptId) {
        if let Some(before) = self.entries.remove(attempt) {
            self.counts = self.counts.minus(Counts::of(&before.state));
        }
    }

    /// The pull of an image has come this far. Nobody's state is another one by that.
    pub(super) fn pull_moved(&mut self, image: &str, progress: PullProgress) {
        for entry in self.entries.values_mut() {
            entry.state.pull_moved(image, progress);
        }
    }

    /// Counts the attempts anew, one by one.
    #[cfg(test)]
    pub(super) fn recounted(&self) -> Counts {
        self.entries.values().map(|entry| Counts::of(&entry.state)).fold(Counts::default(), Counts::plus)
    }
}
