//! An agent process: production's core on a simulated network and engine.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use tickmesh_agent::{
    agent_core::{AgentCore, Effect, Event, Guarding, KeyState, LastReport, LeaseSeen, Moment, Settings},
    attempt_table,
    engine::ContainerRequest,
    guard,
    ownership::Ownership,
};
use tickmesh_core::{
    build::Build,
    id::{AttemptId, Nonce},
    message::{AgentRecord, Capacity, EngineStock, MachineId, MeshEvent, SCHEMA},
};
use tickmesh_messaging::{Cas, LEASE_KEY};

use super::{
    Host,
    leftovers::Stray,
    requests::{EngineSays, EngineTag, Op, Reply},
};
use crate::sim::{
    clock::Clock,
    context::SimContext,
    event::{self, SimEvent},
    fault_injection::Relief,
    faults::Fault,
    net::{Answer, Call, Kind, Record, Stored, Write},
    process_table::Address,
};

/// How long a heartbeat waits for an answer before it tries anew.
const HEARTBEAT_PATIENCE: Duration = Duration::from_secs(3);
/// How often an agent looks for containers that can go.
const CLEAN_INTERVAL: Duration = Duration::from_secs(60);

/// What a call of an agent was for.
#[derive(Debug, Clone)]
pub(in crate::sim) enum Tag {
    Key,
    WriteKey,
    Lease,
    ResultsEnd,
    LastReport,
    OrdersEnd,
    Decline(AttemptId),
    Claim(AttemptId),
    End(AttemptId),
    Told,
    Stray(Box<Stray>),
}

impl From<Tag> for event::Tag {
    fn from(tag: Tag) -> Self {
        Self::Agent(tag)
    }
}

/// What comes from the stream of orders.
#[derive(Debug)]
enum Heard {
    Order(Stored),
    Reopened,
}

/// One agent process.
#[derive(Debug)]
pub(in crate::sim) struct Agent {
    pub(super) address: Address,
    pub(super) host: usize,
    pub(super) clock: Clock,
    pub(super) ownership: Ownership,
    pub(super) machine: MachineId,
    pub(super) core: AgentCore,
    /// What came when no orders were taken.
    orders: VecDeque<Heard>,
    pub(super) abandoned_pulls: BTreeSet<AttemptId>,
    pub(super) abandoned_creates: BTreeSet<AttemptId>,
    /// Containers whose name was taken.
    pub(super) taken: BTreeMap<AttemptId, Box<ContainerRequest>>,
    pub(super) held_when_cleaning: BTreeSet<AttemptId>,
    armed: Option<Duration>,
    alarm: u64,
}

impl Agent {
    pub(super) fn begin_process(host: &Host, address: Address, context: &mut SimContext) -> (Self, Vec<Effect>) {
        let nonce = Nonce::from_random(context.random_bytes());
        let ownership = Ownership::of(host.owner.clone());
        let settings = Settings {
            owner: host.owner.clone(),
            record: first_record(host, nonce, context),
            timing: context.timing,
            clean_interval: CLEAN_INTERVAL,
            guarding: Guarding::Present,
            attempts: attempt_table::Settings {
                agent: host.owner.agent.clone(),
                slots: host.slots as usize,
                start_limit: 2,
                policy: host.policy.clone(),
            },
        };
        let (core, effects) = AgentCore::begin(settings);
        let agent = Self {
            address,
            host: host.index,
            clock: host.clock,
            ownership,
            machine: host.machine.clone(),
            core,
            orders: VecDeque::new(),
            abandoned_pulls: BTreeSet::new(),
            abandoned_creates: BTreeSet::new(),
            taken: BTreeMap::new(),
            held_when_cleaning: BTreeSet::new(),
            armed: None,
            alarm: 0,
        };
        (agent, effects)
    }

    /// Whether it is at work.
    pub(in crate::sim) fn takes_orders(&self) -> bool {
        self.core.takes_orders()
    }

