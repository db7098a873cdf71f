//! What would make a ledger too large is refused, shortened or has to wait (the sums are in `ledger::limits`).

use super::{
    super::{AppContent, Input},
    world::{World, app, at, service, unscheduled},
};
use crate::{
    fleet::Readiness,
    id::AttemptId,
    json_size::encoded_bytes,
    ledger::{LEDGER_BYTES_MAX, REASON_BYTES_MAX, Standing, TICKS_PENDING_MAX, Verdict},
    message::{ARGUMENTS_BYTES_MAX, Admission, AttemptEvent, CommandKind, DropReason, RunRequest},
    name::ServiceName,
    outcome::Outcome,
    spec::{AppSpec, QUEUE_LIMIT_MAX, ServiceSpec},
};

/// Two services with the most replicas that a run may have, never retried.
fn two_thousand_replicas() -> AppSpec {
    let second = ServiceSpec { name: ServiceName::new("s2").unwrap(), ..service(1_000, 0) };
    unscheduled(vec![service(1_000, 0), second])
}

/// Every open attempt could not start, each for another long reason.
fn fail_all(world: &mut World) {
    for (index, (id, open)) in world.open().into_iter().enumerate() {
        let reason = format!("{index} {}", "pull access denied ".repeat(40));
        world.report_by(&id, open.agent, AttemptEvent::CouldNotStart { reason, permanent: false });
    }
}

fn check_size(what: &str, world: &World) {
    let bytes = encoded_bytes(&world.ledger);
    println!("{what}: {bytes} of {LEDGER_BYTES_MAX} bytes");
    assert!(bytes <= LEDGER_BYTES_MAX, "{what}: {bytes} bytes");
}

#[test]
fn a_run_that_does_not_fit_beside_the_last_one_waits_until_that_is_published() {
    let mut world = World::new(two_thousand_replicas());
    for name in ["a1", "a2", "a3"] {
        world.set_agent(name, Readiness::Ready, 1_000);
    }
    world.run();
    let claims: Vec<(AttemptId, _)> = world.open().into_iter().map(|(id, open)| (id, open.agent)).collect();
    for (id, agent) in &claims {
        world.report_by(id, agent.clone(), super::world::claimed(agent));
    }
    check_size("2,000 replicas claimed", &world);
    assert_eq!(world.run(), Verdict::Enqueued { waiting: 1 });
    fail_all(&mut world);
    check_size("2,000 replicas that could not start, unpublished", &world);
    assert!(world.ledger.active.is_empty(), "the next run has no room yet");
    assert_eq!(world.run(), Verdict::Enqueued { waiting: 2 });

    let reasons: Vec<usize> = world.ledger.history.pending[0]
        .replicas
        .iter()
        .map(|replica| match &replica.outcome {
            Outcome::CouldNotStart { reason } => reason.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((reasons[0], reasons[31], reasons[32], reasons[1_999]), (200, 200, 40, 40));

    world.decide(Input::HistoryStored { number: 1, sequence: 5 });
    assert_eq!((world.ledger.active[0].number, world.ledger.queue.len()), (2, 1));
}

#[test]
fn a_queue_takes_so_much_of_what_people_ask_for_and_no_more() {
    let mut world = World::new(AppSpec { queue_limit: QUEUE_LIMIT_MAX, ..app("@every 10s", vec![service(1, 0)]) });
    world.run();
    let largest = RunRequest { arguments: vec!["a".repeat(ARGUMENTS_BYTES_MAX - 4)], ..RunRequest::default() };
    let mut verdicts = Vec::new();
    for _ in 0..6 {
        let command = world.command(CommandKind::Run(largest.clone()));
        world.decide(Input::Command { sequence: 1, command: &command, retried: None });
        verdicts.push(world.ledger.requests.back().unwrap().verdict.clone());
    }
    assert_eq!(verdicts[4], Verdict::Enqueued { waiting: 5 });
    assert_eq!(verdicts[5], Verdict::Dropped { reason: DropReason::QueueTooLarge });
    assert_eq!(world.run(), Verdict::Enqueued { waiting: 6 }, "one without arguments has room");
    world.clock(10.0);
    assert_eq!(world.last_admission(), Admission::Enqueue { waiting: 7 }, "and so has a tick");
}

#[test]
fn tick_messages_that_wait_too_long_are_given_up_the_oldest_first() {
    let mut world = World::new(app("@every 10s", vec![service(1, 0)]));
    let ticks = TICKS_PENDING_MAX as u64 + 10;
    for tick in 1..=ticks {
        world.clock(tick as f64 * 10.0);
    }
    let outbox = &world.ledger.ticks;
    assert_eq!((outbox.pending.len(), outbox.given_up, outbox.last_number), (TICKS_PENDING_MAX, 10, ticks));
    assert!(outbox.pending.iter().map(|tick| tick.number).eq(11..=ticks));
    assert_eq!(world.ledger.counters.decided, ticks, "all are decided and counted");
}

#[test]
fn what_is_wrong_with_an_app_is_kept_in_short() {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    world.now = at(5.0);
    world.change(5.0, AppContent::Invalid { reason: "\u{1}".repeat(5_000) });
    let Standing::Invalid { reason } = &world.ledger.standing else { panic!("{:?}", world.ledger.standing) };
    assert!(encoded_bytes(reason) <= REASON_BYTES_MAX + 2, "{reason:?}");
    let Verdict::Refused { reason } = world.run() else { panic!("not refused") };
    assert!(encoded_bytes(&reason) <= REASON_BYTES_MAX + 2, "{reason:?}");
}
