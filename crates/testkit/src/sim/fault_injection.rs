//! What goes wrong on purpose, and how it is made well again.

use std::time::Duration;

use jiff::SignedDuration;
use rand::RngExt as _;

use super::{
    context::FaultPhase, event::SimEvent, faults::Fault, net::DURABLE, process_table::Place, scheduler::Scheduler,
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
        if let Some(trouble) = self.context.fault_profile.pick(&mut self.context.random) {
            let scheduler = self.some_scheduler();
            let host = self.context.random.random_range(0..self.hosts.len());
            self.make(trouble, scheduler, host);
        }
        let pause = self.context.fault_profile.trouble_pause();
        let pause = self.context.between(pause / 4, pause * 2);
        self.context.later(pause, SimEvent::Trouble);
    }

    /// Mostly the one that leads: the others have less to lose.
    fn some_scheduler(&mut self) -> usize {
        let leader = self.schedulers.iter().position(Scheduler::leads);
        match leader {
            Some(leader) if self.context.random.random_ratio(3, 4) => leader,
            Some(_) | None => self.context.random.random_range(0..self.schedulers.len()),
        }
    }

    fn make(&mut self, trouble: Trouble, scheduler: usize, host: usize) {
        let delay = self.context.some_delay();
        match trouble {
            Trouble::KillScheduler => {
                self.context.count(Fault::SchedulerKilled);
                self.schedulers[scheduler].kill(&mut self.context);
                self.context.later(delay, SimEvent::Relief(Relief::Scheduler(scheduler)));
            }
            Trouble::PauseScheduler => self.pause(Place::Scheduler(scheduler), Fault::SchedulerPaused, delay),
            Trouble::CutOffScheduler => {
                let relief = Relief::SchedulerConnected(scheduler);
                self.cut_off(Place::Scheduler(scheduler), Fault::SchedulerCutOff, delay, relief);
            }
            Trouble::StepClock => self.step_clock(scheduler),
            Trouble::StepDown => {
                if self.schedulers[scheduler].leads() {
                    self.context.count(Fault::SteppedDown);
                }
                self.schedulers[scheduler].step_down(&mut self.context);
            }
            Trouble::StopScheduler => {
                self.context.count(Fault::SchedulerStopped);
                self.schedulers[scheduler].stop(&mut self.context);
            }
            Trouble::StreamLags => self.let_stream_lag(delay),
            Trouble::KillAgent if self.may_lose_agent(host) => {
                self.context.count(Fault::AgentKilled);
                self.hosts[host].kill_agent(&mut self.context);
                self.context.later(delay, SimEvent::Relief(Relief::Agent(host)));
            }
            Trouble::StopAgent => {
                self.context.count(Fault::AgentStopped);
                self.hosts[host].stop_agent(&mut self.context);
            }
            Trouble::PauseAgent if self.may_lose_agent(host) => {
                self.pause(Place::Agent(host), Fault::AgentPaused, delay)
            }
            Trouble::CutOffAgent => {
                self.cut_off(Place::Agent(host), Fault::AgentCutOff, delay, Relief::AgentConnected(host));
            }
            Trouble::KillGuard if self.may_lose_guard(host) => {
                self.context.count(Fault::GuardKilled);
                self.hosts[host].kill_guard(&mut self.context);
            }
            Trouble::PauseGuard if self.may_lose_guard(host) => {
                self.pause(Place::Guard(host), Fault::GuardPaused, delay);
                self.hosts[host].expect_answer_of_guard(&mut self.context);
            }
            Trouble::TakeName if self.rival => self.take_name(delay),
            Trouble::DamageRecord => self.damage_record(delay),
            Trouble::ForgeOrder => self.forge_order(),
            Trouble::RebootHost => {
                self.context.count(Fault::HostRebooted);
                self.hosts[host].reboot(&mut self.context);
                self.context.later(delay, SimEvent::Relief(Relief::Agent(host)));
            }
            Trouble::FreezeEngine => {
                self.context.count(Fault::EngineFrozen);
                self.hosts[host].engine.freeze();
                self.context.witness.engine_frozen(host, self.context.now);
                self.context.later(delay, SimEvent::Relief(Relief::Engine(host)));
            }
            Trouble::RestartEngine => {
                self.context.count(Fault::EngineRestarted);
                self.hosts[host].engine.restart(&mut self.context);
            }
            Trouble::RemoveContainer => {
                if self.hosts[host].engine.remove_by_hand(&mut self.context) {
                    self.context.count(Fault::ContainerRemoved);
                }
            }
            Trouble::ServerDown => {
                self.context.count(Fault::ServerDown);
                self.context.processes.server_down = true;
                self.context.later(delay / 2, SimEvent::Relief(Relief::Server));
            }
            Trouble::LoseStore => {
                if self.lose_store() {
                    self.context.later(delay, SimEvent::Relief(Relief::Store));
                }
            }
            Trouble::KillAgent | Trouble::PauseAgent | Trouble::KillGuard | Trouble::PauseGuard | Trouble::TakeName => {
            }
        }
    }

    /// Agent and guard are not both taken from a host, except in worlds that are about just that.
    fn may_lose_agent(&self, host: usize) -> bool {
        self.context.processes.works(Place::Agent(host))
            && (self.unguarded || self.context.processes.works(Place::Guard(host)))
    }

    fn may_lose_guard(&self, host: usize) -> bool {
        self.context.processes.works(Place::Guard(host))
            && (self.unguarded || self.context.processes.works(Place::Agent(host)))
    }

    fn pause(&mut self, place: Place, fault: Fault, delay: Duration) {
        if self.context.processes.works(place) {
            self.context.count(fault);
            self.context.processes.pause(place);
            self.look_at(place);
            self.context.later(delay, SimEvent::Relief(Relief::of(place)));
        }
    }

    fn cut_off(&mut self, place: Place, fault: Fault, delay: Duration, relief: Relief) {
        self.context.count(fault);
        self.context.processes.cut_off(place);
        self.look_at(place);
        self.context.later(delay, SimEvent::Relief(relief));
    }

    fn step_clock(&mut self, scheduler: usize) {
        self.context.count(Fault::ClockStepped);
        let seconds = match self.context.random.random_range(0..4) {
            0 => 3_600,
            1 => -3_600,
            2 => self.context.random.random_range(-20..20),
            _ => 0,
        };
        self.schedulers[scheduler].clock.set_error(SignedDuration::from_secs(seconds));
    }

    /// The leader of a durable stream lags: mostly for a moment, in which nobody may believe that something
    /// is lost, or for long.
    fn let_stream_lag(&mut self, delay: Duration) {
        let kind = DURABLE[self.context.random.random_range(0..DURABLE.len())];
        let lag = if self.context.random_ratio(2) { self.context.between(Duration::ZERO, LAG_MAX) } else { delay };
        self.context.count(Fault::StreamLagged);
        self.context.lag(Some(kind));
        self.context.later(lag, SimEvent::Relief(Relief::Stream));
    }

    /// The host with the name of another one's agent has an agent only in the worlds that are about that, and only in trouble.
    fn may_have_agent(&self, host: usize) -> bool {
        host + 1 < self.hosts.len() || (self.rival && self.context.fault_phase == FaultPhase::Active)
    }

    /// The other host that is set up with an agent's name starts its own.
    fn take_name(&mut self, delay: Duration) {
        let rival = self.hosts.len() - 1;
        if self.hosts[rival].agent.is_none() {
            self.context.count(Fault::NameTwice);
            self.hosts[rival].start_agent(&mut self.context);
        } else if self.may_lose_agent(rival) {
            self.hosts[rival].kill_agent(&mut self.context);
            self.context.later(delay, SimEvent::Relief(Relief::Agent(rival)));
        }
    }

    pub(super) fn relieve(&mut self, relief: Relief) {
        match relief {
            Relief::Scheduler(index) => {
                let place = Place::Scheduler(index);
                if self.context.processes.is_paused(place) {
                    self.resume(place);
                } else if !self.context.processes.is_alive(place) {
                    self.schedulers[index].start(&mut self.context);
                }
            }
            Relief::Agent(host) => {
                let place = Place::Agent(host);
                if self.context.processes.is_paused(place) {
                    self.resume(place);
                } else if self.may_have_agent(host) {
                    self.hosts[host].start_agent(&mut self.context);
                }
            }
            Relief::Guard(host) => {
                let place = Place::Guard(host);
                if self.context.processes.is_paused(place) {
                    self.resume(place);
                }
            }
            Relief::SchedulerConnected(index) => {
                self.schedulers[index].reconnected();
                self.reconnect(Place::Scheduler(index));
            }
            Relief::AgentConnected(host) => self.reconnect(Place::Agent(host)),
            Relief::Engine(host) => {
                let (now, margin) = (self.context.now, self.context.timing.kill_margin);
                self.context.witness.engine_thawed(host, now, margin);
                self.hosts[host].engine.thaw(&mut self.context);
            }
            Relief::Store => {
                if self.context.net.is_lost {
                    self.context.find_store();
                }
            }
            Relief::Stream => self.context.lag(None),
            Relief::Records => self.mend_records(),
            Relief::Server => {
                self.context.processes.server_down = false;
                self.context.bring_all(None);
            }
        }
    }

    fn reconnect(&mut self, place: Place) {
        self.context.processes.reconnect(place);
        self.look_at(place);
        self.context.bring_all(Some(place));
    }

    fn resume(&mut self, place: Place) {
        self.context.processes.resume(place);
        self.look_at(place);
        self.wake_backlog(place);
    }

    fn look_at(&mut self, place: Place) {
        match place {
            Place::Agent(host) | Place::Guard(host) => self.context.look_at_host(host),
            Place::Scheduler(_) => {}
        }
    }
}
