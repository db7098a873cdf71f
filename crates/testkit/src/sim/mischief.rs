//! What goes wrong on purpose, and how it is made well again.

use std::time::Duration;

use jiff::SignedDuration;
use rand::RngExt as _;

use super::{
    census::Place, faults::Fault, ground::Weather, happening::Happening, net::DURABLE, scheduler::Scheduler,
    world::World,
};

/// Longest time for which a stream that elects a leader may say wrong things.
const LAG_MAX: Duration = Duration::from_millis(1_400);

/// Something that goes wrong at some moment.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trouble {
    KillScheduler,
    PauseScheduler,
    CutOffScheduler,
    StepClock,
    StepDown,
    StopScheduler,
    StreamLags,
    DamageRecord,
    ForgeOrder,
    KillAgent,
    StopAgent,
    PauseAgent,
    CutOffAgent,
    KillGuard,
    PauseGuard,
    TakeName,
    RebootHost,
    FreezeEngine,
    RestartEngine,
    RemoveContainer,
    ServerDown,
    LoseStore,
}

/// Something that is made well again.
#[derive(Debug, Clone, Copy)]
pub(super) enum Relief {
    /// A scheduler begins anew, or goes on.
    Scheduler(usize),
    SchedulerConnected(usize),
    /// An agent begins anew, or goes on.
    Agent(usize),
    AgentConnected(usize),
    Guard(usize),
    Engine(usize),
    Server,
    /// The store that was lost is found.
    Store,
    Stream,
    /// Records that cannot be read.
    Records,
}

impl Relief {
    /// What brings a process back.
    pub(super) fn of(place: Place) -> Self {
        match place {
            Place::Scheduler(index) => Self::Scheduler(index),
            Place::Agent(index) => Self::Agent(index),
            Place::Guard(index) => Self::Guard(index),
        }
    }
}

impl World {
    /// Something goes wrong, and something will again.
    pub(super) fn trouble(&mut self) {
        if let Some(trouble) = self.ground.climate.pick(&mut self.ground.random) {
            let scheduler = self.some_scheduler();
            let host = self.ground.random.random_range(0..self.hosts.len());
            self.make(trouble, scheduler, host);
        }
        let pause = self.ground.climate.trouble_pause();
        let pause = self.ground.between(pause / 4, pause * 2);
        self.ground.later(pause, Happening::Trouble);
    }

    /// Mostly the one that leads: the others have less to lose.
    fn some_scheduler(&mut self) -> usize {
        let leader = self.schedulers.iter().position(Scheduler::leads);
        match leader {
            Some(leader) if self.ground.random.random_ratio(3, 4) => leader,
            Some(_) | None => self.ground.random.random_range(0..self.schedulers.len()),
        }
    }

    fn make(&mut self, trouble: Trouble, scheduler: usize, host: usize) {
        let delay = self.ground.some_delay();
        match trouble {
            Trouble::KillScheduler => {
                self.ground.count(Fault::SchedulerKilled);
                self.schedulers[scheduler].kill(&mut self.ground);
                self.ground.later(delay, Happening::Relief(Relief::Scheduler(scheduler)));
            }
            Trouble::PauseScheduler => self.pause(Place::Scheduler(scheduler), Fault::SchedulerPaused, delay),
            Trouble::CutOffScheduler => {
                let relief = Relief::SchedulerConnected(scheduler);
                self.cut_off(Place::Scheduler(scheduler), Fault::SchedulerCutOff, delay, relief);
            }
            Trouble::StepClock => self.step_clock(scheduler),
            Trouble::StepDown => {
                if self.schedulers[scheduler].leads() {
                    self.ground.count(Fault::SteppedDown);
                }
                self.schedulers[scheduler].step_down(&mut self.ground);
            }
            Trouble::StopScheduler => {
                self.ground.count(Fault::SchedulerStopped);
                self.schedulers[scheduler].stop(&mut self.ground);
            }
            Trouble::StreamLags => self.let_stream_lag(delay),
            Trouble::KillAgent if self.may_lose_agent(host) => {
                self.ground.count(Fault::AgentKilled);
                self.hosts[host].kill_agent(&mut self.ground);
                self.ground.later(delay, Happening::Relief(Relief::Agent(host)));
            }
            Trouble::StopAgent => {
                self.ground.count(Fault::AgentStopped);
                self.hosts[host].stop_agent(&mut self.ground);
            }
            Trouble::PauseAgent if self.may_lose_agent(host) => {
                self.pause(Place::Agent(host), Fault::AgentPaused, delay)
            }
            Trouble::CutOffAgent => {
                self.cut_off(Place::Agent(host), Fault::AgentCutOff, delay, Relief::AgentConnected(host));
            }
            Trouble::KillGuard if self.may_lose_guard(host) => {
                self.ground.count(Fault::GuardKilled);
                self.hosts[host].kill_guard(&mut self.ground);
            }
            Trouble::PauseGuard if self.may_lose_guard(host) => {
                self.pause(Place::Guard(host), Fault::GuardPaused, delay);
                self.hosts[host].expect_answer_of_guard(&mut self.ground);
            }
            Trouble::TakeName if self.twin => self.take_name(delay),
            Trouble::DamageRecord => self.damage_record(delay),
            Trouble::ForgeOrder => self.forge_order(),
            Trouble::RebootHost => {
                self.ground.count(Fault::HostRebooted);
                self.hosts[host].reboot(&mut self.ground);
                self.ground.later(delay, Happening::Relief(Relief::Agent(host)));
            }
            Trouble::FreezeEngine => {
                self.ground.count(Fault::EngineFrozen);
                self.hosts[host].engine.freeze();
                self.ground.witness.engine_frozen(host, self.ground.now);
                self.ground.later(delay, Happening::Relief(Relief::Engine(host)));
            }
            Trouble::RestartEngine => {
                self.ground.count(Fault::EngineRestarted);
                self.hosts[host].engine.restart(&mut self.ground);
            }
            Trouble::RemoveContainer => {
                if self.hosts[host].engine.remove_by_hand(&mut self.ground) {
                    self.ground.count(Fault::ContainerRemoved);
                }
            }
            Trouble::ServerDown => {
                self.ground.count(Fault::ServerDown);
                self.ground.census.server_down = true;
                self.ground.later(delay / 2, Happening::Relief(Relief::Server));
            }
            Trouble::LoseStore => {
                if self.lose_store() {
                    self.ground.later(delay, Happening::Relief(Relief::Store));
                }
            }
            Trouble::KillAgent | Trouble::PauseAgent | Trouble::KillGuard | Trouble::PauseGuard | Trouble::TakeName => {
            }
        }
    }

