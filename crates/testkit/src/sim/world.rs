//! The world of a history: it goes from one thing on the agenda to the next.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tickmesh_agent::labels::Owner;
use tickmesh_core::{
    id::MeshId,
    message::MachineId,
    name::{AgentName, AppName, Namespace},
    policy::HostPolicy,
    timing::Timing,
};
use tickmesh_messaging::Names;

use super::{
    clock::Clock,
    context::SimContext,
    damage::Damaged,
    event::{SimEvent, Tag},
    faults::{Fault, Summary},
    generators,
    host::{Host, HostSettings},
    net::{DURABLE, Flight, Kind, Said, Stream},
    operators::{Hosts, Operators},
    process_table::{Address, Place},
    restoration::StoreCopy,
    scheduler::Scheduler,
};

/// 2026-01-01T00:00:00Z: histories begin up to a day later.
const BEGINNING: i64 = 1_767_225_600;
/// Happenings of a history at most: far more than it takes to give leaders their inputs.
const HAPPENINGS_MAX: u32 = 1_000_000;

/// Production's timing with its deadlines moved together, so that more of them pass in a history; the relations are the same.
pub(super) const TIMING: Timing = Timing {
    heartbeat: Duration::from_secs(2),
    heartbeat_retry: Duration::from_millis(500),
    stale: Duration::from_secs(5),
    no_engine: Duration::from_secs(5),
    fence: Duration::from_secs(14),
    kill_margin: Duration::from_secs(5),
    lost: Duration::from_secs(20),
    late_after: Duration::from_secs(5),
    resend: Duration::from_secs(3),
    unclaimed: Duration::from_secs(10),
    write_pace: Duration::from_millis(50),
    tell_pending: Duration::from_secs(15),
    tell_dropped: Duration::from_secs(60),
    lease: Duration::from_secs(3),
    purge: Duration::from_secs(6),
    // Longer than an order that was delayed for as long as anything is lives.
    results_kept: Duration::from_secs(125),
};

/// What somebody will restore.
pub(super) struct Backup {
    pub(super) kind: Kind,
    pub(super) stream: Stream,
    pub(super) lease: Stream,
}

pub(super) struct World {
    pub(super) context: SimContext,
    pub(super) schedulers: Vec<Scheduler>,
    /// The last one is set up with the name of the first one's agent.
    pub(super) hosts: Vec<Host>,
    pub(super) operators: Operators,
    /// Agent and guard of one host may both be taken from it.
    pub(super) unguarded: bool,
    /// The last host may take the name of the first one's agent.
    pub(super) rival: bool,
    /// A stream as it was once, to be restored at the end, and the lease as it was then.
    pub(super) copy: Option<Backup>,
    /// Records that somebody has written over.
    pub(super) damaged: Vec<Damaged>,
    /// The whole store as it was once, to be restored in the middle of the history.
    pub(super) backup: Option<StoreCopy>,
    /// An app that is gone from its bucket.
    pub(super) app_lost: Option<AppName>,
    /// The store is restored in this history.
    pub(super) is_restored: bool,
    /// What waits for a process that stands still.
    backlogs: BTreeMap<Place, Vec<SimEvent>>,
    seed: u64,
    happenings: u32,
}

impl World {
    pub(super) fn new(seed: u64) -> anyhow::Result<Self> {
        let mut random = StdRng::seed_from_u64(seed);
        let beginning = Timestamp::from_millisecond(BEGINNING * 1_000 + random.random_range(0..86_400_000))?;
        let names = Names::new(Namespace::new("mesh")?);
        let mut context = SimContext::new(beginning, TIMING, names, random);
        let apps = ["nightly", "hourly", "a-b"].into_iter().take(context.random.random_range(1..=3));
        let apps: Vec<AppName> = apps.map(AppName::new).collect::<Result<_, _>>()?;
        let schedulers = (0..context.random.random_range(2..=3)).map(|index| scheduler(index, &mut context)).collect();
        let hosts = hosts(&mut context)?;
        let unguarded = context.random.random_ratio(1, 8);
        let rival = context.random.random_ratio(1, 3);
        let operators = Operators::new(apps, if rival { Hosts::Contested } else { Hosts::Settled });
        let backlogs = BTreeMap::new();
        let mut world = Self {
            context,
            schedulers,
            hosts,
            operators,
            unguarded,
            rival,
            copy: None,
            damaged: Vec::new(),
            backup: None,
            app_lost: None,
            is_restored: false,
            backlogs,
            seed,
            happenings: 0,
        };
        world.begin();
        Ok(world)
    }

