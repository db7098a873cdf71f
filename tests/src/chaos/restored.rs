//! A server that goes on from an older copy of its data: what was decided in between would be decided again, and run again. So
//! nobody leads, and nothing runs, until somebody says what is to become of it.

use std::time::Duration;

use jiff::Timestamp;
use tickmesh_messaging::StreamKind;
use tokio::time::sleep;

use super::{
    instants::Schedule,
    judge::{Verdict, judge},
    play::{evidence, settle},
    stage::Stage,
};

/// How long it may take to notice: somewhat longer than a reader needs to believe that its stream is shorter than it was.
const NOTICE_MAX: Duration = Duration::from_secs(20);
/// How long nobody may write after that: several terms of the lease.
const WATCHED: Duration = Duration::from_secs(10);
/// What only a leader writes.
const LEADERS_STREAMS: [StreamKind; 4] = [StreamKind::Lease, StreamKind::Ledger, StreamKind::Ticks, StreamKind::Orders];
/// What a scheduler says that has noticed.
const MESSAGE: &str = "stored data was lost";

/// Gives the server a copy of its data of that age. Judged is what was before, and that nothing comes after.
pub(super) async fn hit(stage: &mut Stage, mut schedules: Vec<Schedule>, age: Duration) -> Verdict {
    stage.server().stop();
    let copy = stage.server().copy_store();
    let from = Timestamp::now();
    stage.server().restart();
    sleep(age).await;
    let through = Timestamp::now();
    schedules.iter_mut().for_each(|schedule| schedule.through = through);
    settle(stage, &schedules).await;
    let mut verdict = judge(&evidence(stage, schedules, Vec::new()).await);

    stage.server().kill();
    stage.server().restore(&copy);
    let restored_at = Timestamp::now();
    stage.server().restart();
    sleep(NOTICE_MAX).await;
    let before = written(stage).await;
    sleep(WATCHED).await;
    if written(stage).await != before {
        verdict.unexcused.push(format!("somebody leads on data from {from}"));
    }
    let schedulers: Vec<_> = stage.schedulers.keys().cloned().collect();
    let silent = schedulers.iter().filter(|id| !stage.said(id).contains(MESSAGE));
    verdict.unexcused.extend(silent.map(|id| format!("scheduler {id} does not say that data was lost")));
    let new = stage.lives().into_iter().filter(|life| life.started > restored_at);
    verdict.doubled.extend(new.map(|life| format!("`{}` ran on data from {from}", life.attempt)));
    verdict
}

/// The last sequences of what only a leader writes.
async fn written(stage: &mut Stage) -> Vec<u64> {
    let client = async_nats::connect(stage.server().url()).await.expect("connect");
    let context = async_nats::jetstream::new(client);
    let mut sequences = Vec::new();
    for kind in LEADERS_STREAMS {
        let stream = context.get_stream(stage.mesh.names().stream(kind)).await.expect("the stream exists");
        sequences.push(stream.cached_info().state.last_sequence);
    }
    sequences
}
