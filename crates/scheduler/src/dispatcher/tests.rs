//! The dispatcher alone: events in, effects out.

mod bursts;
mod commands;
mod cost;
mod engines;
mod frozen;
mod rounds;
mod silence;
mod turns;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{Timestamp, tz::TimeZoneDatabase};
use rand::{SeedableRng as _, rngs::StdRng};
use tickmesh_core::{
    build::Build,
    decide::{Action, AppContent, Tenure},
    id::{AttemptId, Epoch, Nonce, RequestId},
    ledger::{Cause, Ledger, ReplicaState, Verdict},
    message::{
        AgentRecord, AttemptEvent, AttemptReport, Capacity, Command, CommandKind, EngineStock, MachineId, MeshEvent,
        Order, OrderKind, RunRequest, SCHEMA,
    },
    name::{AgentName, AppName, ServiceName},
    outcome::LostReason,
    schedule::Schedule,
    spec::{AppSpec, ContainerSpec, RemoveContainers, RunSpec, ServiceSpec},
    timing::Timing,
};
use uuid::Uuid;

use super::{Batches, Conflict, Dispatcher, Event, StateChange};
use crate::{
    clock::Moment,
    effect::{Effect, Priority},
};

const APP: &str = "nightly";
const AGENT: &str = "a1";

/// A dispatcher with a clock, one app and one agent.
struct World {
    dispatcher: Dispatcher,
    moment: Moment,
    heartbeat: u64,
    slots: u32,
    /// Apps whose write the last event made urgent.
    hastened: Vec<AppName>,
}

fn app() -> AppName {
    AppName::new(APP).unwrap()
}

fn agent() -> AgentName {
    AgentName::new(AGENT).unwrap()
}

fn start() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn spec(expression: Option<&str>) -> Arc<AppSpec> {
    let zones = TimeZoneDatabase::bundled();
    let service = ServiceSpec {
        remove_containers: RemoveContainers::RemoveAll,
        ..ServiceSpec::new(ServiceName::new("s1").unwrap(), ContainerSpec::new("busybox"))
    };
    let schedule = expression.map(|expression| Schedule::parse(expression, "UTC", &zones).unwrap());
    Arc::new(AppSpec { schedule, ..AppSpec::new(app(), RunSpec::new(vec![service])) })
}

impl World {
    /// A tenure that began at noon, before anything is loaded.
    fn new() -> Self {
        Self::in_batches(Batches::default())
    }

    fn in_batches(batches: Batches) -> Self {
        let tenure = Tenure { epoch: Epoch(7), since: start() };
        Self {
            dispatcher: Dispatcher::new(tenure, Timing::default(), StdRng::seed_from_u64(1)).in_batches(batches),
            moment: Moment { wall: start(), uptime: Duration::from_secs(1_000) },
            heartbeat: 0,
            slots: 4,
            hastened: Vec::new(),
        }
    }

    /// A tenure that leads one app, which nobody has applied before, and one agent.
    fn leading(expression: Option<&str>) -> Self {
        let mut world = Self::new();
        world.handle(Event::Loaded { results_end: 0 });
        world.heartbeat(0, &[]);
        let effects = world.handle(Event::Changed(StateChange::App {
            app: app(),
            revision: 1,
            at: start(),
            content: AppContent::Applied(spec(expression)),
        }));
        let (_, revision) = written(&effects);
        world.handle(Event::LedgerWritten { app: app(), revision: revision + 1 });
        world
    }

    fn handle(&mut self, event: Event) -> Vec<Effect> {
        let outcome = self.dispatcher.handle(event, self.moment).unwrap();
        self.hastened = outcome.hastened;
        outcome.effects
    }

    /// Checks that an event ends the tenure.
    #[track_caller]
    fn conflicts(&mut self, event: Event) {
        let Conflict { reason } = self.dispatcher.handle(event, self.moment).unwrap_err();
        assert!(!reason.is_empty());
    }

    fn pass(&mut self, duration: Duration) -> Vec<Effect> {
        self.moment.wall = tickmesh_core::time::after(self.moment.wall, duration);
        self.moment.uptime += duration;
        self.handle(Event::Woken)
    }

