//! Streams read in one round trip, for whoever only looks at them.
//!
//! A direct get is answered by any server that has a copy of the stream, with many messages at a time. That server may lag
//! behind, or be cut off from its cluster. So the stream's leader is asked at the same time how far the stream has come, and a
//! copy that has not come so far is asked again. Where there are no direct gets (an administrator has turned them off, or the
//! login has no right to them), or where a mesh is too large for them, the caller reads with a consumer, which takes some
//! more round trips.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_nats::{Message, jetstream::message::StreamMessage};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use crate::{
    denials,
    error::{Error, NoAnswer, Source},
    store::{Store, stored},
    wire::Stored,
};

/// Looks at a copy that lags behind, or does not answer, before a consumer reads instead. A copy lags by milliseconds; one on a
/// server that is cut off from the others is asked now and then, and never answers.
const LOOKS_MAX: usize = 5;
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// How much longer than the stream's leader a copy may take to begin with its answer.
const COPY_LATER_MAX: Duration = Duration::from_millis(250);
/// Messages of one answer. The server gives no more than 1,024 subjects at once.
const PAGE_MESSAGES: usize = 1_024;

/// What is asked of a copy.
#[derive(Debug, Clone, Default, Serialize)]
struct Question<'a> {
    /// The last message of each subject that this filter lets through.
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_last: Option<[&'a str; 1]>,
    /// Every message that this filter lets through.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_by_subj: Option<&'a str>,
    /// The first sequence that is wanted; 0: any.
    #[serde(skip_serializing_if = "is_zero")]
    seq: u64,
    /// The last sequence that counts; 0: the end of the copy.
    #[serde(skip_serializing_if = "is_zero")]
    up_to_seq: u64,
    batch: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What a copy has answered.
#[derive(Debug, Default)]
struct Page {
    messages: Vec<Stored>,
    /// Messages that did not fit.
    pending: u64,
    /// Where the copy ends, as far as it says so.
    end: u64,
}

/// What came of asking a copy.
#[derive(Debug)]
enum Copied {
    Page(Page),
    /// Nothing in time.
    Silent,
    /// There is no answer of this kind here.
    Unable,
}

/// How long a copy may take of which nobody knows how far away it is.
const ALONE_MAX: Duration = Duration::from_secs(2);

/// The last message of each subject of a stream.
#[derive(Debug)]
pub(crate) struct LastOfEach {
    /// In the order in which they were stored. `None`: a consumer has to read them.
    pub(crate) messages: Option<Vec<Stored>>,
    /// The clock that messages are stamped with.
    pub(crate) clock: Timestamp,
}

impl Store {
    /// Looks at the last message of each subject.
    pub(crate) async fn look_at_last(&self) -> Result<LastOfEach, Error> {
        let filter = self.names.subjects(self.kind);
        let question = Question { multi_last: Some([&filter]), batch: PAGE_MESSAGES, ..Question::default() };
        let (word, mut seen, took) = self.beside(self.leader_word(), &question).await;
        let word = word?;
        for _ in 0..LOOKS_MAX {
            if let Copied::Page(page) = seen {
                let is_empty = page.messages.is_empty() && word.messages == 0;
                if is_empty || page.end >= word.last_sequence {
                    return Ok(LastOfEach { messages: Some(page.messages), clock: word.clock });
                }
                sleep(LOOK_PAUSE).await;
            } else if let Copied::Unable = seen {
                break;
            }
            debug!(stream = self.name, "asking a copy again");
            seen = self.ask_copy(&question, took + COPY_LATER_MAX).await;
        }
        Ok(LastOfEach { messages: None, clock: word.clock })
    }

    /// Asks a copy and, at the same time, the stream's leader. Returns how long that one took, too.
    async fn beside<T>(&self, leader: impl Future<Output = T>, question: &Question<'_>) -> (T, Copied, Duration) {
        let (begun, answers) = (Instant::now(), AtomicBool::new(false));
        let mut copy = Box::pin(self.ask_copy_telling(question, self.link.request_timeout, &answers));
        let mut leader = Box::pin(leader);
        let mut seen = None;
        let word = loop {
            tokio::select! {
                word = &mut leader => break word,
                page = &mut copy, if seen.is_none() => seen = Some(page),
            }
        };
        let took = begun.elapsed();
        let seen = match seen {
            Some(seen) => seen,
            None => match timeout(took + COPY_LATER_MAX, &mut copy).await {
                Ok(seen) => seen,
                // A large answer takes its time.
                Err(_) if answers.load(Ordering::Relaxed) => copy.await,
                Err(_) => Copied::Silent,
            },
        };
        (word, seen, took)
    }

    /// Looks at every message that a filter lets through. `None`: a consumer has to read them.
    pub(crate) async fn look_at_all(&self, filter: &str) -> Result<Option<Vec<Stored>>, Error> {
        let question = Question { next_by_subj: Some(filter), seq: 1, batch: PAGE_MESSAGES, ..Question::default() };
        let (last, first, took) = self.beside(self.last(filter), &question).await;
        let Some(last) = last? else { return Ok(Some(Vec::new())) };
        Ok(self.look_through(&question, first, took, last.sequence).await)
    }

    /// Looks at every message above a sequence that a filter lets through. The last one is known to be at `last`.
    pub(crate) async fn look_between(&self, filter: &str, after: u64, last: u64) -> Option<Vec<Stored>> {
        let question =
            Question { next_by_subj: Some(filter), seq: after + 1, batch: PAGE_MESSAGES, ..Question::default() };
        // Nobody else is asked, whose answer would tell how far the server is.
        let first = self.ask_copy(&question, ALONE_MAX).await;
        self.look_through(&question, first, ALONE_MAX, last).await
    }

    /// Looks again until a copy has the message at `last`.
    async fn look_through(
        &self,
        question: &Question<'_>,
        first: Copied,
        took: Duration,
        last: u64,
    ) -> Option<Vec<Stored>> {
        let mut seen = first;
        for _ in 0..LOOKS_MAX {
            if let Copied::Page(page) = seen {
                if page.messages.last().is_some_and(|stored| stored.sequence >= last) {
                    return Some(page.messages);
                }
                sleep(LOOK_PAUSE).await;
            } else if let Copied::Unable = seen {
                break;
            }
            seen = self.ask_copy(question, took + COPY_LATER_MAX).await;
        }
        None
    }

    /// Asks a copy, until it has answered everything. Each part of the answer may take so long.
    async fn ask_copy(&self, question: &Question<'_>, time: Duration) -> Copied {
        self.ask_copy_telling(question, time, &AtomicBool::new(false)).await
    }

    /// Like [`Self::ask_copy`], and tells when the answer has begun.
    async fn ask_copy_telling(&self, question: &Question<'_>, time: Duration, answers: &AtomicBool) -> Copied {
        let mut whole = Page::default();
        let mut question = question.clone();
        loop {
            let page = match self.ask_page(&question, time, answers).await {
                Ok(Some(page)) => page,
                Ok(None) => return Copied::Unable,
                Err(problem) => {
                    debug!(stream = self.name, %problem, "no direct get");
                    let is_late = matches!(problem.downcast_ref(), Some(NoAnswer::Late(_)));
                    return if is_late { Copied::Silent } else { Copied::Unable };
                }
            };
            let last = page.messages.last().map(|stored| stored.sequence);
            whole.end = if question.up_to_seq == 0 { page.end } else { whole.end };
            whole.messages.extend(page.messages);
            match last {
                Some(last) if page.pending > 0 => {
                    // The rest as of the same moment.
                    (question.seq, question.up_to_seq) =
                        (last + 1, if question.multi_last.is_some() { whole.end } else { 0 });
                }
                Some(_) | None => return Copied::Page(whole),
            }
        }
    }

    /// Asks a copy once. `Ok(None)`: the server has no such answer, or too much for one.
    async fn ask_page(
        &self,
        question: &Question<'_>,
        time: Duration,
        answers: &AtomicBool,
    ) -> Result<Option<Page>, Source> {
        let client = &self.link.client;
        let inbox = client.new_inbox();
        let mut parts = client.subscribe(inbox.clone()).await?;
        let body = serde_json::to_vec(question)?;
        client.publish_with_reply(format!("$JS.API.DIRECT.GET.{}", self.name), inbox, body.into()).await?;
        let mut page = Page::default();
        loop {
            let answer = denials::within(time, parts.next(), &self.link.denials, &self.name).await?;
            answers.store(true, Ordering::Relaxed);
            let Some(answer) = answer else { return Ok(None) };
            match answer.status.map(|status| status.as_u16()) {
                None => page.messages.push(stored(StreamMessage::try_from(answer)?)?),
                Some(END_OF_BATCH) => {
                    page.pending = number(&answer, "Nats-Num-Pending");
                    page.end = number(&answer, "Nats-UpTo-Sequence");
                    return Ok(Some(page));
                }
                Some(NOTHING_FOUND) => return Ok(Some(page)),
                // Nobody answers such requests, or there are too many subjects.
                Some(_) => return Ok(None),
            }
        }
    }
}

/// Status of the answer behind the last message.
const END_OF_BATCH: u16 = 204;
/// Status of the only answer where no message fits.
const NOTHING_FOUND: u16 = 404;

/// A number in the header of an answer; 0: it has none.
fn number(answer: &Message, header: &str) -> u64 {
    let value = answer.headers.as_ref().and_then(|headers| headers.get(header));
    value.and_then(|value| value.as_str().parse().ok()).unwrap_or(0)
}
