//! What agents and people wait for goes before what only follows from what has happened.
//!
//! When a thousand apps fall due in one second, their orders are all that anybody waits for; the same second brings a thousand
//! ticks to publish, and soon as many claims and ends to record. All of it takes the same connection, server and processors. So
//! the latter let the former pass; but never quite, lest a leader that is always busy publish nothing.

use std::collections::VecDeque;

use crate::dispatcher::{Effect, Haste};

/// Effects in turn that are under way at once while nobody waits for others, and while somebody does.
const IN_TURN_MAX: usize = 512;
const IN_TURN_MAX_BESIDE: usize = 8;

/// So many turns for apps that are due, one after the other, before there is one for whatever else there is.
const DUE_TURNS_MAX: u32 = 16;

/// Decides whose turn it is: that of apps that are due, with the answers that their orders wait for, or that of all there is. What
/// the world has to say of runs that go on already may wait until the others have begun, but not for ever.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    due_in_a_row: u32,
}

impl Turns {
    /// Whether the next turn is for what is due alone.
    pub(crate) fn next_is_for_due(&mut self, due: bool) -> bool {
        let alone = due && self.due_in_a_row < DUE_TURNS_MAX;
        self.due_in_a_row = if alone { self.due_in_a_row + 1 } else { 0 };
        alone
    }
}

/// Decides which effect is begun when.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    at_once: usize,
    in_turn: usize,
    waiting: VecDeque<Effect>,
}

impl Lanes {
    /// Takes an effect in. Whoever does asks for [`Self::next`] until there is none.
    pub(crate) fn push(&mut self, effect: Effect) {
        match effect.haste() {
            Haste::AtOnce => self.waiting.push_front(effect),
            Haste::InTurn => self.waiting.push_back(effect),
        }
    }

    /// The next effect that may be begun, as under way from now on.
    pub(crate) fn next(&mut self) -> Option<Effect> {
        let may_begin = match self.waiting.front()?.haste() {
            Haste::AtOnce => true,
            Haste::InTurn if self.at_once == 0 => self.in_turn < IN_TURN_MAX,
            Haste::InTurn => self.in_turn < IN_TURN_MAX_BESIDE,
        };
        let effect = if may_begin { self.waiting.pop_front()? } else { return None };
        *self.count(effect.haste()) += 1;
        Some(effect)
    }

    /// An effect has ended.
    pub(crate) fn ended(&mut self, haste: Haste) {
        *self.count(haste) -= 1;
    }

    fn count(&mut self, haste: Haste) -> &mut usize {
        match haste {
            Haste::AtOnce => &mut self.at_once,
            Haste::InTurn => &mut self.in_turn,
        }
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_core::{message::MeshEvent, name::AgentName};

    use super::*;

    #[test]
    fn what_is_due_goes_first_but_not_for_ever() {
        let mut turns = Turns::default();
        assert!(!turns.next_is_for_due(false));
        for _ in 0..3 {
            assert!((0..DUE_TURNS_MAX).all(|_| turns.next_is_for_due(true)));
            assert!(!turns.next_is_for_due(true));
        }
        assert!(turns.next_is_for_due(true) && !turns.next_is_for_due(false));
    }

    /// Somebody waits for it.
    fn urgent() -> Effect {
        Effect::Announce(MeshEvent::AgentLost { agent: AgentName::new("a1").unwrap() })
    }

    fn patient() -> Effect {
        use jiff::Timestamp;
        use tickmesh_core::{
            message::{Admission, SCHEMA, TickRecord},
            name::AppName,
        };
        let app = AppName::new("nightly").unwrap();
        let (scheduled_at, decided_at) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        let admission = Admission::Start { run: 1 };
        let tick = TickRecord { schema: SCHEMA, number: 1, app, scheduled_at, decided_at, admission, coalesced: 0 };
        Effect::PublishTick { tick, expected: 0 }
    }

    fn begun(lanes: &mut Lanes) -> Vec<Haste> {
        std::iter::from_fn(|| lanes.next()).map(|effect| effect.haste()).collect()
    }

    #[test]
    fn what_somebody_waits_for_is_begun_at_once_and_the_rest_beside_it_in_small_numbers() {
        let mut lanes = Lanes::default();
        lanes.push(urgent());
        assert_eq!(begun(&mut lanes), [Haste::AtOnce]);
        (0..20).for_each(|_| lanes.push(patient()));
        assert_eq!(begun(&mut lanes), [Haste::InTurn; IN_TURN_MAX_BESIDE]);
        lanes.push(urgent());
        assert_eq!(begun(&mut lanes), [Haste::AtOnce]);
        lanes.ended(Haste::InTurn);
        assert_eq!(begun(&mut lanes), [Haste::InTurn]);
    }

    #[test]
    fn once_nobody_waits_the_rest_goes_on_together() {
        let mut lanes = Lanes::default();
        lanes.push(urgent());
        (0..IN_TURN_MAX + 20).for_each(|_| lanes.push(patient()));
        assert_eq!(begun(&mut lanes).len(), 1 + IN_TURN_MAX_BESIDE);
        lanes.ended(Haste::AtOnce);
        assert_eq!(begun(&mut lanes), [Haste::InTurn; IN_TURN_MAX - IN_TURN_MAX_BESIDE]);
        (0..IN_TURN_MAX).for_each(|_| lanes.ended(Haste::InTurn));
        assert_eq!(begun(&mut lanes).len(), 20);
    }
}
