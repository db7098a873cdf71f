//! Lets faults happen, and be over.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use rustix::process::Signal;
use tickmesh_core::{
    message::{Order, OrderKind},
    name::AppName,
};
use tickmesh_messaging::StreamKind;
use tickmesh_testkit::nats::{Cluster, NODES, Server};
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    Fault,
    judge::{Outage, Reach},
    stage::{Part, Servers, Stage},
    tail::Seen,
};
use crate::{wait::until, world::PATIENCE};

/// How long an order may take to come: longer than a cluster needs for anything.
const ORDER_MAX: Duration = Duration::from_secs(120);

/// How long servers that were killed are gone, if the fault does not say.
const SERVER_GONE: Duration = Duration::from_secs(1);
/// Until whom an agent's silence kept waiting is served: its attempts are lost and run elsewhere, or its answers come.
const AGENT_RECOVERS: Duration = Duration::from_secs(10);
/// The streams whose leaders are killed, one after the other.
const HIT_STREAMS: [StreamKind; 4] = [StreamKind::Ledger, StreamKind::Lease, StreamKind::Results, StreamKind::Orders];

/// What followed a fault.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blow {
    /// When nothing could be decided, or an agent could not work; `None`: there is no excuse.
    pub(super) outage: Option<Outage>,
    /// From the fault to the first order for a tick due after it.
    pub(super) next: Duration,
    /// Of that, what came after that tick was due.
    pub(super) late: Duration,
}

impl Fault {
    /// Whether it needs a network that can be cut.
    pub(super) fn cuts(self) -> bool {
        match self {
            Self::LeaderCut(_) | Self::AgentCut(_) => true,
            Self::LeaderKilled
            | Self::LeaderTerminated
            | Self::LeaderFrozen(_)
            | Self::ControlPlaneKilled
            | Self::ServerRestarted
            | Self::StreamLeaderKilled
            | Self::FollowerKilled
            | Self::TwoNodesKilled(_)
            | Self::Nothing
            | Self::RecordPoisoned
            | Self::OldCopyRestored(_) => false,
        }
    }
}

/// When a fault began, and how many orders had been seen by then.
struct Begun {
    at: Timestamp,
    orders: usize,
}

impl Stage {
    /// Lets the row's fault happen for the `round`th time, from 0, and be over.
    pub(super) async fn inject(&mut self, round: usize) -> Blow {
        match self.row.fault {
            Fault::LeaderKilled => {
                let (_, leader) = self.take_leader().await;
                let begun = self.begin();
                leader.child.kill();
                let blow = self.follow_up(begun).await;
                self.fill_up_schedulers().await;
                blow
            }
            Fault::LeaderTerminated => {
                let (_, leader) = self.take_leader().await;
                let begun = self.begin();
                leader.child.terminate(PATIENCE).await;
                let blow = self.follow_up(begun).await;
                self.fill_up_schedulers().await;
                blow
            }
            Fault::LeaderFrozen(time) => {
                let (id, leader) = self.take_leader().await;
                let (begun, thaw_at) = (self.begin(), Instant::now() + time);
                leader.child.signal(Signal::STOP);
                let blow = self.follow_up(begun).await;
                sleep_until(thaw_at).await;
                leader.child.signal(Signal::CONT);
                self.schedulers.insert(id, leader);
                blow
            }
            Fault::LeaderCut(time) => {
                let (id, leader) = self.take_leader().await;
                let (begun, mend_at) = (self.begin(), Instant::now() + time);
                leader.network().cut();
                let blow = self.follow_up(begun).await;
                sleep_until(mend_at).await;
                leader.network().mend();
                self.schedulers.insert(id, leader);
                blow
            }
            Fault::AgentCut(time) => self.cut_agent(round, time).await,
            Fault::ControlPlaneKilled => {
                let begun = self.begin();
                for (_, scheduler) in std::mem::take(&mut self.schedulers) {
                    scheduler.child.kill();
                }
                self.server().kill();
                sleep(SERVER_GONE).await;
                self.server().restart();
                self.fill_up_schedulers().await;
                self.follow_up(begun).await
            }
            Fault::ServerRestarted => {
                let begun = self.begin();
                self.server().stop();
                self.server().restart();
                self.follow_up(begun).await
            }
            Fault::StreamLeaderKilled => {
                let stream = self.mesh.names().stream(HIT_STREAMS[round % HIT_STREAMS.len()]);
                let node = self.cluster().leader_of(&stream).await;
                self.lose_nodes(&[node], Duration::ZERO).await
            }
            Fault::FollowerKilled => {
                let meta_leader = self.cluster().meta_leader().await;
                let node = (meta_leader + 1 + round % (NODES - 1)) % NODES;
                let names = StreamKind::ALL.map(|kind| self.mesh.names().stream(kind));
                self.cluster().relieve(node, &names).await;
                self.lose_nodes(&[node], Duration::ZERO).await
            }
            Fault::Nothing => {
                let begun = self.begin();
                Blow { outage: None, ..self.follow_up(begun).await }
            }
            Fault::RecordPoisoned => {
                let begun = self.begin();
                self.poison(round).await;
                Blow { outage: None, ..self.follow_up(begun).await }
            }
            Fault::OldCopyRestored(_) => panic!("nothing goes on after that: see `play`"),
            Fault::TwoNodesKilled(time) => self.lose_nodes(&[round % NODES, (round + 1) % NODES], time).await,
        }
    }

