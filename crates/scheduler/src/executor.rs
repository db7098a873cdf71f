//! Effects are carried out, each by a task of its own. One of a leader is tried until it is done; one of the
//! process itself once. The tasks end with the tenure, at any point: what was not done then, the next tenure
//! does.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tickmesh_core::{
    decide::Action,
    history::RunSummary,
    id::{AttemptId, MeshId, RequestId, RunNumber},
    ledger::Ledger,
    message::{NoticeRecord, TickRecord},
    name::{AgentName, AppName},
};
use tickmesh_messaging::{
    Bucket, Cas, Delivery, Error, Journal, LEASE_KEY, LeaseRecord, Mesh, Orders, Record, Results, StreamKind, chain,
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinError, JoinSet},
};
use tracing::warn;

use crate::{
    apps::Reader,
    clock::Clock,
    config::Config,
    deliveries::Deliveries,
    dispatcher,
    effect::{Effect, Priority, Source, Wish},
    error::Failure,
    follow::{Follower, unreadable_ledger},
    patience::until_done,
    presence::Presence,
    process::{Budget, Ends, Event, LeaseWritten, Reading},
    publication::{Progress, Publication},
};

/// Events that may wait to be folded. A full channel makes the followers wait, and with them the server's
/// flow control.
const EVENTS_WAITING_MAX: usize = 4_096;

/// How long other schedulers have to say that they stand by: they do so from memory.
const SUCCESSOR_PATIENCE: Duration = Duration::from_millis(500);

/// Something that has come: an effect that has ended, or an event of a stream.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Of the effect that has ended.
    pub(crate) ended: Option<Priority>,
    pub(crate) event: Option<Event>,
}

/// Carries out effects.
pub(crate) struct Executor {
    stores: Arc<Stores>,
    presence: Presence,
    config: Config,
    tasks: JoinSet<Finished>,
    /// Apart: these are not given up with the rest.
    lease_writes: JoinSet<Finished>,
    events: mpsc::Receiver<Event>,
    sender: mpsc::Sender<Event>,
    deliveries: Deliveries,
    /// Follows whole ledgers, until only their writers are followed.
    ledgers: Option<AbortHandle>,
    is_over: bool,
}

/// The stores of a mesh.
struct Stores {
    mesh: Mesh,
    /// Of the mesh, once it was read.
    identity: OnceLock<MeshId>,
    clock: Clock,
    lease: Bucket<LeaseRecord>,
    ledgers: Bucket<Ledger>,
    orders: Orders,
    results: Results,
    ticks: Journal<TickRecord>,
    history: Journal<RunSummary>,
    notices: Journal<NoticeRecord>,
}

impl Executor {
    pub(crate) fn new(mesh: Mesh, config: &Config, presence: Presence) -> Self {
        let (sender, events) = mpsc::channel(EVENTS_WAITING_MAX);
        let stores = Stores {
            identity: OnceLock::new(),
            clock: config.clock,
            lease: mesh.lease_for(config.timing.lease),
            ledgers: mesh.ledgers(),
            orders: mesh.orders(),
            results: mesh.results(),
            ticks: mesh.ticks(),
            history: mesh.history(),
            notices: mesh.notices(),
            mesh,
        };
        Self {
            stores: Arc::new(stores),
            presence,
            config: config.clone(),
            tasks: JoinSet::new(),
            lease_writes: JoinSet::new(),
            events,
            sender,
            deliveries: Deliveries::default(),
            ledgers: None,
            is_over: false,
        }
    }

