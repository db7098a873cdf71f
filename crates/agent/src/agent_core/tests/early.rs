//! Orders that come before their instant by the clock of the host.

use jiff::{SignedDuration, Timestamp};
use tickmesh_core::message::StartOrder;

use super::*;

/// A start for an instant that is so far ahead by the host's clock.
fn ahead(replica: u32, ahead: SignedDuration) -> Event {
    let scheduled_at = Some(Timestamp::UNIX_EPOCH + ahead);
    let kind = OrderKind::Start(Box::new(StartOrder { scheduled_at, ..fixture::start_order() }));
    Event::Order { order: Box::new(Order { kind, ..start(replica) }), nonce: nonce(50) }
}

/// A process that has just believed an order, and would believe others of its tenure.
fn trusting() -> Process {
    let mut process = Process::serving();
    process.order(0, &["claim 0"]);
    process
}

#[test]
fn an_order_waits_until_its_instant_by_the_hosts_clock() {
    let mut process = trusting();
    process.tell(ahead(1, SignedDuration::from_millis(420)), &[]);
    process.tell(ahead(2, SignedDuration::from_millis(300)), &[]);
    process.wait(Duration::from_millis(300), &["claim 2"]);
    process.wait(Duration::from_millis(120), &["claim 1"]);
}

#[test]
fn an_instant_that_has_come_holds_nothing_up() {
    let mut process = trusting();
    process.tell(ahead(1, SignedDuration::ZERO), &["claim 1"]);
    process.tell(ahead(2, SignedDuration::from_millis(-300)), &["claim 2"]);
}

#[test]
fn a_clock_that_is_far_behind_holds_nothing_up() {
    let mut process = trusting();
    process.tell(ahead(1, SignedDuration::from_millis(2_001)), &["claim 1"]);
    process.tell(ahead(2, SignedDuration::from_hours(1)), &["claim 2"]);
}

#[test]
fn a_start_that_is_stopped_before_its_instant_is_not_taken() {
    let mut process = trusting();
    process.tell(ahead(1, SignedDuration::from_millis(420)), &[]);
    let stop = Order { kind: OrderKind::Stop, ..start(1) };
    process.tell(Event::Order { order: Box::new(stop), nonce: nonce(51) }, &["decline 1"]);
    process.wait(Duration::from_millis(420), &[]);
    assert_eq!(process.attempt(1, attempt::Event::Declined), [] as [&str; 0]);
    process.tell(ahead(1, SignedDuration::ZERO), &[]);
}

/// A host that slept meanwhile may have missed that the attempt was revoked, and that this is forgotten.
#[test]
fn the_age_of_an_order_counts_from_when_it_came() {
    let mut process = trusting();
    process.tell(ahead(1, SignedDuration::from_millis(420)), &[]);
    let came_at = BEGUN + process.age;
    process.age += Duration::from_secs(7_200);
    assert!(process.fold(Event::Woken).contains(&"claim 1".to_owned()));
    let stored = attempt::Event::ClaimStored { sequence: 60, at: BEGUN + process.age };
    assert_eq!(process.attempt(1, stored), ["report 1"]);
    assert_eq!(process.core.attempts.ordered(&attempt_of_replica(1)).unwrap().at, came_at);
}

/// One of a later tenure has the lease read first, and the other one waits for that.
#[test]
fn orders_that_are_due_together_are_taken_one_by_one() {
    let mut process = Process::serving();
    for replica in [1, 2] {
        process.tell(ahead(replica, SignedDuration::from_millis(100)), &[]);
    }
    process.wait(Duration::from_millis(100), &["read-lease"]);
    process.tell(Event::LeaseRead(LeaseSeen { revision: 1, newest: Epoch(1) }), &["claim 1"]);
    process.wait(Duration::ZERO, &["claim 2"]);
}
