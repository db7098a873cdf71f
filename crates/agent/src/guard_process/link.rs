//! The agent's end: finds a guard or starts one, and keeps the line to it.

use std::{convert::Infallible, time::Duration};

use tickmesh_core::build::Build;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Program, Settings,
    line::{Error, Reply, ToGuard, Word},
    seek::Seeker,
};
use crate::{
    agent_core::Event,
    error::chain,
    guard::{ANSWER_PATIENCE, Question},
};

/// Words that wait to be said. A new guard is asked about every attempt that waits for its leave, at once: far fewer than this on any
/// host. Otherwise a guard is told little, and hears it at once: more means that it does not listen.
const WORDS_MAX: usize = 16_384;
/// How often a guard is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(1);
/// How long the last word may take.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(1);

/// The line to a guard. Dropped, it is closed, and the guard goes on.
#[derive(Debug)]
pub(crate) struct Link {
    words: Option<mpsc::Sender<Word>>,
    keeper: AbortOnDropHandle<()>,
}

impl Link {
    /// Has a guard of this build listen. `news` hears when it does, what it answers, and when it
    /// does not any more.
    pub(crate) fn open(program: Program, settings: Settings, build: Build, news: mpsc::Sender<Event>) -> Self {
        let (words, inbox) = mpsc::channel(WORDS_MAX);
        let keeper = tokio::spawn(keep(Seeker::new(program, settings, build), inbox, news));
        Self { words: Some(words), keeper: AbortOnDropHandle::new(keeper) }
    }

    /// A heartbeat was acknowledged.
    pub(crate) fn feed(&mut self, sent_at: Duration) {
        self.tell(Word::Fed { sent_at });
    }

    pub(crate) fn ask(&mut self, question: Question) {
        self.tell(Word::Asked(question));
    }

    /// Sends the guard away, and waits until it has heard.
    pub(crate) async fn dismiss(mut self) {
        self.tell(Word::Dismissed);
        if timeout(FAREWELL_PATIENCE, self.keeper).await.is_err() {
            tracing::warn!("the guard was not told that nobody needs it any more: it finds out by itself");
        }
    }

    /// A line on which nothing moves any more is given up: its keeper then says so.
    fn tell(&mut self, word: Word) {
        if let Some(Err(mpsc::error::TrySendError::Full(_))) = self.words.as_ref().map(|words| words.try_send(word)) {
            self.words = None;
        }
    }
}

/// Keeps the line until it breaks. What comes of it is told in order: nothing comes after [`Event::GuardLost`].
async fn keep(seeker: Seeker, mut words: mpsc::Receiver<Word>, news: mpsc::Sender<Event>) {
    let mut line = seeker.find().await;
    // Nobody listens any more when the agent is ending.
    let _ = news.send(Event::GuardReady).await;
    let error = talk(&mut line, &mut words, &news).await;
    if let Broken::Dismissed = error {
        return;
    }
    tracing::error!(error = %chain(&error), "the guard does not answer");
    if let Broken::Silent = error
        && let Err(error) = line.kill_other_end()
    {
        tracing::error!(%error, "a guard that stands still could not be killed");
    }
    let _ = news.send(Event::GuardLost).await;
}

/// Why a line is given up.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the guard is gone")]
    Gone(#[from] Error),
    #[error("the guard has said nothing for {}s", ANSWER_PATIENCE.as_secs())]
    Silent,
    #[error("the agent has too much to say to it")]
    Overflown,
    #[error("it was sent away")]
    Dismissed,
}

async fn talk(line: &mut ToGuard, words: &mut mpsc::Receiver<Word>, news: &mpsc::Sender<Event>) -> Broken {
    let Err(broken) = converse(line, words, news).await;
    broken
}

async fn converse(
    line: &mut ToGuard,
    words: &mut mpsc::Receiver<Word>,
    news: &mpsc::Sender<Event>,
) -> Result<Infallible, Broken> {
    let mut pings = interval(PING_INTERVAL);
    // An agent that stood still itself has no right to blame its guard.
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unanswered = 0;
    loop {
        tokio::select! {
            // What the guard has said counts before the clock does.
            biased;
            heard = line.hear() => {
                unanswered = 0;
                if let Reply::Answered(answer) = heard? {
                    let _ = news.send(Event::GuardAnswered(answer)).await;
                }
            }
            word = words.recv() => {
                let word = word.ok_or(Broken::Overflown)?;
                say(line, &word).await?;
                if word == Word::Dismissed {
                    // It has heard once it hangs up.
                    while line.hear().await.is_ok() {}
                    return Err(Broken::Dismissed);
                }
            }
            _ = pings.tick() => {
                if PING_INTERVAL * unanswered >= ANSWER_PATIENCE {
                    return Err(Broken::Silent);
                }
                say(line, &Word::Ping).await?;
                unanswered += 1;
            }
        }
    }
}

async fn say(line: &mut ToGuard, word: &Word) -> Result<(), Broken> {
    match timeout(ANSWER_PATIENCE, line.say(word)).await {
        Ok(said) => Ok(said?),
        Err(_) => Err(Broken::Silent),
    }
}
