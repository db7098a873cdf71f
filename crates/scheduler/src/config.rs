//! Settings of a scheduler process.

use std::sync::Arc;

use jiff::tz::TimeZoneDatabase;
use tickmesh_core::{build::Build, fleet::Reservations, timing::Timing};
use tickmesh_messaging::SchedulerRole;
use tokio::sync::watch;

use crate::{
    clock::{Clock, Moment},
    dispatcher::Batches,
    effect::Effect,
    figures::FigureBoard,
    process::{Event, QueueLimits, Settings},
};

/// Settings of a scheduler process.
#[derive(Clone)]
pub struct Config {
    /// Identity of this process: unique for every start.
    pub id: String,
    /// Name of the host, for people.
    pub host: String,
    /// Build of this program, for people who upgrade a mesh.
    pub build: Build,
    /// Periods and deadlines.
    pub timing: Timing,
    /// What containers reserve on their hosts.
    pub reservations: Reservations,
    /// The time zones that schedules are read in.
    pub zones: TimeZoneDatabase,
    pub clock: Clock,
    /// Told what this process does, for what else is to be done by the one that leads.
    pub role: Option<watch::Sender<SchedulerRole>>,
    /// Where the process is asked what it knows of itself.
    pub figures: FigureBoard,
    /// Sees every effect before it is carried out. For tests that need a crash at a given moment.
    pub tap: Option<Tap>,
    /// Sees everything that the process decides. For tests that replay it.
    pub recorder: Option<Recorder>,
}

/// A function that sees effects.
pub type Tap = Arc<dyn Fn(&Effect) + Send + Sync>;

/// A function that sees what a process decides.
pub type See = dyn Fn(&Event, Moment, &[Effect]) + Send + Sync;

/// A record of what a process is told and what it asks for.
#[derive(Clone)]
pub struct Recorder {
    /// Where all chance of the process comes from.
    pub seed: u64,
    /// Sees each event, its moment, and the effects that follow from it.
    pub see: Arc<See>,
}

impl Config {
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            id: self.id.clone(),
            host: self.host.clone(),
            timing: self.timing,
            reservations: self.reservations,
            batches: Batches::default(),
            queue: QueueLimits::default(),
        }
    }
}
