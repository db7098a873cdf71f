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
    census::{Address, Place},
    clock::Clock,
    damage::Damaged,
    faults::{Fault, Summary},
    ground::Ground,
    happening::{Happening, Tag},
    host::{Host, HostSettings},
    makers,
    net::{DURABLE, Flight, Kind, Said, Stream},
    people::{Hosts, People},
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
    pub(super) ground: Ground,
    pub(super) schedulers: Vec<Scheduler>,
    /// The last one is set up with the name of the first one's agent.
    pub(super) hosts: Vec<Host>,
    pub(super) people: People,
    /// Agent and guard of one host may both be taken from it.
    pub(super) lawless: bool,
    /// The last host may take the name of the first one's agent.
    pub(super) twin: bool,
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
    backlogs: BTreeMap<Place, Vec<Happening>>,
    seed: u64,
    happenings: u32,
}

impl World {
    pub(super) fn new(seed: u64) -> anyhow::Result<Self> {
        let mut random = StdRng::seed_from_u64(seed);
        let beginning = Timestamp::from_millisecond(BEGINNING * 1_000 + random.random_range(0..86_400_000))?;
        let names = Names::new(Namespace::new("mesh")?);
        let mut ground = Ground::new(beginning, TIMING, names, random);
        let apps = ["nightly", "hourly", "a-b"].into_iter().take(ground.random.random_range(1..=3));
        let apps: Vec<AppName> = apps.map(AppName::new).collect::<Result<_, _>>()?;
        let schedulers = (0..ground.random.random_range(2..=3)).map(|index| scheduler(index, &mut ground)).collect();
        let hosts = hosts(&mut ground)?;
        let lawless = ground.random.random_ratio(1, 8);
        let twin = ground.random.random_ratio(1, 3);
        let people = People::new(apps, if twin { Hosts::Contested } else { Hosts::Settled });
        let backlogs = BTreeMap::new();
        let mut world = Self {
            ground,
            schedulers,
            hosts,
            people,
            lawless,
            twin,
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
            scheduler.start(&mut self.ground);
        }
        let twin = self.hosts.len() - 1;
        for host in &mut self.hosts[..twin] {
            host.start_agent(&mut self.ground);
        }
        self.ground.later(Duration::from_secs(1), Happening::People);
        self.ground.later(Duration::from_secs(8), Happening::Trouble);
        self.plan_restoration();
    }

    /// Goes on until leaders have had that many inputs, and that many faults have occurred.
    pub(super) fn drive(&mut self, inputs: u64, faults: u64, least: Duration) -> anyhow::Result<()> {
        let summary = |world: &Self| (world.ground.summary.inputs, world.ground.summary.fault_count());
        // One loss is enough for a history.
        let copied = !self.is_restored && self.ground.random.random_ratio(1, 12);
        while self.ground.now < least || summary(self).0 < inputs || summary(self).1 < faults {
            self.go_on()?;
            if copied && self.copy.is_none() && self.ground.now > least / 2 {
                let kind = DURABLE[self.ground.random.random_range(0..DURABLE.len())];
                let [stream, lease] = [kind, Kind::Lease].map(|kind| self.ground.net.stream(kind).clone());
                self.copy = Some(Backup { kind, stream, lease });
            }
        }
        Ok(())
    }

    /// The next thing happens.
    pub(super) fn go_on(&mut self) -> anyhow::Result<()> {
        let (at, what) = self.ground.agenda.next().context("nothing will ever happen again")?;
        self.happenings += 1;
        ensure!(self.happenings < HAPPENINGS_MAX, "not at its end after {HAPPENINGS_MAX} happenings");
        self.ground.now = at;
        self.meet(what);
        self.ground.take_verdict()
    }

