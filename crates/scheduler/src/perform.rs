//! Effects are carried out: each by a task that tries until it is done, and tells the dispatcher. The tasks end with the
//! tenure, at any point: whatever was not done then, the next tenure does.

use std::{sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use tickmesh_core::{id::RequestId, name::AppName};
use tickmesh_messaging::{Cas, Delivery, Error, Journal, Mesh};
use tokio::{sync::mpsc, task::JoinSet};
use tracing::warn;

use crate::{
    Tap,
    dispatcher::{Effect, Event},
    publication::{Progress, Publication},
};

/// First pause after an effect failed; doubled up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Carries out effects for one tenure.
pub(crate) struct Performer {
    hands: Arc<Hands>,
    tasks: JoinSet<()>,
    tap: Option<Tap>,
}

struct Hands {
    mesh: Mesh,
    events: mpsc::Sender<Event>,
}

impl Performer {
    pub(crate) fn new(mesh: Mesh, events: mpsc::Sender<Event>, tap: Option<Tap>) -> Self {
        Self { hands: Arc::new(Hands { mesh, events }), tasks: JoinSet::new(), tap }
    }

    /// Begins an effect. Confirmations need their delivery and are begun with [`Self::confirm`].
    pub(crate) fn begin(&mut self, effect: Effect) {
        if let Some(tap) = &self.tap {
            tap(&effect);
        }
        let hands = self.hands.clone();
        self.spawn(async move { hands.perform(effect).await });
    }

    /// Begins to confirm a command.
    pub(crate) fn confirm(&mut self, app: AppName, request: RequestId, delivery: Delivery) {
        let hands = self.hands.clone();
        self.spawn(async move {
            // Not tried again: what is not confirmed is delivered again, and confirmed then.
            match delivery.confirm().await {
                Ok(()) => hands.tell(Event::CommandConfirmed { app, request }).await,
                Err(error) => warn!(%app, %request, error = &error as &dyn std::error::Error, "command not confirmed"),
            }
        });
    }

    /// Begins to remove the results below a sequence. Not tried again: the next minute does.
    pub(crate) fn purge_results(&mut self, below: u64) {
        let results = self.hands.mesh.results();
        self.spawn(async move {
            if let Err(error) = results.purge_below(below).await {
                warn!(below, error = &error as &dyn std::error::Error, "results not purged");
            }
        });
    }

    /// Begins to ask where the command stream begins: what it does not hold any more was confirmed.
    pub(crate) fn read_commands_begin(&mut self) {
        let hands = self.hands.clone();
        self.spawn(async move {
            match hands.mesh.commands().first_sequence().await {
                Ok(sequence) => hands.tell(Event::CommandsBegin { sequence }).await,
                Err(error) => warn!(error = &error as &dyn std::error::Error, "the first command was not read"),
            }
        });
    }

    /// Waits until a task has ended. One that panicked leaves an app in doubt: then this process ends as well.
    pub(crate) async fn reap(&mut self) {
        match self.tasks.join_next().await {
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Some(_) => {}
            None => std::future::pending().await,
        }
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }
}

impl Hands {
    async fn tell(&self, event: Event) {
        // The receiver is gone when the tenure has ended; nobody needs the answer then.
        let _ = self.events.send(event).await;
    }

    async fn perform(&self, effect: Effect) {
        let event = self.event_of(effect).await.unwrap_or_else(|error| Some(Event::Failed { reason: chain(&error) }));
        if let Some(event) = event {
            self.tell(event).await;
        }
    }

    /// Carries an effect out; returned is what the dispatcher is told.
    async fn event_of(&self, effect: Effect) -> Result<Option<Event>, Error> {
        Ok(match effect {
            Effect::WriteLedger { app, ledger, expected } => {
                let ledgers = self.mesh.ledgers();
                let write = || ledgers.compare_and_set(app.as_str(), &ledger, expected);
                Some(match until_done("write a ledger", write).await? {
                    Cas::Stored { sequence } => Event::LedgerWritten { app, revision: sequence },
                    Cas::Refused { .. } => Event::LedgerRefused { app },
                })
            }
            Effect::Send(order) => {
                let orders = self.mesh.orders();
                until_done("send an order", || orders.send(&order)).await?;
                None
            }
            Effect::StoreReport { report, expected } => {
                let results = self.mesh.results();
                // Refused: another message was faster, and comes as an event.
                until_done("store a report", || results.append(&report, expected)).await?;
                None
            }
            Effect::PublishTick { tick, expected } => {
                let (app, number) = (tick.app.clone(), tick.number);
                let ticks = self.mesh.ticks();
                let publication = Publication::new(number, expected);
                let (number, sequence) = publish(&ticks, &app, &tick, publication, |stored| stored.number).await?;
                Some(Event::TickStored { app, number, sequence })
            }
            Effect::PublishHistory { summary, expected } => {
                let (app, number) = (summary.app.clone(), summary.number);
                let history = self.mesh.history();
                let publication = Publication::new(number, expected);
                let (number, sequence) =
                    publish(&history, &app, &*summary, publication, |stored| stored.number).await?;
                Some(Event::HistoryStored { app, number, sequence })
            }
            Effect::ReadResultsEnd { agent } => {
                let results = self.mesh.results();
                let sequence = until_done("read the end of the results", || results.last_sequence()).await?;
                Some(Event::ResultsEnd { agent, sequence })
            }
            Effect::ReadAgent { agent } => {
                let agents = self.mesh.agents();
                let entry = until_done("read an agent", || agents.read(agent.as_str())).await?;
                Some(Event::AgentRead { agent, revision: entry.map_or(0, |entry| entry.sequence) })
            }
            Effect::ReadLedger { app, attempt, agent } => {
                let ledgers = self.mesh.ledgers();
                let entry = until_done("read a ledger", || ledgers.read(app.as_str())).await?;
                let epoch = entry.map(|entry| entry.value.write.epoch);
                Some(Event::LedgerRead { app, epoch, attempt, agent })
            }
            Effect::ReadSummary { app, request, run } => {
                let history = self.mesh.history();
                let summaries = until_done("read the history", || history.last(&app)).await?;
                let summary = summaries.into_iter().map(|entry| entry.value).find(|summary| summary.run == run);
                Some(Event::SummaryRead { app, request, summary: summary.map(Box::new) })
            }
            Effect::Announce(event) => {
                self.mesh.events().publish(&event).await;
                None
            }
            // Not begun as tasks: the tenure itself carries them out.
            Effect::ConfirmCommand { .. } | Effect::EndTenure { .. } => None,
        })
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
