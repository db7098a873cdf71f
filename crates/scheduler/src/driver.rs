//! The scheduler process: brings what happens to its machine, and has done what that asks for.

use rand::{SeedableRng as _, rngs::StdRng};
use tickmesh_messaging::Mesh;
use tokio::{task::yield_now, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::{Config, Recorder},
    effect::Priority,
    error::Error,
    executor::{Executor, Finished},
    presence::Presence,
    process::{Event, Outcome, Process, Turn},
};

/// Runs a scheduler until `shutdown`. Whatever goes wrong with the mesh, the scheduler goes on trying; an
/// error is about its settings.
pub async fn run(config: Config, mesh: Mesh, shutdown: CancellationToken) -> Result<(), Error> {
    config.timing.check().map_err(Error::Timing)?;
    let presence = Presence::begin(&config, &mesh).await?;
    let random = match &config.recorder {
        Some(recorder) => StdRng::seed_from_u64(recorder.seed),
        None => StdRng::from_rng(&mut rand::rng()),
    };
    let (process, first) = Process::begin(config.settings(), random);
    let executor = Executor::new(mesh, &config, presence);
    let driver = Driver { process, clock: config.clock, executor, recorder: config.recorder };
    driver.run(first, shutdown).await;
    Ok(())
}

struct Driver {
    process: Process,
    clock: Clock,
    executor: Executor,
    recorder: Option<Recorder>,
}

impl Driver {
    async fn run(mut self, first: Outcome, shutdown: CancellationToken) {
        self.begin(first);
        let mut told = false;
        while !self.executor.is_over() {
            let turn = self.process.next_turn(self.clock.now());
            match turn {
                Turn::Due(_) => {
                    // Followers and effects go on meanwhile.
                    yield_now().await;
                    self.fold(Event::Woken);
                }
                Turn::Any(_) => self.next(&shutdown, &mut told).await,
            }
            let mut budget = turn.budget();
            let executor = &mut self.executor;
            let arrived: Vec<_> = std::iter::from_fn(|| executor.arrived(&mut budget)).collect();
            for finished in arrived {
                self.finished(finished);
            }
        }
    }

    /// Waits for the next thing to happen, and folds it.
    async fn next(&mut self, shutdown: &CancellationToken, told: &mut bool) {
        let now = self.clock.now();
        let wake_in = self.process.wake_at(now).map(|at| at.saturating_sub(now.uptime));
        tokio::select! {
            finished = self.executor.next() => self.finished(finished),
            () = shutdown.cancelled(), if !*told => {
                *told = true;
                self.fold(Event::Shutdown);
            }
            () = sleep(wake_in.unwrap_or_default()), if wake_in.is_some() => self.fold(Event::Woken),
        }
    }

    fn finished(&mut self, finished: Finished) {
        if let Some(priority) = finished.priority {
            self.fold(Event::Ended(priority));
        }
        if let Some(event) = finished.event {
            self.fold(event);
        }
    }

    fn fold(&mut self, event: Event) {
        let (moment, recorded) = (self.clock.now(), self.recorder.as_ref().map(|_| event.clone()));
        let outcome = self.process.fold(event, moment);
        if let (Some(recorder), Some(event)) = (&self.recorder, recorded) {
            (recorder.see)(&event, moment, &outcome.effects);
        }
        self.begin(outcome);
    }

    /// Begins effects, unless this process was stopped for a while since they were decided.
    fn begin(&mut self, outcome: Outcome) {
        let is_late = outcome.valid_until.is_some_and(|until| self.clock.now().uptime >= until);
        for effect in outcome.effects {
            if !is_late || effect.priority() == Priority::Immediate {
                self.executor.begin(effect);
            }
        }
    }
}