    fn begin(&mut self) {
        for scheduler in &mut self.schedulers {
            scheduler.start(&mut self.context);
        }
        let rival = self.hosts.len() - 1;
        for host in &mut self.hosts[..rival] {
            host.start_agent(&mut self.context);
        }
        self.context.later(Duration::from_secs(1), SimEvent::Operators);
        self.context.later(Duration::from_secs(8), SimEvent::Trouble);
        self.plan_restoration();
    }

    /// Goes on until leaders have had that many inputs, and that many faults have occurred.
    pub(super) fn drive(&mut self, inputs: u64, faults: u64, least: Duration) -> anyhow::Result<()> {
        let summary = |world: &Self| (world.context.summary.inputs, world.context.summary.fault_count());
        // One loss is enough for a history.
        let copied = !self.is_restored && self.context.random.random_ratio(1, 12);
        while self.context.now < least || summary(self).0 < inputs || summary(self).1 < faults {
            self.go_on()?;
            if copied && self.copy.is_none() && self.context.now > least / 2 {
                let kind = DURABLE[self.context.random.random_range(0..DURABLE.len())];
                let [stream, lease] = [kind, Kind::Lease].map(|kind| self.context.net.stream(kind).clone());
                self.copy = Some(Backup { kind, stream, lease });
            }
        }
        Ok(())
    }

    /// The next thing happens.
    pub(super) fn go_on(&mut self) -> anyhow::Result<()> {
        let (at, what) = self.context.agenda.next().context("nothing will ever happen again")?;
        self.happenings += 1;
        ensure!(self.happenings < HAPPENINGS_MAX, "not at its end after {HAPPENINGS_MAX} happenings");
        self.context.now = at;
        self.meet(what);
        self.context.take_verdict()
    }

    /// Lets something happen, unless nobody is there for it; to a process that stands still it happens later.
    fn meet(&mut self, what: SimEvent) {
        match what.recipient() {
            Some(address) if !self.context.processes.is_current(address) => {}
            Some(address) if self.context.processes.is_paused(address.place) => {
                self.backlogs.entry(address.place).or_default().push(what);
            }
            Some(_) | None => self.happen(what),
        }
    }

    /// What had to wait happens now.
    pub(super) fn wake_backlog(&mut self, place: Place) {
        for what in self.backlogs.remove(&place).unwrap_or_default() {
            self.meet(what);
        }
    }