    fn heartbeat(&mut self, results_seen: u64, held: &[&AttemptId]) -> Vec<Effect> {
        let record = self.record(results_seen, held);
        self.agent_seen(record)
    }

    /// A heartbeat that is not like others.
    fn last_heartbeat(&mut self, change: impl Fn(&mut AgentRecord)) -> Vec<Effect> {
        let mut record = self.record(0, &[]);
        change(&mut record);
        self.agent_seen(record)
    }

    fn agent_seen(&mut self, record: AgentRecord) -> Vec<Effect> {
        self.handle(Event::Changed(StateChange::Agent {
            revision: record.number,
            at: self.moment.wall,
            record: Box::new(record),
        }))
    }

    fn record(&mut self, results_seen: u64, held: &[&AttemptId]) -> AgentRecord {
        self.heartbeat += 1;
        AgentRecord {
            schema: SCHEMA,
            agent: agent(),
            process: Nonce(Uuid::nil()),
            number: self.heartbeat,
            machine: MachineId("m1".to_owned()),
            boot: String::new(),
            host: "h1".to_owned(),
            version: String::new(),
            build: Build::default(),
            engine: String::new(),
            engine_trouble: None,
            at: self.moment.wall,
            labels: BTreeMap::new(),
            capacity: Capacity { slots: self.slots, cpu_millis: 2_000, memory_bytes: 1 << 30, gpus: None },
            policy: None,
            stock: EngineStock::default(),
            draining: false,
            drain_by: None,
            stopped: false,
            forgotten: false,
            results_seen,
            held: held.iter().copied().cloned().collect(),
            preparing: Vec::new(),
            fence_ms: 45_000,
            kill_margin_ms: 10_000,
        }
    }

    fn report(&mut self, sequence: u64, attempt: &AttemptId, event: AttemptEvent) -> Vec<Effect> {
        let report =
            AttemptReport { schema: SCHEMA, attempt: attempt.clone(), agent: agent(), at: self.moment.wall, event };
        self.handle(Event::ReportSeen { sequence, report: Some(Box::new(report)) })
    }

    fn command(&mut self, number: u128, app_revision: u64) -> Vec<Effect> {
        self.command_for(app(), number, app_revision)
    }

    fn command_for(&mut self, app: AppName, number: u128, app_revision: u64) -> Vec<Effect> {
        self.send(app, number, app_revision, CommandKind::Run(RunRequest::default()))
    }

    fn ask(&mut self, number: u128, kind: CommandKind) -> Vec<Effect> {
        self.send(app(), number, 1, kind)
    }

    fn send(&mut self, app: AppName, number: u128, app_revision: u64, kind: CommandKind) -> Vec<Effect> {
        let command = Command {
            schema: SCHEMA,
            request: RequestId(Uuid::from_u128(number)),
            app,
            app_revision,
            by: "me".to_owned(),
            at: self.moment.wall,
            kind,
        };
        self.handle(Event::CommandSeen { sequence: 1, command: Box::new(command) })
    }

    /// A run asked for, recorded and ordered: the attempt of its only replica, with the revision of its ledger.
    fn ordered(&mut self) -> (AttemptId, u64) {
        let effects = self.command(1, 1);
        let (_, revision) = written(&effects);
        let effects = self.handle(Event::LedgerWritten { app: app(), revision: revision + 1 });
        (orders(&effects).remove(0).attempt.clone(), revision + 1)
    }
}

/// The ledger that is to be written, with the revision that it replaces.
#[track_caller]
fn written(effects: &[Effect]) -> (Ledger, u64) {
    let mut writes = effects.iter().filter_map(|effect| match effect {
        Effect::WriteLedger { ledger, expected, .. } => Some((*ledger.clone(), *expected)),
        _ => None,
    });
    let write = writes.next().unwrap_or_else(|| panic!("no write in {effects:?}"));
    assert!(writes.next().is_none(), "two writes at once in {effects:?}");
    write
}

fn orders(effects: &[Effect]) -> Vec<&Order> {
    let mut orders = Vec::new();
    for effect in effects {
        if let Effect::Act(Action::Send(order)) = effect {
            orders.push(order);
        }
    }
    orders
}

fn count(effects: &[Effect], wanted: impl Fn(&Effect) -> bool) -> usize {
    effects.iter().filter(|effect| wanted(effect)).count()
}

