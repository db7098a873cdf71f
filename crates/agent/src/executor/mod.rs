//! Does what the agent's core asks for. Each effect is a task of its own; what comes of it is an event on one channel.
//!
//! Nothing is decided here but how often to try again: what concerns a held attempt is tried until NATS or the engine answers,
//! because the attempt stays held, and the leader waits for its end. Dropping the executor ends all tasks; containers live on.

mod collect;
mod effects;
mod host_paths;
mod leftovers;
mod pulls;
mod requests;
mod surroundings;
mod unit;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::FutureExt as _;
use tickmesh_core::{
    id::AttemptId,
    message::{MachineId, MeshEvent},
};
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use self::{
    collect::Output,
    pulls::{Fetch, Pulls},
    unit::Unit,
};
pub(crate) use self::{requests::follow_orders, surroundings::Surroundings};
use crate::{agent_core::Event, attempt::Effect, attempt_table::Task, engine::ContainerEngine};

/// News that wait for the main loop. Tasks that have more to say wait: each says little.
const NEWS_MAX: usize = 256;
/// Runs effects.
#[derive(Debug)]
pub(crate) struct Executor<E> {
    surroundings: Arc<Surroundings<E>>,
    /// The host, as claims name it.
    machine: MachineId,
    news: mpsc::Sender<Event>,
    tasks: JoinSet<()>,
    announcements: JoinSet<()>,
    pulls: Pulls,
    /// What makes an attempt give up the wait for its image, while it waits.
    pulling: BTreeMap<AttemptId, CancellationToken>,
    /// What makes an attempt give up the creation of its container, while it is under way.
    creating: BTreeMap<AttemptId, CancellationToken>,
    /// What ends the timer of a container that may not run for ever, while it runs.
    timers: BTreeMap<AttemptId, CancellationToken>,
    /// The outputs that are under way, or were when somebody looked last.
    outputs: BTreeMap<AttemptId, Output>,
}

impl<E: ContainerEngine> Executor<E> {
    /// An executor, and where its news come out.
    pub(crate) fn new(surroundings: Arc<Surroundings<E>>, machine: MachineId) -> (Self, mpsc::Receiver<Event>) {
        let (news, inbox) = mpsc::channel(NEWS_MAX);
        let (tasks, announcements) = (JoinSet::new(), JoinSet::new());
        let (pulls, pulling, creating) = (Pulls::default(), BTreeMap::new(), BTreeMap::new());
        let (timers, outputs) = (BTreeMap::new(), BTreeMap::new());
        (Self { surroundings, machine, news, tasks, announcements, pulls, pulling, creating, timers, outputs }, inbox)
    }

    /// Makes claims under this id of the host from now on.
    pub(crate) fn go_by(&mut self, machine: MachineId) {
        self.machine = machine;
    }

