//! The life of an agent process, as lists of events and of the effects that follow. Each part of it has a file of its own.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tickmesh_core::{
    build::Build,
    id::Epoch,
    message::{AttemptEvent, Capacity, EngineStock, MachineId, OrderKind, SCHEMA},
    outcome::LostReason,
};

use super::*;
use crate::{
    attempt::Effect as ForAttempt,
    engine::{self, ContainerStatus, ContainerView},
    error::Error,
    fixture::{self, attempt_of_replica, nonce},
    guard::{Matter, Question},
    labels::Tag,
    policy::HostPolicy,
};

/// Uptime of the host when every process of these tests begins.
const BEGUN: Duration = Duration::from_secs(100_000);
/// Revision of the predecessor's last heartbeat.
const REVISION: u64 = 7;

/// The heartbeat of a process, by its nonce.
fn record(process: u8) -> AgentRecord {
    let Timing { fence, kill_margin, .. } = Timing::default();
    AgentRecord {
        schema: SCHEMA,
        agent: fixture::agent(),
        process: nonce(process),
        number: 0,
        machine: fixture::machine(),
        boot: "boot-1".to_owned(),
        host: "test-host".to_owned(),
        version: "1".to_owned(),
        build: Build::default(),
        engine: "1".to_owned(),
        engine_trouble: None,
        at: Timestamp::UNIX_EPOCH,
        labels: [].into(),
        capacity: Capacity { slots: 4, cpu_millis: 1_000, memory_bytes: 1 << 30, gpus: None },
        policy: None,
        stock: EngineStock::default(),
        draining: false,
        drain_by: None,
        stopped: false,
        forgotten: false,
        results_seen: 0,
        held: BTreeSet::new(),
        preparing: Vec::new(),
        fence_ms: fence.as_millis().try_into().unwrap(),
        kill_margin_ms: kill_margin.as_millis().try_into().unwrap(),
    }
}

fn elsewhere(record: AgentRecord) -> AgentRecord {
    AgentRecord { machine: MachineId("machine-2".to_owned()), host: "other-host".to_owned(), ..record }
}

fn key(revision: u64, record: AgentRecord) -> Option<KeyState> {
    Some(KeyState { revision, record: Some(Box::new(record)) })
}

fn settings(guarding: Guarding) -> Settings {
    let policy = HostPolicy::default();
    Settings {
        owner: fixture::owner(),
        record: record(1),
        timing: Timing::default(),
        clean_interval: Duration::from_secs(60),
        guarding,
        attempts: attempt_table::Settings { agent: fixture::agent(), slots: 4, start_limit: 4, policy },
    }
}

/// A process, and how long it has been there.
struct Process {
    core: AgentCore,
    age: Duration,
}

impl Process {
    fn begin() -> Self {
        Self::begin_with(Guarding::Absent)
    }

    fn begin_with(guarding: Guarding) -> Self {
        let (core, effects) = AgentCore::begin(settings(guarding));
        assert_eq!(lines(&effects), ["lock-name"]);
        Self { core, age: Duration::ZERO }
    }

    /// One that has its name, found those containers, and follows orders.
    fn subscribed(containers: Vec<ContainerView>) -> Self {
        let mut process = Self::begin();
        process.tell(Event::NameLocked { remembered: Vec::new() }, &["read-key"]);
        process.tell(Event::KeyRead { current: key(REVISION, record(0)) }, &["list"]);
        assert_eq!(process.core.attempts.held(), BTreeSet::new());
        process.fold(Event::Listed { containers });
        process
    }

    /// One that takes orders.
    fn serving() -> Self {
        let mut process = Self::subscribed(Vec::new());
        process.tell(Event::OrdersFollowed, &["read-results-end", "read-lease"]);
        process.tell(Event::ResultsEnd { sequence: 40 }, &["write-key 1 on 7: seen 40, holds []"]);
        process.tell(Event::LeaseRead(LeaseSeen::default()), &[]);
        process.tell(Event::KeyWritten { revision: 8 }, &["remember", "announce agent-joined"]);
        process.tell(Event::Woken, &["clean []"]);
        process
    }

    fn fold(&mut self, event: Event) -> Vec<String> {
        let now = Moment { uptime: BEGUN + self.age, wall: Timestamp::UNIX_EPOCH };
        // The engine is asked with every heartbeat, which is told in `health` alone.
        let mut lines = lines(&self.core.fold(event, now));
        lines.retain(|line| line != PROBE);
        lines
    }

    #[track_caller]
    fn tell(&mut self, event: Event, expected: &[&str]) {
        let what = format!("{event:?}");
        assert_eq!(self.fold(event), expected, "{what}");
    }

    /// Lets time pass until something is due, which must be after `pause`.
    #[track_caller]
    fn wait(&mut self, pause: Duration, expected: &[&str]) {
        assert_eq!(self.core.wake_at(), Some(BEGUN + self.age + pause), "when it is due");
        if !pause.is_zero() {
            self.age += pause - Duration::from_nanos(1);
            self.tell(Event::Woken, &[]);
            self.age += Duration::from_nanos(1);
        }
        self.tell(Event::Woken, expected);
    }

    #[track_caller]
    fn order(&mut self, replica: u32, expected: &[&str]) {
        self.take(start(replica), expected);
    }

