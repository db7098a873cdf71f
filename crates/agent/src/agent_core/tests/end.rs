//! Stopping in order, and losing the name.

use super::*;
use crate::agent_core::shutdown::HOST_TIMEOUT;

#[test]
fn an_agent_that_stops_waits_for_calm_and_says_farewell() {
    let mut process = Process::serving();
    process.order(0, &["claim 0"]);
    process.tell(Event::Shutdown(Shutdown::OfProcess), &[]);
    process.order(1, &[]);
    assert_eq!(process.attempt(0, attempt::Event::ClaimRefused), ["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 2 on 8: seen 41, holds [], stopped"]);
    process.tell(Event::KeyWritten { revision: 9 }, &["announce agent-stopped", "end"]);
    process.tell(Event::Woken, &[]);
}

#[test]
fn calm_is_not_waited_for_very_long() {
    let mut process = Process::serving();
    process.order(0, &["claim 0"]);
    process.tell(Event::Shutdown(Shutdown::OfProcess), &[]);
    process.wait(seconds(2), &["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 2 on 8: seen 41, holds [0]"]);
    process.tell(Event::KeyWritten { revision: 9 }, &[]);
    process.wait(seconds(1), &["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 3 on 9: seen 41, holds [0], stopped"]);
}

#[test]
fn an_agent_whose_host_goes_down_stops_its_containers_and_waits_for_their_ends() {
    let mut process = Process::serving();
    process.order(0, &["claim 0"]);
    process.tell(Event::Shutdown(Shutdown::OfHost), &[]);
    assert_eq!(process.attempt(0, attempt::Event::ClaimStored { sequence: 41, at: BEGUN }), ["report 0"]);
    process.order(1, &[]);
    assert_eq!(process.attempt(0, attempt::Event::EndStored), ["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 42 }, &["write-key 2 on 8: seen 42, holds [], stopped"]);
}

#[test]
fn a_host_that_goes_down_waits_for_containers_only_for_so_long() {
    let mut process = Process::serving();
    process.order(0, &["claim 0"]);
    process.tell(Event::Shutdown(Shutdown::OfHost), &[]);
    process.age += HOST_TIMEOUT;
    assert_eq!(process.fold(Event::Woken), ["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 2 on 8: seen 41, holds [0], stopped"]);
}

#[test]
fn a_heartbeat_that_was_sent_before_is_no_farewell() {
    let mut process = Process::serving();
    process.wait(seconds(2), &["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 2 on 8: seen 41, holds []"]);
    process.tell(Event::Shutdown(Shutdown::OfProcess), &[]);
    process.tell(Event::KeyWritten { revision: 9 }, &["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 3 on 9: seen 41, holds [], stopped"]);
    process.tell(Event::KeyWritten { revision: 10 }, &["announce agent-stopped", "end"]);
}

#[test]
fn a_farewell_that_nobody_hears_is_given_up() {
    let mut process = Process::serving();
    process.tell(Event::Shutdown(Shutdown::OfProcess), &["read-results-end"]);
    process.wait(seconds(3), &["announce agent-stopped", "end"]);
}

#[test]
fn whoever_has_shown_no_sign_of_life_says_no_farewell() {
    let mut process = Process::begin();
    process.tell(Event::Shutdown(Shutdown::OfProcess), &["end"]);
    let mut process = Process::subscribed(vec![container(0, 9, ContainerStatus::Running)]);
    process.tell(Event::Shutdown(Shutdown::OfProcess), &["end"]);
}

/// A process with a claim on attempt 0 and an adopted container of attempt 1 finds its name taken.
fn deposed() -> Process {
    let mut process = Process::subscribed(vec![container(1, 9, ContainerStatus::Running)]);
    process.tell(Event::ReportRead { last: claimed_with(9) }, &["watch 1", "follow-orders"]);
    process.tell(Event::OrdersFollowed, &["read-results-end", "read-lease"]);
    process.tell(Event::ResultsEnd { sequence: 40 }, &["write-key 1 on 7: seen 40, holds [1]"]);
    process.tell(Event::KeyWritten { revision: 8 }, &["remember", "announce agent-joined"]);
    process.order(0, &["claim 0"]);
    assert_eq!(process.attempt(0, attempt::Event::ClaimStored { sequence: 41, at: BEGUN }), ["pull 0"]);
    process.age += seconds(2);
    process.tell(Event::Woken, &["clean [0, 1]", "read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 2 on 8: seen 41, holds [0, 1]"]);
    process.tell(Event::KeyRefused { current: key(9, elsewhere(record(2))) }, &["abandon", "list"]);
    process
}

fn found() -> Event {
    let containers = vec![container(0, 50, ContainerStatus::Running), container(1, 9, ContainerStatus::Running)];
    Event::Listed { containers }
}

const LAST_WORDS: &str = "tell-end 0 on 41: Lost { reason: ContainerRemoved }";
const DEPOSED: &str = "end: another process has taken over agent `host-1`: its own containers are removed";

#[test]
fn a_deposed_process_removes_its_own_claims_containers_and_no_others() {
    let mut process = deposed();
    process.tell(found(), &["remove-own c0"]);
    process.tell(Event::OwnRemoved, &[]);
    for _ in 0..2 {
        process.wait(Duration::from_millis(500), &["list"]);
        process.fold(Event::Listed { containers: vec![container(1, 9, ContainerStatus::Running)] });
    }
    // The third sweep has found nothing, and told the end.
    process.tell(Event::EndTold, &[DEPOSED]);
}

#[test]
fn the_end_is_told_after_the_last_sweep() {
    let mut process = deposed();
    process.tell(Event::Listed { containers: Vec::new() }, &[]);
    process.wait(Duration::from_millis(500), &["list"]);
    // Its creation was under way.
    process.tell(found(), &["remove-own c0"]);
    process.tell(Event::OwnRemoved, &[]);
    process.wait(Duration::from_millis(500), &["list"]);
    process.tell(Event::Listed { containers: Vec::new() }, &[LAST_WORDS]);
}

#[test]
fn a_deposed_process_does_nothing_else_any_more() {
    let mut process = deposed();
    process.order(2, &[]);
    assert_eq!(process.attempt(0, attempt::Event::ImageReady), [] as [&str; 0]);
    process.tell(Event::ResultsEnd { sequence: 50 }, &[]);
    process.tell(Event::KeyWritten { revision: 50 }, &[]);
    process.tell(Event::Shutdown(Shutdown::OfProcess), &[]);
    process.tell(Event::Woken, &[]);
    process.tell(found(), &["remove-own c0"]);
}

#[test]
fn a_sweep_that_the_engine_does_not_finish_begins_again_until_time_is_up() {
    let no_answer = || engine::Error::Unavailable { attempted: "remove".to_owned(), source: "no answer".into() };
    let mut process = deposed();
    process.tell(Event::Unlisted(no_answer()), &[]);
    process.wait(Duration::from_millis(100), &["list"]);
    process.tell(found(), &["remove-own c0"]);
    process.tell(Event::OwnNotRemoved(no_answer()), &[]);
    process.wait(Duration::from_millis(200), &["list"]);
    process.wait(Duration::from_millis(14_700), &[DEPOSED]);
}

#[test]
fn a_deposed_process_without_claims_is_gone_at_once() {
    let mut process = Process::serving();
    process.wait(seconds(2), &["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 2 on 8: seen 41, holds []"]);
    process.tell(Event::KeyRefused { current: key(9, record(2)) }, &["abandon", DEPOSED]);
}
