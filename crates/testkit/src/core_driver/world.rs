//! The world of a history: chance picks what happens next.

use std::time::Duration;

use jiff::Timestamp;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tickmesh_core::{
    decide::{Input, Record, wake_at},
    id::Epoch,
    time,
};

use super::{
    agent::{Agent, Condition},
    almanac::RHYTHMS,
    bus::{Bus, Entry},
    climate::{Climate, Step},
    faults::{Fault, Summary},
    leader::{Flow, Leader},
    makers::{Revision, agent_name, command},
};

/// 2026-01-01T00:00:00Z: histories begin up to a day later.
const BEGINNING: i64 = 1_767_225_600;
/// Steps of a history at most: far more than it takes to give the core its inputs.
const STEPS_MAX: u32 = 20_000;
/// Commands of a history: fewer than the ring of requests holds, so that a repeated one is always recognised.
const COMMANDS_MAX: usize = 60;

pub(super) struct World {
    pub(super) bus: Bus,
    pub(super) agents: Vec<Agent>,
    pub(super) leader: Leader,
    /// A leader that was replaced and has not noticed.
    pub(super) stale: Option<Leader>,
    climate: Climate,
    seed: u64,
    steps: u32,
}

impl World {
    /// The app is applied for the first time.
    pub(super) fn new(seed: u64) -> anyhow::Result<Self> {
        let mut random = StdRng::seed_from_u64(seed);
        let now = Timestamp::from_millisecond(BEGINNING * 1_000 + random.random_range(0..86_400_000))?;
        let agents = (1..=random.random_range(1..=3))
            .map(|index| Agent::new(agent_name(index), random.random_range(1..=4), now))
            .collect();
        let mut bus = Bus::new(random, now);
        bus.loss_odds = [30, 3][bus.random.random_range(0..2)];
        let climate = Climate::of(&mut bus.random);
        let rhythm = Some(bus.random.random_range(0..RHYTHMS.len()));
        let first = Revision::applied(1, bus.now, rhythm, &mut bus.random);
        bus.apps.push(first);
        let leader = Leader::new(&bus, Epoch(1))?;
        let mut world = Self { bus, agents, leader, stale: None, climate, seed, steps: 0 };
        world.install(Epoch(1))?;
        Ok(world)
    }