    /// An order comes, of a tenure that is the newest by a lease that was just renewed.
    #[track_caller]
    fn take(&mut self, order: Order, expected: &[&str]) {
        let newest = order.epoch;
        self.tell(Event::LeaseRead(LeaseSeen::default()), &[]);
        let mut effects = self.fold(Event::Order { order: Box::new(order), nonce: nonce(50) });
        if effects == ["read-lease"] {
            effects = self.fold(Event::LeaseRead(LeaseSeen { revision: newest.0, newest }));
        }
        assert_eq!(effects, expected);
    }

    fn attempt(&mut self, replica: u32, event: attempt::Event) -> Vec<String> {
        self.fold(Event::Attempt { attempt: attempt_of_replica(replica), event })
    }
}

fn start(replica: u32) -> Order {
    let kind = OrderKind::Start(Box::new(fixture::start_order()));
    Order { schema: SCHEMA, epoch: Epoch(1), agent: fixture::agent(), attempt: attempt_of_replica(replica), kind }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn replicas<'a>(held: impl IntoIterator<Item = &'a AttemptId>) -> Vec<u32> {
    held.into_iter().map(|attempt| attempt.replica).collect()
}

const PROBE: &str = "probe-engine";

fn lines(effects: &[Effect]) -> Vec<String> {
    effects.iter().map(line).collect()
}

fn line(effect: &Effect) -> String {
    match effect {
        Effect::LockName => "lock-name".to_owned(),
        Effect::GoBy { machine } => format!("go-by {machine}"),
        Effect::Remember { .. } => "remember".to_owned(),
        Effect::ReadKey => "read-key".to_owned(),
        Effect::StartGuard => "start-guard".to_owned(),
        Effect::FeedGuard { sent_at } => format!("feed-guard {:?}", *sent_at - BEGUN),
        Effect::AskGuard(Question { attempt, matter: Matter::GoingOn { ordered_at } }) => {
            format!("ask-guard {}: ordered at {:?}", attempt.replica, *ordered_at - BEGUN)
        }
        Effect::AskGuard(Question { attempt, matter: Matter::Death(container) }) => {
            format!("ask-guard {}: who killed {container}", attempt.replica)
        }
        Effect::DismissGuard => "dismiss-guard".to_owned(),
        Effect::List => "list".to_owned(),
        Effect::ReadReport { attempt } => format!("read-report {}", attempt.replica),
        Effect::FollowOrders => "follow-orders".to_owned(),
        Effect::ReadLease => "read-lease".to_owned(),
        Effect::ReadResultsEnd => "read-results-end".to_owned(),
        Effect::WriteKey { record, expected } => heartbeat(record, *expected),
        Effect::ProbeEngine => PROBE.to_owned(),
        Effect::Attempt(task) => format!("{} {}", for_attempt(&task.effect), task.attempt.replica),
        Effect::Abandon => "abandon".to_owned(),
        Effect::Clean { held } => format!("clean {:?}", replicas(held)),
        Effect::RemoveOwn { container } => format!("remove-own {container}"),
        Effect::TellEnd { attempt, claim_sequence, event } => {
            format!("tell-end {} on {claim_sequence}: {event:?}", attempt.replica)
        }
        Effect::Announce(event) => format!("announce {}", event.kind()),
        Effect::End(Ok(())) => "end".to_owned(),
        Effect::End(Err(error)) => format!("end: {error}"),
    }
}

fn heartbeat(record: &AgentRecord, expected: u64) -> String {
    let AgentRecord { number, results_seen, held, stopped, draining, .. } = record;
    let mut line = format!("write-key {number} on {expected}: seen {results_seen}, holds {:?}", replicas(held));
    let flags = [("draining", *draining), ("stopped", *stopped)];
    line.extend(flags.iter().filter(|(_, set)| *set).map(|(name, _)| format!(", {name}")));
    line
}

fn for_attempt(effect: &ForAttempt) -> &'static str {
    match effect {
        ForAttempt::Decline { .. } => "decline",
        ForAttempt::Claim { .. } => "claim",
        ForAttempt::Pull { .. } => "pull",
        ForAttempt::AbandonPull => "abandon-pull",
        ForAttempt::AbandonCreate => "abandon-create",
        ForAttempt::Create { .. } => "create",
        ForAttempt::Start { .. } => "start",
        ForAttempt::Watch { .. } => "watch",
        ForAttempt::Time { .. } => "time",
        ForAttempt::Stop { .. } => "stop",
        ForAttempt::Report { .. } => "report",
        ForAttempt::Collect { .. } => "collect",
        ForAttempt::Remove { .. } => "remove",
    }
}

/// A container of this agent, created under the claim with that nonce.
fn container(replica: u32, claim: u8, status: ContainerStatus) -> ContainerView {
    let (attempt, terms) = (attempt_of_replica(replica), fixture::terms());
    let tag = Tag { attempt, nonce: nonce(claim), claim_sequence: 20, terms };
    ContainerView {
        id: ContainerId(format!("c{replica}")),
        name: Ownership::of(fixture::owner()).container_name(&tag.attempt),
        labels: tag.labels(&fixture::owner(), &[].into()),
        labels_are_own: true,
        status,
    }
}

fn claimed_with(claim: u8) -> Option<LastReport> {
    let event = AttemptEvent::Claimed { nonce: nonce(claim), machine: fixture::machine() };
    Some(LastReport { sequence: 20, event })
}

mod begin;
mod drain;
mod early;
mod end;
mod guarded;
mod health;
mod heartbeat;
mod tenure;
