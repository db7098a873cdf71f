//! Wishes of people about agents, which a leader carries out one after the other: of two wishes about one
//! agent, the later one stands.

use std::{collections::VecDeque, time::Duration};

use tickmesh_core::agent_wish::WishAnswer;

use super::{leader::Leader, reason::End};
use crate::effect::{Effect, Wish, WishId};

/// Wishes that may wait. Whoever finds no room asks again.
pub(super) const WAITING_MAX: usize = 64;

/// The wishes of one tenure.
#[derive(Debug, Default)]
pub(super) struct WishQueue {
    /// The wish that is being carried out.
    current: Option<WishId>,
    waiting: VecDeque<Wish>,
}

impl WishQueue {
    /// Returns the next wish if none is being carried out.
    fn next(&mut self) -> Option<Wish> {
        if self.current.is_some() {
            return None;
        }
        let wish = self.waiting.pop_front()?;
        self.current = Some(wish.id);
        Some(wish)
    }
}

impl Leader {
    /// Takes a wish in.
    pub(super) fn wished(&mut self, wish: Wish, now: Duration) -> Result<Vec<Effect>, End> {
        self.check_lease(now)?;
        if self.wishes.waiting.len() == WAITING_MAX {
            return Ok(vec![Effect::AnswerWish { id: wish.id, answer: WishAnswer::Busy }]);
        }
        self.wishes.waiting.push_back(wish);
        Ok(self.next_wish().into_iter().collect())
    }

    /// Takes what came of a wish.
    pub(super) fn wish_carried_out(&mut self, id: WishId, answer: WishAnswer) -> Vec<Effect> {
        self.wishes.current.take_if(|current| *current == id);
        let next = self.next_wish();
        [Effect::AnswerWish { id, answer }].into_iter().chain(next).collect()
    }

    fn next_wish(&mut self) -> Option<Effect> {
        let wish = self.wishes.next()?;
        self.queue.push(Effect::CarryOutWish { wish, trusted_until: self.lease.trusted_until() })
    }
}
