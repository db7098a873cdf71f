//! The guard process: brings what happens to the guard, one thing at a time, and does what that asks for.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::process::setsid;
use tickmesh_core::build::Build;
use tokio::{
    net::UnixListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::Mutex,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    Settings,
    candidate::{Place, hear, wait_for_place},
    files::Files,
    line::{self, Card, Kind, Reply, ToAgent, Word},
};
use crate::{
    clock::{uptime, wait_until},
    engine::{self, ContainerEngine, ContainerId},
    error::chain,
    guard::{self, ANSWER_PATIENCE, ENGINE_PATIENCE, Effect, Event, Fate, Guard, Memory, Standing},
    lock::FileLock,
    ownership::Ownership,
    system,
};

/// Pause after a connection that could not be taken: no file is free, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a guard cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its folder cannot be used.
    #[error("failed to use the guard's folder `{}`", folder.display())]
    Folder {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It would be stopped together with its agent.
    #[error("failed to make the guard deaf to the signals that stop its agent")]
    Signals(#[source] io::Error),
}

/// Guards an agent's containers until nobody needs that any more. If another guard of the agent is
/// on duty, this one waits for its place for as long as the agent wants it to.
///
/// `build` is that of this program. `connect` makes the connection to the engine: when it is
/// needed, and again if it fails.
pub async fn run<E, C, F>(settings: Settings, build: Build, connect: C) -> Result<(), Error>
where
    E: ContainerEngine,
    C: Fn() -> F + Send + Sync + Clone + 'static,
    F: Future<Output = Result<E, engine::Error>> + Send,
{
    // Fails for the leader of a process group, which is then in a session of its own choice already.
    let _led_already = setsid();
    let (terminated, _deaf) = signals().map_err(Error::Signals)?;
    let files = settings.files();
    let Settings { owner, fence, boot, .. } = settings;
    let in_folder = |source| Error::Folder { folder: files.folder().to_owned(), source };
    let card = Card { build, fence, on_duty: true };
    let place = match files.lock().map_err(in_folder)? {
        Some(lock) => Some(Place { lock, listener: files.listen().map_err(in_folder)?, agent: None }),
        None => {
            let card = Card { on_duty: false, ..card.clone() };
            wait_for_place(&files, &card).await.map_err(in_folder)?
        }
    };
    let Some(Place { lock, listener, agent }) = place else {
        tracing::info!("the agent has a guard already");
        return Ok(());
    };
    tracing::info!(build = %card.build, "on duty");
    let ownership = Ownership::of(owner);
    let engine = Engine { connect, connection: Arc::default(), ownership: ownership.clone(), fails: Arc::default() };
    // Only now, with the lock: what another guard wrote to its last moment counts.
    let (guard, first) = Guard::begin(guard::Settings { ownership, fence, boot }, files.memory(), uptime());
    let process = Process {
        guard,
        card,
        files,
        listener,
        agent,
        expected_until: uptime() + ANSWER_PATIENCE,
        engine,
        answers: JoinSet::new(),
        terminated,
        _lock: lock,
    };
    process.run(first).await;
    Ok(())
}

/// What stops a service, or closes a terminal, is not for the guard. The signal that also stops a whole host comes first.
fn signals() -> io::Result<(Signal, [Signal; 2])> {
    let terminated = signal(SignalKind::terminate())?;
    Ok((terminated, [signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?]))
}

/// A running guard.
struct Process<E, C> {
    guard: Guard,
    card: Card,
    files: Files,
    listener: UnixListener,
    agent: Option<ToAgent>,
    /// Until then the agent that started this guard has time to say hello. A deadline that had passed before, with nothing to end, takes
    /// the guard less time than that: it would be gone before anybody came, and so would the next one.
    expected_until: Duration,
    engine: Engine<E, C>,
    /// What the engine was asked.
    answers: JoinSet<Option<Event>>,
    terminated: Signal,
    _lock: FileLock,
}

/// What happens to a guard process.
enum Happening {
    Event(Event),
    Connected(ToAgent),
    Said(Result<Word, line::Error>),
    Terminated,
}

/// Whether the process goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    GoesOn,
    IsOver,
}

