//! `tickmesh logs --follow`: what is stored, then what comes, until the run has ended and its output is complete.

use std::time::Duration;

use futures_util::StreamExt;
use tickmesh_client::{
    requests::{News, Watch},
    transcript::{State, Transcript, Writer},
};
use tickmesh_core::{history::RunSummary, id::RunNumber, outcome::Outcome};
use tickmesh_messaging::{LogFilter, LogNews, Mesh};
use tokio::time::{Instant, sleep_until};

use super::{Args, KnownRun, check_names, deliver, known_runs, newest, print_stored, tail::Tail};
use crate::{commands::Session, exit::Exit};

/// How long the last words of an attempt are waited for after its run has ended, and nothing else came meanwhile. An agent tells an end
/// once the output is stored, or two seconds later; one that is lost never says a last word.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(10);
/// The same where the newest output is held back until the end: an agent takes some seconds for each, four at a time.
const TAIL_WITHIN: Duration = Duration::from_secs(120);

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
        (None, Some(number)) if has_been(mesh, args, number).await? => {
            return print_stored(session, mesh, args, number, None).await;
        }
        (None, _) => {
            let what = wanted.map_or("its first run".to_owned(), |number| format!("run {app}/{number}"));
            session.output.talk(&format!("app {app}: waiting for {what}"));
            begun(&mut watch, args, wanted).await?
        }
    };
    check_names(args, run.view.run, Some(&run))?;
    Follow::new(session, mesh, args, run).finish(&mut watch).await
}

/// Whether a run of that number has been, and nothing but its output is known.
async fn has_been(mesh: &Mesh, args: &Args, number: RunNumber) -> anyhow::Result<bool> {
    let ledger = mesh.ledgers().read(args.target.app.as_str()).await?;
    Ok(ledger.is_some_and(|entry| number <= entry.value.last_run))
}

/// Waits for a run to begin; without a number for any.
async fn begun(watch: &mut Watch, args: &Args, wanted: Option<RunNumber>) -> anyhow::Result<KnownRun> {
    let is_wanted = |number: RunNumber| wanted.is_none_or(|wanted| wanted == number);
    loop {
        match watch.next().await? {
            News::Ledger(ledger) => {
                if let Some(run) = ledger.active.iter().find(|run| is_wanted(run.number)) {
                    return Ok(KnownRun::of_active(&args.target.app, run));
                }
            }
            // It was short.
            News::Ended(summary) if is_wanted(summary.run) => return Ok(KnownRun::of_summary(&summary)),
            News::Ended(_) => {}
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
}

/// What is waited for once the run has ended.
struct Ending {
    /// What was stored when the end was known: everything up to here is to be printed.
    last_sequence: u64,
    /// The attempts that ran to an end.
    writers: Vec<Writer>,
    /// When something came for the last time.
    since: Instant,
}

impl<'a> Follow<'a> {
    fn new(session: &'a Session, mesh: &'a Mesh, args: &'a Args, run: KnownRun) -> Self {
        Self { session, mesh, args, run, transcript: Transcript::default(), seen: 0, ending: None }
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
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => break,
            }
        }
        for writer in self.silent() {
            let Writer { service, replica, attempt } = writer;
            self.session
                .output
                .talk(&format!("the end of the output of {service}/{replica} (attempt {attempt}) has not come"));
        }
        deliver(args.wanted(self.transcript.finish()), tail.as_mut(), &sink)?;
        sink.print(&tail.map(Tail::into_lines).unwrap_or_default())?;
        Ok(Exit::Success)
    }

    async fn ends(&mut self, summary: &RunSummary, filter: &LogFilter) -> anyhow::Result<()> {
        let last = self.mesh.logs().last(filter).await?;
        let last_sequence = last.map_or(0, |entry| entry.sequence);
        self.ending = Some(Ending { last_sequence, writers: self.writers(summary), since: Instant::now() });
        Ok(())
    }

    fn came(&mut self, sequence: u64) {
        self.seen = sequence;
        if let Some(ending) = &mut self.ending {
            ending.since = Instant::now();
        }
    }

    /// The attempts that ran to an end, among what is asked for.
    fn writers(&self, summary: &RunSummary) -> Vec<Writer> {
        let target = &self.args.target;
        let asked_for = summary.replicas.iter().filter(|replica| {
            target.service.as_ref().is_none_or(|service| *service == replica.service)
                && target.replica.is_none_or(|index| index == replica.replica)
        });
        let ran = asked_for.filter(|replica| match replica.outcome {
            Outcome::Succeeded | Outcome::Failed { .. } => true,
            Outcome::TimedOut
            | Outcome::Lost { .. }
            | Outcome::Cancelled
            | Outcome::CouldNotStart { .. }
            | Outcome::Skipped { .. } => false,
        });
        let writer = |replica: &tickmesh_core::history::ReplicaSummary| Writer {
            service: replica.service.to_string(),
            replica: replica.replica,
            attempt: replica.attempts,
        };
        ran.map(writer).collect()
    }

    /// The attempts whose last words have not come.
    fn silent(&self) -> Vec<Writer> {
        let expected = self.ending.iter().flat_map(|ending| &ending.writers);
        let unheard = expected.filter(|writer| self.transcript.state(writer).is_none());
        unheard.chain(self.transcript.unended().map(|(writer, _)| writer)).cloned().collect()
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
