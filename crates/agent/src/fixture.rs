//! Values that the unit tests of this crate share.

use std::time::Duration;

use tickmesh_core::{
    id::{AttemptId, MeshId, Nonce, RunUid},
    ledger::Cause,
    message::{MachineId, StartOrder},
    name::{AgentName, AppName, Namespace, ServiceName},
    spec::{ContainerSpec, OnDisconnect, RemoveContainers},
};

use crate::{
    attempt::Terms,
    engine::{ContainerId, ExitState},
    labels::Owner,
};

pub(crate) fn attempt() -> AttemptId {
    attempt_of_replica(3)
}

pub(crate) fn attempt_of_replica(replica: u32) -> AttemptId {
    AttemptId {
        app: AppName::new("nightly").unwrap(),
        run: 42,
        uid: RunUid::from_random([9; 16]),
        service: ServiceName::new("s1").unwrap(),
        replica,
        attempt: 1,
    }
}

pub(crate) fn owner() -> Owner {
    Owner { mesh: MeshId::from_random([7; 16]), namespace: Namespace::new("tickmesh").unwrap(), agent: agent() }
}

pub(crate) fn agent() -> AgentName {
    AgentName::new("host-1").unwrap()
}

pub(crate) fn machine() -> MachineId {
    MachineId("machine-1".to_owned())
}

pub(crate) fn nonce(seed: u8) -> Nonce {
    Nonce::from_random([seed; 16])
}

pub(crate) fn container_id() -> ContainerId {
    ContainerId("c0ffee".to_owned())
}

pub(crate) fn exit(code: i64) -> ExitState {
    ExitState { code, oom_killed: false, unhealthy: false, started_at: None, finished_at: None }
}

pub(crate) fn container() -> ContainerSpec {
    ContainerSpec {
        command: Some(vec!["date".to_owned()]),
        stop_grace: Duration::from_secs(1),
        ..ContainerSpec::new("busybox:latest")
    }
}

/// What [`start_order`] says about a container's time.
pub(crate) fn terms() -> Terms {
    Terms::of(&start_order())
}

pub(crate) fn start_order() -> StartOrder {
    StartOrder {
        container: container(),
        remove_containers: RemoveContainers::RemoveFinished,
        attempt_timeout: None,
        on_disconnect: OnDisconnect::Stop,
        replicas: 5,
        scheduled_at: Some("2026-11-22T01:30:00Z".parse().unwrap()),
        cause: Cause::Schedule,
    }
}
