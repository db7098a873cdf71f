//! `tickmesh logs`: what containers wrote, also when container and host are long gone.

use std::collections::{BTreeMap, VecDeque};

use futures_util::StreamExt;
use tickmesh_core::{id::RunNumber, name::AppName};
use tickmesh_messaging::{LogFilter, Mesh, RunSelector};

use super::{Session, runs::finished, stored_app};
use crate::{
    exit::{BadInput, Exit},
    output::Output,
    target::OutputTarget,
    transcript::{Line, Transcript},
    views::{Tone, run::RunView},
};

/// Tones that tell replicas apart.
const TONES: [Tone; 4] = [Tone::Busy, Tone::Good, Tone::Unsure, Tone::Bad];
/// Most lines of a replica that are held back for `--tail`.
const TAIL_MAX: u32 = 100_000;

/// What `logs` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An app (its newest run), a run, a service of it, or one replica
    #[arg(value_name = "APP[/RUN[/SERVICE[/REPLICA]]]")]
    target: OutputTarget,
    /// Only the last lines of each replica
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(0..=i64::from(TAIL_MAX)))]
    tail: Option<u32>,
    /// Show when each line was written
    #[arg(long, short = 't')]
    timestamps: bool,
}

/// Prints stored output, in the order in which it was stored.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let OutputTarget { app, run, service, replica } = &args.target;
    let mesh = session.mesh.open().await?;
    let runs = known_runs(&mesh, app).await?;
    let Some(number) = run.or_else(|| runs.iter().map(|run| run.run).max()) else {
        session.output.talk(&format!("app {app} has not run yet"));
        return Ok(Exit::Success);
    };
    let found = runs.iter().find(|run| run.run == number);
    check_names(args, number, found)?;
    let filter = LogFilter {
        app: app.clone(),
        run: Some(RunSelector::Number(number)),
        service: service.clone(),
        replica: *replica,
    };
    let mut sink = Sink { output: session.output, prefix: prefix(args, found), timestamps: args.timestamps };
    let mut tail = args.tail.map(Tail::new);
    let mut transcript = Transcript::default();
    let mut batches = mesh.logs().read(filter).await?;
    while let Some(batch) = batches.next().await.transpose()? {
        deliver(transcript.fold(&batch), tail.as_mut(), &mut sink)?;
    }
    deliver(transcript.finish(), tail.as_mut(), &mut sink)?;
    for line in tail.map(Tail::into_lines).unwrap_or_default() {
        sink.print(&line)?;
    }
    session.output.flush()?;
    Ok(Exit::Success)
}

/// The runs that are known by more than their output.
async fn known_runs(mesh: &Mesh, app: &AppName) -> anyhow::Result<Vec<RunView>> {
    stored_app(mesh, app).await?;
    let ledger = mesh.ledgers().read(app.as_str()).await?;
    let active = ledger.iter().flat_map(|entry| &entry.value.active);
    let mut runs: Vec<RunView> = active.map(|run| RunView::of_active(app, run, &[])).collect();
    runs.extend(finished(mesh, app).await?);
    Ok(runs)
}

/// Refuses a service or a replica that the run does not have. Of a run that is not known any more, there may be output.
fn check_names(args: &Args, number: RunNumber, run: Option<&RunView>) -> anyhow::Result<()> {
    let (Some(run), Some(service)) = (run, &args.target.service) else { return Ok(()) };
    let is_named =
        |name: &str, index: u32| name == service.as_str() && args.target.replica.is_none_or(|wanted| wanted == index);
    if run.replicas.iter().any(|replica| is_named(&replica.service, replica.replica)) {
        return Ok(());
    }
    let app = &args.target.app;
    let what = args.target.replica.map_or(service.to_string(), |index| format!("{service}/{index}"));
    Err(BadInput::new(format!("run {app}/{number} has no `{what}`"))
        .hint(format!("`tickmesh show {app}/{number}`"))
        .into())
}