fn claimed() -> AttemptEvent {
    AttemptEvent::Claimed { nonce: Nonce(Uuid::from_u128(9)), machine: MachineId("m1".to_owned()) }
}

/// The host's policy refuses the container: nothing is tried again.
fn refused() -> AttemptEvent {
    AttemptEvent::CouldNotStart { reason: "policy".to_owned(), permanent: true }
}

fn succeeded() -> AttemptEvent {
    AttemptEvent::Exited { exit_code: 0, oom_killed: false, unhealthy: false, started_at: None, finished_at: None }
}

#[test]
fn nothing_is_done_before_the_ledger_that_says_so_is_stored() {
    let mut world = World::leading(Some("@every 10s"));
    let effects = world.pass(Duration::from_secs(10));
    let (ledger, revision) = written(&effects);
    assert_eq!((ledger.last_run, ledger.ticks.last_number), (1, 1));
    assert_eq!(effects.len(), 1, "only the write: {effects:?}");

    let effects = world.handle(Event::LedgerWritten { app: app(), revision: revision + 1 });
    assert!(matches!(orders(&effects)[0].kind, OrderKind::Start(_)));
    assert_eq!(count(&effects, |effect| matches!(effect, Effect::PublishTick { .. })), 1);
}

#[test]
fn messages_of_a_subject_are_published_one_after_the_other() {
    let mut world = World::leading(Some("@every 1s"));
    let effects = world.pass(Duration::from_secs(3));
    let (_, revision) = written(&effects);
    let effects = world.handle(Event::LedgerWritten { app: app(), revision: revision + 1 });
    let published = |effects: &[Effect]| {
        effects.iter().find_map(|effect| match effect {
            Effect::PublishTick { tick, expected } => Some((tick.number, *expected)),
            _ => None,
        })
    };
    assert_eq!(published(&effects), Some((1, 0)));
    let effects = world.handle(Event::TickStored { app: app(), number: 1, sequence: 50 });
    assert_eq!(published(&effects), Some((2, 50)));
    let effects = world.handle(Event::TickStored { app: app(), number: 2, sequence: 51 });
    assert_eq!(published(&effects), Some((3, 51)));
    let effects = world.handle(Event::TickStored { app: app(), number: 3, sequence: 52 });
    assert_eq!(published(&effects), None);
}

#[test]
fn a_refused_write_ends_the_tenure() {
    let mut world = World::leading(None);
    world.conflicts(Event::LedgerRefused { app: app() });
}

#[test]
fn a_ledger_of_a_later_tenure_ends_this_one() {
    let mut world = World::leading(None);
    let own = world.handle(Event::LedgerSeen { app: app(), revision: 9, epoch: Epoch(7) });
    assert!(own.is_empty());
    world.conflicts(Event::LedgerSeen { app: app(), revision: 10, epoch: Epoch(8) });
}

#[test]
fn a_command_is_confirmed_only_when_its_verdict_is_stored() {
    let mut world = World::leading(None);
    let confirmed = |effects: &[Effect]| count(effects, |effect| matches!(effect, Effect::ConfirmCommand { .. }));
    let effects = world.command(1, 1);
    assert_eq!(confirmed(&effects), 0);
    let (ledger, revision) = written(&effects);
    assert_eq!(ledger.requests[0].verdict, Verdict::Started { run: 1 });
    let again = world.command(1, 1);
    assert_eq!(confirmed(&again), 0, "the write is still under way");
    let effects = world.handle(Event::LedgerWritten { app: app(), revision: revision + 1 });
    assert_ne!(confirmed(&effects), 0);
    assert_eq!(orders(&effects).len(), 1, "one run, however often it was asked for");
    let later = world.command(1, 1);
    assert_eq!(confirmed(&later), 1, "already recorded: confirmed at once");
}

#[test]
fn a_command_waits_for_the_revision_that_its_sender_saw() {
    let mut world = World::leading(None);
    assert!(world.command(1, 5).is_empty());
    let effects = world.handle(Event::Changed(StateChange::App {
        app: app(),
        revision: 5,
        at: start(),
        content: AppContent::Applied(spec(None)),
    }));
    let (ledger, _) = written(&effects);
    assert_eq!((ledger.app_revision, ledger.last_run), (5, 1));
}

