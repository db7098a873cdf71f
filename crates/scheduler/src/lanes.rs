//! What agents and people wait for goes before what only follows from what has happened.
//!
//! When a thousand apps fall due in one second, their orders are all that anybody waits for; the same second brings a thousand
//! ticks to publish, and soon as many claims and ends to record. All of it takes the same connection, server and processors. So
//! the latter let the former pass; but never quite, lest a leader that is always busy publish nothing.

use std::collections::BTreeMap;

use tickmesh_core::name::AppName;

use crate::dispatcher::{Effect, Haste};

/// Effects in turn that are under way at once; each that somebody waits for takes the places of so many of them, but a few always
/// go on. One that never ends so costs a little, and a burst leaves hardly anything beside it.
const IN_TURN_MAX: usize = 512;
const PLACES_AT_ONCE: usize = 8;
const IN_TURN_MIN: usize = 8;

/// So many turns for apps that are due, one after the other, before there is one for whatever else there is.
const DUE_TURNS_MAX: usize = 16;

/// So much of each kind that has come already is dealt with in one turn.
const ANSWERS_A_TURN: usize = 64;
const EVENTS_A_TURN: usize = 64;
/// And so much more of events for each turn before it that was not for them: enough for the heartbeats of thousands of agents.
const EVENTS_MADE_UP_A_TURN: usize = 16;

/// What a turn is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Apps that are due, with the answers that their orders wait for.
    Due,
    /// All there is.
    Any(Shares),
}

/// How much is dealt with in one turn of what has come already. Each kind has its own share: however much there always is of one,
/// the other gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    answers: usize,
    events: usize,
}

/// Decides whose turn it is: that of apps that are due, or that of all there is. What the world has to say of runs that go on already
/// may wait until the others have begun, but not for ever.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    due_in_a_row: usize,
}

impl Turns {
    /// What the next turn is for.
    pub(crate) fn next(&mut self, due: bool) -> Turn {
        let alone = due && self.due_in_a_row < DUE_TURNS_MAX;
        if alone {
            self.due_in_a_row += 1;
            return Turn::Due;
        }
        let events = EVENTS_A_TURN + EVENTS_MADE_UP_A_TURN * std::mem::take(&mut self.due_in_a_row);
        Turn::Any(Shares { answers: ANSWERS_A_TURN, events })
    }
}

impl Turn {
    /// What is dealt with in it of what has come already.
    pub(crate) fn shares(self) -> Shares {
        match self {
            Self::Due => Shares { answers: ANSWERS_A_TURN, events: 0 },
            Self::Any(shares) => shares,
        }
    }
}

impl Shares {
    /// The next answer or event to deal with, if any has come for which there is room in this turn.
    pub(crate) fn next<T>(
        &mut self,
        answer: impl FnOnce() -> Option<T>,
        event: impl FnOnce() -> Option<T>,
    ) -> Option<T> {
        take(&mut self.answers, answer).or_else(|| take(&mut self.events, event))
    }
}

fn take<T>(left: &mut usize, next: impl FnOnce() -> Option<T>) -> Option<T> {
    *left = left.checked_sub(1)?;
    next()
}

/// Decides which effect is begun when.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    at_once: usize,
    in_turn: usize,
    /// Only what is in turn ever waits: by number, in the order in which it came.
    waiting: BTreeMap<u64, Effect>,
    last: u64,
    /// The numbers of ledger writes among it: one an app at most.
    writes: BTreeMap<AppName, u64>,
}

impl Lanes {
    /// Takes an effect in. Returned is what may be begun now, as under way from now on.
    pub(crate) fn push(&mut self, effect: Effect) -> Option<Effect> {
        if let Effect::HastenWrite { app } = &effect {
            return self.hasten_write(app);
        }
        match effect.haste() {
            Haste::AtOnce => {
                self.at_once += 1;
                Some(effect)
            }
            Haste::InTurn => {
                self.last += 1;
                if let Effect::WriteLedger { app, .. } = &effect {
                    self.writes.insert(app.clone(), self.last);
                }
                self.waiting.insert(self.last, effect);
                self.next()
            }
        }
    }

    /// A write that waits is begun as one that somebody waits for.
    fn hasten_write(&mut self, app: &AppName) -> Option<Effect> {
        let number = self.writes.remove(app)?;
        let mut effect = self.waiting.remove(&number)?;
        if let Effect::WriteLedger { haste, .. } = &mut effect {
            *haste = Haste::AtOnce;
        }
        self.at_once += 1;
        Some(effect)
    }

    /// The next effect that has waited and may be begun, as under way from now on. Whoever says that some have ended asks until
    /// there is none.
    pub(crate) fn next(&mut self) -> Option<Effect> {
        let in_turn_max = IN_TURN_MAX.saturating_sub(self.at_once * PLACES_AT_ONCE).max(IN_TURN_MIN);
        let (_, effect) = if self.in_turn < in_turn_max { self.waiting.pop_first()? } else { return None };
        if let Effect::WriteLedger { app, .. } = &effect {
            self.writes.remove(app);
        }
        self.in_turn += 1;
        Some(effect)
    }