    /// Goes on until the core has had that many inputs.
    pub(super) fn drive(&mut self, inputs: u64) -> anyhow::Result<()> {
        while self.bus.summary.inputs < inputs {
            self.steps += 1;
            anyhow::ensure!(self.steps < STEPS_MAX, "no inputs in {STEPS_MAX} steps");
            self.leader.see(&self.bus, &self.agents);
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> anyhow::Result<()> {
        match self.climate.pick(&mut self.bus.random) {
            Step::Time => self.pass_time()?,
            Step::Agent => self.let_agent_act()?,
            Step::Results => self.let_leader_fold_results()?,
            Step::Heartbeat => self.deliver_heartbeat()?,
            Step::SendCommand => self.send_command(),
            Step::DeliverCommand => self.deliver_command()?,
            Step::Edit => self.edit(),
            Step::DeliverEdit => _ = self.leader.fold_app(&mut self.bus)?,
            Step::Act => self.let_leader_act()?,
            Step::Publish => self.publish()?,
            Step::Crash => self.crash()?,
            Step::Trouble => self.trouble_agent(),
            Step::Relief => self.relieve_agent(),
            Step::Silence => self.judge_silence()?,
            Step::StaleLeader => self.let_stale_leader_act()?,
            Step::Forgery => self.forge_report(),
            Step::ClockBack => self.set_clock_back(),
        }
        // A batch of several inputs is recorded at once, now and then.
        if self.bus.random.random_ratio(2, 3) {
            self.flush()?;
        }
        Ok(())
    }

    fn pass_time(&mut self) -> anyhow::Result<()> {
        let duration = self.some_time();
        self.advance(duration);
        self.leader.see(&self.bus, &self.agents);
        self.leader.decide(&mut self.bus, Input::Clock)
    }

    /// Mostly a moment; sometimes exactly until the core asks for its clock; sometimes minutes.
    fn some_time(&mut self) -> Duration {
        if self.bus.mishap(12) {
            self.bus.count(Fault::LeaderPaused);
            return Duration::from_secs(self.bus.random.random_range(6..400));
        }
        let moment = Duration::from_millis(self.bus.random.random_range(1..1_500));
        if self.bus.random.random_ratio(1, 2) {
            return moment;
        }
        let ledger = &self.leader.ledger;
        let spec = self.bus.revision(ledger.app_revision).and_then(|it| it.spec.as_deref());
        wake_at(ledger, spec, &self.bus.timing, self.leader.tenure, self.bus.now)
            .and_then(|wake_at| Duration::try_from(wake_at.duration_since(self.bus.now)).ok())
            .map_or(moment, |until| until.min(Duration::from_secs(60)))
    }

    pub(super) fn advance(&mut self, duration: Duration) {
        self.bus.advance(duration);
        for agent in &mut self.agents {
            agent.pass_time(&mut self.bus);
        }
    }

    pub(super) fn some_agent(&mut self) -> usize {
        self.bus.random.random_range(0..self.agents.len())
    }

    fn let_agent_act(&mut self) -> anyhow::Result<()> {
        let index = self.some_agent();
        for _ in 0..self.bus.random.random_range(1..=4) {
            self.agents[index].act(&mut self.bus)?;
        }
        Ok(())
    }

    fn let_leader_fold_results(&mut self) -> anyhow::Result<()> {
        if self.bus.mishap(10) {
            return self.leader.replay_results(&mut self.bus);
        }
        let most = self.bus.random.random_range(1..6);
        self.leader.fold_results(&mut self.bus, most)
    }

    fn deliver_heartbeat(&mut self) -> anyhow::Result<()> {
        let index = self.some_agent();
        let heartbeats = &mut self.agents[index].heartbeats;
        if heartbeats.is_empty() {
            return Ok(());
        }
        let which = self.bus.random.random_range(0..heartbeats.len());
        let record = heartbeats.remove(heartbeats.len() - 1 - which);
        if which > 0 && heartbeats.len() > which {
            self.bus.count(Fault::HeartbeatLate);
        }
        self.leader.fold_heartbeat(&mut self.bus, &record)
    }

    fn send_command(&mut self) {
        if self.bus.commands.len() >= COMMANDS_MAX {
            return;
        }
        // Whoever asks may not have seen the last edits.
        let newest = self.bus.newest_revision();
        let seen = if self.bus.mishap(5) { newest.saturating_sub(self.bus.random.random_range(1..4)) } else { newest };
        let (now, last_run) = (self.bus.now, self.leader.ledger.last_run);
        let command = command(seen, last_run, now, &mut self.bus.random);
        if self.bus.mishap(6) {
            self.bus.count(Fault::CommandTwice);
            self.bus.commands.push(Entry { command: command.clone(), delivered: false, acknowledged: false });
        }
        self.bus.commands.push(Entry { command, delivered: false, acknowledged: false });
    }

    fn deliver_command(&mut self) -> anyhow::Result<()> {
        let open: Vec<_> = (0..self.bus.commands.len()).filter(|it| !self.bus.commands[*it].acknowledged).collect();
        if open.is_empty() {
            return Ok(());
        }
        let index = open[self.bus.random.random_range(0..open.len())];
        self.leader.fold_command(&mut self.bus, index)
    }

    fn let_leader_act(&mut self) -> anyhow::Result<()> {
        for _ in 0..self.bus.random.random_range(1..6) {
            self.leader.act(&mut self.bus, &mut self.agents)?;
        }
        Ok(())
    }

    fn publish(&mut self) -> anyhow::Result<()> {
        self.flush()?;
        if self.leader.dirty == Record::Due {
            return Ok(());
        }
        let stored = self.leader.publish(&mut self.bus)?;
        if !stored.is_nothing() && self.bus.mishap(8) {
            self.bus.count(Fault::CrashAfterPublish);
            return self.crash();
        }
        self.leader.note(&mut self.bus, &stored)
    }

    /// Records what is to be recorded. A leader that is refused begins anew with the ledger that it finds.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        if self.leader.flush(&mut self.bus)? == Flow::Refused {
            let epoch = self.leader.tenure.epoch;
            self.install(epoch)?;
        }
        Ok(())
    }

    /// Takes over until a leader survives it.
    pub(super) fn install(&mut self, epoch: Epoch) -> anyhow::Result<()> {
        let mut epoch = epoch;
        loop {
            let since = if epoch == self.leader.tenure.epoch { self.leader.tenure.since } else { self.bus.now };
            self.leader = Leader::new(&self.bus, epoch)?;
            self.leader.tenure.since = since;
            self.leader.see(&self.bus, &self.agents);
            if self.leader.take_over(&mut self.bus)? == Flow::GoesOn {
                return Ok(());
            }
            epoch = Epoch(epoch.0 + 1);
        }
    }

    /// Protocol rule P3: the key did not change for long, all results are folded, and the key still did not change.
    fn judge_silence(&mut self) -> anyhow::Result<()> {
        let index = self.some_agent();
        let agent = &self.agents[index];
        if agent.condition == Condition::Well || self.bus.now < time::after(agent.seen_at, self.bus.timing.lost) {
            return Ok(());
        }
        let name = agent.name.clone();
        self.leader.fold_results(&mut self.bus, u64::MAX)?;
        self.leader.decide(&mut self.bus, Input::Silent { agent: &name, results_through: u64::MAX })
    }

    pub(super) fn summary(&self) -> Summary {
        let counters = &self.leader.ledger.counters;
        Summary {
            instants: counters.decided,
            runs: self.bus.history.last_sequence(),
            containers: self.bus.witness.containers,
            ..self.bus.summary.clone()
        }
    }

    /// Where the history was when it failed.
    pub(super) fn story(&self) -> String {
        format!("seed {} failed at step {}, {}", self.seed, self.steps, self.bus.now)
    }
}