#[test]
fn a_command_for_an_app_that_never_was_is_confirmed_and_forgotten() {
    let mut world = World::new();
    world.handle(Event::Loaded { results_end: 0 });
    let effects = world.command(1, 0);
    assert_eq!(count(&effects, |effect| matches!(effect, Effect::ConfirmCommand { .. })), 1);
}

#[test]
fn a_retry_waits_for_the_history_to_be_read() {
    let mut world = World::leading(None);
    let (attempt, revision) = world.ordered();
    world.report(1, &attempt, claimed());
    world.pass(Duration::from_millis(50));
    let (ledger, _) = written(&world.report(2, &attempt, refused()));
    let summary = ledger.history.pending[0].clone();
    world.handle(Event::LedgerWritten { app: app(), revision: revision + 1 });
    world.handle(Event::HistoryStored { app: app(), number: 1, sequence: 1 });

    world.pass(Duration::from_millis(50));
    let effects = world.ask(2, CommandKind::Retry { run: 1 });
    assert!(matches!(effects[..], [Effect::ReadSummary { run: 1, .. }]), "{effects:?}");
    world.pass(Duration::from_millis(50));
    let effects = world.command(3, 1);
    assert!(effects.is_empty(), "commands of an app keep their order: {effects:?}");
    let request = RequestId(Uuid::from_u128(2));
    let read = Event::SummaryRead { app: app(), request, summary: Some(Box::new(summary)) };
    let (ledger, revision) = written(&world.handle(read));
    assert!(matches!(ledger.active[0].cause, Cause::Retry { of: 1, .. }), "{:?}", ledger.active);
    world.handle(Event::LedgerWritten { app: app(), revision: revision + 1 });
    let (ledger, _) = written(&world.pass(Duration::from_millis(50)));
    assert_eq!(ledger.queue.len(), 1);
}

#[test]
fn a_retry_of_a_run_that_is_not_published_yet_does_not_wait() {
    let mut world = World::leading(None);
    let (attempt, _) = world.ordered();
    world.report(1, &attempt, claimed());
    world.pass(Duration::from_millis(50));
    world.report(2, &attempt, refused());
    let effects = world.ask(2, CommandKind::Retry { run: 1 });
    assert_eq!(count(&effects, |effect| matches!(effect, Effect::ReadSummary { .. })), 0);
    assert!(
        world.ask(3, CommandKind::Retry { run: 2 }).is_empty(),
        "run 2 is active: nobody needs the history to know"
    );
}

#[test]
fn a_run_costs_two_writes_of_the_ledger() {
    let mut world = World::leading(None);
    let (attempt, revision) = world.ordered();
    assert!(world.report(1, &attempt, claimed()).is_empty(), "no write for a claim");
    // Nothing else follows from the end than the next write, and it waits for the pace.
    assert!(world.report(2, &attempt, succeeded()).is_empty());
    let (ledger, expected) = written(&world.pass(Duration::from_millis(50)));
    assert_eq!(expected, revision);
    assert_eq!((ledger.active.len(), ledger.history.last_number), (0, 1));
}

#[test]
fn the_next_tenure_publishes_what_the_ledger_still_holds() {
    let mut first = World::leading(Some("@every 10s"));
    let (ledger, revision) = written(&first.pass(Duration::from_secs(10)));
    let mut second = World::new();
    second.moment.wall = first.moment.wall;
    second.handle(Event::Changed(StateChange::Ledger {
        app: app(),
        revision: revision + 1,
        ledger: Ok(Box::new(ledger)),
    }));
    second.heartbeat(0, &[]);
    second.handle(Event::Changed(StateChange::App {
        app: app(),
        revision: 1,
        at: start(),
        content: AppContent::Applied(spec(Some("@every 10s"))),
    }));
    let effects = second.handle(Event::Loaded { results_end: 0 });
    assert_eq!(count(&effects, |effect| matches!(effect, Effect::PublishTick { .. })), 1);
    let (stamped, expected) = written(&effects);
    assert_eq!((stamped.last_run, expected), (1, revision + 1), "the active run is stamped, and no second one begins");
}

