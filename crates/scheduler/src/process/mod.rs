//! What a scheduler process does, and in which order. Pure: events in, effects out. The shipped scheduler
//! and the simulator drive this same code.
//!
//! ```text
//!                 .-------------------------- Resting <------ SteppingDown <---------------.
//!                 v                              ^                  ^                      |
//!   Checking --> Loading --> Standing by <--> Taking --> Catching up --> Leading ----------'
//!      ^  |         |             |              |        (streams read   (the loop of
//!      |  v         v             v              v         to their ends)  module `leader`)
//!     Refusing <-----------------------------------
//! ```
//!
//! Every tenure begins with a standby that has read everything and kept up with it. There is no other path
//! for a restart, a failover or a refused write. An outage leads to `Resting`, what somebody has to mend
//! to `Refusing`, and both lead back to `Checking`. A tenure leaves nothing behind.

mod catching_up;
mod checking;
mod clock_judge;
mod clock_watch;
mod election;
mod end;
mod fairness;
mod fold;
mod held_lease;
mod io;
mod leader;
mod loss_looks;
mod purge;
mod queue;
mod reason;
mod settings;
mod standby;
mod store_looks;
mod take_over;
#[cfg(test)]
mod tests;
mod wishes;

use std::{collections::BTreeMap, time::Duration};

use rand::rngs::StdRng;
use tickmesh_core::{id::MeshId, name::AppName};
use tickmesh_messaging::{SchedulerRole, StreamKind, lease::HighWaterMarks};

use self::{
    catching_up::CatchingUp, checking::Checking, clock_watch::ClockWatch, election::Election, end::SteppingDown,
    leader::Leader, standby::StandbyCopy,
};
pub use self::{
    clock_judge::{DEVIATION_MAX, Reading},
    fairness::{Budget, Turn},
    io::{Answer, Ends, Event, LeaseWritten, Outcome},
    queue::QueueLimits,
    settings::Settings,
};
use crate::{
    clock::Moment,
    dispatcher::Dispatcher,
    effect::{Effect, Source},
    error::Error,
};

/// One scheduler process.
#[derive(Debug)]
pub struct Process {
    settings: Settings,
    random: StdRng,
    /// The highest marks that this process has seen of the streams. It leads on nothing shorter.
    marks: HighWaterMarks,
    /// The mesh that this process knows.
    mesh: Option<MeshId>,
    /// A stream was missing at the last try.
    is_stream_missing: bool,
    /// The store was lost, and has not been whole since: this process makes no stream, and leads on nothing without a lease.
    is_store_lost: bool,
    stage: Stage,
}

/// What the process does.
#[derive(Debug)]
enum Stage {
    /// It looks whether it could lead.
    Checking(Checking),
    /// It reads everything that is stored.
    Loading(Loading),
    /// It keeps up with what is stored, and waits for the lease or tries to take it.
    Standby(Box<Standby>),
    /// It has the lease, and reads to the ends of the streams.
    CatchingUp(Box<CatchingUp>),
    /// It decides, renews the lease and keeps house.
    Leading(Box<Leader>),
    /// Its tenure has ended: it gives the lease back.
    SteppingDown(Box<SteppingDown>),
    /// It waits before it tries again.
    Resting { until: Duration },
    /// It waits until somebody may have mended what keeps it from leading.
    Refusing { until: Duration },
    /// The process has ended.
    Stopped,
}

/// What has been read so far.
#[derive(Debug, Default)]
struct Loading {
    copy: StandbyCopy,
    /// The revisions of apps that the ledgers had folded before the apps were read.
    folded: BTreeMap<AppName, u64>,
    has_agents: bool,
    has_apps: bool,
}

impl Loading {
    /// Notes that a stream was read to its end.
    fn read(&mut self, stream: StreamKind) -> Vec<Effect> {
        self.has_agents |= stream == StreamKind::Agents;
        self.has_apps |= stream == StreamKind::Apps;
        if stream != StreamKind::Ledger {
            return Vec::new();
        }
        self.folded = self.copy.folded();
        let folded = self.folded.clone();
        vec![Effect::Follow(Source::Agents), Effect::Follow(Source::Apps { folded })]
    }

    fn is_complete(&self) -> bool {
        self.has_agents && self.has_apps
    }
}

#[derive(Debug)]
struct Standby {
    copy: StandbyCopy,
    election: Election,
    clock: ClockWatch,
}

impl Standby {
    /// When [`Self::woken`] has something to do.
    fn wake_at(&self, now: Duration) -> Option<Duration> {
        let take_at = self.election.wake_at(self.is_in_doubt(), now);
        take_at.into_iter().chain(self.clock.wake_at()).min()
    }

