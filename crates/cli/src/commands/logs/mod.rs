//! `tickmesh logs`: what containers wrote, also when container and host are long gone; and what they write, while they do.

mod follow;
mod sink;
mod tail;

use futures_util::StreamExt;
use jiff::Timestamp;
use tickmesh_client::{
    read::{self, KnownRuns},
    transcript::{Line, LineEnd, Transcript, Writer},
    views::run::RunView,
};
use tickmesh_core::{
    compose,
    history::{ReplicaSummary, RunSummary},
    id::{RunNumber, RunToken, RunUid},
    ledger::{ActiveRun, HISTORY_RUNS},
    name::AppName,
    outcome::Outcome,
};
use tickmesh_messaging::{LogFilter, Mesh, RunSelector};

use self::{
    sink::{Prefix, Sink, Times},
    tail::Tail,
};
use super::{Session, which_app::resolve};
use crate::{
    exit::{BadInput, Exit},
    target::OutputTarget,
};

/// Most lines of a replica that are held back for `--tail`.
const TAIL_MAX: u32 = 100_000;

/// Attempts whose end is missing that are named: a run may have thousands.
const SILENT_TOLD_MAX: usize = 10;

/// What `logs` takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// An app (its newest run), a run, a service of it, or one replica
    #[arg(value_name = "APP[/RUN[/SERVICE[/REPLICA]]]", add = crate::completion::apps())]
    target: OutputTarget,
    /// Go on with what is written, until the run has ended
    #[arg(long, short = 'f')]
    follow: bool,
    /// Only the last lines of each replica; with --follow, of what is there at the beginning
    #[arg(long, short = 'n', value_name = "COUNT", value_parser = clap::value_parser!(u32).range(0..=i64::from(TAIL_MAX)))]
    tail: Option<u32>,
    /// Only lines that are not older than that: `10m`, or a moment in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Show when each line was written
    #[arg(long, short = 't')]
    timestamps: bool,
    /// Do not say which replica wrote a line
    #[arg(long)]
    no_prefix: bool,
}

/// A run of which more is known than its output.
struct KnownRun {
    uid: RunUid,
    view: RunView,
    /// What became of it, if it has ended.
    summary: Option<Box<RunSummary>>,
}

impl KnownRun {
    fn of_active(app: &AppName, run: &ActiveRun) -> Self {
        Self { uid: run.uid, view: RunView::of_active(app, run, &[]), summary: None }
    }

    fn of_summary(summary: &RunSummary) -> Self {
        Self { uid: summary.uid, view: RunView::of_summary(summary), summary: Some(Box::new(summary.clone())) }
    }
}

/// Prints output, in the order in which it was stored.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let (app, _) = resolve(&mesh, &args.target.app).await?;
    let args = &Args { target: OutputTarget { app, ..args.target.clone() }, ..args.clone() };
    if args.follow {
        return follow::run(session, &mesh, args).await;
    }
    let app = &args.target.app;
    let runs = known_runs(&mesh, app).await?;
    let Some(number) = args.target.run.or_else(|| newest(&runs)) else {
        session.output.talk(&format!("app {app} has not run yet"));
        return Ok(Exit::Success);
    };
    ensure_begun(&mesh, app, number).await?;
    let found = runs.iter().find(|run| run.view.run == number);
    print_stored(session, &mesh, args, number, found).await
}

/// Prints what is stored of a run.
async fn print_stored(
    session: &Session,
    mesh: &Mesh,
    args: &Args,
    number: RunNumber,
    found: Option<&KnownRun>,
) -> anyhow::Result<Exit> {
    check_names(args, number, found)?;
    let sink = args.sink(session, found);
    let mut tail = args.tail.map(Tail::new);
    let mut transcript = Transcript::default();
    let mut is_stored = false;
    let mut batches = mesh.logs().read(args.filter(number, found)).await?;
    while let Some(batch) = batches.next().await.transpose()? {
        is_stored = true;
        deliver(args.wanted(transcript.fold(&batch)), tail.as_mut(), &sink)?;
    }
    let app = &args.target.app;
    if !is_stored && found.is_none() {
        return Err(BadInput::new(format!("nothing is stored any more of what run {app}/{number} wrote"))
            .hint(format!("`tickmesh runs {app}` lists the last {HISTORY_RUNS}"))
            .into());
    }
    let silent = silent(&transcript, &found.map(|run| args.writers(run)).unwrap_or_default());
    deliver(args.wanted(transcript.finish()), tail.as_mut(), &sink)?;
    sink.print(&tail.map(Tail::into_lines).unwrap_or_default())?;
    match found {
        Some(KnownRun { summary: None, .. }) => {
            session.output.talk(&format!("run {app}/{number} goes on: `--follow` shows what comes"));
        }
        Some(KnownRun { summary: Some(_), .. }) | None => tell_silent(session, &silent),
    }
    Ok(Exit::Success)
}

/// Refuses the number of a run that never was: whoever waits for it would wait for ever.
async fn ensure_begun(mesh: &Mesh, app: &AppName, number: RunNumber) -> anyhow::Result<()> {
    let ledger = mesh.ledgers().read(app.as_str()).await?;
    let last = ledger.map_or(0, |entry| entry.value.last_run);
    if number <= last {
        return Ok(());
    }
    let hint = match last {
        0 => format!("app {app} has not run yet"),
        _ => format!("the last one is {app}/{last}"),
    };
    Err(BadInput::new(format!("there has been no run {app}/{number}")).hint(hint).into())
}

