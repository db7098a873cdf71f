//! `tickmesh logs --follow`: what is stored, then what comes, until the run has ended and its output is complete.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::StreamExt;
use jiff::Timestamp;
use tickmesh_client::{
    requests::{News, Watch},
    transcript::{State, Transcript, Writer},
    views::attempt::{End, end},
    when,
};
use tickmesh_core::{
    history::RunSummary,
    id::{AttemptId, RunToken},
    name::{AgentName, AppName},
    outcome::Outcome,
    timing::Timing,
};
use tickmesh_messaging::{LogFilter, LogNews, Mesh};
use tokio::time::{Instant, sleep_until};

use super::{
    Args, KnownRun, check_names, deliver, ensure_begun, known_runs, newest, print_stored, silent, tail::Tail,
    tell_silent,
};
use crate::{commands::Session, exit::Exit};

/// How long the last words of an attempt are waited for after its run has ended, and nothing else came meanwhile. An agent tells an end
/// once the output is stored, or two seconds later; one that is lost never says a last word.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(10);
/// Longest wait for output that the agent holds back until the end: it takes some seconds for each, four at a time.
const TAIL_WITHIN: Duration = Duration::from_secs(120);

/// From the end of a run, for so long its output is waited for while the agent that has it is heard.
const AGENT_WITHIN: Duration = Duration::from_secs(600);

/// Prints a run's output until it has ended.
pub(super) async fn run(session: &Session, mesh: &Mesh, args: &Args) -> anyhow::Result<Exit> {
    let app = &args.target.app;
    // From here on, nothing that happens to a run is missed.
    let mut watch = Watch::begin(mesh, app).await?;
    let runs = known_runs(mesh, app).await?;
    let wanted = args.target.run.or_else(|| newest(&runs));
    let found = runs.into_iter().find(|run| Some(run.view.run) == wanted);
    let run = match (found, wanted) {
        (Some(run), _) => run,
        (None, Some(number)) => {
            ensure_begun(mesh, app, number).await?;
            return print_stored(session, mesh, args, number, None).await;
        }
        (None, None) => {
            session.output.talk(&format!("app {app}: waiting for its first run"));
            begun(&mut watch, app).await?
        }
    };
    check_names(args, run.view.run, Some(&run))?;
    Follow::new(session, mesh, args, run).finish(&mut watch).await
}

/// Waits for a run to begin.
async fn begun(watch: &mut Watch, app: &AppName) -> anyhow::Result<KnownRun> {
    loop {
        match watch.next().await? {
            News::Ledger(ledger) => {
                if let Some(run) = ledger.active.first() {
                    return Ok(KnownRun::of_active(app, run));
                }
            }
            // It was short.
            News::Ended(summary) => return Ok(KnownRun::of_summary(&summary)),
        }
    }
}

/// The following of one run.
struct Follow<'a> {
    session: &'a Session,
    mesh: &'a Mesh,
    args: &'a Args,
    run: KnownRun,
    transcript: Transcript,
    /// Sequence of the last batch.
    seen: u64,
    ending: Option<Ending>,
    /// Where attempts are or were.
    agents: BTreeMap<Writer, AgentName>,
}

/// What is waited for once the run has ended.
struct Ending {
    /// What was stored when the end was known: everything up to here is to be printed.
    last_sequence: u64,
    /// The attempts that ran to an end.
    writers: Vec<Writer>,
    /// The attempts of which nobody will say a last word.
    lost: BTreeSet<Writer>,
    /// When it was, by the clock of the leader.
    at: Timestamp,
    /// When something came for the last time.
    since: Instant,
}

impl<'a> Follow<'a> {
    fn new(session: &'a Session, mesh: &'a Mesh, args: &'a Args, run: KnownRun) -> Self {
        let (transcript, agents) = (Transcript::default(), BTreeMap::new());
        Self { session, mesh, args, run, transcript, seen: 0, ending: None, agents }
    }