impl<E, C, F> Process<E, C>
where
    E: ContainerEngine,
    C: Fn() -> F + Send + Sync + Clone + 'static,
    F: Future<Output = Result<E, engine::Error>> + Send,
{
    async fn run(mut self, first: Vec<Effect>) {
        // An agent that has met a candidate waits for this word.
        self.say(Reply::Met(self.card.clone())).await;
        self.perform(first).await;
        while self.agent.is_some() || !self.guard.has_swept() || self.expects_agent() {
            let life = match self.next().await {
                Happening::Event(event) => {
                    self.fold(event).await;
                    Life::GoesOn
                }
                Happening::Connected(line) => {
                    // The agent's name has one process at a time: an earlier one is gone.
                    self.agent = Some(line);
                    Life::GoesOn
                }
                Happening::Said(Ok(word)) => self.told(word).await,
                Happening::Said(Err(error)) => {
                    tracing::info!(error = %chain(&error), "the agent is gone");
                    self.agent = None;
                    Life::GoesOn
                }
                Happening::Terminated => self.terminated().await,
            };
            if life == Life::IsOver {
                return;
            }
        }
        tracing::info!("nothing is left to guard");
    }

    fn expects_agent(&self) -> bool {
        uptime() < self.expected_until
    }

    async fn next(&mut self) -> Happening {
        let expected_until = self.expects_agent().then_some(self.expected_until);
        let wake_at = self.guard.wake_at().into_iter().chain(expected_until).min();
        let Self { listener, agent, answers, terminated, .. } = self;
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => return Happening::Connected(ToAgent::on(stream)),
                    Err(error) => {
                        tracing::warn!(%error, "an agent could not connect");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                said = hear(agent) => return Happening::Said(said),
                Some(answer) = answers.join_next() => match answer {
                    Ok(Some(event)) => return Happening::Event(event),
                    Ok(None) => {}
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                },
                Some(()) = terminated.recv() => return Happening::Terminated,
                () = wait_until(wake_at) => return Happening::Event(Event::Woken),
            }
        }
    }

    /// A host that goes down ends its containers, and waits for nobody who stays. Anybody else who ends the guard leaves
    /// containers behind.
    async fn terminated(&mut self) -> Life {
        if system::is_going_down().await {
            tracing::info!("the host is going down");
            return Life::IsOver;
        }
        tracing::info!("not stopped by a signal: containers would have no guard");
        Life::GoesOn
    }

    async fn told(&mut self, word: Word) -> Life {
        match word {
            Word::Meet => {
                self.say(Reply::Met(self.card.clone())).await;
                Life::GoesOn
            }
            Word::Relieved => {
                tracing::info!("another guard of the agent is there: it takes over");
                self.say(Reply::Leaving).await;
                Life::IsOver
            }
            Word::Hello(kind) if kind.fence == self.card.fence => {
                tracing::info!(version = kind.version, "an agent of an earlier release is connected");
                self.say(Reply::Ready).await;
                Life::GoesOn
            }
            // It was meant for a guard of an earlier release, which has gone meanwhile.
            Word::Hello(kind) if kind == Kind::of_nobody() => {
                self.agent = None;
                Life::GoesOn
            }
            Word::Hello(kind) => {
                tracing::info!(?kind, "an agent of an earlier release wants a guard of its own");
                self.say(Reply::Leaving).await;
                Life::IsOver
            }
            Word::Fed { sent_at } => {
                self.fold(Event::Fed { sent_at }).await;
                Life::GoesOn
            }
            Word::Asked(question) => {
                self.fold(Event::Asked(question)).await;
                Life::GoesOn
            }
            Word::Ping => {
                self.say(Reply::Pong).await;
                Life::GoesOn
            }
            Word::Dismissed => {
                tracing::info!("the agent has ended, and left nothing to guard");
                self.files.remove();
                Life::IsOver
            }
        }
    }

    async fn fold(&mut self, event: Event) {
        let effects = self.guard.fold(event, uptime());
        self.perform(effects).await;
    }

    async fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Remember(memory) => self.remember(&memory),
                Effect::List => {
                    let engine = self.engine.clone();
                    self.answers.spawn(async move { Some(engine.list().await) });
                }
                Effect::Kill { container } => {
                    let engine = self.engine.clone();
                    self.answers.spawn(async move { Some(engine.kill(container).await) });
                }
                Effect::Remove { container } => {
                    let engine = self.engine.clone();
                    self.answers.spawn(async move {
                        engine.remove(container).await;
                        None
                    });
                }
                Effect::Answer(answer) => self.say(Reply::Answered(answer)).await,
            }
        }
    }

    fn remember(&self, memory: &Memory) {
        let Err(error) = self.files.remember(memory) else { return };
        tracing::error!(%error, folder = %self.files.folder().display(), "nothing is left to the next guard");
        if memory.standing != Standing::Fenced {
            self.files.forget();
        }
    }

    /// An agent that does not listen must not keep its guard from its work.
    async fn say(&mut self, reply: Reply) {
        let Some(line) = &mut self.agent else { return };
        if !matches!(timeout(ENGINE_PATIENCE, line.say(&reply)).await, Ok(Ok(()))) {
            tracing::warn!("the agent does not listen");
            self.agent = None;
        }
    }
}