#[test]
fn a_replica_that_nobody_took_goes_to_the_agent_that_comes() {
    let mut world = World::new();
    world.handle(Event::Loaded { results_end: 0 });
    let effects = world.handle(Event::Changed(StateChange::App {
        app: app(),
        revision: 1,
        at: start(),
        content: AppContent::Applied(spec(None)),
    }));
    let (_, revision) = written(&effects);
    world.handle(Event::LedgerWritten { app: app(), revision: revision + 1 });
    assert!(world.command(1, 1).is_empty(), "no order depends on the write, so it waits for the pace");
    let (_, revision) = written(&world.pass(Duration::from_millis(50)));
    let effects = world.handle(Event::LedgerWritten { app: app(), revision: revision + 1 });
    assert!(orders(&effects).is_empty());
    let (_, revision) = written(&world.heartbeat(0, &[]));
    let effects = world.handle(Event::LedgerWritten { app: app(), revision: revision + 1 });
    assert_eq!(orders(&effects).len(), 1);
}

#[test]
fn wakes_come_when_the_next_instant_is_due() {
    let world = World::leading(Some("@every 10s"));
    assert_eq!(world.dispatcher.wake_in(world.moment), Some(Duration::from_secs(10)));
}

#[test]
fn results_that_the_stored_ledger_or_an_open_claim_needs_are_kept() {
    let mut world = World::leading(None);
    let (attempt, revision) = world.ordered();
    world.report(10, &attempt, claimed());
    for other in 11..=500 {
        world.handle(Event::ReportSeen { sequence: other, report: None });
    }
    assert_eq!(world.dispatcher.results_needed_after(), Some(0), "the claim is in no stored ledger");
    world.pass(Duration::from_secs(60));
    let (checkpoint, expected) = written(&world.handle(Event::Checkpoint));
    assert_eq!((checkpoint.active[0].results_through, expected), (500, revision));
    world.handle(Event::LedgerWritten { app: app(), revision: revision + 1 });
    assert_eq!(world.dispatcher.results_needed_after(), Some(9), "its end is a compare-and-set on the claim");
    world.report(501, &attempt, succeeded());
    let (_, expected) = written(&world.pass(Duration::from_secs(1)));
    world.handle(Event::LedgerWritten { app: app(), revision: expected + 1 });
    assert_eq!(world.dispatcher.results_needed_after(), None);
}

#[test]
fn instants_wait_until_the_results_from_before_the_take_over_are_folded() {
    let mut first = World::leading(Some("@every 10s"));
    let (ledger, revision) = written(&first.pass(Duration::from_secs(10)));
    let (attempt, _) = ledger.active[0].open_attempts(&app()).next().unwrap();
    let mut second = World::new();
    second.moment.wall = tickmesh_core::time::after(start(), Duration::from_secs(25));
    second.handle(Event::Changed(StateChange::Ledger {
        app: app(),
        revision: revision + 1,
        ledger: Ok(Box::new(ledger)),
    }));
    second.heartbeat(0, &[]);
    let content = AppContent::Applied(spec(Some("@every 10s")));
    second.handle(Event::Changed(StateChange::App { app: app(), revision: 1, at: start(), content }));
    let (stamped, _) = written(&second.handle(Event::Loaded { results_end: 2 }));
    assert_eq!(stamped.counters.decided, 1, "the run may be over already: nothing is enqueued beside it");
    second.report(1, &attempt, claimed());
    second.report(2, &attempt, succeeded());
    let (ledger, _) = written(&second.handle(Event::LedgerWritten { app: app(), revision: revision + 2 }));
    assert_eq!((ledger.counters.started, ledger.counters.enqueued, ledger.last_run), (2, 0, 2));
}

#[test]
fn nothing_is_decided_by_a_clock_that_is_wrong_and_everything_is_once_it_is_right() {
    let mut world = World::leading(Some("@every 1s"));
    world.handle(Event::ClockDoubted);
    let effects = world.pass(Duration::from_secs(3_600));
    assert_eq!(count(&effects, |effect| matches!(effect, Effect::WriteLedger { .. })), 0, "{effects:?}");
    assert_eq!(world.dispatcher.wake_in(world.moment), None, "and nobody is woken for it");
    world.moment.wall = tickmesh_core::time::before(world.moment.wall, Duration::from_secs(3_597));
    let effects = world.handle(Event::ClockTrusted);
    let (ledger, _) = written(&effects);
    assert_eq!(ledger.counters.decided, 3, "the instants of three true seconds");
}