    /// Agent and guard are not both taken from a host, except in worlds that are about just that.
    fn may_lose_agent(&self, host: usize) -> bool {
        self.ground.census.works(Place::Agent(host)) && (self.lawless || self.ground.census.works(Place::Guard(host)))
    }

    fn may_lose_guard(&self, host: usize) -> bool {
        self.ground.census.works(Place::Guard(host)) && (self.lawless || self.ground.census.works(Place::Agent(host)))
    }

    fn pause(&mut self, place: Place, fault: Fault, delay: Duration) {
        if self.ground.census.works(place) {
            self.ground.count(fault);
            self.ground.census.pause(place);
            self.look_at(place);
            self.ground.later(delay, Happening::Relief(Relief::of(place)));
        }
    }

    fn cut_off(&mut self, place: Place, fault: Fault, delay: Duration, relief: Relief) {
        self.ground.count(fault);
        self.ground.census.cut_off(place);
        self.look_at(place);
        self.ground.later(delay, Happening::Relief(relief));
    }

    fn step_clock(&mut self, scheduler: usize) {
        self.ground.count(Fault::ClockStepped);
        let seconds = match self.ground.random.random_range(0..4) {
            0 => 3_600,
            1 => -3_600,
            2 => self.ground.random.random_range(-20..20),
            _ => 0,
        };
        self.schedulers[scheduler].clock.set_error(SignedDuration::from_secs(seconds));
    }

    /// The leader of a durable stream lags: mostly for a moment, in which nobody may believe that something
    /// is lost, or for long.
    fn let_stream_lag(&mut self, delay: Duration) {
        let kind = DURABLE[self.ground.random.random_range(0..DURABLE.len())];
        let lag = if self.ground.random_ratio(2) { self.ground.between(Duration::ZERO, LAG_MAX) } else { delay };
        self.ground.count(Fault::StreamLagged);
        self.ground.lag(Some(kind));
        self.ground.later(lag, Happening::Relief(Relief::Stream));
    }

    /// The host with the name of another one's agent has an agent only in the worlds that are about that, and only in trouble.
    fn may_have_agent(&self, host: usize) -> bool {
        host + 1 < self.hosts.len() || (self.twin && self.ground.weather == Weather::Stormy)
    }

    /// The other host that is set up with an agent's name starts its own.
    fn take_name(&mut self, delay: Duration) {
        let twin = self.hosts.len() - 1;
        if self.hosts[twin].agent.is_none() {
            self.ground.count(Fault::NameTwice);
            self.hosts[twin].start_agent(&mut self.ground);
        } else if self.may_lose_agent(twin) {
            self.hosts[twin].kill_agent(&mut self.ground);
            self.ground.later(delay, Happening::Relief(Relief::Agent(twin)));
        }
    }

    pub(super) fn relieve(&mut self, relief: Relief) {
        match relief {
            Relief::Scheduler(index) => {
                let place = Place::Scheduler(index);
                if self.ground.census.is_paused(place) {
                    self.resume(place);
                } else if !self.ground.census.is_alive(place) {
                    self.schedulers[index].start(&mut self.ground);
                }
            }
            Relief::Agent(host) => {
                let place = Place::Agent(host);
                if self.ground.census.is_paused(place) {
                    self.resume(place);
                } else if self.may_have_agent(host) {
                    self.hosts[host].start_agent(&mut self.ground);
                }
            }
            Relief::Guard(host) => {
                let place = Place::Guard(host);
                if self.ground.census.is_paused(place) {
                    self.resume(place);
                }
            }
            Relief::SchedulerConnected(index) => {
                self.schedulers[index].reconnected();
                self.reconnect(Place::Scheduler(index));
            }
            Relief::AgentConnected(host) => self.reconnect(Place::Agent(host)),
            Relief::Engine(host) => {
                let (now, margin) = (self.ground.now, self.ground.timing.kill_margin);
                self.ground.witness.engine_thawed(host, now, margin);
                self.hosts[host].engine.thaw(&mut self.ground);
            }
            Relief::Store => {
                if self.ground.net.is_lost {
                    self.ground.find_store();
                }
            }
            Relief::Stream => self.ground.lag(None),
            Relief::Records => self.mend_records(),
            Relief::Server => {
                self.ground.census.server_down = false;
                self.ground.bring_all(None);
            }
        }
    }

    fn reconnect(&mut self, place: Place) {
        self.ground.census.reconnect(place);
        self.look_at(place);
        self.ground.bring_all(Some(place));
    }

    fn resume(&mut self, place: Place) {
        self.ground.census.resume(place);
        self.look_at(place);
        self.wake_backlog(place);
    }

    fn look_at(&mut self, place: Place) {
        match place {
            Place::Agent(host) | Place::Guard(host) => self.ground.look_at_host(host),
            Place::Scheduler(_) => {}
        }
    }
}