/// The engine, as a guard needs it: every answer comes in time, and be it that there is none.
#[derive(Debug, Clone)]
struct Engine<E, C> {
    connect: C,
    connection: Arc<Mutex<Option<E>>>,
    ownership: Ownership,
    /// Whether the last answer was that there is none.
    fails: Arc<AtomicBool>,
}

impl<E, C, F> Engine<E, C>
where
    E: ContainerEngine,
    C: Fn() -> F,
    F: Future<Output = Result<E, engine::Error>>,
{
    async fn list(&self) -> Event {
        let listed =
            self.asked("list containers", async |engine| engine.list_unended(&self.ownership.filter()).await).await;
        listed.map_or(Event::Unlisted, |containers| Event::Listed { containers })
    }

    async fn kill(&self, container: ContainerId) -> Event {
        let fate = match self.asked("kill a container", async |engine| engine.kill(&container).await).await {
            Some(true) => Fate::Killed,
            Some(false) => Fate::HadEnded,
            None => Fate::Unknown,
        };
        tracing::warn!(%container, ?fate, "kill");
        Event::KillAnswered { container, fate }
    }

    async fn remove(&self, container: ContainerId) {
        tracing::warn!(%container, "a container that was not started is removed");
        self.asked("remove a container", async |engine| engine.remove(&container).await).await;
    }

    /// `None`: the engine did not do it, or nobody knows.
    async fn asked<T>(&self, what: &str, ask: impl AsyncFnOnce(&E) -> Result<T, engine::Error>) -> Option<T> {
        let answer = timeout(ENGINE_PATIENCE, async {
            let known = self.connection.lock().await.clone();
            let engine = match known {
                Some(engine) => engine,
                None => self.connection.lock().await.insert((self.connect)().await?).clone(),
            };
            ask(&engine).await
        });
        let problem = match answer.await {
            Ok(Ok(answer)) => {
                self.fails.store(false, Ordering::Relaxed);
                return Some(answer);
            }
            Ok(Err(error)) => chain(&error),
            Err(_) => "the engine does not answer".to_owned(),
        };
        // The engine that comes back may be another version, which wants a connection of its own.
        *self.connection.lock().await = None;
        // An engine may be gone for days, and is asked again every second.
        if self.fails.swap(true, Ordering::Relaxed) {
            tracing::debug!(problem, "failed to {what}");
        } else {
            tracing::error!(problem, "failed to {what}: tried until it works");
        }
        None
    }
}
