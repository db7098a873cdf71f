//! What an event costs: it is linear in what changed, not in who waits for something else. Measured in processor time of the
//! thread, few against many in the same run, so that neither the machine nor its other work decides.

use rustix::time::{ClockId, clock_gettime};

use super::*;

const FEW: u64 = 100;
const MANY: u64 = 10_000;
/// The fastest round counts. Beside other work there may be none that is undisturbed among the first.
const ROUNDS_MAX: u32 = 50;
/// Trees are deeper where many wait, and caches colder.
const RATIO_MAX: f64 = 3.0;

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap(), u32::try_from(now.tv_nsec).unwrap())
}

/// A world where so many wait, and what happens in it while they go on waiting.
#[track_caller]
fn check(waiting: impl Fn(u64) -> World, happens: impl Fn(&mut World)) {
    let (mut few, mut many) = (waiting(FEW), waiting(MANY));
    let (mut fastest_few, mut fastest_many) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS_MAX {
        for (world, fastest) in [(&mut few, &mut fastest_few), (&mut many, &mut fastest_many)] {
            let began = cpu_time();
            happens(world);
            *fastest = (*fastest).min(cpu_time() - began);
        }
        if fastest_many.as_secs_f64() < fastest_few.as_secs_f64() * RATIO_MAX {
            return;
        }
    }
    panic!("{fastest_few:?} where {FEW} wait, {fastest_many:?} where {MANY} do");
}

#[test]
fn a_result_costs_no_look_at_the_agents_that_wait_for_later_ones() {
    let lagging = |agents| {
        let mut world = World::leading(None);
        for number in 0..agents {
            let record = world.record(u64::MAX, &[]);
            world.agent_seen(AgentRecord { agent: AgentName::new(format!("agent-{number}")).unwrap(), ..record });
        }
        world
    };
    check(lagging, |world| {
        let folded = world.dispatcher.results_through();
        for sequence in folded + 1..=folded + 100 {
            world.handle(Event::ReportSeen { sequence, report: None });
        }
    });
}

#[test]
fn a_freed_slot_costs_no_look_at_the_apps_that_do_not_get_it() {
    let full = |apps| {
        let mut world = World::leading(None);
        world.slots = 0;
        world.heartbeat(0, &[]);
        for number in 1..=apps {
            let app = AppName::new(format!("app-{number}")).unwrap();
            let content = AppContent::Applied(spec(None));
            world.handle(Event::Changed(StateChange::App {
                app: app.clone(),
                revision: number + 1,
                at: start(),
                content,
            }));
            world.handle(Event::LedgerWritten { app: app.clone(), revision: number });
            world.command_for(app, u128::from(number), number + 1);
        }
        world
    };
    check(full, |world| {
        world.slots += 1;
        assert_eq!(count(&world.heartbeat(0, &[]), |effect| matches!(effect, Effect::WriteLedger { .. })), 1);
    });
}
