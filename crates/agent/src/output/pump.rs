//! Follows the output of one container and stores it.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use tickmesh_core::{id::AttemptId, message::LogBatch, name::AgentName};
use tickmesh_messaging::{LogFilter, Logs, RunSelector};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::batcher::{Batcher, End, Progress};
use crate::{
    attempt::OutputFrom,
    backoff::Backoff,
    engine::{ContainerEngine, ContainerId, Error},
    error::chain,
};

/// A line is on its way after this long at the latest: what somebody who watches takes for "at once".
const FLUSH_DELAY: Duration = Duration::from_millis(200);

/// The way of one attempt's output.
#[derive(Debug, Clone)]
pub struct Pump<E> {
    /// The engine.
    pub engine: E,
    /// Where output is stored.
    pub logs: Logs,
    /// The agent.
    pub agent: AgentName,
    /// The attempt.
    pub attempt: AttemptId,
    /// Its container.
    pub container: ContainerId,
    /// Bytes kept at most.
    pub bytes_max: usize,
}

impl<E: ContainerEngine> Pump<E> {
    /// Stores the output until the container has ended, which `ended` tells.
    pub async fn run(self, from: OutputFrom, ended: CancellationToken) {
        let progress = match from {
            OutputFrom::Beginning => Progress::default(),
            OutputFrom::LastStored => self.progress().await,
        };
        if progress.end == End::Stored {
            return;
        }
        let mut batcher = Batcher::new(self.attempt.clone(), self.agent.clone(), self.bytes_max, progress);
        self.follow_to_the_end(&mut batcher, ended).await;
        self.store(batcher.finish()).await;
    }

    /// A stream that ends proves little: the engine may be going down, or may not have given the last line yet. So the last
    /// look is one that began after the container had ended.
    async fn follow_to_the_end(&self, batcher: &mut Batcher, ended: CancellationToken) {
        let mut backoff = Backoff::default();
        loop {
            let is_last_look = ended.is_cancelled();
            match self.follow(batcher).await {
                Ok(()) if is_last_look => return,
                Ok(()) => {
                    let _ = ended.run_until_cancelled(backoff.pause()).await;
                }
                Err(Error::NotFound { .. }) => return,
                Err(error) => {
                    tracing::debug!(attempt_id = %self.attempt, error = %chain(&error), "output interrupted");
                    backoff.pause().await;
                }
            }
        }
    }

    /// Follows the output, from where the batcher stands to its end or until the engine fails.
    async fn follow(&self, batcher: &mut Batcher) -> Result<(), Error> {
        let mut lines = self.engine.logs(&self.container, batcher.after());
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
            let Some(line) = line else { return Ok(()) };
            self.store_all(batcher.push(line?)).await;
            if !batcher.is_empty() {
                due = due.or_else(|| Some(Instant::now() + FLUSH_DELAY));
            }
        }
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
                Err(error) => {
                    tracing::debug!(attempt_id = %self.attempt, error = %chain(&error), "stored output not read yet")
                }
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
