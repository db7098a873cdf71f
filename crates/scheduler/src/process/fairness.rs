//! Whose turn it is: apps that are due go first, and everything else gets its share.

/// Turns for due apps, one after the other, before a turn for everything else.
const DUE_TURNS_MAX: usize = 16;
/// Answers to effects that are folded in one turn, of those that have come. A due app brings two: to
/// its ledger write and to its order.
const ANSWERS_A_TURN: usize = 128;
/// Events from the streams that are folded in one turn, of those that have come.
const EVENTS_A_TURN: usize = 64;
/// Events that are added to that for each turn before it that took none: enough for the heartbeats of
/// thousands of agents.
const EVENTS_MADE_UP_A_TURN: usize = 16;

/// What a turn of the loop is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Apps that are due, and the answers that their orders wait for. The loop does not wait.
    Due(Budget),
    /// Whatever comes next. The loop waits for it.
    Any(Budget),
}

/// How much of what has come already is folded in one turn. Answers and events have a share each, so
/// that neither keeps the other out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    answers: usize,
    events: usize,
}

/// Decides what each turn is for. Events about runs that go on may wait until due apps have begun
/// theirs, but not for ever.
#[derive(Debug, Clone, Default)]
pub(super) struct Fairness {
    due_in_a_row: usize,
}

impl Fairness {
    /// Returns what the next turn is for. `due`: there are apps that are due.
    pub(super) fn next(&mut self, due: bool) -> Turn {
        if due && self.due_in_a_row < DUE_TURNS_MAX {
            self.due_in_a_row += 1;
            return Turn::busy();
        }
        let made_up = EVENTS_MADE_UP_A_TURN * std::mem::take(&mut self.due_in_a_row);
        Turn::Any(Budget { answers: ANSWERS_A_TURN, events: EVENTS_A_TURN + made_up })
    }
}

impl Turn {
    /// A turn that goes on with what this process has to do before all else.
    pub(super) fn busy() -> Self {
        Self::Due(Budget { answers: ANSWERS_A_TURN, events: 0 })
    }

    /// A turn in which nothing is due.
    pub(super) fn idle() -> Self {
        Self::Any(Budget { answers: ANSWERS_A_TURN, events: EVENTS_A_TURN })
    }

    /// What is folded in this turn of what has come already.
    pub fn budget(self) -> Budget {
        match self {
            Self::Due(budget) | Self::Any(budget) => budget,
        }
    }
}

impl Budget {
    /// Returns the next answer or event to fold, if one has come that the budget has room for.
    pub fn next<T>(&mut self, answer: impl FnOnce() -> Option<T>, event: impl FnOnce() -> Option<T>) -> Option<T> {
        take(&mut self.answers, answer).or_else(|| take(&mut self.events, event))
    }
}

fn take<T>(left: &mut usize, next: impl FnOnce() -> Option<T>) -> Option<T> {
    *left = left.checked_sub(1)?;
    next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_apps_go_first_but_not_for_ever() {
        let mut fairness = Fairness::default();
        let mut is_for_due = |due| matches!(fairness.next(due), Turn::Due(_));
        assert!(!is_for_due(false));
        for _ in 0..3 {
            assert!((0..DUE_TURNS_MAX).all(|_| is_for_due(true)));
            assert!(!is_for_due(true));
        }
        assert!(is_for_due(true) && !is_for_due(false));
    }

    /// Answers and events that so many turns fold while there are always more of both.
    fn folded(turns: usize, due: bool) -> (usize, usize) {
        let mut fairness = Fairness::default();
        let (mut answers, mut events) = (0, 0);
        for _ in 0..turns {
            let mut budget = fairness.next(due).budget();
            while let Some(count) = budget.next(|| Some(&mut answers), || Some(&mut events)) {
                *count += 1;
            }
        }
        (answers, events)
    }

    #[test]
    fn events_have_their_share_however_many_answers_wait() {
        let round = DUE_TURNS_MAX + 1;
        assert_eq!(folded(10, false), (10 * ANSWERS_A_TURN, 10 * EVENTS_A_TURN));
        let (answers, events) = folded(10 * round, true);
        assert_eq!(answers, 10 * round * ANSWERS_A_TURN);
        assert!(events * 8 > answers, "{events} beside {answers}");
    }

    #[test]
    fn missing_answers_hold_up_no_event() {
        let mut budget = Fairness::default().next(false).budget();
        let events = std::iter::from_fn(|| budget.next(|| None, || Some(())));
        assert_eq!(events.count(), EVENTS_A_TURN);
    }
}
