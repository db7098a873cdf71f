//! Orders and the tenures that they are of.

use tickmesh_core::id::Epoch;

use super::*;
use crate::agent_core::tenure::{LEASE_INTERVAL, LEASE_PATIENCE};

fn of(epoch: u64, replica: u32) -> Event {
    let order = Order { epoch: Epoch(epoch), ..start(replica) };
    Event::Order { order: Box::new(order), nonce: nonce(50) }
}

fn stop_of(epoch: u64, replica: u32) -> Event {
    let order = Order { epoch: Epoch(epoch), kind: OrderKind::Stop, ..start(replica) };
    Event::Order { order: Box::new(order), nonce: nonce(50) }
}

/// The lease is read, with a revision of its own for each newest tenure.
fn read(newest: u64) -> Event {
    Event::LeaseRead(LeaseSeen { revision: newest, newest: Epoch(newest) })
}

/// A process that found this lease when it began.
fn serving_since(revision: u64) -> Process {
    let mut process = Process::subscribed(Vec::new());
    process.tell(Event::OrdersFollowed, &["read-results-end", "read-lease"]);
    process.tell(read(revision), &[]);
    process.tell(Event::ResultsEnd { sequence: 40 }, &["write-key 1 on 7: seen 40, holds []"]);
    process.tell(Event::KeyWritten { revision: 8 }, &["remember", "announce agent-joined"]);
    process.tell(Event::Woken, &["clean []"]);
    process
}

#[test]
fn a_lease_that_is_renewed_meanwhile_is_believed() {
    let mut process = serving_since(7);
    process.tell(of(7, 0), &["read-lease"]);
    process.tell(read(7), &[]);
    assert!(!process.core.takes_orders());
    process.wait(LEASE_INTERVAL, &["read-lease"]);
    assert!(process.core.wake_at() > Some(BEGUN + process.age), "the answer is awaited");
    process.tell(read(8), &["claim 0"]);
    process.tell(of(8, 1), &["read-lease"]);
    process.tell(read(8), &["claim 1"]);
}

/// As on a store that was restored from an older copy: its start orders are of runs that ended since.
#[test]
fn orders_of_a_lease_that_nobody_renews_start_nothing() {
    let mut process = serving_since(7);
    process.tell(of(7, 0), &["read-lease"]);
    while process.age < LEASE_PATIENCE {
        process.tell(read(7), &[]);
        assert!(!process.core.takes_orders());
        process.age += LEASE_INTERVAL;
        // Heartbeats fall due meanwhile.
        assert!(process.fold(Event::Woken).contains(&"read-lease".to_owned()));
    }
    process.tell(read(7), &[]);
    assert!(process.core.takes_orders(), "the order is given up");
    process.tell(of(7, 1), &["read-lease"]);
    process.tell(read(7), &[]);
    assert!(process.core.takes_orders(), "the next one is refused at once");
    process.tell(stop_of(7, 2), &["read-lease"]);
    process.tell(read(7), &["decline 2"]);
    process.tell(of(7, 1), &["read-lease"]);
    process.tell(read(8), &["claim 1"]);
}

#[test]
fn a_lease_of_an_older_copy_has_to_be_renewed_as_well() {
    let mut process = serving_since(7);
    process.tell(of(3, 0), &["read-lease"]);
    process.tell(read(3), &[]);
    process.wait(LEASE_INTERVAL, &["read-lease"]);
    process.tell(read(4), &["claim 0"]);
}

#[test]
fn an_order_of_an_older_tenure_is_refused() {
    let mut process = Process::serving();
    process.tell(of(5, 0), &["read-lease"]);
    process.tell(read(9), &["claim 0"]);
    process.tell(of(4, 1), &[]);
    process.tell(of(5, 1), &["claim 1"]);
}

#[test]
fn a_later_tenure_is_believed_when_the_lease_has_it() {
    let mut process = Process::serving();
    process.tell(of(5, 0), &["read-lease"]);
    assert!(!process.core.takes_orders(), "the next ones wait where they are");
    process.tell(of(4, 1), &[]);
    process.tell(read(5), &["claim 0"]);
    assert!(process.core.takes_orders());
    process.tell(of(6, 2), &["read-lease"]);
    process.tell(read(8), &["claim 2"]);
    process.tell(of(5, 3), &[]);
}

#[test]
fn an_order_of_no_tenure_makes_an_agent_deaf_to_none() {
    let mut process = Process::serving();
    process.tell(of(u64::MAX, 0), &["read-lease"]);
    process.tell(read(7), &[]);
    process.tell(of(7, 1), &["read-lease"]);
    process.tell(read(7), &["claim 1"]);
    process.tell(of(8, 2), &["read-lease"]);
    process.tell(read(7), &[]);
    process.tell(of(7, 2), &["claim 2"]);
}

/// Whoever accepts a loss of data has agents stop what is not known any more, and writes the lease after that.
#[test]
fn a_stop_of_no_tenure_is_obeyed_and_binds_nobody() {
    let mut process = Process::serving();
    process.tell(of(5, 0), &["read-lease"]);
    process.tell(read(5), &["claim 0"]);
    process.tell(stop_of(1 << 32, 1), &["read-lease"]);
    process.tell(read(5), &["decline 1"]);
    process.tell(of(5, 2), &["claim 2"]);
}

/// Or else a deadline that passed meanwhile would count as one before it.
#[test]
fn an_order_that_waits_is_as_old_as_it_is() {
    let mut process = Process::serving();
    process.tell(of(5, 0), &["read-lease"]);
    process.age += seconds(20);
    process.tell(read(5), &["claim 0"]);
    let ordered = process.core.attempts().ordered(&attempt_of_replica(0)).unwrap();
    assert_eq!(BEGUN + process.age - ordered.at, seconds(20));
}

#[test]
fn an_agent_that_stops_takes_no_order_that_waits() {
    let mut process = Process::serving();
    process.tell(of(5, 0), &["read-lease"]);
    process.fold(Event::Shutdown(Shutdown::OfProcess));
    process.tell(read(5), &[]);
}

/// The store may be another copy by then: with a start order of that tenure for an attempt that has ended since.
#[test]
fn orders_followed_anew_are_not_believed_before_a_renewal() {
    let mut process = serving_since(7);
    process.tell(of(7, 0), &["read-lease"]);
    process.tell(read(8), &["claim 0"]);
    process.tell(Event::OrdersFollowed, &["read-lease"]);
    process.tell(read(8), &[]);
    process.tell(of(7, 1), &["read-lease"]);
    process.tell(read(8), &[]);
    assert!(!process.core.takes_orders(), "nobody has renewed the lease since");
    process.wait(LEASE_INTERVAL, &["read-lease"]);
    process.tell(read(9), &["claim 1"]);
    process.tell(of(7, 2), &["claim 2"]);
}

#[test]
fn an_older_tenure_is_refused_by_whoever_follows_anew() {
    let mut process = serving_since(7);
    process.tell(of(7, 0), &["read-lease"]);
    process.tell(read(8), &["claim 0"]);
    process.tell(Event::OrdersFollowed, &["read-lease"]);
    process.tell(of(6, 1), &[]);
}