    /// Whether nothing of its attempts is left to do.
    pub(in crate::sim) fn holds_nothing(&self) -> bool {
        self.core.attempts().held().is_empty()
    }

    fn read_lease(&self, context: &mut SimContext) {
        let call = Call::Last { kind: Kind::Lease, subject: LEASE_KEY.into() };
        context.call(self.address, Tag::Lease.into(), call);
    }

    fn moment(&self, context: &SimContext) -> Moment {
        Moment { uptime: self.clock.uptime(context), wall: self.clock.wall(context) }
    }
}

impl Host {
    pub(in crate::sim) fn agent_hears(&mut self, context: &mut SimContext, stored: Stored) {
        let Some(agent) = &mut self.agent else { return };
        agent.orders.push_back(Heard::Order(stored));
        self.take_orders(context);
    }

    /// Its orders are followed anew.
    pub(in crate::sim) fn agent_reads_anew(&mut self, context: &mut SimContext) {
        let Some(agent) = &mut self.agent else { return };
        agent.orders.push_back(Heard::Reopened);
        self.take_orders(context);
    }

    /// Orders wait where they are while none are taken.
    fn take_orders(&mut self, context: &mut SimContext) {
        while let Some(agent) = self.agent.as_mut().filter(|agent| agent.core.takes_orders()) {
            match agent.orders.pop_front() {
                None => return,
                Some(Heard::Reopened) => self.fold(context, Event::OrdersFollowed),
                Some(Heard::Order(stored)) => {
                    if let Record::Order(order) = stored.record {
                        let nonce = Nonce::from_random(context.random_bytes());
                        self.fold(context, Event::Order { order: Box::new((*order).clone()), nonce });
                    }
                }
            }
        }
    }

    pub(in crate::sim) fn agent_wakes(&mut self, context: &mut SimContext, alarm: u64) {
        let Some(agent) = self.agent.as_mut().filter(|agent| agent.alarm == alarm) else { return };
        agent.armed = None;
        self.fold(context, Event::Woken);
    }

    pub(in crate::sim) fn agent_is_answered(&mut self, context: &mut SimContext, tag: Tag, answer: Answer) {
        let Some(agent) = &mut self.agent else { return };
        let event = match (tag, answer) {
            (Tag::Key, Answer::Last(current)) => Event::KeyRead { current: current.map(|it| key_state(&it)) },
            (Tag::Key, _) => Event::KeyUnread,
            (Tag::LastReport, Answer::Last(last)) => {
                let report = |last: Stored| {
                    let event = last.record.report()?.event.clone();
                    Some(LastReport { sequence: last.sequence, event })
                };
                Event::ReportRead { last: last.and_then(report) }
            }
            (Tag::Lease, answer) => match lease_seen(answer) {
                Some(lease) => Event::LeaseRead(lease),
                None => return agent.read_lease(context),
            },
            (Tag::OrdersEnd, _) => Event::OrdersFollowed,
            (Tag::ResultsEnd, Answer::Sequence(sequence)) => Event::ResultsEnd { sequence },
            (Tag::WriteKey, Answer::Written(Cas::Stored { sequence })) => Event::KeyWritten { revision: sequence },
            (Tag::WriteKey, Answer::Written(Cas::Refused { current })) => {
                let state = current.map(|entry| {
                    let record = entry.value.agent().map(|record| Box::new((**record).clone()));
                    KeyState { revision: entry.sequence, record }
                });
                Event::KeyRefused { current: state }
            }
            (Tag::ResultsEnd | Tag::WriteKey, _) => Event::HeartbeatUnanswered,
            (Tag::Told, _) => Event::EndTold,
            (Tag::Stray(stray), answer) => match agent.looked_up(context, stray, answer) {
                Some(event) => event,
                None => return,
            },
            (tag, answer) => match agent.appended(context, &tag, &answer) {
                Some((attempt, event)) => Event::Attempt { attempt, event },
                None => return,
            },
        };
        self.fold(context, event);
    }