    /// An effect has ended.
    pub(crate) fn ended(&mut self, haste: Haste) {
        match haste {
            Haste::AtOnce => self.at_once -= 1,
            Haste::InTurn => self.in_turn -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tickmesh_core::{
        ledger::Ledger,
        message::{Admission, MeshEvent, SCHEMA, TickRecord},
        name::AgentName,
    };

    use super::*;

    #[test]
    fn what_is_due_goes_first_but_not_for_ever() {
        let mut turns = Turns::default();
        let mut is_for_due = |due| turns.next(due) == Turn::Due;
        assert!(!is_for_due(false));
        for _ in 0..3 {
            assert!((0..DUE_TURNS_MAX).all(|_| is_for_due(true)));
            assert!(!is_for_due(true));
        }
        assert!(is_for_due(true) && !is_for_due(false));
    }

    /// How many answers and events so many turns deal with while there are always more of both.
    fn dealt_with(turns: usize, due: bool) -> (usize, usize) {
        let mut order = Turns::default();
        let (mut answers, mut events) = (0, 0);
        for _ in 0..turns {
            let mut shares = order.next(due).shares();
            while let Some(count) = shares.next(|| Some(&mut answers), || Some(&mut events)) {
                *count += 1;
            }
        }
        (answers, events)
    }

    #[test]
    fn events_have_their_share_however_many_answers_wait() {
        let round = DUE_TURNS_MAX + 1;
        assert_eq!(dealt_with(10, false), (10 * ANSWERS_A_TURN, 10 * EVENTS_A_TURN));
        let (answers, events) = dealt_with(10 * round, true);
        assert_eq!(answers, 10 * round * ANSWERS_A_TURN);
        assert!(events * 4 > answers, "{events} beside {answers}");
    }

    #[test]
    fn what_does_not_come_keeps_nobody_waiting() {
        let mut shares = Turns::default().next(false).shares();
        let events = std::iter::from_fn(|| shares.next(|| None, || Some(())));
        assert_eq!(events.count(), EVENTS_A_TURN);
    }

    /// Somebody waits for it.
    fn urgent() -> Effect {
        Effect::Announce(MeshEvent::AgentLost { agent: AgentName::new("a1").unwrap() })
    }

    fn patient() -> Effect {
        let app = AppName::new("nightly").unwrap();
        let (scheduled_at, decided_at) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        let admission = Admission::Start { run: 1 };
        let tick = TickRecord { schema: SCHEMA, number: 1, app, scheduled_at, decided_at, admission, coalesced: 0 };
        Effect::PublishTick { tick, expected: 0 }
    }

    /// What is begun when an effect comes so many times.
    fn begun(lanes: &mut Lanes, count: usize, effect: fn() -> Effect) -> usize {
        (0..count).filter_map(|_| lanes.push(effect())).count()
    }

    /// What is begun when so many have ended.
    fn begun_after(lanes: &mut Lanes, count: usize, ended: Haste) -> usize {
        (0..count).for_each(|_| lanes.ended(ended));
        std::iter::from_fn(|| lanes.next()).count()
    }

    /// Enough for a burst.
    const MANY: usize = IN_TURN_MAX / PLACES_AT_ONCE;

    #[test]
    fn what_somebody_waits_for_is_begun_at_once_and_the_rest_beside_it_in_small_numbers() {
        let mut lanes = Lanes::default();
        assert_eq!(begun(&mut lanes, MANY, urgent), MANY);
        assert_eq!(begun(&mut lanes, 20, patient), IN_TURN_MIN);
        assert_eq!(begun(&mut lanes, 1, urgent), 1);
        assert_eq!(begun_after(&mut lanes, 1, Haste::InTurn), 1);
    }

    #[test]
    fn once_nobody_waits_the_rest_goes_on_together() {
        let mut lanes = Lanes::default();
        begun(&mut lanes, MANY, urgent);
        assert_eq!(begun(&mut lanes, IN_TURN_MAX + 20, patient), IN_TURN_MIN);
        assert_eq!(begun_after(&mut lanes, MANY, Haste::AtOnce), IN_TURN_MAX - IN_TURN_MIN);
        assert_eq!(begun_after(&mut lanes, IN_TURN_MAX, Haste::InTurn), 20);
    }

    #[test]
    fn a_write_that_waits_is_begun_once_somebody_waits_for_it() {
        let app = || AppName::new("nightly").unwrap();
        let ledger = || Box::new(Ledger::new(1, Timestamp::UNIX_EPOCH));
        let write = || Effect::WriteLedger { app: app(), ledger: ledger(), expected: 1, haste: Haste::InTurn };
        let hasten = || Effect::HastenWrite { app: app() };
        let mut lanes = Lanes::default();
        begun(&mut lanes, MANY, urgent);
        begun(&mut lanes, IN_TURN_MAX, patient);
        assert!(lanes.push(write()).is_none());
        let hastened = lanes.push(hasten()).unwrap();
        assert!(matches!(hastened, Effect::WriteLedger { haste: Haste::AtOnce, .. }), "{hastened:?}");
        assert!(lanes.push(hasten()).is_none(), "it is under way");
        lanes.ended(hastened.haste());
        // Nor is there anything to hasten of one that had its turn.
        begun_after(&mut lanes, MANY, Haste::AtOnce);
        assert!(lanes.push(write()).is_none());
        begun_after(&mut lanes, IN_TURN_MAX, Haste::InTurn);
        assert!(lanes.push(hasten()).is_none());
    }

    #[test]
    fn one_that_never_ends_does_not_hold_the_rest_up() {
        let mut lanes = Lanes::default();
        begun(&mut lanes, 1, urgent);
        assert_eq!(begun(&mut lanes, IN_TURN_MAX, patient), IN_TURN_MAX - PLACES_AT_ONCE);
    }
}
