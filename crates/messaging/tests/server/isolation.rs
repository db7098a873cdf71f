//! A node that is cut off from its cluster, and goes on talking to its clients.

use std::time::{Duration, Instant};

use tickmesh_messaging::{Cas, LEASE_KEY, LeaseRecord, Mesh, Provisioning};
use tickmesh_testkit::nats::{Cluster, NODES};
use tokio::time::sleep;

use crate::support::{options, within};

/// After that long an agent counts as silent.
const SILENT: Duration = Duration::from_secs(20);

/// Writes until a write is stored, and returns how long that took.
async fn stored_after(mesh: &Mesh, last: &mut u64) -> Duration {
    let begun = Instant::now();
    loop {
        let record = LeaseRecord { renewal: *last, ..LeaseRecord::first("s1", "host", None) };
        match mesh.lease().compare_and_set(LEASE_KEY, &record, *last).await {
            Ok(Cas::Stored { sequence }) => {
                *last = sequence;
                return begun.elapsed();
            }
            Ok(Cas::Refused { current }) => *last = current.map_or(0, |entry| entry.sequence),
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_can_store_nothing_is_left() {
    let cluster = Cluster::start_with_cables().await;
    let first = Mesh::connect(&options(&cluster.urls(), "mesh")).await.unwrap();
    within("provisioning", first.provision(&Provisioning { replicas: NODES, ..Provisioning::default() }))
        .await
        .unwrap();
    for node in 0..NODES {
        // It learns of the others from this one.
        let mesh = Mesh::connect(&options(&cluster.node(node).url(), "mesh")).await.unwrap();
        let mut last = 0;
        stored_after(&mesh, &mut last).await;
        cluster.isolate(node);
        let took = within("a write that is stored", stored_after(&mesh, &mut last)).await;
        assert!(took < SILENT, "stored after {took:?}");
        cluster.rejoin(node);
        cluster.wait_until_ready().await;
    }
}