/// Whether lines say who wrote them.
#[derive(Debug, Clone, Copy)]
enum Prefix {
    /// There is only one who can have.
    None,
    /// In a column of this width.
    Width(usize),
}

fn prefix(args: &Args, run: Option<&RunView>) -> Prefix {
    let replicas = run.map(|run| run.replicas.as_slice()).unwrap_or_default();
    let wanted =
        replicas.iter().filter(|it| args.target.service.as_ref().is_none_or(|name| name.as_str() == it.service));
    match (args.target.replica, wanted.clone().count()) {
        (Some(_), _) | (None, 1) => Prefix::None,
        (None, _) => Prefix::Width(wanted.map(|replica| replica.name().len()).max().unwrap_or_default()),
    }
}

fn deliver(lines: Vec<Line>, tail: Option<&mut Tail>, sink: &mut Sink) -> anyhow::Result<()> {
    match tail {
        Some(tail) => lines.into_iter().for_each(|line| tail.keep(line)),
        None => lines.iter().try_for_each(|line| sink.print(line))?,
    }
    Ok(())
}

/// Where lines go.
struct Sink {
    output: Output,
    prefix: Prefix,
    timestamps: bool,
}

impl Sink {
    fn print(&mut self, line: &Line) -> anyhow::Result<()> {
        let mut bytes = self.prefix_of(line).into_bytes();
        if self.timestamps {
            bytes.extend_from_slice(format!("{} ", line.at).as_bytes());
        }
        bytes.extend_from_slice(&line.text);
        bytes.push(b'\n');
        self.output.bytes(&bytes)
    }

    fn prefix_of(&self, line: &Line) -> String {
        let Prefix::Width(width) = self.prefix else { return String::new() };
        let writer = &line.writer;
        let tone = TONES[writer.replica as usize % TONES.len()];
        let name = format!("{}/{}", writer.service, writer.replica);
        let again = if writer.attempt > 1 { format!(" (attempt {})", writer.attempt) } else { String::new() };
        format!("{} | ", tone.paint(&format!("{name:<width$}{again}")))
    }
}

/// The last lines of each replica.
struct Tail {
    count: usize,
    seen: u64,
    /// With the place of each line among all, so that they come out in order.
    replicas: BTreeMap<(String, u32), VecDeque<(u64, Line)>>,
}

impl Tail {
    fn new(count: u32) -> Self {
        Self { count: count as usize, seen: 0, replicas: BTreeMap::new() }
    }

    fn keep(&mut self, line: Line) {
        self.seen += 1;
        let kept = self.replicas.entry((line.writer.service.clone(), line.writer.replica)).or_default();
        kept.push_back((self.seen, line));
        while kept.len() > self.count {
            kept.pop_front();
        }
    }

    fn into_lines(self) -> Vec<Line> {
        let mut lines: Vec<(u64, Line)> = self.replicas.into_values().flatten().collect();
        lines.sort_by_key(|(place, _)| *place);
        lines.into_iter().map(|(_, line)| line).collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::transcript::Writer;

    fn line(replica: u32, text: &str) -> Line {
        let writer = Writer { service: "s1".to_owned(), replica, attempt: 1 };
        Line { writer, at: Timestamp::UNIX_EPOCH, text: text.as_bytes().to_vec() }
    }

    #[test]
    fn the_tail_of_each_replica_comes_out_in_the_order_of_all() {
        let mut tail = Tail::new(1);
        for (replica, text) in [(0, "a"), (1, "b"), (0, "c"), (1, "d"), (1, "e")] {
            tail.keep(line(replica, text));
        }
        let texts: Vec<_> = tail.into_lines().into_iter().map(|line| String::from_utf8(line.text).unwrap()).collect();
        assert_eq!(texts, ["c", "e"]);
    }

    #[test]
    fn a_tail_of_nothing_is_nothing() {
        let mut tail = Tail::new(0);
        tail.keep(line(0, "a"));
        assert_eq!(tail.into_lines(), []);
    }
}
