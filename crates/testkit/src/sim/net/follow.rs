//! Followers: each message once, in order, however long it takes.

use std::{sync::Arc, time::Duration};

use super::{Kind, Stored};
use crate::sim::{
    context::SimContext,
    event::SimEvent,
    faults::Fault,
    process_table::{Address, Place},
};

/// Messages that a follower is given at a time.
const BATCH: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sim) struct FollowerId(u64);

/// Somebody who follows a stream.
#[derive(Debug)]
pub(in crate::sim) struct Follower {
    pub(in crate::sim) owner: Address,
    pub(in crate::sim) kind: Kind,
    /// One subject only.
    subject: Option<Arc<str>>,
    /// Messages up to here were given.
    pub(super) cursor: u64,
    /// Where the stream ended when this follower began, until it has been told that it is there.
    snapshot_end: Option<u64>,
    /// The next delivery is under way.
    coming: bool,
    /// Its connection was lost, or the store was replaced: it reads on with a new consumer, and has not been told.
    is_broken: bool,
}

impl super::Net {
    /// The streams may end earlier than before: nobody has been given what is beyond.
    pub(super) fn end_followers_early(&mut self) {
        for follower in self.followers.values_mut() {
            follower.cursor = follower.cursor.min(self.streams[&follower.kind].last_sequence());
            follower.is_broken = true;
        }
    }
}

impl SimContext {
    /// Begins to follow a stream, or one subject of it, after a sequence.
    pub(in crate::sim) fn follow(&mut self, owner: Address, kind: Kind, subject: Option<Arc<str>>, after: u64) {
        self.net.next_follower += 1;
        let id = FollowerId(self.net.next_follower);
        let snapshot_end = Some(self.net.stream(kind).last_sequence());
        let follower = Follower { owner, kind, subject, cursor: after, snapshot_end, coming: false, is_broken: false };
        self.net.followers.insert(id, follower);
        self.bring(id);
    }

    /// A message was stored: those who follow will hear of it.
    pub(super) fn announce(&mut self, kind: Kind, subject: &Arc<str>) {
        let concerned = |follower: &Follower| {
            follower.kind == kind && follower.subject.as_ref().is_none_or(|wanted| wanted == subject)
        };
        let waiting = self.net.followers.iter().filter(|(_, follower)| !follower.coming && concerned(follower));
        let ids: Vec<FollowerId> = waiting.map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| self.bring(id));
        if kind == Kind::Commands {
            self.bring_commands();
        }
    }

    fn bring(&mut self, id: FollowerId) {
        let delay = if self.mishap(Fault::WatchStalled) {
            let delay = self.some_delay();
            self.net.stalled_until = self.net.stalled_until.max(self.now + delay);
            delay
        } else {
            self.latency()
        };
        let Some(follower) = self.net.followers.get_mut(&id) else { return };
        follower.coming = true;
        self.later(delay, SimEvent::Deliver(id));
    }

    /// Gives a follower what is new; it is told whose it is.
    pub(in crate::sim) fn deliver(&mut self, id: FollowerId) -> Vec<Stored> {
        let Some(follower) = self.net.followers.get_mut(&id) else { return Vec::new() };
        follower.coming = false;
        let Some(follower) = self.net.followers.get(&id) else { return Vec::new() };
        if self.is_unheard(follower) {
            // It goes on when there is a connection again.
            if let Some(follower) = self.net.followers.get_mut(&id) {
                follower.is_broken = true;
            }
            return Vec::new();
        }
        let (kind, cursor, subject) = (follower.kind, follower.cursor, follower.subject.clone());
        let concerned = |stored: &&Stored| subject.as_ref().is_none_or(|wanted| *wanted == stored.subject);
        let mut batch: Vec<Stored> =
            self.net.streams[&kind].after(cursor).filter(concerned).take(BATCH).cloned().collect();
        if let (Some(last), Some(follower)) = (batch.last(), self.net.followers.get_mut(&id)) {
            follower.cursor = last.sequence;
        }
        if batch.len() == BATCH {
            self.bring(id);
        }
        if kind == Kind::Orders {
            self.drop_old_orders(&mut batch);
        }
        batch
    }

    /// Whether a follower reads on with a new consumer, and what it is given next comes of that. It is told once.
    pub(in crate::sim) fn is_reopened(&mut self, id: FollowerId) -> bool {
        let is_unheard = self.net.followers.get(&id).is_none_or(|follower| self.is_unheard(follower));
        let follower = self.net.followers.get_mut(&id).filter(|_| !is_unheard);
        follower.is_some_and(|follower| std::mem::take(&mut follower.is_broken))
    }

    /// Whether nothing reaches a follower now.
    fn is_unheard(&self, follower: &Follower) -> bool {
        let is_lagging = self.net.lagging == Some(follower.kind);
        self.net.is_lost || is_lagging || self.processes.hears_nothing(follower.owner.place)
    }

    fn drop_old_orders(&mut self, orders: &mut Vec<Stored>) {
        let oldest = tickmesh_core::time::before(self.server_time(), Self::ORDER_AGE);
        let before = orders.len();
        orders.retain(|order| order.at >= oldest);
        for _ in orders.len()..before {
            self.count(Fault::OrderExpired);
        }
    }

    /// Connections are back: everybody who follows goes on where it was.
    pub(in crate::sim) fn bring_all(&mut self, place: Option<Place>) {
        let concerned = |follower: &Follower| place.is_none_or(|place| follower.owner.place == place);
        let waiting = self.net.followers.iter().filter(|(_, follower)| !follower.coming && concerned(follower));
        let ids: Vec<FollowerId> = waiting.map(|(id, _)| *id).collect();
        for id in ids {
            if let Some(follower) = self.net.followers.get_mut(&id) {
                follower.coming = true;
                self.later(Duration::from_millis(20), SimEvent::Deliver(id));
            }
        }
        self.bring_commands();
    }

    /// Whether a follower has just been given all that was stored when it began, and up to where.
    pub(in crate::sim) fn snapshot_ended(&mut self, id: FollowerId) -> Option<u64> {
        let follower = self.net.followers.get(&id)?;
        let is_more = self.net.streams[&follower.kind].after(follower.cursor).next().is_some();
        let end = follower.snapshot_end.filter(|end| follower.cursor >= *end || !is_more)?;
        if self.is_unheard(follower) {
            return None;
        }
        let follower = self.net.followers.get_mut(&id)?;
        follower.snapshot_end = None;
        Some(end.max(follower.cursor))
    }

    /// Whether a process follows any stream.
    pub(in crate::sim) fn follows(&self, place: Place) -> bool {
        self.net.followers.values().any(|follower| follower.owner.place == place)
    }

    /// Forgets who follows a stream no more.
    pub(in crate::sim) fn forget_followers_of(&mut self, place: Place, kind: Kind) {
        self.net.followers.retain(|_, follower| follower.owner.place != place || follower.kind != kind);
    }

    /// Forgets those who follow no more.
    pub(in crate::sim) fn forget_followers(&mut self, place: Place) {
        self.net.followers.retain(|_, follower| follower.owner.place != place);
    }
}