    fn happen(&mut self, what: SimEvent) {
        match what {
            SimEvent::Depart(flight) if self.is_abandoned(&flight) => {}
            SimEvent::Depart(flight) => self.context.depart(*flight),
            SimEvent::Arrive(flight) => self.context.arrive(flight),
            SimEvent::Back(flight, said) => self.hear_back(flight, said),
            SimEvent::Deliver(id) => {
                let Some(follower) = self.context.net.followers.get(&id) else { return };
                let (owner, kind) = (follower.owner, follower.kind);
                self.for_process(owner, SimEvent::Deliver(id), |world| {
                    if let (true, Place::Agent(host)) = (world.context.is_reopened(id), owner.place) {
                        world.hosts[host].agent_reads_anew(&mut world.context);
                    }
                    for stored in world.context.deliver(id) {
                        world.hear(owner, kind, stored);
                    }
                    if let (Some(sequence), Place::Scheduler(index)) = (world.context.snapshot_ended(id), owner.place) {
                        world.schedulers[index].snapshot_ended(&mut world.context, kind, sequence);
                    }
                });
            }
            SimEvent::DeliverCommands { consumer } => {
                let Some(owner) = self.context.net.queue.owner else { return };
                self.for_process(owner, SimEvent::DeliverCommands { consumer }, |world| {
                    if let Some((owner, commands)) = world.context.deliver_commands(consumer)
                        && let Place::Scheduler(index) = owner.place
                    {
                        world.schedulers[index].take_commands(&mut world.context, consumer, &commands);
                    }
                });
            }
            SimEvent::Superseded(address, consumer) => match address.place {
                Place::Scheduler(index) => self.schedulers[index].superseded(&mut self.context, consumer),
                Place::Agent(_) | Place::Guard(_) => {}
            },
            SimEvent::Wake(address, alarm) => match address.place {
                Place::Scheduler(index) => self.schedulers[index].wake(&mut self.context, alarm),
                Place::Agent(host) => self.hosts[host].agent_wakes(&mut self.context, alarm),
                Place::Guard(host) => self.hosts[host].guard_wakes(&mut self.context, alarm),
            },
            SimEvent::Engine(host, act) => self.hosts[host].engine.act(&mut self.context, act),
            SimEvent::EngineSays(address, says) => match address.place {
                Place::Agent(host) => self.hosts[host].engine_answers_agent(&mut self.context, *says),
                Place::Guard(host) => self.hosts[host].engine_answers_guard(&mut self.context, *says),
                Place::Scheduler(_) => {}
            },
            SimEvent::ToGuard(address, word) => {
                if let Place::Guard(host) = address.place {
                    self.hosts[host].guard_is_told(&mut self.context, word);
                }
            }
            SimEvent::GuardDoubted(address) => {
                if let Place::Guard(host) = address.place {
                    self.hosts[host].guard_is_doubted(&mut self.context, address);
                }
            }
            SimEvent::ToAgent(address, event) => {
                if let Place::Agent(host) = address.place {
                    self.hosts[host].agent_is_told(&mut self.context, *event);
                }
            }
            SimEvent::Ask(agent) => {
                let scheduler = self.scheduler_to_ask();
                self.operators.wishes.ask(&mut self.context, &agent, scheduler);
            }
            SimEvent::Wished(address, wish) => {
                if let Place::Scheduler(index) = address.place {
                    self.schedulers[index].wished(&mut self.context, wish);
                }
            }
            SimEvent::WishAnswered(id, answer) => self.operators.wishes.answered(&mut self.context, id, &answer),
            SimEvent::WishUnanswered(agent, id) => self.operators.wishes.unanswered(&mut self.context, &agent, id),
            SimEvent::Restoration(step) => self.restoration(step),
            SimEvent::Operators if self.context.has_faults() => self.operators.act(&mut self.context),
            SimEvent::Trouble if self.context.has_faults() => self.trouble(),
            SimEvent::Operators | SimEvent::Trouble => {}
            SimEvent::Relief(relief) => self.relieve(relief),
        }
    }

    /// Whom somebody asks who has a wish: a scheduler that says that it leads, or now and then just one.
    fn scheduler_to_ask(&mut self) -> Option<Address> {
        if self.context.mishap(Fault::WishMisdirected) {
            let index = self.context.random.random_range(0..self.schedulers.len());
            return Some(self.schedulers[index].address);
        }
        let answers = |place| self.context.processes.works(place) && !self.context.processes.hears_nothing(place);
        let says_so = |it: &&Scheduler| it.stage() == "leading" && answers(it.place);
        self.schedulers.iter().find(says_so).map(|scheduler| scheduler.address)
    }

    /// Whether nobody sends a request again: its sender has given it up, and the connection on which it was sent is gone.
    fn is_abandoned(&self, flight: &Flight) -> bool {
        let given_up = match (&flight.tag, flight.from.place) {
            (Tag::Scheduler(tag), Place::Scheduler(index)) => self.schedulers[index].has_given_up(tag),
            (Tag::Scheduler(_) | Tag::Agent(_), _) => false,
        };
        given_up && !self.context.is_same_connection(flight)
    }

    /// Does something with a process that is there, now or when it goes on.
    fn for_process(&mut self, owner: Address, again: SimEvent, act: impl FnOnce(&mut Self)) {
        if !self.context.processes.is_current(owner) {
            return;
        }
        if self.context.processes.is_paused(owner.place) {
            self.backlogs.entry(owner.place).or_default().push(again);
        } else {
            act(self);
        }
    }

    fn hear_back(&mut self, flight: Box<super::net::Flight>, said: Said) {
        let place = flight.from.place;
        let Some((tag, answer)) = self.context.heard(flight, said) else { return };
        match (tag, place) {
            (Tag::Scheduler(tag), Place::Scheduler(index)) => {
                self.schedulers[index].answered(&mut self.context, tag, answer);
            }
            (Tag::Agent(tag), Place::Agent(host)) => {
                self.hosts[host].agent_is_answered(&mut self.context, tag, answer);
            }
            (Tag::Scheduler(_) | Tag::Agent(_), _) => {}
        }
    }

