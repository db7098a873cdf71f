//! What is asked of every app, a portion of the apps at a time: of a million apps at once it would take
//! seconds, in which the leader could neither renew its lease nor decide about an app that is due.

use std::{collections::VecDeque, ops::Bound};

use tickmesh_core::{decide::Input, name::AppName};

use super::Dispatcher;
use crate::clock::Moment;

/// Something that is asked of every app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// What is under way becomes this leader's.
    TakeOver,
    /// The clock goes on: what waited for it is decided.
    Clock,
    /// Commands below this sequence were confirmed.
    CommandsConfirmed { below: u64 },
    /// Stored ledgers are to need no results that are folded.
    Checkpoint,
}

/// Rounds under way: one after the other, each in the order of the apps' names.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    waiting: VecDeque<Round>,
    /// The last app that the first round has asked.
    asked: Option<AppName>,
    /// A portion is being asked: what its end begins goes on with it.
    is_asking: bool,
}

impl Rounds {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds a round behind the others. One that waits and has not begun is not added twice.
    fn add(&mut self, round: Round) {
        let begun = usize::from(self.asked.is_some());
        if !self.waiting.iter().skip(begun).any(|waiting| *waiting == round) {
            self.waiting.push_back(round);
        }
    }
}

impl Dispatcher {
    /// Asks something of every app, beginning now.
    pub(super) fn ask_all(&mut self, round: Round, moment: Moment) {
        self.rounds.add(round);
        if !self.rounds.is_asking {
            self.go_round(moment);
        }
    }

    /// Asks the next portion of apps.
    pub(super) fn go_round(&mut self, moment: Moment) {
        self.rounds.is_asking = true;
        let mut left = self.batches.round;
        while let Some(round) = self.rounds.waiting.front().copied() {
            let after = self.rounds.asked.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let apps = self.apps.range::<AppName, _>((after, Bound::Unbounded)).map(|(app, _)| app.clone());
            let portion: Vec<AppName> = apps.take(left).collect();
            left -= portion.len();
            for app in &portion {
                self.ask(round, app, moment);
            }
            if left == 0 {
                self.rounds.asked = portion.into_iter().next_back();
                break;
            }
            self.rounds.asked = None;
            self.rounds.waiting.pop_front();
            self.round_over(round, moment);
        }
        self.rounds.is_asking = false;
    }

    fn ask(&mut self, round: Round, app: &AppName, moment: Moment) {
        match round {
            Round::TakeOver => self.step(app, Input::TakeOver, moment),
            Round::Checkpoint => self.step(app, Input::Checkpoint, moment),
            Round::Clock => {
                self.step(app, Input::Clock, moment);
                self.release_commands(app, moment);
            }
            Round::CommandsConfirmed { below } => {
                self.step(app, Input::CommandsConfirmed { below }, moment);
                self.release_commands(app, moment);
            }
        }
    }

    fn round_over(&mut self, round: Round, moment: Moment) {
        match round {
            Round::TakeOver => {
                self.taken_over = true;
                self.catch_up(moment);
                self.results_folded(moment);
            }
            Round::Clock | Round::CommandsConfirmed { .. } | Round::Checkpoint => {}
        }
    }
}
