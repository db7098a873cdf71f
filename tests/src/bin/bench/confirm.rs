//! Whether everything happened that was due, and once: counted from outside, in the history as a plain NATS client reads it and in
//! the journal of the engines.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    ops::Range,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use tickmesh_core::{history::RunSummary, outcome::Outcome};
use tickmesh_messaging::StreamKind;
use tickmesh_tests::chaos::lives::{End, Life};
use tokio::time::{Instant, sleep, timeout};

use crate::stage::{Stage, context};

/// How long reading the history may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long after the last instant the last run may end.
const LAST_RUN_PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two looks at whether it has.
const LOOK_PAUSE: Duration = Duration::from_secs(2);
/// Examples that an error gives of each problem.
const EXAMPLES: usize = 3;

/// An app and an instant of it.
pub(crate) type Due = (String, Timestamp);

/// How late the runs were.
#[derive(Debug, Default)]
pub(crate) struct Confirmed {
    /// The process of the container started.
    pub(crate) started: Vec<SignedDuration>,
    /// The run was stored in the history.
    pub(crate) ended: Vec<SignedDuration>,
}

/// The history as far as it was read. The stream keeps the last runs of each app only: who measures for longer reads it now and then.
#[derive(Default)]
pub(crate) struct History {
    runs: Vec<Run>,
    /// Sequence of the last message.
    through: u64,
}

/// A run in the history.
struct Run {
    stored: Timestamp,
    summary: RunSummary,
}

/// What did not happen as it should.
#[derive(Debug, Default)]
struct Problems {
    lost: Vec<Due>,
    /// Runs that nobody asked for, with when they began if they had no instant.
    not_due: Vec<Due>,
    doubled: Vec<Due>,
    unsuccessful: Vec<Due>,
    /// Runs of which there was not exactly one container, or whose container did not exit by itself.
    containers: Vec<Due>,
    /// Containers of no run.
    strange: Vec<String>,
}

/// Looks again until all is as it should be, but not for ever: the last runs may still be on their way.
pub(crate) async fn settled<T>(mut look: impl AsyncFnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let deadline = Instant::now() + LAST_RUN_PATIENCE;
    loop {
        match look().await {
            Err(_) if Instant::now() < deadline => sleep(LOOK_PAUSE).await,
            result => return result,
        }
    }
}

/// Checks everything that was `due`, and that within the window nothing else was, and no container started before its end that no
/// run explains.
pub(crate) async fn confirm(
    stage: &Stage,
    history: &mut History,
    due: &BTreeSet<Due>,
    window: Range<Timestamp>,
) -> anyhow::Result<Confirmed> {
    history.read_on(stage).await?;
    let mut lives: BTreeMap<String, Vec<Life>> = BTreeMap::new();
    for life in stage.lives() {
        lives.entry(life.attempt.uid.clone()).or_default().push(life);
    }
    let (mut problems, mut confirmed) = (Problems::default(), Confirmed::default());
    let mut missing = due.clone();
    for Run { stored, summary } in &history.runs {
        let lives = lives.remove(&summary.uid.to_string()).unwrap_or_default();
        let instant = summary.scheduled_at.unwrap_or(summary.started_at);
        if !window.contains(&instant) {
            continue;
        }
        let run = (summary.app.to_string(), instant);
        if !due.contains(&run) {
            problems.not_due.push(run);
        } else if !missing.remove(&run) {
            problems.doubled.push(run);
        } else if summary.outcome != Outcome::Succeeded {
            problems.unsuccessful.push(run);
        } else if let [Life { started, ended: Some((_, End::Exited)), .. }] = lives[..] {
            confirmed.started.push(started.duration_since(instant));
            confirmed.ended.push(stored.duration_since(instant));
        } else {
            problems.containers.push(run);
        }
    }
    problems.lost = missing.into_iter().collect();
    let strange = lives.into_values().flatten().filter(|life| life.started < window.end);
    problems.strange = strange.map(|life| life.attempt.to_string()).collect();
    problems.ensure_none()?;
    Ok(confirmed)
}

impl Problems {
    fn ensure_none(&self) -> anyhow::Result<()> {
        let Self { lost, not_due, doubled, unsuccessful, containers, strange } = self;
        ensure_none([
            some("lost", lost),
            some("not due", not_due),
            some("doubled", doubled),
            some("not successful", unsuccessful),
            some("without exactly one container that exited", containers),
            some("containers of no run", strange),
        ])
    }
}

/// Fails with the texts that are there.
pub(crate) fn ensure_none<const KINDS: usize>(problems: [Option<String>; KINDS]) -> anyhow::Result<()> {
    let texts: Vec<_> = problems.into_iter().flatten().collect();
    ensure!(texts.is_empty(), "{}", texts.join("; "));
    Ok(())
}

/// What to say of problems of one kind, if there are any.
pub(crate) fn some(what: &str, found: &[impl Debug]) -> Option<String> {
    let examples = &found[..found.len().min(EXAMPLES)];
    (!found.is_empty()).then(|| format!("{} {what}, for example {examples:?}", found.len()))
}

impl History {
    /// Reads what has come since.
    pub(crate) async fn read_on(&mut self, stage: &Stage) -> anyhow::Result<()> {
        timeout(PATIENCE, self.read(stage)).await.context("it does not come").flatten().context("read the history")
    }

    async fn read(&mut self, stage: &Stage) -> anyhow::Result<()> {
        let name = stage.world.mesh.names().stream(StreamKind::History);
        let stream = context(&stage.world).await?.get_stream(name).await?;
        let end = stream.cached_info().state.last_sequence;
        if self.through >= end {
            return Ok(());
        }
        let deliver_policy = DeliverPolicy::ByStartSequence { start_sequence: self.through + 1 };
        let config = pull::OrderedConfig { deliver_policy, ..pull::OrderedConfig::default() };
        let mut messages = stream.create_consumer(config).await?.messages().await?;
        while self.through < end {
            let message = messages.next().await.context("the server ends the reading")??;
            let info = message.info().map_err(|problem| anyhow::anyhow!("{problem}"))?;
            let stored = Timestamp::from_nanosecond(info.published.unix_timestamp_nanos())?;
            self.through = info.stream_sequence;
            self.runs.push(Run { stored, summary: serde_json::from_slice(&message.payload)? });
        }
        Ok(())
    }
}
