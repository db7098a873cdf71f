//! A guard that waits for another one's place: it is there before the other one is sent away, so that at every
//! moment somebody guards (protocol rule P15).
//!
//! ```text
//!   agent                      guard on duty (another build)       candidate (the agent's build)
//!     | who are you? -----------> |                                    |
//!     | <-------- another build   |                                    |
//!     | starts --------------------------------------------------------> listens, waits for the lock
//!     | who are you? ---------------------------------------------------> |
//!     | <----------------------------------------- not on duty yet        |
//!     | your place is taken ----> |                                       |
//!     |                           ends: the lock is free ---------------> takes it, reads the memory
//!     | <----------------------------------------- on duty                |
//! ```
//!
//! The lock goes from one to the other whatever becomes of the agent: a guard that dies while a candidate waits
//! is replaced by it at once. What a guard knows is in its file, which it writes before it acts on it.

use std::{io, time::Duration};

use tokio::{net::UnixListener, time::sleep};

use super::{
    files::Files,
    line::{self, Card, Reply, ToAgent, Word},
};
use crate::{clock::uptime, guard::ANSWER_PATIENCE, lock::FileLock};

/// Pause between two looks at the lock: far below any deadline, and next to no work.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// A guard's place, once it is free.
pub(super) struct Place {
    /// Held for as long as the guard is on duty.
    pub(super) lock: FileLock,
    /// Where agents find it.
    pub(super) listener: UnixListener,
    /// The agent that waits for it.
    pub(super) agent: Option<ToAgent>,
}

/// Waits for the place of the guard that is on duty. `None`: no agent has come in time, so it was
/// started beside another one that does as well.
///
/// A candidate that an agent has met stays until it has the place, also if the agent dies
/// meanwhile: the guard on duty may have been sent away already.
pub(super) async fn wait_for_place(files: &Files, card: &Card) -> io::Result<Option<Place>> {
    let listener = files.listen_aside()?;
    let unmet_until = uptime() + ANSWER_PATIENCE;
    let mut candidate = Candidate { card, agent: None, was_met: false };
    loop {
        if let Some(lock) = files.lock()? {
            let listener = if files.come_forward() { listener } else { files.listen()? };
            return Ok(Some(Place { lock, listener, agent: candidate.agent }));
        }
        if !candidate.was_met && uptime() >= unmet_until {
            files.stop_listening_aside();
            return Ok(None);
        }
        if candidate.next(&listener).await == Wish::ToBeGone {
            files.stop_listening_aside();
            return Ok(None);
        }
    }
}

/// What the agent wants of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    ToStay,
    /// It has another guard that does as well.
    ToBeGone,
}

/// What a candidate knows.
struct Candidate<'a> {
    card: &'a Card,
    agent: Option<ToAgent>,
    was_met: bool,
}

impl Candidate<'_> {
    /// Answers whoever comes, for as long as one look at the lock lasts.
    async fn next(&mut self, listener: &UnixListener) -> Wish {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    (self.agent, self.was_met) = (Some(ToAgent::on(stream)), true);
                }
                Wish::ToStay
            }
            said = hear(&mut self.agent) => self.told(said).await,
            () = sleep(LOOK_INTERVAL) => Wish::ToStay,
        }
    }

    async fn told(&mut self, said: Result<Word, line::Error>) -> Wish {
        let reply = match said {
            Ok(Word::Meet) => Some(Reply::Met(self.card.clone())),
            Ok(Word::Ping) => Some(Reply::Pong),
            Ok(Word::Dismissed) => return Wish::ToBeGone,
            // An agent says these to a guard that is on duty.
            Ok(Word::Hello(_) | Word::Fed { .. } | Word::Asked(_) | Word::Relieved) => None,
            Err(_) => {
                self.agent = None;
                None
            }
        };
        if let Some((agent, reply)) = self.agent.as_mut().zip(reply)
            && agent.say(&reply).await.is_err()
        {
            self.agent = None;
        }
        Wish::ToStay
    }
}

pub(super) async fn hear(agent: &mut Option<ToAgent>) -> Result<Word, line::Error> {
    match agent {
        Some(line) => line.hear().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_core::build::Build;

    use super::*;
    use crate::{fixture, guard_process::line::ToGuard};

    fn card() -> Card {
        Card { build: Build::new("0.1.0+new"), fence: Duration::from_secs(45), on_duty: false }
    }

    async fn meet(files: &Files) -> ToGuard {
        let mut line = ToGuard::on(files.connect_aside(std::process::id()).await.unwrap());
        line.say(&Word::Meet).await.unwrap();
        assert_eq!(line.hear().await.unwrap(), Reply::Met(card()), "it does not guard yet");
        line
    }

    /// The agent may die right after it has sent the guard on duty away.
    #[tokio::test]
    async fn candidate_gets_the_place_also_when_its_agent_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::of(folder.path(), &fixture::owner(), "engine");
        let on_duty = files.lock().unwrap().unwrap();
        let (waiting, card) = (files.clone(), card());
        let mut candidate = tokio::spawn(async move { wait_for_place(&waiting, &card).await.unwrap().is_some() });
        while files.connect_aside(std::process::id()).await.is_err() {
            sleep(LOOK_INTERVAL).await;
        }
        drop(meet(&files).await);
        let early = tokio::time::timeout(LOOK_INTERVAL * 5, &mut candidate).await;
        assert!(early.is_err(), "the guard on duty has its place");
        drop(on_duty);
        assert!(candidate.await.unwrap());
    }

    #[tokio::test]
    async fn candidate_that_is_dismissed_leaves_the_place_alone() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::of(folder.path(), &fixture::owner(), "engine");
        let _on_duty = files.lock().unwrap().unwrap();
        let (waiting, card) = (files.clone(), card());
        let candidate = tokio::spawn(async move { wait_for_place(&waiting, &card).await.unwrap().is_none() });
        while files.connect_aside(std::process::id()).await.is_err() {
            sleep(LOOK_INTERVAL).await;
        }
        meet(&files).await.say(&Word::Dismissed).await.unwrap();
        assert!(candidate.await.unwrap());
        assert!(files.connect_aside(std::process::id()).await.is_err());
    }
}
