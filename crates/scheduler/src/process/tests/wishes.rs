//! Wishes about agents: only a leader carries them out, one after the other.

use tickmesh_core::{
    agent_wish::{AgentWish, WishAnswer},
    name::AgentName,
};

use super::{super::wishes::WAITING_MAX, *};
use crate::effect::Wish;

fn wish(id: u64) -> Event {
    Event::AgentWished(Wish { id, agent: AgentName::new("a1").unwrap(), wish: AgentWish::Undrain })
}

fn carried_out(id: u64) -> Event {
    let answer = WishAnswer::Granted { sequence: 3, stopped: false, held: 0 };
    Event::WishCarriedOut { id, answer }
}

#[test]
fn only_a_leader_carries_a_wish_out() {
    let not_leading = ["AnswerWish { id: 1, answer: NotLeading }"];
    World::new().fold(wish(1)).check(&not_leading, "checking");
    World::standing_by().fold(wish(1)).check(&not_leading, "standing by");
    World::catching_up().fold(wish(1)).check(&not_leading, "catching up");
    let mut world = World::leading();
    world.fold(wish(1)).check(&["CarryOutWish { wish: Wish { id: 1"], "leading");
    let [Effect::CarryOutWish { trusted_until, .. }] = &world.effects[..] else { panic!("{:?}", world.effects) };
    assert_eq!(Some(*trusted_until), world.valid_until, "it is not written once the lease is too old");
    world.fold(Event::StepDown);
    world.fold(wish(2)).check(&["AnswerWish { id: 2, answer: NotLeading }"], "stepping down");
}

#[test]
fn wishes_are_carried_out_one_after_the_other() {
    let mut world = World::leading();
    world.fold(wish(1)).check(&["CarryOutWish { wish: Wish { id: 1"], "leading");
    world.fold(wish(2)).check(&[], "leading");
    world.fold(Event::Ended(Priority::Urgent)).check(&[], "leading");
    let next = ["AnswerWish { id: 1, answer: Granted", "CarryOutWish { wish: Wish { id: 2"];
    world.fold(carried_out(1)).check(&next, "leading");
    world.fold(Event::Ended(Priority::Urgent)).check(&[], "leading");
    world.fold(carried_out(2)).check(&["AnswerWish { id: 2"], "leading");
    world.fold(wish(3)).check(&["CarryOutWish { wish: Wish { id: 3"], "leading");
}

#[test]
fn wishes_that_find_no_room_are_told_so() {
    let mut world = World::leading();
    world.fold(wish(0)).check(&["CarryOutWish"], "leading");
    for id in 1..=WAITING_MAX as u64 {
        world.fold(wish(id)).check(&[], "leading");
    }
    world.fold(wish(99)).check(&["AnswerWish { id: 99, answer: Busy }"], "leading");
    let next = ["AnswerWish { id: 0", "CarryOutWish { wish: Wish { id: 1"];
    world.fold(carried_out(0)).check(&next, "leading");
}

#[test]
fn a_wish_finds_out_that_the_lease_is_too_old() {
    let mut world = World::leading();
    world.moment.uptime += Duration::from_secs(3);
    world.fold(wish(1));
    assert!(matches!(world.effects[0], Effect::Abandon), "{:?}", world.effects);
    assert_ne!(world.process.stage(), "leading");
}