/// The standby that took the lease knew the server's clock less well than the leader that it became.
#[test]
fn what_falls_due_after_a_take_over_is_not_missed() {
    let mut world = World::new();
    world.moment.wall = tickmesh_core::time::before(start(), Duration::from_millis(300));
    world.handle(Event::Loaded { results_end: 0 });
    assert_eq!(world.dispatcher.tenure().since, world.moment.wall);
}

#[test]
fn what_falls_due_after_a_clock_was_ahead_is_not_missed() {
    let mut world = World::leading(Some("@every 1s"));
    world.dispatcher.tenure.since = tickmesh_core::time::after(start(), Duration::from_secs(3_600));
    world.handle(Event::ClockDoubted);
    world.handle(Event::ClockTrusted);
    let effects = world.pass(Duration::from_secs(1));
    let (ledger, _) = written(&effects);
    assert_eq!(ledger.active[0].cause, Cause::Schedule);
}

#[test]
fn an_edit_waits_for_them_too() {
    let mut first = World::leading(Some("@every 10s"));
    let (ledger, revision) = written(&first.pass(Duration::from_secs(10)));
    let mut second = World::new();
    second.moment.wall = tickmesh_core::time::after(start(), Duration::from_secs(25));
    second.handle(Event::Changed(StateChange::Ledger {
        app: app(),
        revision: revision + 1,
        ledger: Ok(Box::new(ledger)),
    }));
    for (app_revision, seconds) in [(1, 0), (2, 15)] {
        let at = tickmesh_core::time::after(start(), Duration::from_secs(seconds));
        let content = AppContent::Applied(spec(Some("@every 10s")));
        second.handle(Event::Changed(StateChange::App { app: app(), revision: app_revision, at, content }));
    }
    let (stamped, _) = written(&second.handle(Event::Loaded { results_end: 1 }));
    assert_eq!(stamped.app_revision, 1);
    second.handle(Event::ReportSeen { sequence: 1, report: None });
    second.handle(Event::LedgerWritten { app: app(), revision: revision + 2 });
    let (ledger, _) = written(&second.pass(Duration::from_millis(50)));
    assert_eq!((ledger.app_revision, ledger.counters.decided), (2, 2));
}

#[test]
fn a_ledger_written_by_any_other_tenure_ends_this_one() {
    let mut world = World::leading(None);
    world.conflicts(Event::LedgerSeen { app: app(), revision: 9, epoch: Epoch(6) });
}

#[test]
fn requests_that_the_stream_does_not_hold_any_more_are_confirmed() {
    let mut world = World::leading(None);
    let (_, revision) = world.ordered();
    world.handle(Event::CommandsBegin { sequence: 2 });
    world.pass(Duration::from_secs(1));
    let (ledger, _) = written(&world.command(2, 1));
    assert_eq!(ledger.requests.iter().map(|handled| handled.confirmed).collect::<Vec<_>>(), [true, false]);
    assert!(revision > 0);
}

#[test]
fn what_an_agent_holds_and_nobody_knows_is_stopped_at_the_second_heartbeat() {
    let mut world = World::leading(None);
    let (attempt, _) = world.ordered();
    world.report(1, &attempt, claimed());
    world.report(2, &attempt, AttemptEvent::Lost { reason: LostReason::AgentSilent });
    let asks = |effect: &Effect| matches!(effect, Effect::ReadLedger { .. });
    assert_eq!(count(&world.heartbeat(2, &[&attempt]), asks), 0, "its end may have overtaken the heartbeat");
    assert_eq!(count(&world.heartbeat(2, &[&attempt]), asks), 1);
    let answer = |epoch| Event::LedgerRead {
        app: app(),
        epoch: Some(epoch),
        attempt: Box::new(attempt.clone()),
        agent: agent(),
    };
    let effects = world.handle(answer(Epoch(7)));
    assert!(matches!(orders(&effects)[..], [Order { kind: OrderKind::Stop, .. }]), "{effects:?}");
    // Another leader knows more.
    world.conflicts(answer(Epoch(8)));
}
