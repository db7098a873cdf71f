//! What passes between an agent and its guard: lines of JSON on a Unix socket.

use std::{io, marker::PhantomData, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;
use tokio_util::codec::{Framed, LinesCodec, LinesCodecError};

use crate::guard::{Answer, Question};

/// Longest line: names are short, and a line holds a few.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// What an agent says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// First of all. A guard that is not of this kind makes room for one that is.
    Hello(Kind),
    /// A heartbeat was acknowledged.
    Fed {
        /// When it was sent, as uptime of the host.
        sent_at: Duration,
    },
    /// A question.
    Asked(Question),
    /// Is it still there?
    Ping,
    /// The agent ends, and holds nothing that anybody would have to guard.
    Dismissed,
}

/// What a guard says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// It listens.
    Ready,
    /// It is of another kind, and goes.
    Leaving,
    /// An answer.
    Answered(Answer),
    /// It is.
    Pong,
}

/// What tells guards of different versions and settings apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kind {
    /// Of the program.
    pub(super) version: String,
    /// How long after the last acknowledged heartbeat it acts.
    pub(super) fence: Duration,
}

impl Kind {
    /// Guards of this program.
    pub(super) fn of(fence: Duration) -> Self {
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), fence }
    }
}

/// Why the other end cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the other process has closed the line")]
    Closed,
    #[error("failed on the line to the other process")]
    Broken(#[from] LinesCodecError),
    #[error("what the other process says cannot be understood")]
    NotUnderstood(#[from] serde_json::Error),
}

/// One end of a line: says `S`, hears `H`.
#[derive(Debug)]
pub(super) struct Line<S, H> {
    framed: Framed<UnixStream, LinesCodec>,
    ends: PhantomData<fn(S) -> H>,
}

/// The agent's end.
pub(super) type ToGuard = Line<Word, Reply>;
/// The guard's end.
pub(super) type ToAgent = Line<Reply, Word>;

impl<S: Serialize, H: DeserializeOwned> Line<S, H> {
    /// A line on a socket that is connected.
    pub(super) fn on(stream: UnixStream) -> Self {
        Self { framed: Framed::new(stream, LinesCodec::new_with_max_length(LINE_BYTES_MAX)), ends: PhantomData }
    }

    /// Says something.
    pub(super) async fn say(&mut self, what: &S) -> Result<(), Error> {
        Ok(self.framed.send(serde_json::to_string(what)?).await?)
    }

    /// Hears the next thing. Nothing is lost when this is given up.
    pub(super) async fn hear(&mut self) -> Result<H, Error> {
        let line = self.framed.next().await.ok_or(Error::Closed)??;
        Ok(serde_json::from_str(&line)?)
    }

    /// Kills the process at the other end. One in another world of process ids cannot be.
    pub(super) fn kill_other_end(&self) -> io::Result<()> {
        match self.framed.get_ref().peer_cred()?.pid().and_then(Pid::from_raw) {
            Some(pid) => Ok(kill_process(pid, Signal::KILL)?),
            None => Err(io::Error::other("its process id is not known here")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn words_come_out_as_they_went_in_until_the_line_is_closed() {
        let (one, other) = UnixStream::pair().unwrap();
        let (mut agent, mut guard) = (ToGuard::on(one), ToAgent::on(other));
        let words = [Word::Hello(Kind::of(Duration::from_secs(45))), Word::Fed { sent_at: Duration::MAX }, Word::Ping];
        for word in &words {
            agent.say(word).await.unwrap();
        }
        for word in &words {
            assert_eq!(&guard.hear().await.unwrap(), word);
        }
        guard.say(&Reply::Ready).await.unwrap();
        assert_eq!(agent.hear().await.unwrap(), Reply::Ready);
        drop(guard);
        assert!(matches!(agent.hear().await, Err(Error::Closed)));
    }

    #[tokio::test]
    async fn nonsense_and_endless_lines_are_errors() {
        for (nonsense, what) in [("{}\n".to_owned(), "NotUnderstood"), ("x".repeat(LINE_BYTES_MAX + 1), "Broken")] {
            let (one, other) = UnixStream::pair().unwrap();
            let mut guard = ToAgent::on(other);
            tokio::io::AsyncWriteExt::write_all(&mut { one }, nonsense.as_bytes()).await.unwrap();
            let error = guard.hear().await.unwrap_err();
            assert!(format!("{error:?}").starts_with(what), "{error:?}");
        }
    }
}
