//! How an agent comes to a guard of its own build: it finds one, starts one, or has one take
//! another's place.

use std::{io, process::Stdio, time::Duration};

use tickmesh_core::build::Build;
use tokio::{
    net::UnixStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use super::{
    Program, Settings,
    files::Files,
    line::{Card, Error, Kind, Reply, ToGuard, Word},
};
use crate::{backoff::Backoff, guard::ANSWER_PATIENCE};

/// Pause between two looks for a guard that is coming up.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// How long a candidate may take to have the place once the guard on duty is gone: many of its
/// looks at the lock.
const RELIEF_PATIENCE: Duration = Duration::from_millis(500);

/// Looks for a guard.
pub(super) struct Seeker {
    program: Program,
    settings: Settings,
    /// The guard that is wanted.
    wanted: Card,
}

/// A guard that is there.
enum Found {
    /// One that guards, of the agent's build and settings.
    Wanted(ToGuard),
    /// One that does not guard yet.
    Candidate(ToGuard),
    /// One that guards, of another build or with other settings.
    Other(ToGuard, Card),
}

impl Seeker {
    pub(super) fn new(program: Program, settings: Settings, build: Build) -> Self {
        let wanted = Card { build, fence: settings.fence, on_duty: true };
        Self { program, settings, wanted }
    }

    /// However long it takes: an agent without a guard claims nothing.
    pub(super) async fn find(&self) -> ToGuard {
        let files = self.settings.files();
        let mut backoff = Backoff::default();
        loop {
            match self.on_duty(&files).await {
                Ok(Found::Wanted(line)) => return line,
                Ok(Found::Other(_, card)) => {
                    tracing::info!(build = %card.build, fence = ?card.fence, "the guard is of another build: it is replaced");
                }
                Ok(Found::Candidate(_)) | Err(_) => {}
            }
            match self.start(&files).await {
                Ok(line) => return line,
                Err(error) => {
                    tracing::error!(%error, program = %self.program.path.display(), "the guard does not come up");
                    if let Some(line) = self.make_do(&files).await {
                        return line;
                    }
                    backoff.pause().await;
                }
            }
        }
    }

    /// Returns the line to a guard of another build with the right fence. Nobody would feed it
    /// otherwise, and it would end what runs although the agent is alive.
    async fn make_do(&self, files: &Files) -> Option<ToGuard> {
        match self.on_duty(files).await.ok()? {
            Found::Wanted(line) => Some(line),
            Found::Other(line, card) if card.fence == self.wanted.fence => {
                tracing::warn!(build = %card.build, "the guard of another build is kept");
                Some(line)
            }
            Found::Other(..) | Found::Candidate(_) => None,
        }
    }

    /// Meets the guard that agents find.
    async fn on_duty(&self, files: &Files) -> Result<Found, Absent> {
        self.meet(files.connect().await?).await
    }

    /// Asks a guard who it is.
    async fn meet(&self, stream: UnixStream) -> Result<Found, Absent> {
        let mut line = ToGuard::on(stream);
        let met = timeout(ANSWER_PATIENCE, async {
            line.say(&Word::Meet).await?;
            loop {
                if let Reply::Met(card) = line.hear().await? {
                    return Ok(card);
                }
            }
        });
        match met.await {
            Ok(Ok(card)) if !card.on_duty => Ok(Found::Candidate(line)),
            Ok(Ok(card)) if card.is_alike(&self.wanted) => Ok(Found::Wanted(line)),
            Ok(Ok(card)) => Ok(Found::Other(line, card)),
            Ok(Err(error)) => Err(Absent::HungUp(error)),
            Err(_) => {
                tracing::error!("the guard that is there does not answer: it is killed, and another one started");
                line.kill_other_end()?;
                Err(Absent::Silent)
            }
        }
    }

    /// Starts a guard, and meets it as soon as it listens. Nobody waits for the end of the child:
    /// it outlives this process.
    async fn start(&self, files: &Files) -> io::Result<ToGuard> {
        let mut child = self.spawn(files)?;
        let deadline = Instant::now() + ANSWER_PATIENCE;
        loop {
            // Beside a guard that is on duty the new one listens aside.
            if let Some(process) = child.id()
                && let Ok(stream) = files.connect_aside(process).await
                && let Ok(Found::Candidate(line) | Found::Wanted(line) | Found::Other(line, _)) =
                    self.meet(stream).await
            {
                return self.relieve(files, line).await;
            }
            let absent = match self.on_duty(files).await {
                Ok(Found::Wanted(line)) => return Ok(line),
                Ok(Found::Other(..) | Found::Candidate(_)) => Absent::Other,
                Err(absent) => absent,
            };
            if let Some(status) = child.try_wait()? {
                return Err(io::Error::other(format!("it ended at once ({status})")));
            }
            if Instant::now() >= deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, absent));
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// Sends away whoever is on duty, until the candidate at the other end of the line has the
    /// place. Only now, for now there are two: whatever dies from here on, one of them guards.
    async fn relieve(&self, files: &Files, mut candidate: ToGuard) -> io::Result<ToGuard> {
        // A guard that stands still is killed after half of it.
        let deadline = Instant::now() + 2 * ANSWER_PATIENCE;
        while Instant::now() < deadline {
            let sent_away = match self.on_duty(files).await {
                Ok(Found::Wanted(line)) => {
                    // It is the candidate, with the place, or another one as good, and then the
                    // candidate may go.
                    let _ = candidate.say(&Word::Dismissed).await;
                    return Ok(line);
                }
                Ok(Found::Other(mut line, _)) => until_gone(&mut line, &Word::Relieved).await,
                Ok(Found::Candidate(_)) => Ok(()),
                // A guard of a release whose builds have no names does not know the question. If
                // one of this release has the place by now, it hears what is not for it.
                Err(Absent::HungUp(Error::Closed)) => send_nameless_away(files).await,
                Err(absent) => Err(absent),
            };
            if let Err(absent) = sent_away {
                tracing::debug!(error = %absent, "nobody was sent away");
            }
            match timeout(RELIEF_PATIENCE, candidate.hear()).await {
                Ok(Ok(Reply::Met(card))) if card.on_duty => return Ok(candidate),
                Ok(Ok(Reply::Met(_) | Reply::Ready | Reply::Leaving | Reply::Answered(_) | Reply::Pong)) | Err(_) => {}
                // It has the place, and heard the question of above on a line of its own; or it has
                // died.
                Ok(Err(_)) => sleep(LOOK_INTERVAL).await,
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, Absent::Other))
    }

    fn spawn(&self, files: &Files) -> io::Result<Child> {
        let log = files.log()?;
        Command::new(&self.program.path)
            .args(&self.program.arguments)
            .arg(serde_json::to_string(&self.settings)?)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
    }
}

async fn send_nameless_away(files: &Files) -> Result<(), Absent> {
    until_gone(&mut ToGuard::on(files.connect().await?), &Word::Hello(Kind::of_nobody())).await
}

/// Says the word, and waits until the guard has hung up.
async fn until_gone(line: &mut ToGuard, word: &Word) -> Result<(), Absent> {
    let gone = timeout(ANSWER_PATIENCE, async {
        line.say(word).await?;
        while line.hear().await.is_ok() {}
        Ok::<(), Error>(())
    });
    match gone.await {
        Ok(said) => Ok(said?),
        Err(_) => {
            line.kill_other_end()?;
            Err(Absent::Silent)
        }
    }
}

/// Why no guard is there.
#[derive(Debug, thiserror::Error)]
enum Absent {
    #[error("nobody listens")]
    Unreachable(#[from] io::Error),
    #[error("it hung up")]
    HungUp(#[from] Error),
    #[error("it is of another build, or waits for the place of one")]
    Other,
    #[error("it stood still")]
    Silent,
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio_util::codec::{Framed, LinesCodec};

    use super::*;
    use crate::fixture;

    fn seeker(folder: &std::path::Path) -> Seeker {
        let settings = Settings {
            owner: fixture::owner(),
            fence: Duration::from_secs(45),
            boot: "boot".to_owned(),
            engine: "engine".to_owned(),
            folder: folder.to_owned(),
        };
        let program = Program { path: "/nowhere".into(), arguments: Vec::new() };
        Seeker::new(program, settings, Build::new("0.1.0+new"))
    }

    /// A guard as commit a7154bc has it, as far as it talks: whom does it leave?
    async fn nameless(files: Files) -> String {
        let _lock = files.lock().unwrap().unwrap();
        let listener = files.listen().unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut agent = Framed::new(stream, LinesCodec::new());
            let Some(Ok(word)) = agent.next().await else { continue };
            if word.starts_with(r#"{"hello":"#) {
                let is_own = word == r#"{"hello":{"version":"0.1.0","fence":{"secs":45,"nanos":0}}}"#;
                agent.send(if is_own { r#""ready""# } else { r#""leaving""# }).await.unwrap();
                if !is_own {
                    return word;
                }
            }
            // What it does not understand breaks the line.
        }
    }

    #[tokio::test]
    async fn guard_without_a_name_is_sent_away_in_words_that_it_knows() {
        let folder = tempfile::tempdir().unwrap();
        let seeker = seeker(folder.path());
        let files = seeker.settings.files();
        let guard = tokio::spawn(nameless(files.clone()));
        let absent = loop {
            match seeker.on_duty(&files).await {
                Err(Absent::Unreachable(_)) => sleep(LOOK_INTERVAL).await,
                Err(absent) => break absent,
                Ok(_) => panic!("it cannot say who it is"),
            }
        };
        assert!(matches!(absent, Absent::HungUp(Error::Closed)), "{absent:?}");
        send_nameless_away(&files).await.unwrap();
        assert!(guard.await.unwrap().contains(r#""version":"""#));
    }
}