    fn hear(&mut self, owner: Address, kind: Kind, stored: super::net::Stored) {
        // The message before it may have ended the process, or its tenure.
        if !self.context.processes.is_current(owner) {
            return;
        }
        match owner.place {
            Place::Scheduler(index) => self.schedulers[index].hear(&mut self.context, kind, &stored),
            Place::Agent(host) => self.hosts[host].agent_hears(&mut self.context, stored),
            Place::Guard(_) => {}
        }
    }

    pub(super) fn summary(&self) -> Summary {
        let mut faults = self.context.summary.faults.clone();
        let forced = self.context.witness.forced_ends();
        if forced > 0 {
            faults.insert(Fault::EndForced, forced);
        }
        Summary {
            faults,
            instants: self.context.witness.instants(),
            runs: self.context.witness.finished_runs(),
            excused: self.context.witness.excused(),
            ..self.context.summary.clone()
        }
    }

    /// Where the history was when it failed.
    pub(super) fn story(&self) -> String {
        let time = self.context.server_time();
        format!("seed {} failed after {} happenings, at {time}", self.seed, self.happenings)
    }
}

fn scheduler(index: usize, context: &mut SimContext) -> Scheduler {
    let mut clock = Clock::new(Duration::from_secs(context.random.random_range(60..1_000_000)));
    if context.mishap(Fault::ClockSkewed) {
        let most = if context.random_ratio(2) { 900 } else { 90_000 };
        clock.set_error(SignedDuration::from_millis(context.random.random_range(-most..most)));
    }
    Scheduler::new(index, clock, context)
}

/// Two or three hosts, and one more that is set up with the name of the first one's agent. In some histories that one is
/// a copy of the first host, with its machine id.
fn hosts(context: &mut SimContext) -> anyhow::Result<Vec<Host>> {
    let count = context.random.random_range(2..=3);
    let mesh = MeshId::from_random(context.random_bytes());
    let is_copied = context.mishap(Fault::HostCopied);
    let mut hosts = Vec::new();
    for index in 0..=count {
        let name = if index == count { 0 } else { index };
        let machine = MachineId(format!("machine-{}", if is_copied { name } else { index }));
        let agent = AgentName::new(format!("a{name}"))?;
        let owner = Owner { mesh, namespace: Namespace::new("mesh")?, agent };
        let labels = [("zone".to_owned(), if index % 2 == 0 { "a" } else { "b" }.to_owned())].into();
        let mut clock = Clock::new(Duration::from_secs(context.random.random_range(60..1_000_000)));
        if context.mishap(Fault::HostClockSkewed) {
            let most = if context.random_ratio(4) { 7_200_000 } else { 1_000 };
            clock.set_error(SignedDuration::from_millis(context.random.random_range(-most..most)));
        }
        let slots = context.random.random_range(2..=6);
        // The first host allows what apps ask for, so that everything fits somewhere in the end.
        let allows = index == 0 || context.random.random_ratio(1, 2);
        let host_paths = if allows { vec![generators::HOST_PATH.into()] } else { Vec::new() };
        let policy = HostPolicy { host_paths, ..HostPolicy::default() };
        let settings = HostSettings { owner: owner.clone(), machine, clock, slots, labels, policy };
        let mut host = Host::new(index, settings, context);
        host_foreigners(&mut host, &owner, context);
        hosts.push(host);
    }
    Ok(hosts)
}

/// Containers that are not ours (guarantee G10): of nobody, of another mesh, and of another agent of this mesh.
fn host_foreigners(host: &mut Host, owner: &Owner, context: &mut SimContext) {
    host.engine.host_foreign("postgres", BTreeMap::new());
    let other_mesh = Owner { mesh: MeshId::from_random(context.random_bytes()), ..owner.clone() };
    host.engine.host_foreign("other-mesh", other_mesh.filter());
    if let Ok(agent) = AgentName::new("a9") {
        host.engine.host_foreign("other-agent", Owner { agent, ..owner.clone() }.filter());
    }
    // Made from an image of one of our containers: it has our labels, and is not ours.
    host.engine.host_foreign("committed", owner.filter());
}