/// The attempts whose last words are not stored: of those that have begun to write, and of those that ran to an end.
fn silent(transcript: &Transcript, ran: &[Writer]) -> Vec<Writer> {
    let unheard = ran.iter().filter(|writer| transcript.state(writer).is_none());
    unheard.chain(transcript.unended().map(|(writer, _)| writer)).cloned().collect()
}

/// Says of which attempts the end is missing.
fn tell_silent(session: &Session, silent: &[Writer]) {
    for Writer { service, replica, attempt } in silent.iter().take(SILENT_TOLD_MAX) {
        let text = format!("the end of the output of {service}/{replica} (attempt {attempt}) has not come");
        session.output.talk(&text);
    }
    if silent.len() > SILENT_TOLD_MAX {
        session.output.talk(&format!("... and of {} more", silent.len() - SILENT_TOLD_MAX));
    }
}

fn deliver(lines: Vec<Line>, tail: Option<&mut Tail>, sink: &Sink) -> anyhow::Result<()> {
    match tail {
        Some(tail) => lines.into_iter().for_each(|line| tail.keep(line)),
        None => sink.print(&lines)?,
    }
    Ok(())
}

impl Args {
    fn sink(&self, session: &Session, run: Option<&KnownRun>) -> Sink {
        let times = if self.timestamps { Times::Shown } else { Times::LeftOut };
        Sink::new(session.output, self.prefix(run), times)
    }

    fn prefix(&self, run: Option<&KnownRun>) -> Prefix {
        let replicas = run.map(|run| run.view.replicas.as_slice()).unwrap_or_default();
        let service = self.target.service.as_ref();
        let wanted = replicas.iter().filter(|it| service.is_none_or(|name| name.as_str() == it.service));
        match (self.target.replica, wanted.clone().count()) {
            (Some(_), _) | (None, 1) => Prefix::None,
            (None, _) if self.no_prefix => Prefix::None,
            (None, _) => Prefix::Width(wanted.map(|replica| replica.name().len()).max().unwrap_or_default()),
        }
    }

    fn filter(&self, number: RunNumber, run: Option<&KnownRun>) -> LogFilter {
        let OutputTarget { app, service, replica, .. } = self.target.clone();
        let selector = match run {
            Some(run) => RunSelector::Token(RunToken::new(number, run.uid)),
            None => RunSelector::Number(number),
        };
        LogFilter { app, run: Some(selector), service, replica }
    }

    /// The attempts of a run that ran to an end, among what is asked for; of a run that goes on, none is known to have.
    fn writers(&self, run: &KnownRun) -> Vec<Writer> {
        let replicas = run.summary.iter().flat_map(|summary| &summary.replicas);
        let asked_for = replicas.filter(|replica| {
            self.target.service.as_ref().is_none_or(|service| *service == replica.service)
                && self.target.replica.is_none_or(|index| index == replica.replica)
        });
        let ran = asked_for.filter(|replica| match replica.outcome {
            Outcome::Succeeded | Outcome::Failed { .. } => true,
            Outcome::TimedOut
            | Outcome::Lost { .. }
            | Outcome::Cancelled
            | Outcome::CouldNotStart { .. }
            | Outcome::Skipped { .. } => false,
        });
        let writer = |replica: &ReplicaSummary| Writer {
            service: replica.service.to_string(),
            replica: replica.replica,
            attempt: replica.attempts,
        };
        ran.map(writer).collect()
    }

    /// The lines that are not too old.
    fn wanted(&self, mut lines: Vec<Line>) -> Vec<Line> {
        if let Some(since) = self.since {
            lines.retain(|line| line.at >= since || line.end == LineEnd::Note);
        }
        lines
    }
}

/// The runs that are known by more than their output.
async fn known_runs(mesh: &Mesh, app: &AppName) -> anyhow::Result<Vec<KnownRun>> {
    let KnownRuns { active, ended } = read::known_runs(mesh, app).await?;
    let active = active.iter().map(|run| KnownRun::of_active(app, run));
    Ok(active.chain(ended.iter().map(KnownRun::of_summary)).collect())
}

fn newest(runs: &[KnownRun]) -> Option<RunNumber> {
    runs.iter().map(|run| run.view.run).max()
}

/// Refuses a service or a replica that the run does not have. Of a run that is not known any more, there may be output.
fn check_names(args: &Args, number: RunNumber, run: Option<&KnownRun>) -> anyhow::Result<()> {
    let (Some(run), Some(service)) = (run, &args.target.service) else { return Ok(()) };
    let is_named =
        |name: &str, index: u32| name == service.as_str() && args.target.replica.is_none_or(|wanted| wanted == index);
    if run.view.replicas.iter().any(|replica| is_named(&replica.service, replica.replica)) {
        return Ok(());
    }
    let app = &args.target.app;
    let what = args.target.replica.map_or(service.to_string(), |index| format!("{service}/{index}"));
    Err(BadInput::new(format!("run {app}/{number} has no `{what}`"))
        .hint(format!("`tickmesh show {app}/{number}`"))
        .into())
}

/// A moment, or how long ago it was.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let ago = compose::duration(text).map_err(|_| "neither a duration such as `10m` nor a moment in RFC 3339")?;
    Timestamp::now().checked_sub(ago).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_moment_is_one_or_a_time_ago() {
        assert_eq!(moment("2026-11-22T08:00:00Z").unwrap().to_string(), "2026-11-22T08:00:00Z");
        for (text, minutes) in [("10m", 10), ("1d", 24 * 60)] {
            let then = moment(text).unwrap();
            let age = Timestamp::now().duration_since(then);
            assert!(age >= SignedDuration::from_mins(minutes) && age < SignedDuration::from_mins(minutes + 1));
        }
        assert!(moment("yesterday").is_err());
    }
}