    /// Whether the process has stopped.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Begins an effect.
    pub(crate) fn begin(&mut self, effect: Effect) {
        if let Some(tap) = &self.config.tap {
            tap(&effect);
        }
        let (stores, priority) = (self.stores.clone(), effect.priority());
        match effect {
            Effect::Act(action) => self.lead(priority, async move { stores.act(action).await }),
            Effect::WriteLedger { app, ledger, expected, priority } => {
                self.lead(priority, async move { stores.write_ledger(app, &ledger, expected).await.map(Some) });
            }
            Effect::PublishTick { tick, expected } => {
                self.lead(priority, async move { stores.publish_tick(&tick, expected).await.map(Some) });
            }
            Effect::PublishHistory { summary, expected } => {
                self.lead(priority, async move { stores.publish_history(&summary, expected).await.map(Some) });
            }
            Effect::PublishNotice { notice, expected } => {
                self.lead(priority, async move { stores.publish_notice(&notice, expected).await.map(Some) });
            }
            Effect::ConfirmCommand { app, request } => {
                let delivery = self.deliveries.take(request);
                self.lead(priority, async move { Ok(confirm(delivery, app, request).await) });
            }
            Effect::ReadResultsEnd { agent } => {
                self.lead(priority, async move { stores.read_results_end(agent).await.map(Some) });
            }
            Effect::ReadAgent { agent } => {
                self.lead(priority, async move { stores.read_agent(agent).await.map(Some) });
            }
            Effect::ReadLedger { app, attempt, agent } => {
                self.lead(priority, async move { stores.read_ledger(app, attempt, agent).await.map(Some) });
            }
            Effect::ReadSummary { app, request, run } => {
                self.lead(priority, async move { stores.read_summary(app, request, run).await.map(Some) });
            }
            Effect::CarryOutWish { wish: Wish { id, agent, wish }, trusted_until } => {
                let lost = self.config.timing.lost;
                self.tasks.spawn(async move {
                    let is_trusted = || stores.clock.now().uptime < trusted_until;
                    let answer = stores.mesh.carry_out_wish(&agent, wish, lost, is_trusted).await;
                    Finished { ended: Some(priority), event: Some(Event::WishCarriedOut { id, answer }) }
                });
            }
            Effect::AnswerWish { id, answer } => {
                // Apart from the tasks of a tenure: the answer is true whether the tenure lasts or not.
                if let Some(reply) = self.presence.take_reply(id) {
                    tokio::spawn(async move { reply.send(&answer).await });
                }
            }
            Effect::ReadCommandsBegin => self.lead(priority, async move { Ok(stores.read_commands_begin().await) }),
            Effect::PurgeResults { below } => self.lead(priority, async move { Ok(stores.purge_results(below).await) }),
            Effect::Announce(event) => self.lead(priority, async move {
                stores.mesh.events().publish(&event).await;
                Ok(None)
            }),
            Effect::OpenMesh => self.ask(async move {
                let found = stores.mesh.open().await;
                if let Ok(id) = &found {
                    let _known = stores.identity.set(*id);
                }
                Event::MeshFound(answer(found))
            }),
            Effect::FindStreams => self.ask(async move {
                let found = stores.mesh.find_streams().await;
                Event::StreamsFound(answer(found.map(|streams| streams.missing)))
            }),
            Effect::MakeMissingStreams { mesh, missing } => {
                self.ask(async move { Event::MeshFound(answer(stores.mesh.provision_missing(mesh, &missing).await)) });
            }
            Effect::CheckStreams => {
                self.ask(async move { Event::StreamsChecked(answer(stores.check_streams().await)) });
            }
            Effect::ReadLease => self.ask(async move {
                let lease = stores.lease.read(LEASE_KEY).await;
                Event::LeaseRead(answer(lease.map(|lease| lease.map(|entry| Box::new(entry.value)))))
            }),
            Effect::WriteLease { record, expected } => {
                self.lease_writes.spawn(async move {
                    let renewal = record.renewal;
                    let written = stores.lease.compare_and_set(LEASE_KEY, &record, expected).await;
                    let event = Event::LeaseWritten(LeaseWritten { renewal, answer: answer(written.map(Box::new)) });
                    Finished { ended: Some(Priority::Immediate), event: Some(event) }
                });
            }
            Effect::AskHolder { holder } => self.ask(async move {
                let presence = stores.mesh.schedulers().knock(&holder).await;
                Event::HolderAsked { holder, presence, connection: *stores.mesh.connections().borrow() }
            }),
            Effect::SeekSuccessor => {
                let own = self.config.id.clone();
                self.ask(async move {
                    let cards = stores.mesh.schedulers().roll(SUCCESSOR_PATIENCE).await.unwrap_or_default();
                    let is_there = cards.iter().any(|card| card.id != own && card.could_lead());
                    Event::SuccessorSought { is_there }
                });
            }
            Effect::ReadMarks => self.ask(async move { Event::MarksRead(answer(stores.mesh.stream_marks().await)) }),
            Effect::ReadEnds => self.ask(async move { Event::EndsRead(answer(stores.read_ends().await)) }),
            Effect::ReadCatchUpEnd => {
                self.ask(async move { Event::CatchUpEndRead(answer(stores.results.last_sequence().await)) });
            }
            Effect::ReadClock => self.ask(async move { Event::ClockRead(answer(stores.read_clock().await)) }),
            Effect::Follow(source) => self.follow(source),
            Effect::ShowRole(role) => self.presence.become_role(role),
            Effect::Abandon => self.abandon(),
            Effect::End => self.is_over = true,
        }
    }

