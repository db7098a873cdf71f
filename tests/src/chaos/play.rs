//! Plays a row: the stage is set, the fault happens as often as it is to, and the judge looks at what was seen.

use std::{collections::BTreeSet, path::Path, time::Duration};

use jiff::Timestamp;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tickmesh_core::message::Admission;
use tokio::time::{Instant, sleep};

use super::{
    Fault, Row,
    inject::Blow,
    instants::Schedule,
    judge::{Evidence, Outage, Verdict, judge},
    restored,
    stage::Stage,
};
use crate::{wait::until, world::PATIENCE};

/// Between the end of a fault and the next one: faults hit every part of a second.
const PAUSE_MIN: Duration = Duration::from_millis(300);
const PAUSE_MAX: Duration = Duration::from_millis(1_300);
/// How long the mesh goes on after the last fault before the interval ends that is judged.
const AFTERMATH: Duration = Duration::from_secs(2);
/// How long all that is judged may take to end. What has not ended by then is lost.
const SETTLE_MAX: Duration = Duration::from_secs(60);
/// Between two looks at whether it has.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// What came of a row.
#[derive(Debug, Clone)]
pub struct Figures {
    /// The row.
    pub row: Row,
    /// What the judge says.
    pub verdict: Verdict,
    /// From each fault to the first order for a tick due after it, sorted.
    pub next: Vec<Duration>,
    /// Of these times, what came after that tick was due, sorted.
    pub late: Vec<Duration>,
    /// How long it all took.
    pub took: Duration,
    /// What the processes said, for whoever wants to know why something is wrong.
    pub said: String,
}

/// Plays a row. `fleet` is the binary of that name.
///
/// # Panics
///
/// If the stage cannot be set, or the mesh stands still for ever.
pub async fn play(fleet: &Path, row: Row) -> Figures {
    let begun = Instant::now();
    let mut stage = Stage::start(fleet, row).await;
    let mut schedules = stage.apply().await;
    stage.apply_victim().await;
    until("a finished run of every app", PATIENCE, || async {
        let finished = stage.history.all();
        let has_run = |schedule: &Schedule| finished.iter().any(|run| run.value.app.as_str() == schedule.app);
        schedules.iter().all(has_run).then_some(())
    })
    .await;
    if let Fault::OldCopyRestored(age) = row.fault {
        let verdict = restored::hit(&mut stage, schedules, age).await;
        let said = stage.all_said();
        stage.end().await;
        return Figures { row, verdict, next: Vec::new(), late: Vec::new(), took: begun.elapsed(), said };
    }
    let mut random = StdRng::seed_from_u64(row.times as u64);
    let mut blows = Vec::new();
    for round in 0..row.times {
        sleep(random.random_range(PAUSE_MIN..PAUSE_MAX)).await;
        blows.push(stage.inject(round).await);
    }
    sleep(AFTERMATH).await;
    let through = Timestamp::now();
    schedules.iter_mut().for_each(|schedule| schedule.through = through);
    settle(&stage, &schedules).await;
    let evidence = evidence(&mut stage, schedules, blows.iter().filter_map(|blow| blow.outage).collect()).await;
    let verdict = judge(&evidence);
    let said = stage.all_said();
    stage.end().await;
    let sorted = |time: fn(&Blow) -> Duration| {
        let mut times: Vec<_> = blows.iter().map(time).collect();
        times.sort();
        times
    };
    let (next, late) = (sorted(|blow| blow.next), sorted(|blow| blow.late));
    Figures { row, verdict, next, late, took: begun.elapsed(), said }
}

/// Everything that was seen until now.
pub(super) async fn evidence(stage: &mut Stage, schedules: Vec<Schedule>, outages: Vec<Outage>) -> Evidence {
    Evidence {
        engine: stage.row.engine,
        ticks: stage.ticks.all().into_iter().map(|tick| tick.value).collect(),
        summaries: stage.history.all().into_iter().map(|run| run.value).collect(),
        lives: stage.lives(),
        ledgers: stage.ledgers().await,
        outages,
        fallen: stage.fallen(),
        schedules,
    }
}

/// Waits until everything that is judged has ended, but not for ever: what has not is for the judge.
pub(super) async fn settle(stage: &Stage, schedules: &[Schedule]) {
    let deadline = Instant::now() + SETTLE_MAX;
    while Instant::now() < deadline && !has_settled(stage, schedules) {
        sleep(LOOK_PAUSE).await;
    }
}

fn has_settled(stage: &Stage, schedules: &[Schedule]) -> bool {
    let ended: BTreeSet<_> =
        stage.history.all().into_iter().map(|run| (run.value.app, run.value.scheduled_at)).collect();
    let ticks = stage.ticks.all();
    schedules.iter().all(|schedule| {
        let mine = ticks.iter().map(|tick| &tick.value).filter(|tick| tick.app.as_str() == schedule.app);
        let (judged, later): (Vec<_>, Vec<_>) = mine.partition(|tick| tick.scheduled_at <= schedule.through);
        let mut runs = judged.iter().filter(|tick| becomes_run(&tick.admission));
        !later.is_empty() && runs.all(|tick| ended.contains(&(tick.app.clone(), Some(tick.scheduled_at))))
    })
}

fn becomes_run(admission: &Admission) -> bool {
    match admission {
        Admission::Start { .. } | Admission::Enqueue { .. } => true,
        Admission::Drop { .. } | Admission::Skip { .. } | Admission::Discard { .. } => false,
    }
}
