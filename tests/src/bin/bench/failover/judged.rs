//! Whether every instant was decided once and became one run with one container, whoever led: by the judge of the chaos tests.

use std::collections::BTreeMap;

use anyhow::Context as _;
use jiff::Timestamp;
use tickmesh_core::{history::RunSummary, message::TickRecord, name::AppName};
use tickmesh_messaging::StreamKind;
use tickmesh_tests::chaos::{
    instants::Schedule,
    judge::{Evidence, Outage, Reach, Verdict, judge},
    lives::End,
    tail::Tail,
};

use super::{APPS, JITTER_MAX, PERIOD};
use crate::{
    confirm::{ensure_none, settled, some},
    stage::{Stage, app_name},
};

/// What is seen while leaders come and go. The streams keep few messages of each app, so they are followed from the start.
pub(super) struct Seen {
    ticks: Tail<TickRecord>,
    history: Tail<RunSummary>,
    outages: Vec<Outage>,
}

impl Seen {
    /// Begins to look.
    pub(super) fn begin(stage: &Stage) -> Self {
        let (urls, names) = (stage.world.urls(), stage.world.mesh.names());
        Self {
            ticks: Tail::follow(urls.clone(), names.stream(StreamKind::Ticks)),
            history: Tail::follow(urls, names.stream(StreamKind::History)),
            outages: Vec::new(),
        }
    }

    /// Nobody led in between: instants that fell due may be missed, and jitter has them fall due later.
    pub(super) fn outage(&mut self, from: Timestamp, to: Timestamp) {
        self.outages.push(Outage { from: from - JITTER_MAX, to, reach: Reach::Leaders });
    }

    /// Judges every instant until now, once all is decided and has ended.
    pub(super) async fn confirm(&self, stage: &Stage) -> anyhow::Result<Verdict> {
        let schedules = schedules(stage, Timestamp::now()).await?;
        settled(async || {
            let evidence = self.evidence(stage, &schedules).await?;
            let verdict = judge(&evidence);
            let Verdict { lost, doubled, overlaps, unexcused, .. } = &verdict;
            ensure_none([
                some("lost", lost),
                some("doubled", doubled),
                some("at the same time", overlaps),
                some("without an excuse", unexcused),
                some("without exactly one container that exited", &without_container(&evidence)),
            ])?;
            Ok(verdict)
        })
        .await
    }

    async fn evidence(&self, stage: &Stage, schedules: &[Schedule]) -> anyhow::Result<Evidence> {
        let mut ledgers = Vec::new();
        for Schedule { app, .. } in schedules {
            ledgers.push((app.clone(), stage.world.ledger(app).await.context("an app has a ledger")?));
        }
        Ok(Evidence {
            schedules: schedules.to_vec(),
            ticks: self.ticks.all().into_iter().map(|tick| tick.value).collect(),
            // The containers last: whatever is in the history had its own.
            summaries: self.history.all().into_iter().map(|run| run.value).collect(),
            lives: stage.lives(),
            ledgers,
            outages: self.outages.clone(),
            ..Evidence::default()
        })
    }
}

/// Finished runs of which there was not exactly one container, or whose container did not exit by itself: nothing happens to agents
/// here that could excuse it.
fn without_container(evidence: &Evidence) -> Vec<(&AppName, Option<Timestamp>)> {
    let mut ends: BTreeMap<&str, Vec<Option<End>>> = BTreeMap::new();
    for life in &evidence.lives {
        ends.entry(&life.attempt.uid).or_default().push(life.ended.map(|(_, end)| end));
    }
    let has_one =
        |run: &RunSummary| ends.get(&*run.uid.to_string()).is_some_and(|ends| ends[..] == [Some(End::Exited)]);
    evidence.summaries.iter().filter(|run| !has_one(run)).map(|run| (&run.app, run.scheduled_at)).collect()
}

async fn schedules(stage: &Stage, through: Timestamp) -> anyhow::Result<Vec<Schedule>> {
    let mut schedules = Vec::new();
    for app in (0..APPS).map(app_name) {
        let stored = stage.world.mesh.apps().read(&app).await?.context("an app was applied")?;
        schedules.push(Schedule { app, period: PERIOD, after: stored.at, through });
    }
    Ok(schedules)
}