    /// Waits for the next answer or event. May be dropped at any moment.
    pub(crate) async fn next(&mut self) -> Finished {
        tokio::select! {
            Some(finished) = self.tasks.join_next() => self.ended(finished),
            Some(finished) = self.lease_writes.join_next() => self.ended(finished),
            Some(event) = self.events.recv() => Finished { ended: None, event: Some(event) },
            Some(event) = self.presence.asked() => Finished { ended: None, event: Some(event) },
        }
    }

    /// Returns the next answer or event that has come already, as far as the budget has room for it.
    pub(crate) fn arrived(&mut self, budget: &mut Budget) -> Option<Finished> {
        let (tasks, lease_writes) = (&mut self.tasks, &mut self.lease_writes);
        let (events, presence) = (&mut self.events, &mut self.presence);
        let answer = || lease_writes.try_join_next().or_else(|| tasks.try_join_next());
        let event = || {
            let event = presence.was_asked().or_else(|| events.try_recv().ok())?;
            Some(Ok(Finished { ended: None, event: Some(event) }))
        };
        let finished = budget.next(answer, event)?;
        Some(self.ended(finished))
    }

    /// A task that panicked leaves an app in doubt: then this process ends as well. One that was given up
    /// has nothing to say.
    fn ended(&mut self, finished: Result<Finished, JoinError>) -> Finished {
        match finished {
            Ok(finished) => finished,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Finished { ended: None, event: None },
        }
    }

    /// Begins an effect of a leader: what can never be done ends the tenure.
    fn lead<F>(&mut self, priority: Priority, effect: F)
    where
        F: Future<Output = Result<Option<dispatcher::Event>, Error>> + Send + 'static,
    {
        self.tasks.spawn(async move {
            let failed = |error: Error| Some(dispatcher::Event::Failed { reason: chain(&error) });
            let event = effect.await.unwrap_or_else(failed).map(Event::Mesh);
            Finished { ended: Some(priority), event }
        });
    }

    /// Begins an effect of the process itself.
    fn ask(&mut self, effect: impl Future<Output = Event> + Send + 'static) {
        self.tasks.spawn(async move { Finished { ended: Some(Priority::Immediate), event: Some(effect.await) } });
    }

    fn follow(&mut self, source: Source) {
        let is_ledgers = source == Source::Ledgers;
        let replaces_ledgers = matches!(source, Source::LedgerWrites { .. });
        let follower = Follower {
            mesh: self.stores.mesh.clone(),
            reader: Reader::new(self.config.zones.clone()),
            deliveries: self.deliveries.clone(),
            events: self.sender.clone(),
        };
        let following = self.tasks.spawn(async move {
            Finished { ended: None, event: follower.follow(source).await.map(Event::FollowEnded) }
        });
        if let Some(ledgers) = self.ledgers.take_if(|_| replaces_ledgers) {
            ledgers.abort();
        }
        if is_ledgers {
            self.ledgers = Some(following);
        }
    }

    fn abandon(&mut self) {
        (self.sender, self.events) = mpsc::channel(EVENTS_WAITING_MAX);
        self.tasks = JoinSet::new();
        self.deliveries = Deliveries::default();
        self.presence.abandon_wishes();
        self.ledgers = None;
    }
}

type Told = Result<dispatcher::Event, Error>;

impl Stores {
    async fn act(&self, action: Action) -> Result<Option<dispatcher::Event>, Error> {
        match action {
            Action::Send(order) => until_done("send an order", || self.orders.send(&order)).await.map(|_| None),
            Action::StoreReport { report, expected } => {
                let answer = until_done("store a report", || self.results.append(&report, expected)).await?;
                Ok(dispatcher::Event::of_answer(report, answer))
            }
        }
    }

    async fn write_ledger(&self, app: AppName, ledger: &Ledger, expected: u64) -> Told {
        let write = || self.ledgers.compare_and_set(app.as_str(), ledger, expected);
        Ok(match until_done("write a ledger", write).await {
            Ok(Cas::Stored { sequence }) => dispatcher::Event::LedgerWritten { app, revision: sequence },
            Ok(Cas::Refused { .. }) => dispatcher::Event::LedgerRefused { app },
            Err(error) => ledger_unreadable(app, error)?,
        })
    }

    async fn publish_tick(&self, tick: &TickRecord, expected: u64) -> Told {
        let publication = Publication::new(tick.number, expected);
        let (number, sequence) = publish(&self.ticks, &tick.app, tick, publication, |stored| stored.number).await?;
        Ok(dispatcher::Event::TickStored { app: tick.app.clone(), number, sequence })
    }

