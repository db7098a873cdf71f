//! Images that a registry does not give at once: tried again as the file says, and the reason is on record.

use tickmesh_core::{
    ledger::{ActiveRun, Ledger},
    outcome::Outcome,
};
use tickmesh_testkit::registry::Registry;
use tickmesh_tests::World;

fn compose(image: &str, retry_count: u32) -> String {
    format!(
        "version: \"2\"\nlabels:\n  aliyun.project_type: batch\nservices:\n  s1:\n    image: {image}\n    \
         network_mode: none\n    labels:\n      aliyun.retry_count: {retry_count}\n      tickmesh.retry_backoff: 100ms\n      \
         aliyun.remove_containers: remove-all\n    command: ['true']\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_fails_is_tried_again_as_often_as_the_file_says() {
    let registry = Registry::start().await;
    let world = World::new().await;
    let (scheduler, agent) = (world.scheduler().await, world.agent("a1").await);
    world.wait_for_agent("a1").await;
    let image = registry.put("job", "1", "job");
    registry.fail(500);
    world.apply("once", &compose(&image, 0)).await;
    world.run("once").await;
    let run = &world.history_of("once", 1).await[0];
    let Outcome::CouldNotStart { reason } = &run.replicas[0].outcome else { panic!("it could not start: {run:#?}") };
    let said = format!("cannot pull image `{image}` from registry `{}` without credentials: ", registry.name());
    assert!(reason.starts_with(&said) && reason.contains("500"), "{reason}");
    world.apply("job", &compose(&image, 100)).await;
    world.run("job").await;
    let failed_twice = |ledger: &Ledger| {
        let mut replicas = ledger.active.iter().flat_map(ActiveRun::replicas);
        replicas.any(|(_, _, replica)| replica.failures >= 2).then_some(())
    };
    world.ledger_when("job", "two failed attempts", failed_twice).await;
    registry.recover();
    let run = &world.history_of("job", 1).await[0];
    assert_eq!(run.outcome, Outcome::Succeeded, "{run:#?}");
    assert!(run.replicas[0].attempts >= 3, "{run:#?}");
    world.containers_settle_at(0).await;
    scheduler.stop().await;
    agent.stop().await;
}
