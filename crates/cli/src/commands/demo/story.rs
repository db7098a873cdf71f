//! Tells what happens to an app, line by line, from the same subjects that any monitor can read.

use futures_util::StreamExt;
use jiff::{Timestamp, tz::TimeZone};
use tickmesh_core::{
    history::RunSummary,
    id::AttemptId,
    message::{Admission, AttemptEvent, AttemptReport, TickRecord},
    name::AppName,
};
use tickmesh_messaging::{Change, Entry, Following, Mesh, Start};

use crate::{
    output::Output,
    views::{Tone, run::RunView},
};

/// A story that goes on.
pub(super) struct Story {
    app: AppName,
    zone: TimeZone,
    ticks: Following<Entry<TickRecord>>,
    reports: Following<Change<AttemptReport>>,
    history: Following<Entry<RunSummary>>,
}

impl Story {
    /// Begins to listen; nothing after this is missed.
    pub(super) async fn begin(mesh: &Mesh, app: &AppName, zone: TimeZone) -> anyhow::Result<Self> {
        let results = mesh.results();
        Ok(Self {
            app: app.clone(),
            zone,
            ticks: mesh.ticks().follow(Some(app), Start::All).await?,
            reports: results.follow(results.last_sequence().await?).await?,
            history: mesh.history().follow(Some(app), Start::All).await?,
        })
    }

    /// Tells until that many runs have ended.
    pub(super) async fn tell(&mut self, output: Output, runs: usize) -> anyhow::Result<()> {
        let mut ended = 0;
        while ended < runs {
            tokio::select! {
                Some(tick) = self.ticks.next() => self.print(output, &self.tick(&tick?))?,
                Some(change) = self.reports.next() => {
                    if let Change::Entry(entry) = change?
                        && entry.value.attempt.app == self.app
                    {
                        self.print(output, &self.report(&entry))?;
                    }
                }
                Some(summary) = self.history.next() => {
                    ended += 1;
                    self.print(output, &self.end(&summary?))?;
                }
                else => anyhow::bail!("the streams of the mesh have ended"),
            }
        }
        Ok(())
    }

    fn print(&self, output: Output, line: &(Timestamp, String)) -> anyhow::Result<()> {
        output.line(&format!("{}  {}", self.clock(line.0, "%H:%M:%S%.3f"), line.1))?;
        output.flush()
    }

    fn tick(&self, entry: &Entry<TickRecord>) -> (Timestamp, String) {
        let tick = &entry.value;
        let what = match &tick.admission {
            Admission::Start { run } => format!("starts run {}/{run}", self.app),
            Admission::Enqueue { waiting } => format!("waits in the queue, at place {waiting}"),
            Admission::Drop { reason } => format!("is dropped: {reason}"),
        };
        let instant = self.clock(tick.scheduled_at, "%H:%M:%S");
        (entry.at, Tone::Busy.paint(&format!("tick of {instant} {what}")))
    }

    fn report(&self, entry: &Entry<AttemptReport>) -> (Timestamp, String) {
        let report = &entry.value;
        let what = match &report.event {
            AttemptEvent::Claimed { .. } => format!("claimed by agent {}", report.agent),
            AttemptEvent::Revoked { reason, .. } => format!("revoked: {reason}"),
            AttemptEvent::Cancelled { .. } => "cancelled".to_owned(),
            AttemptEvent::Exited { exit_code, .. } => format!("exited with {exit_code}"),
            AttemptEvent::CouldNotStart { reason, .. } => format!("could not start: {reason}"),
            AttemptEvent::Lost { reason } => format!("lost: {reason}"),
        };
        (entry.at, format!("  replica {} {what}", replica(&report.attempt)))
    }

    fn end(&self, entry: &Entry<RunSummary>) -> (Timestamp, String) {
        let run = RunView::of_summary(&entry.value);
        let (took, succeeded, total) = (run.took(entry.at), run.succeeded, run.replicas.len());
        let text = format!("run {} {} after {took}: {succeeded} of {total} replicas", run.name(), run.state_text());
        (entry.at, run.tone().paint(&text))
    }

    fn clock(&self, at: Timestamp, format: &str) -> String {
        at.to_zoned(self.zone.clone()).strftime(format).to_string()
    }
}

fn replica(attempt: &AttemptId) -> String {
    let again = if attempt.attempt > 1 { format!(" (attempt {})", attempt.attempt) } else { String::new() };
    format!("{}/{} {}/{}{again}", attempt.app, attempt.run, attempt.service, attempt.replica)
}
