//! Tells what happens to an app, line by line, from the same subjects that any monitor can read.

use std::{collections::BTreeMap, time::Duration};

use futures_util::StreamExt;
use jiff::{Timestamp, tz::TimeZone};
use tickmesh_client::{views::run::RunView, when};
use tickmesh_core::{
    history::RunSummary,
    id::AttemptId,
    message::{Admission, AttemptEvent, AttemptReport, TickRecord},
    name::AppName,
};
use tickmesh_messaging::{Change, Entry, Following, Mesh, Start};
use tokio::time::sleep;

use crate::{
    output::Output,
    views::{Tone, paint},
};

/// The streams are read side by side, so a run's end may be read before that of its last replica. What is told is told in
/// the order in which the server stored it, by its clock, this much later.
const SETTLE: Duration = Duration::from_millis(200);

/// A story that goes on.
pub(crate) struct Story {
    app: AppName,
    zone: TimeZone,
    ticks: Following<Entry<TickRecord>>,
    reports: Following<Change<AttemptReport>>,
    history: Following<Entry<RunSummary>>,
    /// What is not told yet. The number keeps two of the same moment apart.
    held: BTreeMap<(Timestamp, u64), String>,
    heard: u64,
}

impl Story {
    /// Begins to listen; nothing after this is missed.
    pub(crate) async fn begin(mesh: &Mesh, app: &AppName, zone: TimeZone) -> anyhow::Result<Self> {
        let results = mesh.results();
        Ok(Self {
            app: app.clone(),
            zone,
            ticks: mesh.ticks().follow(Some(app), Start::All).await?,
            reports: results.follow(results.last_sequence().await?).await?,
            history: mesh.history().follow(Some(app), Start::All).await?,
            held: BTreeMap::new(),
            heard: 0,
        })
    }

    /// Tells until that many runs have ended.
    pub(crate) async fn tell(&mut self, output: Output, runs: usize) -> anyhow::Result<()> {
        let mut ended = 0;
        while ended < runs || !self.held.is_empty() {
            let settled = sleep(self.settles_in());
            tokio::select! {
                Some(tick) = self.ticks.next() => { let tick = tick?; self.hold(tick.at, self.tick(&tick)) }
                Some(change) = self.reports.next() => {
                    if let Change::Entry(entry) = change?
                        && entry.value.attempt.app == self.app
                    {
                        self.hold(entry.at, report(&entry.value));
                    }
                }
                Some(summary) = self.history.next() => {
                    let summary = summary?;
                    self.hold(summary.at, end(&summary));
                    ended += 1;
                }
                () = settled, if !self.held.is_empty() => self.print_first(output)?,
                else => anyhow::bail!("the streams of the mesh have ended"),
            }
        }
        Ok(())
    }

    fn hold(&mut self, at: Timestamp, line: String) {
        self.heard += 1;
        self.held.insert((at, self.heard), line);
    }

    fn settles_in(&self) -> Duration {
        let now = Timestamp::now();
        self.held.first_key_value().map_or(SETTLE, |((at, _), _)| SETTLE.saturating_sub(when::between(*at, now)))
    }

    fn print_first(&mut self, output: Output) -> anyhow::Result<()> {
        if let Some(((at, _), line)) = self.held.pop_first() {
            output.line(&format!("{}  {line}", self.clock(at, "%H:%M:%S%.3f")))?;
        }
        output.flush()
    }

    fn tick(&self, entry: &Entry<TickRecord>) -> String {
        let tick = &entry.value;
        let what = match &tick.admission {
            Admission::Start { run } => format!("starts run {}/{run}", self.app),
            Admission::Enqueue { waiting } => format!("waits in the queue, at place {waiting}"),
            Admission::Drop { reason } => format!("is dropped: {reason}"),
            Admission::Skip { reason, .. } => format!("is skipped: {reason}"),
            Admission::Discard { reason, .. } => format!("leaves the queue: {reason}"),
        };
        paint(Tone::Busy, &format!("tick of {} {what}", self.clock(tick.scheduled_at, "%H:%M:%S")))
    }

    fn clock(&self, at: Timestamp, format: &str) -> String {
        at.to_zoned(self.zone.clone()).strftime(format).to_string()
    }
}

fn report(report: &AttemptReport) -> String {
    let what = match &report.event {
        AttemptEvent::Claimed { .. } => format!("claimed by agent {}", report.agent),
        AttemptEvent::Revoked { reason, .. } => format!("revoked: {reason}"),
        AttemptEvent::Returned { reason } => format!("returned: {reason}"),
        AttemptEvent::Cancelled { .. } => "cancelled".to_owned(),
        AttemptEvent::Exited { exit_code, .. } => format!("exited with {exit_code}"),
        AttemptEvent::TimedOut { .. } => "timed out".to_owned(),
        AttemptEvent::CouldNotStart { reason, .. } => format!("could not start: {reason}"),
        AttemptEvent::Lost { reason } => format!("lost: {reason}"),
    };
    let AttemptId { app, run, service, replica, attempt, .. } = &report.attempt;
    let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
    format!("  replica {app}/{run} {service}/{replica}{again} {what}")
}

fn end(entry: &Entry<RunSummary>) -> String {
    let run = RunView::of_summary(&entry.value);
    let (took, succeeded, total) = (run.took(entry.at), run.succeeded, run.replicas.len());
    let text = format!("run {} {} after {took}: {succeeded} of {total} replicas", run.name(), run.state_text());
    paint(run.tone(), &text)
}
