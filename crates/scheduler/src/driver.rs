//! The scheduler process: brings what happens to its machine, and has done what that asks for.

use std::time::Duration;

use rand::{SeedableRng as _, rngs::StdRng};
use tickmesh_messaging::Mesh;
use tokio::{task::yield_now, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::{Config, Recorder},
    effect::{Effect, Priority},
    error::Error,
    executor::{Executor, Finished},
    figures::{Counting, FigureBoard},
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
    let Config { clock, recorder, figures, .. } = config;
    let driver = Driver { process, clock, executor, recorder, figures, counting: Counting::default() };
    driver.run(first, shutdown).await;
    Ok(())
}

struct Driver {
    process: Process,
    clock: Clock,
    executor: Executor,
    recorder: Option<Recorder>,
    figures: FigureBoard,
    counting: Counting,
}

impl Driver {
    async fn run(mut self, first: Outcome, shutdown: CancellationToken) {
        self.begin(first);
        let mut told = false;
        while !self.executor.is_over() {
            if shutdown.is_cancelled() && !std::mem::replace(&mut told, true) {
                self.fold(Event::Shutdown);
                continue;
            }
            let now = self.clock.now();
            let turn = self.process.next_turn(now);
            let wake_in = self.process.wake_at(now).map(|at| at.saturating_sub(now.uptime));
            if matches!(turn, Turn::Due(_)) || wake_in == Some(Duration::ZERO) {
                // Followers and effects go on meanwhile.
                yield_now().await;
                self.fold(Event::Woken);
            } else {
                self.wait(wake_in, &shutdown, told).await;
            }
            self.figures.answer(|| self.counting.figures(&self.process));
            let mut budget = turn.budget();
            while let Some(finished) = self.executor.arrived(&mut budget) {
                self.finished(finished);
            }
        }
    }

    /// Waits for the next thing to happen.
    async fn wait(&mut self, wake_in: Option<Duration>, shutdown: &CancellationToken, told: bool) {
        tokio::select! {
            finished = self.executor.next() => self.finished(finished),
            () = sleep(wake_in.unwrap_or_default()), if wake_in.is_some() => {}
            () = shutdown.cancelled(), if !told => {}
            () = self.figures.asked() => {}
        }
    }

    fn finished(&mut self, finished: Finished) {
        if let Some(priority) = finished.ended {
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
        let may_begin = |effect: &Effect| !is_late || effect.priority() == Priority::Immediate;
        let (effects, late): (Vec<_>, Vec<_>) = outcome.effects.into_iter().partition(may_begin);
        for effect in effects {
            self.counting.note(&effect);
            self.executor.begin(effect);
        }
        if !late.is_empty() {
            self.fold(Event::TooLate);
        }
    }
}
