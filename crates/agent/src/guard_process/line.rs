//! What passes between an agent and its guard: lines of JSON on a Unix socket.

use std::{io, marker::PhantomData, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tickmesh_core::build::Build;
use tokio::net::UnixStream;
use tokio_util::codec::{Framed, LinesCodec, LinesCodecError};

use crate::guard::{Answer, Question};

/// Longest line: names are short, and a line holds a few.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// What an agent says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// First of all, by agents of releases whose builds have no names. A guard of another kind made
    /// room for one of that kind. One of this release serves such an agent too, if its fence is the
    /// same.
    Hello(Kind),
    /// First of all. The guard says who it is, and goes on guarding. One of an earlier release does
    /// not know the word, and hangs up.
    Meet,
    /// A candidate waits for the guard's place.
    Relieved,
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
    /// It goes.
    Leaving,
    /// Who it is.
    Met(Card),
    /// An answer.
    Answered(Answer),
    Pong,
}

/// What tells guards of different builds and settings apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Card {
    /// Build of the program.
    #[serde(default)]
    pub(super) build: Build,
    /// How long after the last acknowledged heartbeat it acts.
    pub(super) fence: Duration,
    /// It guards. One that does not waits for the place of another guard.
    pub(super) on_duty: bool,
}

impl Card {
    /// Says whether both are guards of one build with the same settings.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        // Taken apart, so that a field to come is not forgotten.
        let Self { build, fence, on_duty: _ } = self;
        *build == other.build && *fence == other.fence
    }
}

/// What told guards apart when builds had no names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kind {
    /// Of the program.
    pub(super) version: String,
    /// How long after the last acknowledged heartbeat it acts.
    pub(super) fence: Duration,
}

impl Kind {
    /// The kind of no guard at all: one of an earlier release leaves when an agent wants one of
    /// this kind.
    pub(super) fn of_nobody() -> Self {
        Self { version: String::new(), fence: Duration::MAX }
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
        let words = [Word::Meet, Word::Hello(Kind::of_nobody()), Word::Fed { sent_at: Duration::MAX }, Word::Ping];
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

    /// What agents and guards of commit a7154bc say, byte for byte: they are still there while a
    /// fleet is upgraded.
    #[test]
    fn words_of_the_release_before_are_understood() {
        let hello = r#"{"hello":{"version":"0.1.0","fence":{"secs":45,"nanos":0}}}"#;
        let kind = Kind { version: "0.1.0".to_owned(), fence: Duration::from_secs(45) };
        assert_eq!(serde_json::from_str::<Word>(hello).unwrap(), Word::Hello(kind));
        let fed = r#"{"fed":{"sent_at":{"secs":7,"nanos":5}}}"#;
        assert_eq!(serde_json::from_str::<Word>(fed).unwrap(), Word::Fed { sent_at: Duration::new(7, 5) });
        for (said, word) in [(r#""ping""#, Word::Ping), (r#""dismissed""#, Word::Dismissed)] {
            assert_eq!(serde_json::from_str::<Word>(said).unwrap(), word);
            assert_eq!(serde_json::to_string(&word).unwrap(), said);
        }
        for (said, reply) in
            [(r#""ready""#, Reply::Ready), (r#""leaving""#, Reply::Leaving), (r#""pong""#, Reply::Pong)]
        {
            assert_eq!(serde_json::from_str::<Reply>(said).unwrap(), reply);
            assert_eq!(serde_json::to_string(&reply).unwrap(), said);
        }
    }

    #[test]
    fn card_of_a_later_release_is_read() {
        let said = r#"{"met":{"build":"9.0.0","fence":{"secs":45,"nanos":0},"on_duty":true,"added":[1]}}"#;
        let Reply::Met(card) = serde_json::from_str(said).unwrap() else { panic!("it is a card") };
        let own = Card { build: Build::new("0.1.0"), ..card.clone() };
        assert!(!card.is_alike(&own) && own.is_alike(&Card { on_duty: false, ..own.clone() }));
        assert!(!own.is_alike(&Card { fence: Duration::from_secs(44), ..own.clone() }));
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
