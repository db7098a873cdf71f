//! Follows the output of one container and stores it.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, TryStreamExt};
use tickmesh_core::{
    id::AttemptId,
    message::{LogBatch, LogExtent, LogGap},
    name::AgentName,
};
use tickmesh_messaging::{LogFilter, Logs, RunSelector};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Allowance,
    batcher::{Batcher, Phase, Progress},
    newest::Newest,
    reread::{Continuity, Reread},
    tail::{self, Tail},
};
use crate::{
    attempt::OutputFrom,
    backoff::Backoff,
    engine::{ContainerEngine, ContainerId, Error, Excerpt},
    error::chain,
};

/// A line is on its way after this long at the latest: what somebody who watches takes for "at once".
const FLUSH_DELAY: Duration = Duration::from_millis(200);
/// Output that the engine does not have any more, and of which nothing is known.
const UNKNOWN: LogGap = LogGap { bytes: 0, lines: 0, extent: LogExtent::AtLeast };

/// The way of one attempt's output.
#[derive(Debug, Clone)]
pub struct Pump<E> {
    pub engine: E,
    /// Where output is stored.
    pub logs: Logs,
    pub agent: AgentName,
    pub attempt: AttemptId,
    pub container: ContainerId,
    /// What is kept of it.
    pub allowance: Allowance,
    /// Permits to have a tail in memory.
    pub tails: Arc<Semaphore>,
}

/// Why the head is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HeadEnd {
    /// There is no more output.
    Complete,
    /// There is more than the head may have.
    Full,
}

impl<E: ContainerEngine> Pump<E> {
    /// Stores the output until the container has ended, which `ended` tells.
    pub async fn run(self, from: OutputFrom, ended: CancellationToken) {
        let progress = match from {
            OutputFrom::Beginning => Progress::default(),
            OutputFrom::LastStored => self.progress().await,
        };
        let mut batcher = Batcher::new(self.attempt.clone(), self.agent.clone(), progress);
        match progress.phase {
            Phase::Done => return,
            Phase::HeldBack => self.tail(&mut batcher, &ended).await,
            Phase::Head => match self.head(&mut batcher, &ended).await {
                HeadEnd::Complete => {}
                HeadEnd::Full => {
                    self.store(batcher.hold_back()).await;
                    self.tail(&mut batcher, &ended).await;
                }
            },
        }
        self.store(batcher.finish()).await;
    }

    /// Stores what an earlier process has not, of a container that has ended.
    pub async fn finish(self) {
        let ended = CancellationToken::new();
        ended.cancel();
        if !self.is_complete().await {
            self.run(OutputFrom::LastStored, ended).await;
        }
    }

    /// Stores that something is missing, and that nothing follows.
    pub async fn give_up(self) {
        let mut batcher = Batcher::new(self.attempt.clone(), self.agent.clone(), self.progress().await);
        if batcher.progress().phase != Phase::Done {
            self.store_all(batcher.leave_out(UNKNOWN)).await;
            self.store(batcher.finish()).await;
        }
    }

    /// Whether the last batch is stored, by a look at nothing else.
    async fn is_complete(&self) -> bool {
        let mut backoff = Backoff::default();
        loop {
            match self.logs.last_of(&self.attempt, &self.agent).await {
                Ok(last) => return last.is_some_and(|last| last.value.last),
                Err(error) => self.unread(&error),
            }
            backoff.pause().await;
        }
    }

    fn unread(&self, error: &tickmesh_messaging::Error) {
        tracing::debug!(attempt_id = %self.attempt, error = %chain(error), "stored output not read yet");
    }

    /// A stream that ends proves little: the engine may be going down, or may not have given the last line yet. So the last
    /// look is one that began after the container had ended.
    async fn head(&self, batcher: &mut Batcher, ended: &CancellationToken) -> HeadEnd {
        // Nobody sees the first line later for it, and of a container that is over by then the last look is the only one: the engine
        // spends more on a reader than on a line.
        let _ = ended.run_until_cancelled(sleep(FLUSH_DELAY)).await;
        let mut backoff = Backoff::default();
        loop {
            let is_last_look = ended.is_cancelled();
            match self.follow(batcher).await {
                Ok(HeadEnd::Full) => return HeadEnd::Full,
                Ok(HeadEnd::Complete) if is_last_look => return HeadEnd::Complete,
                Ok(HeadEnd::Complete) => {
                    let _ = ended.run_until_cancelled(backoff.pause()).await;
                }
                Err(Error::NotFound { .. }) => return HeadEnd::Complete,
                Err(error) => {
                    self.interrupted(&error);
                    backoff.pause().await;
                }
            }
        }
    }

