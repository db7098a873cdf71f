//! Effects are carried out: each by a task that tries until it is done, and tells the dispatcher. The tasks end with the
//! tenure, at any point: whatever was not done then, the next tenure does.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use serde::{Serialize, de::DeserializeOwned};
use tickmesh_core::{
    decide::Action,
    history::RunSummary,
    id::{AttemptId, RequestId, RunNumber},
    ledger::Ledger,
    message::TickRecord,
    name::{AgentName, AppName},
};
use tickmesh_messaging::{Bucket, Cas, Delivery, Error, Journal, Mesh, Orders, Results};
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
};
use tracing::warn;

use crate::{
    Tap,
    dispatcher::Event,
    effect::{Effect, Priority},
    process::EffectQueue,
    publication::{Progress, Publication},
};

/// First pause after an effect failed; doubled up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Carries out effects for one tenure.
pub(crate) struct Performer {
    hands: Arc<Hands>,
    /// Each says the priority of its effect.
    tasks: JoinSet<Priority>,
    queue: EffectQueue,
    /// What confirms commands that are not confirmed yet; of one that came twice, the later delivery.
    deliveries: HashMap<RequestId, Delivery>,
    tap: Option<Tap>,
}

struct Hands {
    mesh: Mesh,
    ledgers: Bucket<Ledger>,
    orders: Orders,
    results: Results,
    ticks: Journal<TickRecord>,
    history: Journal<RunSummary>,
    events: mpsc::Sender<Event>,
}

impl Hands {
    fn new(mesh: Mesh, events: mpsc::Sender<Event>) -> Self {
        Self {
            ledgers: mesh.ledgers(),
            orders: mesh.orders(),
            results: mesh.results(),
            ticks: mesh.ticks(),
            history: mesh.history(),
            mesh,
            events,
        }
    }
}

impl Performer {
    pub(crate) fn new(mesh: Mesh, events: mpsc::Sender<Event>, tap: Option<Tap>) -> Self {
        let hands = Arc::new(Hands::new(mesh, events));
        Self { hands, tasks: JoinSet::new(), queue: EffectQueue::default(), deliveries: HashMap::new(), tap }
    }

    /// Begins an effect as soon as it may pass those that are under way.
    pub(crate) fn begin(&mut self, effect: Effect) {
        if let Some(effect) = self.queue.push(effect) {
            self.perform(effect);
        }
    }

    /// Makes the ledger write of an app urgent, if it waits.
    pub(crate) fn hasten_write(&mut self, app: &AppName) {
        if let Some(effect) = self.queue.hasten_write(app) {
            self.perform(effect);
        }
    }

    /// Keeps what confirms a command.
    pub(crate) fn keep(&mut self, delivery: Delivery) {
        self.deliveries.insert(delivery.command.request, delivery);
    }

    fn perform(&mut self, effect: Effect) {
        if let Some(tap) = &self.tap {
            tap(&effect);
        }
        let delivery = match &effect {
            Effect::ConfirmCommand { request, .. } => self.deliveries.remove(request),
            _ => None,
        };
        let hands = self.hands.clone();
        self.tasks.spawn(async move {
            let priority = effect.priority();
            hands.perform(effect, delivery).await;
            priority
        });
    }

    /// Waits until a task has ended.
    pub(crate) async fn reap(&mut self) {
        match self.tasks.join_next().await {
            Some(ended) => self.ended(ended),
            None => std::future::pending().await,
        }
    }

    /// Begins what waited for tasks that have ended.
    pub(crate) fn begin_next(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            self.ended(ended);
        }
        while let Some(effect) = self.queue.next() {
            self.perform(effect);
        }
    }

    /// One that panicked leaves an app in doubt: then this process ends as well.
    fn ended(&mut self, task: Result<Priority, JoinError>) {
        match task {
            Ok(priority) => self.queue.ended(priority),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {}
        }
    }
}

impl Hands {
    async fn tell(&self, event: Event) {
        // The receiver is gone when the tenure has ended; nobody needs the answer then.
        let _ = self.events.send(event).await;
    }

    async fn perform(&self, effect: Effect, delivery: Option<Delivery>) {
        let event =
            self.event_of(effect, delivery).await.unwrap_or_else(|error| Some(Event::Failed { reason: chain(&error) }));
        if let Some(event) = event {
            self.tell(event).await;
        }
    }