    /// Looks at the clock: the lease may be free, and the server's clock is read every so often.
    fn woken(&mut self, marks: &HighWaterMarks, moment: Moment) -> Result<Vec<Effect>, Error> {
        let mut effects = self.election.woken(marks, self.is_in_doubt(), moment.uptime)?;
        effects.extend(self.clock.woken(moment.uptime));
        Ok(effects)
    }

    /// Takes a reading of the server's clock, and shows what it has changed.
    fn clock_read(&mut self, answer: Answer<Reading>, moment: Moment) -> Option<Effect> {
        let doubt = |clock: &ClockWatch| clock.doubt().map(ToOwned::to_owned);
        let before = doubt(&self.clock);
        self.clock.answered(answer, moment);
        // Whoever doubts for another reason than before says so, too.
        let now = doubt(&self.clock);
        (now != before).then_some(Effect::ShowRole(SchedulerRole::StandingBy { doubt: now }))
    }

    fn is_in_doubt(&self) -> bool {
        self.clock.doubt().is_some()
    }
}

impl Process {
    /// A process that begins now, and what it does first. `random` gives uids and jitter.
    pub fn begin(settings: Settings, random: StdRng) -> (Self, Outcome) {
        let mut process = Self {
            settings,
            random,
            marks: HighWaterMarks::default(),
            mesh: None,
            is_stream_missing: false,
            is_store_lost: false,
            stage: Stage::Stopped,
        };
        let effects = process.check();
        (process, Outcome { effects, valid_until: None })
    }

    /// One word for what the process does.
    pub fn stage(&self) -> &'static str {
        match &self.stage {
            Stage::Checking(_) => "checking",
            Stage::Loading(_) => "loading",
            Stage::Standby(standby) if standby.election.is_taking() => "taking",
            Stage::Standby(_) => "standing by",
            Stage::CatchingUp(_) => "catching up",
            Stage::Leading(_) => "leading",
            Stage::SteppingDown(_) => "stepping down",
            Stage::Resting { .. } => "resting",
            Stage::Refusing { .. } => "refusing",
            Stage::Stopped => "stopped",
        }
    }

    /// The highest marks that this process has seen of the streams.
    pub fn marks(&self) -> &HighWaterMarks {
        &self.marks
    }

    /// Effects that wait for others to end.
    pub fn waiting_effects(&self) -> usize {
        if let Stage::Leading(leader) = &self.stage { leader.queue.waiting() } else { 0 }
    }

    /// Until when nobody else can hold the lease of this process, if it has one.
    pub fn trusted_until(&self) -> Option<Duration> {
        match &self.stage {
            Stage::CatchingUp(catching_up) => Some(catching_up.lease.trusted_until()),
            Stage::Leading(leader) => Some(leader.lease.trusted_until()),
            Stage::Checking(_)
            | Stage::Loading(_)
            | Stage::Standby(_)
            | Stage::SteppingDown(_)
            | Stage::Resting { .. }
            | Stage::Refusing { .. }
            | Stage::Stopped => None,
        }
    }

    /// The leader's dispatcher, if the process leads.
    pub fn dispatcher(&self) -> Option<&Dispatcher> {
        if let Stage::Leading(leader) = &self.stage { Some(&leader.dispatcher) } else { None }
    }

    /// The moment by which a leader decides: that of the server's clock.
    pub fn decides_at(&self, moment: Moment) -> Moment {
        if let Stage::Leading(leader) = &self.stage { leader.decides_at(moment) } else { moment }
    }

    /// What the next turn of the loop is for.
    pub fn next_turn(&mut self, moment: Moment) -> Turn {
        if let Stage::Leading(leader) = &mut self.stage { leader.next_turn(moment) } else { Turn::idle() }
    }

    /// When [`Event::Woken`] is due, as uptime. It may come early, late and often.
    pub fn wake_at(&self, moment: Moment) -> Option<Duration> {
        match &self.stage {
            Stage::Checking(checking) => checking.wake_at(),
            Stage::Standby(standby) => standby.wake_at(moment.uptime),
            Stage::CatchingUp(catching_up) => Some(catching_up.wake_at()),
            Stage::Leading(leader) => leader.wake_at(moment),
            Stage::SteppingDown(stepping_down) => Some(stepping_down.until),
            Stage::Resting { until } | Stage::Refusing { until } => Some(*until),
            Stage::Loading(_) | Stage::Stopped => None,
        }
    }

    /// Folds in what happened, and says what is to be done.
    pub fn fold(&mut self, event: Event, moment: Moment) -> Outcome {
        self.note_progress(&event);
        let effects = match self.folded(event, moment) {
            Ok(effects) => effects,
            Err(end) => self.end(end, moment.uptime),
        };
        let valid_until =
            if let Stage::Leading(leader) = &self.stage { Some(leader.lease.trusted_until()) } else { None };
        Outcome { effects, valid_until }
    }
}