    /// Follows the output, from where the batcher stands to its end, until the head is full or until the engine fails.
    async fn follow(&self, batcher: &mut Batcher) -> Result<HeadEnd, Error> {
        let mut reread = Reread::new(batcher.progress().marks);
        let mut lines = self.engine.logs(&self.container, Excerpt::Follow { from: reread.from() });
        // When what waits in the batcher has to leave.
        let mut due = None;
        loop {
            let line = tokio::select! {
                line = lines.next() => line,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    due = None;
                    self.store_all(batcher.flush()).await;
                    continue;
                }
            };
            let Some(line) = line else { return Ok(HeadEnd::Complete) };
            let Some(line) = reread.admit(line?) else { continue };
            if batcher.progress().kept_bytes + line.output.len() > self.allowance.head_bytes {
                return Ok(HeadEnd::Full);
            }
            if reread.meets_new() == Continuity::Unproven {
                self.store_all(batcher.leave_out(UNKNOWN)).await;
            }
            self.store_all(batcher.push(&line)).await;
            if !batcher.is_empty() {
                due = due.or_else(|| Some(Instant::now() + FLUSH_DELAY));
            }
        }
    }

    /// Stores the newest output once the container has ended.
    async fn tail(&self, batcher: &mut Batcher, ended: &CancellationToken) {
        ended.cancelled().await;
        // Never closed, so there always is a permit in the end.
        let _permit = self.tails.acquire().await;
        let Tail { gap, mut lines } = self.read_tail(batcher).await;
        if let Some(gap) = gap {
            self.store_all(batcher.leave_out(gap)).await;
        }
        while let Some(line) = lines.pop() {
            self.store_all(batcher.push(&line)).await;
        }
    }

    async fn read_tail(&self, batcher: &Batcher) -> Tail {
        let mut backoff = Backoff::default();
        loop {
            let marks = batcher.progress().marks;
            match tail::read(&self.engine, &self.container, marks, self.allowance.tail_bytes).await {
                Ok(tail) => return tail,
                // There was more, and it is gone with the container.
                Err(Error::NotFound { .. }) => return Tail { gap: Some(UNKNOWN), lines: Newest::new(0) },
                Err(error) => self.interrupted(&error),
            }
            backoff.pause().await;
        }
    }

    fn interrupted(&self, error: &Error) {
        tracing::debug!(attempt_id = %self.attempt, error = %chain(error), "output interrupted");
    }

    async fn store_all(&self, batches: impl IntoIterator<Item = LogBatch>) {
        for batch in batches {
            self.store(batch).await;
        }
    }

    /// Stores a batch, however long it takes: meanwhile the engine keeps what follows.
    async fn store(&self, batch: LogBatch) {
        let mut backoff = Backoff::default();
        while let Err(error) = self.logs.publish(&batch).await {
            tracing::debug!(attempt_id = %self.attempt, error = %chain(&error), "output not stored yet");
            backoff.pause().await;
        }
    }

    /// What an earlier process has stored.
    async fn progress(&self) -> Progress {
        let mut backoff = Backoff::default();
        loop {
            match self.read_progress().await {
                Ok(progress) => return progress,
                Err(error) => self.unread(&error),
            }
            backoff.pause().await;
        }
    }

    async fn read_progress(&self) -> Result<Progress, tickmesh_messaging::Error> {
        let attempt = &self.attempt;
        let filter = LogFilter {
            app: attempt.app.clone(),
            run: Some(RunSelector::Token(attempt.token())),
            service: Some(attempt.service.clone()),
            replica: Some(attempt.replica),
        };
        let mut progress = Progress::default();
        let mut batches = self.logs.read(filter).await?;
        while let Some(batch) = batches.try_next().await? {
            if batch.attempt == *attempt && batch.agent == self.agent {
                progress.note(&batch);
            }
        }
        Ok(progress)
    }
}