    pub(in crate::sim) fn engine_answers_agent(&mut self, context: &mut SimContext, says: EngineSays) {
        let Some(agent) = &mut self.agent else { return };
        let event = match (says.tag.clone(), says.reply) {
            (EngineTag::AgentCore, Ok(Reply::List(containers))) => Some(Event::Listed { containers }),
            (EngineTag::AgentCore, Ok(_)) => Some(Event::OwnRemoved),
            (EngineTag::AgentCore, Err(error)) if matches!(says.op, Op::List(_)) => Some(Event::Unlisted(error)),
            (EngineTag::AgentCore, Err(error)) => Some(Event::OwnNotRemoved(error)),
            (EngineTag::Probe, Ok(_)) => Some(Event::EngineAnswered { stock: Box::default() }),
            (EngineTag::Probe, Err(error)) => Some(Event::EngineSilent(error)),
            (EngineTag::Clean, Ok(Reply::List(containers))) => {
                agent.look_through(context, containers);
                None
            }
            (EngineTag::Stray(stray), Ok(reply)) => agent.inspected(*stray, reply),
            (EngineTag::Attempt(attempt), reply) => {
                let event = agent.worked(context, attempt.clone(), EngineSays { reply, ..says });
                event.map(|event| Event::Attempt { attempt, event })
            }
            (EngineTag::Clean | EngineTag::Stray(_) | EngineTag::Guard, _) => None,
        };
        if let Some(event) = event {
            self.fold(context, event);
        }
    }

    /// Something comes from the guard.
    pub(in crate::sim) fn agent_is_told(&mut self, context: &mut SimContext, event: Event) {
        self.fold(context, event);
    }

    /// Folds an event, and begins what follows from it.
    pub(super) fn fold(&mut self, context: &mut SimContext, event: Event) {
        let Some(agent) = &mut self.agent else { return };
        let effects = agent.core.fold(event, agent.moment(context));
        self.begin_all(context, effects);
        self.take_orders(context);
    }

    pub(super) fn begin_all(&mut self, context: &mut SimContext, effects: Vec<Effect>) {
        for (index, effect) in effects.into_iter().enumerate() {
            if index > 0 && context.mishap(Fault::CrashBetweenEffects) {
                self.kill_agent(context);
                context.later(Duration::from_secs(1), SimEvent::Relief(Relief::Agent(self.index)));
            }
            if self.agent.is_some() {
                self.begin_effect(context, effect);
            }
        }
        self.arm_agent(context);
    }