    async fn take_leader(&mut self) -> (String, Part) {
        let id = self.leader().await;
        let leader = self.schedulers.remove(&id).expect("the leader is one of ours");
        (id, leader)
    }

    /// Cuts an agent off, and waits until those whom that kept waiting are served.
    async fn cut_agent(&mut self, round: usize, time: Duration) -> Blow {
        let names: Vec<_> = self.agents.keys().cloned().collect();
        let name = &names[round % names.len()];
        let (begun, mend_at) = (self.begin(), Instant::now() + time);
        self.agents[name].network().cut();
        let blow = self.follow_up(begun).await;
        sleep_until(mend_at).await;
        self.agents[name].network().mend();
        sleep(AGENT_RECOVERS).await;
        let outage = blow.outage.map(|outage| Outage { to: Timestamp::now(), reach: Reach::Agents, ..outage });
        Blow { outage, ..blow }
    }

    /// Kills nodes, and starts them again: after that time if the others can do nothing, or once they have.
    async fn lose_nodes(&mut self, nodes: &[usize], gone: Duration) -> Blow {
        let begun = self.begin();
        let from = begun.at;
        nodes.iter().for_each(|node| self.cluster_mut().node_mut(*node).kill());
        let restart = |cluster: &mut Cluster| nodes.iter().for_each(|node| cluster.node_mut(*node).restart());
        let blow = if gone.is_zero() {
            let blow = self.follow_up(begun).await;
            restart(self.cluster_mut());
            blow
        } else {
            sleep(gone).await;
            restart(self.cluster_mut());
            self.follow_up(begun).await
        };
        self.cluster().wait_until_ready().await;
        let to = self.served(from).await;
        Blow { outage: blow.outage.map(|outage| Outage { to, ..outage }), ..blow }
    }

    /// Waits until every app has had a run end whose tick was due after that moment: until all who had to find another
    /// node are back at work.
    async fn served(&self, from: Timestamp) -> Timestamp {
        until("a finished run of every app after the fault", ORDER_MAX, || async {
            let mut first: BTreeMap<AppName, Timestamp> = BTreeMap::new();
            for run in self.history.all() {
                if run.value.scheduled_at.is_some_and(|instant| instant > from) {
                    first.entry(run.value.app).or_insert(run.at);
                }
            }
            (first.len() == self.row.apps).then(|| first.into_values().max())?
        })
        .await
    }

    fn begin(&self) -> Begun {
        Begun { at: Timestamp::now(), orders: self.orders.count() }
    }

    /// Waits for the first order for a tick due after the fault began.
    async fn follow_up(&self, begun: Begun) -> Blow {
        let Begun { at: from, orders } = begun;
        let next = |order: &Seen<Order>| {
            let OrderKind::Start(start) = &order.value.kind else { return None };
            (order.at > from && start.scheduled_at? > from).then_some(order.at)
        };
        let to = until("an order after the fault", ORDER_MAX, || async { self.orders.find(orders, next) }).await;
        let period = self.row.period;
        let due = Timestamp::from_second((from.as_second().div_euclid(period) + 1) * period).expect("a moment");
        let since = |moment: Timestamp| Duration::try_from(to.duration_since(moment)).unwrap_or_default();
        let (next, late) = (since(from), since(due));
        // By the clocks of schedulers that are ahead, or behind, the outage was so much earlier or later.
        let (from, to) = (from - self.row.ahead, to + self.row.ahead);
        Blow { outage: Some(Outage { from, to, reach: Reach::Leaders }), next, late }
    }

    pub(super) fn server(&mut self) -> &mut Server {
        match &mut self.servers {
            Servers::Single(server) => server,
            Servers::Cluster(_) => panic!("{} needs one server", self.row.fault),
        }
    }

    fn cluster(&self) -> &Cluster {
        match &self.servers {
            Servers::Cluster(cluster) => cluster,
            Servers::Single(_) => panic!("{} needs a cluster", self.row.fault),
        }
    }

    fn cluster_mut(&mut self) -> &mut Cluster {
        match &mut self.servers {
            Servers::Cluster(cluster) => cluster,
            Servers::Single(_) => panic!("{} needs a cluster", self.row.fault),
        }
    }
}
