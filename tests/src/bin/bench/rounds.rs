//! What is timed: the arrival of orders and of finished runs, at subscribers in this process, so that one clock judges all.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use futures_util::{Stream, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use tickmesh_core::{
    history::RunSummary,
    message::{Order, OrderKind},
    name::{AgentName, AppName},
};
use tickmesh_messaging::{Error, Start};
use tickmesh_tests::World;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use crate::spread::Spread;

/// A point in the life of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Milestone {
    /// Its first order has reached the agent.
    Ordered,
    /// Its summary is in the history.
    Ended,
}

/// Name of an agent of the bench.
pub(crate) fn agent(number: usize) -> String {
    format!("agent-{number}")
}

/// Subscribers of everything that is timed.
pub(crate) struct Watch {
    sightings: mpsc::UnboundedReceiver<Sighting>,
    _followers: JoinSet<()>,
}

/// Something arrived.
struct Sighting {
    at: Timestamp,
    seen: Seen,
}

enum Seen {
    Order(Box<Order>),
    End(Box<RunSummary>),
}

impl Watch {
    /// Subscribes to the orders of each agent and to the history.
    pub(crate) async fn begin(world: &World, agents: usize) -> anyhow::Result<Self> {
        // Without a bound: a follower that waits would be late itself. There are as many messages as runs.
        let (sender, sightings) = mpsc::unbounded_channel();
        let mut followers = JoinSet::new();
        for number in 0..agents {
            let orders = world.mesh.orders().follow(&AgentName::new(agent(number))?).await?;
            followers.spawn(forward(orders, sender.clone(), |order| Seen::Order(Box::new(order))));
        }
        let history = world.mesh.history().follow(None, Start::New).await.context("follow the history")?;
        followers.spawn(forward(history, sender, |entry| Seen::End(Box::new(entry.value))));
        Ok(Self { sightings, _followers: followers })
    }

    /// Waits until so many apps have run at each instant, or for `patience` after the last one.
    pub(crate) async fn collect(mut self, instants: &[Timestamp], apps: usize, patience: Duration) -> Rounds {
        let mut rounds = Rounds::new(instants);
        let last = instants.last().map_or(Duration::ZERO, |last| until_instant(*last));
        let deadline = Instant::now() + last + patience;
        while rounds.ended() < apps * instants.len() {
            let Ok(Some(sighting)) = timeout_at(deadline, self.sightings.recv()).await else { break };
            rounds.take(&sighting);
        }
        rounds
    }
}

fn until_instant(instant: Timestamp) -> Duration {
    Duration::try_from(instant.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO)
}

async fn forward<T>(
    mut messages: impl Stream<Item = Result<T, Error>> + Unpin,
    sightings: mpsc::UnboundedSender<Sighting>,
    seen: impl Fn(T) -> Seen,
) {
    while let Some(Ok(message)) = messages.next().await {
        let sighting = Sighting { at: Timestamp::now(), seen: seen(message) };
        if sightings.send(sighting).is_err() {
            return;
        }
    }
}

/// How late every app was, at each instant.
pub(crate) struct Rounds {
    rounds: Vec<Round>,
    /// Size of an order as it is stored.
    pub(crate) order_bytes: usize,
}

struct Round {
    instant: Timestamp,
    lateness: BTreeMap<Milestone, BTreeMap<AppName, SignedDuration>>,
}

impl Rounds {
    fn new(instants: &[Timestamp]) -> Self {
        let round = |instant: &Timestamp| Round { instant: *instant, lateness: BTreeMap::new() };
        Self { rounds: instants.iter().map(round).collect(), order_bytes: 0 }
    }

    fn take(&mut self, sighting: &Sighting) {
        match &sighting.seen {
            Seen::Order(order) => {
                let OrderKind::Start(start) = &order.kind else { return };
                self.order_bytes = serde_json::to_vec(order).map_or(0, |body| body.len());
                self.note(Milestone::Ordered, &order.attempt.app, start.scheduled_at, sighting.at);
            }
            Seen::End(run) => self.note(Milestone::Ended, &run.app, run.scheduled_at, sighting.at),
        }
    }

    /// An order may come twice: the first one counts.
    fn note(&mut self, milestone: Milestone, app: &AppName, instant: Option<Timestamp>, at: Timestamp) {
        let Some(round) = self.rounds.iter_mut().find(|round| Some(round.instant) == instant) else { return };
        let lateness = round.lateness.entry(milestone).or_default();
        lateness.entry(app.clone()).or_insert_with(|| at.duration_since(round.instant));
    }

    /// Runs that have ended, in all rounds together.
    pub(crate) fn ended(&self) -> usize {
        self.rounds.iter().filter_map(|round| round.lateness.get(&Milestone::Ended)).map(BTreeMap::len).sum()
    }

    /// How late a round was.
    pub(crate) fn spread(&self, round: usize, milestone: Milestone) -> Spread {
        let lateness = self.rounds[round].lateness.get(&milestone);
        Spread::of(lateness.into_iter().flat_map(BTreeMap::values).copied().collect())
    }
}