    fn begin_effect(&mut self, context: &mut SimContext, effect: Effect) {
        let Some(agent) = &mut self.agent else { return };
        let (address, host) = (agent.address, agent.host);
        let name = || -> Arc<str> { agent.ownership.owner().agent.as_str().into() };
        match effect {
            Effect::LockName => self.fold(context, Event::NameLocked { remembered: self.remembered.clone() }),
            Effect::GoBy { machine } => agent.machine = machine,
            Effect::Remember { process } => self.remembered.push(process),
            Effect::ReadKey => {
                let call = Call::Last { kind: Kind::Agents, subject: name() };
                context.call_for(HEARTBEAT_PATIENCE, address, Tag::Key.into(), call);
            }
            Effect::List => {
                let list = Op::List(agent.ownership.filter());
                context.ask_engine(host, Duration::ZERO, address, EngineTag::AgentCore, list);
            }
            Effect::ReadReport { attempt } => {
                let subject = context.net.result_subject(&attempt, &agent.ownership.owner().agent);
                context.call(address, Tag::LastReport.into(), Call::Last { kind: Kind::Results, subject });
            }
            Effect::FollowOrders => {
                context.follow(address, Kind::Orders, Some(name()), 0);
                context.call(address, Tag::OrdersEnd.into(), Call::End(Kind::Orders));
            }
            Effect::ReadLease => agent.read_lease(context),
            Effect::ReadResultsEnd => {
                context.call_for(HEARTBEAT_PATIENCE, address, Tag::ResultsEnd.into(), Call::End(Kind::Results));
            }
            Effect::WriteKey { record, expected } => {
                let (subject, record) = (name(), Record::Agent(Arc::new(*record)));
                let write = Call::Write(Write { kind: Kind::Agents, subject, record, expected });
                context.call_for(HEARTBEAT_PATIENCE, address, Tag::WriteKey.into(), write);
            }
            Effect::ProbeEngine => {
                context.ask_engine(host, Duration::ZERO, address, EngineTag::Probe, Op::Probe);
            }
            Effect::Attempt(task) => agent.begin(context, task),
            Effect::StartGuard => self.find_guard(context),
            Effect::DismissGuard => self.dismiss_guard(context),
            Effect::FeedGuard { sent_at } => self.tell_guard(context, guard::Event::Fed { sent_at }),
            Effect::AskGuard(question) => self.tell_guard(context, guard::Event::Asked(question)),
            Effect::Abandon => {
                context.forget_followers(address.place);
                agent.address = context.processes.begin(address.place);
            }
            Effect::Clean { held } => agent.clean(context, held),
            Effect::RemoveOwn { container } => {
                context.ask_engine(host, Duration::ZERO, address, EngineTag::AgentCore, Op::Remove(container));
            }
            Effect::TellEnd { attempt, claim_sequence, event } => {
                agent.append(context, Tag::Told, &attempt, event, claim_sequence);
            }
            Effect::Announce(MeshEvent::EngineLost { .. }) => context.count(Fault::EngineLost),
            // Monitors hear of it, and nothing depends on it.
            Effect::Announce(_) => {}
            Effect::End(_) => {
                self.kill_agent(context);
                let pause = context.some_delay();
                context.later(pause, SimEvent::Relief(Relief::Agent(self.index)));
            }
        }
    }

    fn arm_agent(&mut self, context: &mut SimContext) {
        let Some(agent) = &mut self.agent else { return };
        let at = agent.core.wake_at().map(|uptime| agent.clock.true_time(uptime).max(context.now));
        if at != agent.armed
            && let Some(at) = at
        {
            agent.alarm += 1;
            context.agenda.put(at, SimEvent::Wake(agent.address, agent.alarm));
        }
        agent.armed = at;
    }
}

/// The lease that an answer shows; `None`: nobody can tell.
fn lease_seen(answer: Answer) -> Option<LeaseSeen> {
    let Some(stored) = answer.last()? else { return Some(LeaseSeen::default()) };
    let newest = stored.record.lease()?.epoch(stored.sequence);
    Some(LeaseSeen { revision: stored.sequence, newest })
}

fn key_state(stored: &Stored) -> KeyState {
    let record = stored.record.agent().map(|record| Box::new((**record).clone()));
    KeyState { revision: stored.sequence, record }
}

fn first_record(host: &Host, process: Nonce, context: &SimContext) -> AgentRecord {
    let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    AgentRecord {
        schema: SCHEMA,
        agent: host.owner.agent.clone(),
        process,
        number: 0,
        machine: host.machine.clone(),
        boot: host.boot_id(),
        host: host.machine.0.clone(),
        version: "simulated".to_owned(),
        build: Build::default(),
        engine: "simulated".to_owned(),
        engine_trouble: None,
        at: host.clock.wall(context),
        labels: host.labels.clone(),
        capacity: Capacity { slots: host.slots, cpu_millis: 4_000, memory_bytes: 1 << 30, gpus: None },
        policy: host.policy.published(),
        stock: EngineStock::default(),
        draining: false,
        drain_by: None,
        stopped: false,
        forgotten: false,
        results_seen: 0,
        held: BTreeSet::new(),
        preparing: Vec::new(),
        fence_ms: milliseconds(context.timing.fence),
        kill_margin_ms: milliseconds(context.timing.kill_margin),
    }
}
