//! Records that nobody can read, of every kind, beside apps that tick: what one of them does reaches no further than what it
//! names. Judged by what the clock decided for the others, and by whether the tenure went on.

use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use tickmesh_core::{id::Epoch, message::Admission, timing::Timing};
use tickmesh_testkit::records;
use tickmesh_tests::{
    FakeEngine, World,
    wait::until,
    world::{PATIENCE, app},
};

/// Apps whose ticks are watched.
const WITNESSES: [&str; 3] = ["witness-1", "witness-2", "witness-3"];
const RUN_TIME: Duration = Duration::from_millis(50);
/// Far above what a decision takes, and far below what a new tenure would.
const LATE_MAX: SignedDuration = SignedDuration::from_secs(2);

fn compose(schedule: &str) -> String {
    format!(
        "labels: {{aliyun.project_type: batch, aliyun.schedule: '{schedule}', tickmesh.overlap: skip}}\nservices: {{s1: {{image: busybox}}}}\n"
    )
}

/// Every kind of subject, of an app that nobody watches and of an agent that is not there. The ledger comes last: it freezes
/// its app.
const SUBJECTS: [&str; 12] = [
    "$KV.test_meta.mesh",
    "$KV.test_lease.leader",
    "$KV.test_apps.ghost",
    "$KV.test_agents.ghost",
    "$KV.test_agents.a1",
    "test.tick.victim",
    "test.history.victim",
    "test.result.victim.1-00000000.s1.0.1.a1",
    "test.command.victim",
    "test.order.a1",
    "test.mesh.x",
    "$KV.test_ledger.victim",
];

struct Watched {
    world: World,
    stranger: async_nats::jetstream::Context,
    since: Timestamp,
    epoch: Epoch,
}

impl Watched {
    async fn begin() -> (Self, Vec<tickmesh_tests::world::Part>) {
        let mut world = World::new().await;
        world.timing = Timing::default();
        let parts = vec![
            world.scheduler().await,
            world.agent_with(world.agent_config("a1"), FakeEngine::running_for(RUN_TIME)).await,
        ];
        for name in WITNESSES.into_iter().chain(["victim"]) {
            world.apply(name, &compose("@every 1s")).await;
        }
        let client = async_nats::connect(world.urls()).await.expect("connect");
        let mut watched =
            Self { world, stranger: async_nats::jetstream::new(client), since: Timestamp::now(), epoch: Epoch(0) };
        watched.more_ticks(2).await;
        watched.epoch = watched.epoch_of(WITNESSES[0]).await;
        (watched, parts)
    }

    async fn damage(&self, subject: &str, body: Bytes) {
        let sent = self.stranger.publish(subject.to_owned(), body).await.expect("publish");
        sent.await.unwrap_or_else(|error| panic!("nothing takes {subject}: {error}"));
    }

    async fn epoch_of(&self, name: &str) -> Epoch {
        self.world.ledger(name).await.expect("it is applied").write.epoch
    }

    async fn started(&self, name: &str) -> u64 {
        self.world.ledger(name).await.map_or(0, |ledger| ledger.counters.started)
    }

    /// Waits until every app that is watched was started so often again.
    async fn more_ticks(&self, count: u64) {
        for name in WITNESSES {
            let begin = self.started(name).await;
            let what = format!("{count} more ticks of {name}");
            until(&what, PATIENCE, || async { (self.started(name).await >= begin + count).then_some(()) }).await;
        }
    }

    /// Checks that every instant of the apps that are watched was decided in time, and by one leader.
    async fn check(&self, after: &str) {
        for name in WITNESSES {
            assert_eq!(self.epoch_of(name).await, self.epoch, "the tenure ended after {after}");
            let ticks = self.world.mesh.ticks().last(&app(name)).await.expect("read ticks");
            for tick in ticks.iter().map(|entry| &entry.value).filter(|tick| tick.scheduled_at > self.since) {
                let late = tick.decided_at.duration_since(tick.scheduled_at);
                assert!(late < LATE_MAX, "{name} is decided {late:#} late after {after}");
                let started = matches!(tick.admission, Admission::Start { .. } | Admission::Skip { .. });
                assert!(started && tick.coalesced == 0, "{tick:?} after {after}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_of_any_kind_delays_no_other_app() {
    let (watched, parts) = Watched::begin().await;
    for subject in SUBJECTS {
        for body in records::damaged() {
            watched.damage(subject, body.into()).await;
        }
        watched.more_ticks(2).await;
        watched.check(subject).await;
    }
    let world = &watched.world;
    world.mesh.open().await.expect("the identity of the mesh is written anew");
    world.mesh.lease().list().await.expect("read the lease").first().expect("the lease is written anew");
    assert!(world.mesh.agents().read("a1").await.expect("the agent writes over its key").is_some());
    let frozen = world.mesh.ledgers().read("victim").await;
    frozen.expect_err("nobody writes over a ledger");
    for part in parts {
        part.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_put_back_goes_on() {
    let (watched, parts) = Watched::begin().await;
    let world = &watched.world;
    let kept = world.mesh.ledgers().read("victim").await.expect("read it").expect("it is there");
    watched.damage("$KV.test_ledger.victim", "garbage".into()).await;
    watched.more_ticks(2).await;
    watched.check("the ledger of another app").await;
    let error =
        world.mesh.ledgers().compare_and_set("victim", &kept.value, kept.sequence).await.expect_err("it is damaged");
    let damaged = error.unreadable_at().expect("it says where");
    world.mesh.ledgers().compare_and_set("victim", &kept.value, damaged).await.expect("put it back");
    let before = kept.value.counters.started;
    until("the app to go on", PATIENCE, || async { (watched.started("victim").await > before + 2).then_some(()) })
        .await;
    for part in parts {
        part.stop().await;
    }
}