    async fn publish_history(&self, summary: &RunSummary, expected: u64) -> Told {
        let (app, publication) = (summary.app.clone(), Publication::new(summary.number, expected));
        let (number, sequence) = publish(&self.history, &app, summary, publication, |stored| stored.number).await?;
        Ok(dispatcher::Event::HistoryStored { app, number, sequence })
    }

    async fn publish_notice(&self, notice: &NoticeRecord, expected: u64) -> Told {
        let (app, publication) = (notice.app.clone(), Publication::new(notice.number, expected));
        let (number, sequence) = publish(&self.notices, &app, notice, publication, |stored| stored.number).await?;
        Ok(dispatcher::Event::NoticeStored { app, number, sequence })
    }

    /// Not tried again: the next purge does.
    async fn purge_results(&self, below: u64) -> Option<dispatcher::Event> {
        if let Err(error) = self.results.purge_below(below).await {
            warn!(below, error = &error as &dyn std::error::Error, "results not purged");
        }
        None
    }

    /// Looks whether all streams are as they must be. The mesh's identity is kept up on the way: no agent starts without it.
    async fn check_streams(&self) -> Result<(), Error> {
        self.mesh.check_streams().await?;
        match self.identity.get() {
            Some(id) => self.mesh.keep_identity(*id).await,
            None => Ok(()),
        }
    }

    async fn read_ends(&self) -> Result<Ends, Error> {
        let (agents, apps) = (self.mesh.agents(), self.mesh.apps());
        let ends = tokio::try_join!(self.ledgers.last_sequence(), agents.last_sequence(), apps.last_sequence());
        ends.map(|(ledgers, agents, apps)| {
            [(StreamKind::Ledger, ledgers), (StreamKind::Agents, agents), (StreamKind::Apps, apps)].into()
        })
    }

    async fn read_clock(&self) -> Result<Reading, Error> {
        let asked = self.clock.now();
        let server = self.lease.clock().await?;
        Ok(Reading { asked, server, answered: self.clock.now() })
    }

    async fn read_commands_begin(&self) -> Option<dispatcher::Event> {
        match self.mesh.commands().first_sequence().await {
            Ok(sequence) => Some(dispatcher::Event::CommandsBegin { sequence }),
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "the first command was not read");
                None
            }
        }
    }

    async fn read_results_end(&self, agent: AgentName) -> Told {
        let sequence = until_done("read the end of the results", || self.results.last_sequence()).await?;
        Ok(dispatcher::Event::ResultsEnd { agent, sequence })
    }

    async fn read_agent(&self, agent: AgentName) -> Told {
        let agents = self.mesh.agents();
        let revision = match until_done("read an agent", || agents.read(agent.as_str())).await {
            Ok(entry) => entry.map_or(0, |entry| entry.sequence),
            Err(Error::Unreadable { sequence, .. }) => sequence,
            Err(error) => return Err(error),
        };
        Ok(dispatcher::Event::AgentRead { agent, revision })
    }

    async fn read_ledger(&self, app: AppName, attempt: Box<AttemptId>, agent: AgentName) -> Told {
        Ok(match until_done("read a ledger", || self.ledgers.read(app.as_str())).await {
            Ok(entry) => {
                let epoch = entry.map(|entry| entry.value.write.epoch);
                dispatcher::Event::LedgerRead { app, epoch, attempt, agent }
            }
            Err(error) => ledger_unreadable(app, error)?,
        })
    }

    async fn read_summary(&self, app: AppName, request: RequestId, run: RunNumber) -> Told {
        let summaries = until_done("read the history", || self.history.last(&app)).await?;
        let summary = summaries.into_iter().map(|entry| entry.value).find(|summary| summary.run == run);
        Ok(dispatcher::Event::SummaryRead { app, request, summary: summary.map(Box::new) })
    }
}

/// What a leader is told of a ledger that cannot be read.
fn ledger_unreadable(app: AppName, error: Error) -> Told {
    match error {
        Error::Unreadable { sequence: revision, source, .. } => {
            Ok(dispatcher::Event::LedgerUnreadable { app, revision, problem: unreadable_ledger(&source) })
        }
        error => Err(error),
    }
}

/// Confirms a command. Not tried again: what is not confirmed is delivered again, and confirmed then.
async fn confirm(delivery: Option<Delivery>, app: AppName, request: RequestId) -> Option<dispatcher::Event> {
    match delivery?.confirm().await {
        Ok(()) => Some(dispatcher::Event::CommandConfirmed { app, request }),
        Err(error) => {
            warn!(%app, %request, error = &error as &dyn std::error::Error, "command not confirmed");
            None
        }
    }
}

fn answer<T>(result: Result<T, Error>) -> Result<T, Failure> {
    result.map_err(Failure::new)
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
    T: Record + Sync,
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