    async fn finish(mut self, watch: &mut Watch) -> anyhow::Result<Exit> {
        let args = self.args;
        let sink = args.sink(self.session, Some(&self.run));
        let filter = args.filter(self.run.view.run, Some(&self.run));
        let mut tail = args.tail.map(Tail::new);
        let mut news = self.mesh.logs().follow(filter.clone()).await?;
        // Of one that ended before, the watch may not tell: only the last ten of an app are kept.
        if let Some(summary) = self.run.summary.take() {
            self.ends(&summary, &filter).await?;
        }
        while !self.is_over() {
            let deadline = self.deadline();
            tokio::select! {
                item = news.next() => match item.transpose()? {
                    Some(LogNews::Batch { sequence, batch }) => {
                        self.agents.insert(writer(&batch.attempt), batch.agent.clone());
                        deliver(args.wanted(self.transcript.fold(&batch)), tail.as_mut(), &sink)?;
                        self.came(sequence);
                    }
                    Some(LogNews::CaughtUp) => sink.print(&tail.take().map(Tail::into_lines).unwrap_or_default())?,
                    None => anyhow::bail!("the output of run {} cannot be followed any more", self.run.view.name()),
                },
                happened = watch.next(), if self.ending.is_none() => {
                    if let News::Ended(summary) = happened? && summary.uid == self.run.uid {
                        self.ends(&summary, &filter).await?;
                    }
                },
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    if !self.may_come().await? {
                        break;
                    }
                }
            }
        }
        let silent = self.silent();
        deliver(args.wanted(self.transcript.finish()), tail.as_mut(), &sink)?;
        sink.print(&tail.map(Tail::into_lines).unwrap_or_default())?;
        tell_silent(self.session, &silent);
        // A program that reads this must not take a part for the whole.
        Ok(if silent.is_empty() { Exit::Success } else { Exit::Failed })
    }

    async fn ends(&mut self, summary: &RunSummary, filter: &LogFilter) -> anyhow::Result<()> {
        let last_sequence = self.mesh.logs().last_sequence(filter).await?;
        let mut lost = BTreeSet::new();
        for report in self.mesh.results().of_run(&summary.app, RunToken::new(summary.run, summary.uid)).await? {
            let writer = writer(&report.value.attempt);
            if matches!(end(&report.value.event), Some(End::Outcome(Outcome::Lost { .. }))) {
                lost.insert(writer.clone());
            }
            self.agents.insert(writer, report.value.agent);
        }
        let writers = self.args.writers(&KnownRun::of_summary(summary));
        self.ending = Some(Ending { last_sequence, writers, lost, at: summary.finished_at, since: Instant::now() });
        Ok(())
    }

    /// Whether the rest is waited for once more: an agent that is heard stores what it has, once it can.
    async fn may_come(&mut self) -> anyhow::Result<bool> {
        let silent = self.silent();
        let Some(ending) = &mut self.ending else { return Ok(true) };
        let now = self.mesh.agents().clock().await?;
        if when::between(ending.at, now) >= AGENT_WITHIN {
            return Ok(false);
        }
        let agents = self.mesh.agents().list().await?;
        let is_heard = |name: &AgentName| {
            let entry = agents.iter().find(|entry| entry.value.agent == *name);
            entry.is_some_and(|entry| !entry.value.stopped && when::between(entry.at, now) < Timing::default().stale)
        };
        let mut owing = silent.iter().filter(|writer| !ending.lost.contains(writer));
        let comes = owing.any(|writer| self.agents.get(writer).is_some_and(is_heard));
        if comes {
            ending.since = Instant::now();
        }
        Ok(comes)
    }

    fn came(&mut self, sequence: u64) {
        self.seen = sequence;
        if let Some(ending) = &mut self.ending {
            ending.since = Instant::now();
        }
    }

    /// The attempts whose last words have not come.
    fn silent(&self) -> Vec<Writer> {
        silent(&self.transcript, self.ending.as_ref().map_or(&[], |ending| &ending.writers))
    }

    fn is_over(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| self.seen >= ending.last_sequence) && self.silent().is_empty()
    }

    /// When nothing is waited for any more. What is known to be stored is waited for however long it takes.
    fn deadline(&self) -> Option<Instant> {
        let ending = self.ending.as_ref().filter(|ending| self.seen >= ending.last_sequence)?;
        let held_back = self.transcript.unended().any(|(_, state)| state == State::HeldBack);
        Some(ending.since + if held_back { TAIL_WITHIN } else { LAST_WORDS_WITHIN })
    }
}

fn writer(attempt: &AttemptId) -> Writer {
    Writer { service: attempt.service.to_string(), replica: attempt.replica, attempt: attempt.attempt }
}