    /// Carries an effect out; returned is what the dispatcher is told.
    async fn event_of(&self, effect: Effect, delivery: Option<Delivery>) -> Result<Option<Event>, Error> {
        Ok(match effect {
            Effect::WriteLedger { app, ledger, expected, priority: _ } => {
                let write = || self.ledgers.compare_and_set(app.as_str(), &ledger, expected);
                Some(match until_done("write a ledger", write).await? {
                    Cas::Stored { sequence } => Event::LedgerWritten { app, revision: sequence },
                    Cas::Refused { .. } => Event::LedgerRefused { app },
                })
            }
            Effect::Act(Action::Send(order)) => {
                until_done("send an order", || self.orders.send(&order)).await?;
                None
            }
            Effect::Act(Action::StoreReport { report, expected }) => {
                // Refused: another message was faster, and comes as an event.
                until_done("store a report", || self.results.append(&report, expected)).await?;
                None
            }
            Effect::PublishTick { tick, expected } => {
                let (app, number) = (tick.app.clone(), tick.number);
                let publication = Publication::new(number, expected);
                let (number, sequence) = publish(&self.ticks, &app, &tick, publication, |stored| stored.number).await?;
                Some(Event::TickStored { app, number, sequence })
            }
            Effect::PublishHistory { summary, expected } => {
                let (app, number) = (summary.app.clone(), summary.number);
                let publication = Publication::new(number, expected);
                let (number, sequence) =
                    publish(&self.history, &app, &*summary, publication, |stored| stored.number).await?;
                Some(Event::HistoryStored { app, number, sequence })
            }
            // On the heap: these are rare, and would make every effect's task larger by far.
            Effect::ReadResultsEnd { agent } => Some(self.read_results_end(agent).boxed().await?),
            Effect::ReadAgent { agent } => Some(self.read_agent(agent).boxed().await?),
            Effect::ReadLedger { app, attempt, agent } => Some(self.read_ledger(app, attempt, agent).boxed().await?),
            Effect::ReadSummary { app, request, run } => Some(self.read_summary(app, request, run).boxed().await?),
            Effect::Announce(event) => {
                self.mesh.events().publish(&event).boxed().await;
                None
            }
            Effect::ConfirmCommand { app, request } => confirm(delivery, app, request).boxed().await,
            Effect::ReadCommandsBegin => self.read_commands_begin().boxed().await,
            Effect::PurgeResults { below } => {
                // Not tried again: the next purge does.
                if let Err(error) = self.results.purge_below(below).boxed().await {
                    warn!(below, error = &error as &dyn std::error::Error, "results not purged");
                }
                None
            }
        })
    }

    async fn read_commands_begin(&self) -> Option<Event> {
        match self.mesh.commands().first_sequence().await {
            Ok(sequence) => Some(Event::CommandsBegin { sequence }),
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "the first command was not read");
                None
            }
        }
    }

    async fn read_results_end(&self, agent: AgentName) -> Result<Event, Error> {
        let sequence = until_done("read the end of the results", || self.results.last_sequence()).await?;
        Ok(Event::ResultsEnd { agent, sequence })
    }

    async fn read_agent(&self, agent: AgentName) -> Result<Event, Error> {
        let agents = self.mesh.agents();
        let entry = until_done("read an agent", || agents.read(agent.as_str())).await?;
        Ok(Event::AgentRead { agent, revision: entry.map_or(0, |entry| entry.sequence) })
    }

    async fn read_ledger(&self, app: AppName, attempt: Box<AttemptId>, agent: AgentName) -> Result<Event, Error> {
        let entry = until_done("read a ledger", || self.ledgers.read(app.as_str())).await?;
        let epoch = entry.map(|entry| entry.value.write.epoch);
        Ok(Event::LedgerRead { app, epoch, attempt, agent })
    }

    async fn read_summary(&self, app: AppName, request: RequestId, run: RunNumber) -> Result<Event, Error> {
        let summaries = until_done("read the history", || self.history.last(&app)).await?;
        let summary = summaries.into_iter().map(|entry| entry.value).find(|summary| summary.run == run);
        Ok(Event::SummaryRead { app, request, summary: summary.map(Box::new) })
    }
}

/// Confirms a command. Not tried again: what is not confirmed is delivered again, and confirmed then.
async fn confirm(delivery: Option<Delivery>, app: AppName, request: RequestId) -> Option<Event> {
    match delivery?.confirm().await {
        Ok(()) => Some(Event::CommandConfirmed { app, request }),
        Err(error) => {
            warn!(%app, %request, error = &error as &dyn std::error::Error, "command not confirmed");
            None
        }
    }
}

/// An error with all its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Publishes a numbered message, and returns number and sequence of its subject's last one.
async fn publish<T>(
    journal: &Journal<T>,
    app: &AppName,
    message: &T,
    mut publication: Publication,
    number_of: impl Fn(&T) -> u64,
) -> Result<(u64, u64), Error>
where
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    loop {
        let append = || journal.append(app, message, publication.expected());
        let answer = until_done("publish a message", append).await?;
        match publication.answered(answer, &number_of) {
            Progress::Stored { number, sequence } => return Ok((number, sequence)),
            Progress::Again(again) => publication = again,
        }
    }
}

/// Tries until it is done or can never be. Beside that only the end of the tenure gives up.
async fn until_done<T, F>(what: &'static str, attempt: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut pause = PAUSE_MIN;
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) if !error.is_unavailable() => return Err(error),
            Err(error) => {
                warn!(what, error = &error as &dyn std::error::Error, "failed, trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}