    /// Lets something happen, unless nobody is there for it; to a process that stands still it happens later.
    fn meet(&mut self, what: Happening) {
        match what.recipient() {
            Some(address) if !self.ground.census.is_current(address) => {}
            Some(address) if self.ground.census.is_paused(address.place) => {
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

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Depart(flight) if self.is_abandoned(&flight) => {}
            Happening::Depart(flight) => self.ground.depart(*flight),
            Happening::Arrive(flight) => self.ground.arrive(flight),
            Happening::Back(flight, said) => self.hear_back(flight, said),
            Happening::Deliver(id) => {
                let Some(follower) = self.ground.net.followers.get(&id) else { return };
                let (owner, kind) = (follower.owner, follower.kind);
                self.for_process(owner, Happening::Deliver(id), |world| {
                    if let (true, Place::Agent(host)) = (world.ground.is_reopened(id), owner.place) {
                        world.hosts[host].agent_reads_anew(&mut world.ground);
                    }
                    for stored in world.ground.deliver(id) {
                        world.hear(owner, kind, stored);
                    }
                    if let (Some(sequence), Place::Scheduler(index)) = (world.ground.snapshot_ended(id), owner.place) {
                        world.schedulers[index].snapshot_ended(&mut world.ground, kind, sequence);
                    }
                });
            }
            Happening::DeliverCommands { consumer } => {
                let Some(owner) = self.ground.net.queue.owner else { return };
                self.for_process(owner, Happening::DeliverCommands { consumer }, |world| {
                    if let Some((owner, commands)) = world.ground.deliver_commands(consumer)
                        && let Place::Scheduler(index) = owner.place
                    {
                        world.schedulers[index].take_commands(&mut world.ground, consumer, &commands);
                    }
                });
            }
            Happening::Superseded(address, consumer) => match address.place {
                Place::Scheduler(index) => self.schedulers[index].superseded(&mut self.ground, consumer),
                Place::Agent(_) | Place::Guard(_) => {}
            },
            Happening::Wake(address, alarm) => match address.place {
                Place::Scheduler(index) => self.schedulers[index].wake(&mut self.ground, alarm),
                Place::Agent(host) => self.hosts[host].agent_wakes(&mut self.ground, alarm),
                Place::Guard(host) => self.hosts[host].guard_wakes(&mut self.ground, alarm),
            },
            Happening::Engine(host, act) => self.hosts[host].engine.act(&mut self.ground, act),
            Happening::EngineSays(address, says) => match address.place {
                Place::Agent(host) => self.hosts[host].engine_answers_agent(&mut self.ground, *says),
                Place::Guard(host) => self.hosts[host].engine_answers_guard(&mut self.ground, *says),
                Place::Scheduler(_) => {}
            },
            Happening::ToGuard(address, word) => {
                if let Place::Guard(host) = address.place {
                    self.hosts[host].guard_is_told(&mut self.ground, word);
                }
            }
            Happening::GuardDoubted(address) => {
                if let Place::Guard(host) = address.place {
                    self.hosts[host].guard_is_doubted(&mut self.ground, address);
                }
            }
            Happening::ToAgent(address, event) => {
                if let Place::Agent(host) = address.place {
                    self.hosts[host].agent_is_told(&mut self.ground, *event);
                }
            }
            Happening::Ask(agent) => {
                let scheduler = self.scheduler_to_ask();
                self.people.wishes.ask(&mut self.ground, &agent, scheduler);
            }
            Happening::Wished(address, wish) => {
                if let Place::Scheduler(index) = address.place {
                    self.schedulers[index].wished(&mut self.ground, wish);
                }
            }
            Happening::WishAnswered(id, answer) => self.people.wishes.answered(&mut self.ground, id, &answer),
            Happening::WishUnanswered(agent, id) => self.people.wishes.unanswered(&mut self.ground, &agent, id),
            Happening::Restoration(step) => self.restoration(step),
            Happening::People if self.ground.is_stormy() => self.people.act(&mut self.ground),
            Happening::Trouble if self.ground.is_stormy() => self.trouble(),
            Happening::People | Happening::Trouble => {}
            Happening::Relief(relief) => self.relieve(relief),
        }
    }

    /// Whom somebody asks who has a wish: a scheduler that says that it leads, or now and then just one.
    fn scheduler_to_ask(&mut self) -> Option<Address> {
        if self.ground.mishap(Fault::WishMisdirected) {
            let index = self.ground.random.random_range(0..self.schedulers.len());
            return Some(self.schedulers[index].address);
        }
        let answers = |place| self.ground.census.works(place) && !self.ground.census.hears_nothing(place);
        let says_so = |it: &&Scheduler| it.stage() == "leading" && answers(it.place);
        self.schedulers.iter().find(says_so).map(|scheduler| scheduler.address)
    }

    /// Whether nobody sends a request again: its sender has given it up, and the connection on which it was sent is gone.
    fn is_abandoned(&self, flight: &Flight) -> bool {
        let given_up = match (&flight.tag, flight.from.place) {
            (Tag::Scheduler(tag), Place::Scheduler(index)) => self.schedulers[index].has_given_up(tag),
            (Tag::Scheduler(_) | Tag::Agent(_), _) => false,
        };
        given_up && !self.ground.is_same_connection(flight)
    }

    /// Does something with a process that is there, now or when it goes on.
    fn for_process(&mut self, owner: Address, again: Happening, act: impl FnOnce(&mut Self)) {
        if !self.ground.census.is_current(owner) {
            return;
        }
        if self.ground.census.is_paused(owner.place) {
            self.backlogs.entry(owner.place).or_default().push(again);
        } else {
            act(self);
        }
    }

    fn hear_back(&mut self, flight: Box<super::net::Flight>, said: Said) {
        let place = flight.from.place;
        let Some((tag, answer)) = self.ground.heard(flight, said) else { return };
        match (tag, place) {
            (Tag::Scheduler(tag), Place::Scheduler(index)) => {
                self.schedulers[index].answered(&mut self.ground, tag, answer);
            }
            (Tag::Agent(tag), Place::Agent(host)) => {
                self.hosts[host].agent_is_answered(&mut self.ground, tag, answer);
            }
            (Tag::Scheduler(_) | Tag::Agent(_), _) => {}
        }
    }

    fn hear(&mut self, owner: Address, kind: Kind, stored: super::net::Stored) {
        // The message before it may have ended the process, or its tenure.
        if !self.ground.census.is_current(owner) {
            return;
        }
        match owner.place {
            Place::Scheduler(index) => self.schedulers[index].hear(&mut self.ground, kind, &stored),
            Place::Agent(host) => self.hosts[host].agent_hears(&mut self.ground, stored),
            Place::Guard(_) => {}
        }
    }

    pub(super) fn summary(&self) -> Summary {
        let mut faults = self.ground.summary.faults.clone();
        let forced = self.ground.witness.forced_ends();
        if forced > 0 {
            faults.insert(Fault::EndForced, forced);
        }
        Summary {
            faults,
            instants: self.ground.witness.instants(),
            runs: self.ground.witness.finished_runs(),
            excused: self.ground.witness.excused(),
            ..self.ground.summary.clone()
        }
    }

    /// Where the history was when it failed.
    pub(super) fn story(&self) -> String {
        let time = self.ground.server_time();
        format!("seed {} failed after {} happenings, at {time}", self.seed, self.happenings)
    }
}

fn scheduler(index: usize, ground: &mut Ground) -> Scheduler {
    let mut clock = Clock::new(Duration::from_secs(ground.random.random_range(60..1_000_000)));
    if ground.mishap(Fault::ClockSkewed) {
        let most = if ground.random_ratio(2) { 900 } else { 90_000 };
        clock.set_error(SignedDuration::from_millis(ground.random.random_range(-most..most)));
    }
    Scheduler::new(index, clock, ground)
}

/// Two or three hosts, and one more that is set up with the name of the first one's agent. In some histories that one is
/// a copy of the first host, with its machine id.
fn hosts(ground: &mut Ground) -> anyhow::Result<Vec<Host>> {
    let count = ground.random.random_range(2..=3);
    let mesh = MeshId::from_random(ground.random_bytes());
    let is_copied = ground.mishap(Fault::HostCopied);
    let mut hosts = Vec::new();
    for index in 0..=count {
        let name = if index == count { 0 } else { index };
        let machine = MachineId(format!("machine-{}", if is_copied { name } else { index }));
        let agent = AgentName::new(format!("a{name}"))?;
        let owner = Owner { mesh, namespace: Namespace::new("mesh")?, agent };
        let labels = [("zone".to_owned(), if index % 2 == 0 { "a" } else { "b" }.to_owned())].into();
        let mut clock = Clock::new(Duration::from_secs(ground.random.random_range(60..1_000_000)));
        if ground.mishap(Fault::HostClockSkewed) {
            let most = if ground.random_ratio(4) { 7_200_000 } else { 1_000 };
            clock.set_error(SignedDuration::from_millis(ground.random.random_range(-most..most)));
        }
        let slots = ground.random.random_range(2..=6);
        // The first host allows what apps ask for, so that everything fits somewhere in the end.
        let allows = index == 0 || ground.random.random_ratio(1, 2);
        let host_paths = if allows { vec![makers::HOST_PATH.into()] } else { Vec::new() };
        let policy = HostPolicy { host_paths, ..HostPolicy::default() };
        let settings = HostSettings { owner: owner.clone(), machine, clock, slots, labels, policy };
        let mut host = Host::new(index, settings, ground);
        host_foreigners(&mut host, &owner, ground);
        hosts.push(host);
    }
    Ok(hosts)
}

/// Containers that are not ours (guarantee G10): of nobody, of another mesh, and of another agent of this mesh.
fn host_foreigners(host: &mut Host, owner: &Owner, ground: &mut Ground) {
    host.engine.host_foreign("postgres", BTreeMap::new());
    let other_mesh = Owner { mesh: MeshId::from_random(ground.random_bytes()), ..owner.clone() };
    host.engine.host_foreign("other-mesh", other_mesh.filter());
    if let Ok(agent) = AgentName::new("a9") {
        host.engine.host_foreign("other-agent", Owner { agent, ..owner.clone() }.filter());
    }
    // Made from an image of one of our containers: it has our labels, and is not ours.
    host.engine.host_foreign("committed", owner.filter());
}