    /// Begins something for an attempt.
    pub(crate) fn begin(&mut self, Task { attempt, effect }: Task) {
        self.reap();
        match effect {
            Effect::Decline { event } => self.spawn(attempt, |unit| unit.decline(event)),
            Effect::Claim { nonce } => {
                let machine = self.machine.clone();
                self.spawn(attempt, move |unit| unit.claim(nonce, machine));
            }
            Effect::Pull { image, policy } => {
                let (engine, news) = (self.surroundings.engine.clone(), self.news.clone());
                let fetch = || Fetch { engine, news, image: image.clone(), policy }.run().boxed();
                let wait = self.pulls.join(&image, policy, fetch);
                let given_up = CancellationToken::new();
                self.pulling.insert(attempt.clone(), given_up.clone());
                self.spawn(attempt, move |unit| unit.pull(wait, given_up));
            }
            Effect::AbandonPull => {
                if let Some(given_up) = self.pulling.remove(&attempt) {
                    given_up.cancel();
                }
            }
            Effect::Create { claim_sequence, job } => {
                self.pulling.remove(&attempt);
                let given_up = CancellationToken::new();
                self.creating.insert(attempt.clone(), given_up.clone());
                self.spawn(attempt, move |unit| unit.create(claim_sequence, job, given_up));
            }
            Effect::AbandonCreate => {
                if let Some(given_up) = self.creating.remove(&attempt) {
                    given_up.cancel();
                }
            }
            Effect::Start { container } => {
                self.creating.remove(&attempt);
                self.spawn(attempt, |unit| unit.start(container));
            }
            Effect::Watch { container, output } => {
                let under_way = Output::default();
                self.outputs.insert(attempt.clone(), under_way.clone());
                self.spawn(attempt, move |unit| unit.watch(container, output, under_way));
            }
            Effect::Time { container, limit } => {
                let ended = CancellationToken::new();
                self.timers.insert(attempt.clone(), ended.clone());
                self.spawn(attempt, move |unit| unit.time(container, limit, ended));
            }
            Effect::Stop { container } => self.spawn(attempt, |unit| unit.stop(container)),
            Effect::Report { claim_sequence, event } => {
                self.pulling.remove(&attempt);
                self.creating.remove(&attempt);
                if let Some(timer) = self.timers.remove(&attempt) {
                    timer.cancel();
                }
                self.spawn(attempt, move |unit| unit.report(claim_sequence, event));
            }
            Effect::Collect { container } => {
                let under_way = self.outputs.remove(&attempt);
                self.spawn(attempt, |unit| unit.collect(container, under_way));
            }
            Effect::Remove { container } => self.spawn(attempt, |unit| unit.remove(container)),
        }
    }

    /// Looks for containers that nobody needs any more. Those of `held` attempts are left alone.
    pub(crate) fn clean(&mut self, held: BTreeSet<AttemptId>) {
        self.reap();
        // Of containers that stay nobody asks for the output.
        self.outputs.retain(|_, output| !output.stored.is_cancelled());
        self.tasks.spawn(leftovers::tell_leftovers(self.surroundings.clone(), held, self.news.clone()));
    }

    /// Asks for something; what comes of it is told to the main loop.
    pub(crate) fn ask<F, T>(&mut self, request: F)
    where
        F: FnOnce(Arc<Surroundings<E>>) -> T,
        T: Future<Output = Event> + Send + 'static,
    {
        self.reap();
        let (request, news) = (request(self.surroundings.clone()), self.news.clone());
        self.tasks.spawn(async move {
            // Nobody listens any more when the agent is ending: then nobody needs to know.
            let _ = news.send(request.await).await;
        });
    }

    /// Where events go that do not come from a task.
    pub(crate) fn news(&self) -> mpsc::Sender<Event> {
        self.news.clone()
    }

    /// Tells the world.
    pub(crate) fn announce(&mut self, event: MeshEvent) {
        let surroundings = self.surroundings.clone();
        self.announcements.spawn(async move { surroundings.mesh.events().publish(&event).await });
    }

    /// Gives up everything that is under way.
    pub(crate) fn abandon(&mut self) {
        self.tasks = JoinSet::new();
        self.pulling.clear();
        self.creating.clear();
        self.timers.clear();
        self.outputs.clear();
    }

    /// Ends all tasks, once the world has been told what it is to know.
    pub(crate) async fn finish(mut self) {
        drop(self.tasks);
        while self.announcements.join_next().await.is_some() {}
    }

    fn spawn<F, T>(&mut self, attempt: AttemptId, work: F)
    where
        F: FnOnce(Unit<E>) -> T,
        T: Future<Output = ()> + Send + 'static,
    {
        let unit = Unit { surroundings: self.surroundings.clone(), news: self.news.clone(), attempt };
        self.tasks.spawn(work(unit));
    }

    /// Forgets tasks that are done. One that panicked leaves an attempt in doubt: then this process ends as well, and the
    /// next one adopts what is there.
    fn reap(&mut self) {
        while let Some(done) = self.tasks.try_join_next() {
            if let Some(panic) = done.err().filter(JoinError::is_panic) {
                std::panic::resume_unwind(panic.into_panic());
            }
        }
    }
}
