//! Which effects begin when: urgent ones at once, background ones beside them in small numbers.
//!
//! When a thousand apps fall due in one second, their orders are all that anybody waits for. The same
//! second brings a thousand ticks to publish, and soon as many claims and ends to record, over the
//! same connection, server and processors. Background effects therefore let urgent ones pass, but a
//! few of them always go on: a leader that is always busy still has to publish.

use std::collections::BTreeMap;

use tickmesh_core::name::AppName;

use crate::effect::{Effect, Priority};

/// Each urgent effect under way displaces so many background ones, so that a burst leaves hardly any.
const DISPLACED_BY_URGENT: usize = 8;

/// How many background effects go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Background effects under way at once while nothing urgent is.
    pub background_max: usize,
    /// Background effects that go on whatever is urgent: an urgent effect that never ends costs little.
    pub background_min: usize,
}

impl Default for QueueLimits {
    /// 512 fill a connection; 8 are hardly any beside a burst.
    fn default() -> Self {
        Self { background_max: 512, background_min: 8 }
    }
}

/// The effects of one tenure: those under way, counted, and those that wait.
#[derive(Debug)]
pub(super) struct EffectQueue {
    limits: QueueLimits,
    urgent: usize,
    background: usize,
    /// Background effects that wait, by number, in the order in which they came.
    waiting: BTreeMap<u64, Effect>,
    last: u64,
    /// The numbers of the ledger writes among them: at most one an app.
    writes: BTreeMap<AppName, u64>,
}

impl EffectQueue {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self { limits, urgent: 0, background: 0, waiting: BTreeMap::new(), last: 0, writes: BTreeMap::new() }
    }

    /// Takes an effect in. Returns it, or one that waited, if it begins now.
    pub(super) fn push(&mut self, effect: Effect) -> Option<Effect> {
        match effect.priority() {
            Priority::Immediate => Some(effect),
            Priority::Urgent => {
                self.urgent += 1;
                Some(effect)
            }
            Priority::Background => {
                self.last += 1;
                if let Effect::WriteLedger { app, .. } = &effect {
                    self.writes.insert(app.clone(), self.last);
                }
                self.waiting.insert(self.last, effect);
                self.next()
            }
        }
    }

    /// Makes the ledger write of an app urgent. Returns the write if it waited: it begins now.
    pub(super) fn hasten_write(&mut self, app: &AppName) -> Option<Effect> {
        let number = self.writes.remove(app)?;
        let mut effect = self.waiting.remove(&number)?;
        if let Effect::WriteLedger { priority, .. } = &mut effect {
            *priority = Priority::Urgent;
        }
        self.urgent += 1;
        Some(effect)
    }

    /// Returns the next waiting effect that may begin. After effects have ended, the caller asks until
    /// there is none.
    pub(super) fn next(&mut self) -> Option<Effect> {
        let displaced = self.urgent * DISPLACED_BY_URGENT;
        let QueueLimits { background_max, background_min } = self.limits;
        if self.background >= background_max.saturating_sub(displaced).max(background_min) {
            return None;
        }
        let (_, effect) = self.waiting.pop_first()?;
        if let Effect::WriteLedger { app, .. } = &effect {
            self.writes.remove(app);
        }
        self.background += 1;
        Some(effect)
    }

    /// Effects that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Notes that an effect has ended.
    pub(super) fn ended(&mut self, priority: Priority) {
        match priority {
            Priority::Immediate => {}
            Priority::Urgent => self.urgent -= 1,
            Priority::Background => self.background -= 1,
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

    fn urgent() -> Effect {
        Effect::Announce(MeshEvent::AgentLost { agent: AgentName::new("a1").unwrap() })
    }

    fn background() -> Effect {
        let app = AppName::new("nightly").unwrap();
        let (scheduled_at, decided_at) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        let admission = Admission::Start { run: 1 };
        let tick = TickRecord { schema: SCHEMA, number: 1, app, scheduled_at, decided_at, admission, coalesced: 0 };
        Effect::PublishTick { tick, expected: 0 }
    }

    /// What is begun when an effect comes so many times.
    fn begun(queue: &mut EffectQueue, count: usize, effect: fn() -> Effect) -> usize {
        (0..count).filter_map(|_| queue.push(effect())).count()
    }

    /// What is begun when so many have ended.
    fn begun_after(queue: &mut EffectQueue, count: usize, ended: Priority) -> usize {
        (0..count).for_each(|_| queue.ended(ended));
        std::iter::from_fn(|| queue.next()).count()
    }

    const LIMITS: QueueLimits = QueueLimits { background_max: 512, background_min: 8 };
    /// Enough for a burst.
    const MANY: usize = LIMITS.background_max / DISPLACED_BY_URGENT;

    #[test]
    fn urgent_effects_begin_at_once_and_few_others_beside_them() {
        let mut queue = EffectQueue::new(LIMITS);
        assert_eq!(begun(&mut queue, MANY, urgent), MANY);
        assert_eq!(begun(&mut queue, 20, background), LIMITS.background_min);
        assert_eq!(begun(&mut queue, 1, urgent), 1);
        assert_eq!(begun_after(&mut queue, 1, Priority::Background), 1);
    }

    #[test]
    fn background_effects_fill_the_room_once_nothing_is_urgent() {
        let mut queue = EffectQueue::new(LIMITS);
        begun(&mut queue, MANY, urgent);
        assert_eq!(begun(&mut queue, LIMITS.background_max + 20, background), LIMITS.background_min);
        assert_eq!(begun_after(&mut queue, MANY, Priority::Urgent), LIMITS.background_max - LIMITS.background_min);
        assert_eq!(begun_after(&mut queue, LIMITS.background_max, Priority::Background), 20);
    }

    #[test]
    fn a_waiting_write_begins_once_it_is_urgent() {
        let app = || AppName::new("nightly").unwrap();
        let ledger = || Box::new(Ledger::new(1, Timestamp::UNIX_EPOCH));
        let write =
            || Effect::WriteLedger { app: app(), ledger: ledger(), expected: 1, priority: Priority::Background };
        let mut queue = EffectQueue::new(LIMITS);
        begun(&mut queue, MANY, urgent);
        begun(&mut queue, LIMITS.background_max, background);
        assert!(queue.push(write()).is_none());
        let hastened = queue.hasten_write(&app()).unwrap();
        assert!(matches!(hastened, Effect::WriteLedger { priority: Priority::Urgent, .. }), "{hastened:?}");
        assert!(queue.hasten_write(&app()).is_none(), "it is under way");
        queue.ended(hastened.priority());
        // Nor is there anything to hasten of one that had its turn.
        begun_after(&mut queue, MANY, Priority::Urgent);
        assert!(queue.push(write()).is_none());
        begun_after(&mut queue, LIMITS.background_max, Priority::Background);
        assert!(queue.hasten_write(&app()).is_none());
    }

    #[test]
    fn an_urgent_effect_that_never_ends_costs_few_places() {
        let mut queue = EffectQueue::new(LIMITS);
        begun(&mut queue, 1, urgent);
        assert_eq!(begun(&mut queue, LIMITS.background_max, background), LIMITS.background_max - DISPLACED_BY_URGENT);
    }
}
