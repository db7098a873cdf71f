//! The rows that are played: each fault once or a few times, or by the hundred.

use std::time::Duration;

use super::{Clocks, Engine, Fault, Nats, Row, poison::POISONED};

/// How long a frozen leader is silent: longer than every deadline of the protocol that has to do with it (the longest is 60 s),
/// twice over.
const FROZEN: Duration = Duration::from_secs(150);
/// How long a frozen leader is silent at fast clocks.
const FROZEN_FAST: Duration = Duration::from_secs(30);
/// How long an agent is cut off: at fast clocks it is fenced after 9 s, and lost after 12 s.
const AGENT_CUT: Duration = Duration::from_secs(16);
/// How long a leader is cut off: the lease is 3 s.
const LEADER_CUT: Duration = Duration::from_secs(6);
/// How long two of three nodes are gone.
const NODES_GONE: Duration = Duration::from_secs(5);
/// How much the clocks of two schedulers differ: a little less than makes a scheduler doubt its own.
const CLOCKS_APART: Duration = Duration::from_millis(900);
/// Age of the copy from which a server goes on.
const COPY_AGE: Duration = Duration::from_secs(5);

/// Each fault once or a few times, those first that take long.
pub fn few() -> Vec<Row> {
    vec![
        Row { clocks: Clocks::Fast, ..Row::new(Fault::LeaderFrozen(FROZEN_FAST), 1) },
        agent_cut(1),
        Row::new(Fault::OldCopyRestored(COPY_AGE), 1),
        Row::new(Fault::RecordPoisoned, POISONED),
        on_cluster(Fault::TwoNodesKilled(NODES_GONE), 1),
        on_cluster(Fault::StreamLeaderKilled, 1),
        on_cluster(Fault::FollowerKilled, 1),
        Row::new(Fault::LeaderKilled, 3),
        Row::new(Fault::LeaderTerminated, 3),
        Row::new(Fault::LeaderCut(LEADER_CUT), 1),
        Row::new(Fault::ControlPlaneKilled, 1),
        Row::new(Fault::ServerRestarted, 2),
        with_docker(2),
        Row { ahead: CLOCKS_APART, ..Row::new(Fault::LeaderKilled, 3) },
    ]
}

/// Each fault so often that what happens once in a hundred times is likely to be seen; the leader is killed that many times.
pub fn many(kills: usize) -> Vec<Row> {
    vec![
        Row { apps: 50, ..Row::new(Fault::LeaderKilled, kills) },
        with_docker(50),
        Row { ahead: CLOCKS_APART, ..Row::new(Fault::LeaderKilled, 50) },
        Row::new(Fault::LeaderTerminated, 50),
        Row::new(Fault::LeaderFrozen(FROZEN), 1),
        Row::new(Fault::LeaderCut(LEADER_CUT), 10),
        // Containers that outlive the fence.
        Row { period: 12, run_time: Duration::from_secs(10), ..agent_cut(4) },
        Row::new(Fault::ControlPlaneKilled, 20),
        Row::new(Fault::ServerRestarted, 20),
        Row::new(Fault::Nothing, 50),
        Row::new(Fault::RecordPoisoned, 50 * POISONED),
        on_cluster(Fault::StreamLeaderKilled, 12),
        on_cluster(Fault::FollowerKilled, 12),
        on_cluster(Fault::TwoNodesKilled(NODES_GONE), 4),
        Row::new(Fault::OldCopyRestored(COPY_AGE), 1),
    ]
}

fn on_cluster(fault: Fault, times: usize) -> Row {
    Row { nats: Nats::Cluster, ..Row::new(fault, times) }
}

/// The leader killed, at a rate that a Docker engine on two cores sustains.
fn with_docker(times: usize) -> Row {
    Row { engine: Engine::Docker, apps: 4, period: 2, ..Row::new(Fault::LeaderKilled, times) }
}

/// An agent with real containers and a guard that ends them.
fn agent_cut(times: usize) -> Row {
    Row {
        clocks: Clocks::Fast,
        engine: Engine::Docker,
        apps: 4,
        period: 2,
        ..Row::new(Fault::AgentCut(AGENT_CUT), times)
    }
}
