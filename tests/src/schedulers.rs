//! Schedulers as processes at the speed of production, for what is measured when a leader goes.

use std::time::Duration;

use anyhow::ensure;
use jiff::Timestamp;

use crate::{children::Child, usage::resident_kib, world::World};

/// How long a scheduler may take to end in order.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the schedulers are listened to when they are asked what they do.
const ROLL_CALL: Duration = Duration::from_millis(300);

/// A scheduler process. Dropped, it is killed.
pub struct Scheduler {
    /// What it calls itself.
    pub id: String,
    child: Child,
}

impl Scheduler {
    /// Starts one: the binary `fleet`, which must be beside this one.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn start(world: &World, number: usize) -> anyhow::Result<Self> {
        let id = format!("scheduler-{number}");
        let fleet = std::env::current_exe()?.with_file_name("fleet");
        ensure!(fleet.is_file(), "there is no {}: build the package's binaries", fleet.display());
        let mut command = Child::role(&fleet, "scheduler", &world.server.url(), world.namespace());
        command.args(["--id", &id, "--clocks", "production"]);
        Ok(Self { id, child: Child::start(command) })
    }

    /// Its process id.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Whether it says that it stands by.
    pub async fn stands_by(&self, world: &World) -> bool {
        let cards = world.mesh.schedulers().roll(ROLL_CALL).await.unwrap_or_default();
        cards.iter().any(|card| card.id == self.id && card.stands_by())
    }

    /// Kills it with `-9`, and says when.
    pub fn kill(self) -> Timestamp {
        let now = Timestamp::now();
        self.child.kill();
        now
    }

    /// Asks it to stop in order, waits for that, and says when it was asked.
    pub async fn terminate(self) -> Timestamp {
        let now = Timestamp::now();
        self.child.terminate(PATIENCE).await;
        now
    }

    /// Megabytes that it has in memory.
    pub fn megabytes(&self) -> f64 {
        resident_kib(self.child.id()) as f64 / 1_024.0
    }
}
