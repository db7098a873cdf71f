//! Metrics of a scheduler and of an agent: what each process knows of itself. Those of the mesh are the page's.

use std::net::SocketAddr;

use tickmesh_agent::figures::Figures as AgentFigures;
use tickmesh_messaging::SchedulerRole;
use tickmesh_scheduler::figures::{FigureBoard, Figures as SchedulerFigures, LeaderFigures};
use tickmesh_web::{Exposition, MetricsServer};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;

/// Option of processes that tell what they know of themselves.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct MetricsArgs {
    /// Where to serve `/metrics` for Prometheus, such as 127.0.0.1:8421; whoever reaches it reads it
    #[arg(long, value_name = "ADDRESS")]
    metrics_bind: Option<SocketAddr>,
}

impl MetricsArgs {
    /// Begins to listen, if that is wanted.
    pub(crate) async fn listen(self) -> anyhow::Result<Option<MetricsServer>> {
        let Some(address) = self.metrics_bind else { return Ok(None) };
        let server = MetricsServer::bind(address).await?;
        info!(address = %server.address(), "metrics are served");
        Ok(Some(server))
    }
}

/// Serves what a scheduler knows of itself until `shutdown`.
pub(crate) async fn serve_scheduler(server: Option<MetricsServer>, board: FigureBoard, shutdown: CancellationToken) {
    let Some(server) = server else { return };
    let look = move || {
        let board = board.clone();
        async move { board.ask().await.map(|figures| of_scheduler(&figures)) }
    };
    server.serve(look, shutdown).await;
}

/// Serves what an agent knows of itself until `shutdown`.
pub(crate) async fn serve_agent(
    server: Option<MetricsServer>,
    shown: watch::Receiver<AgentFigures>,
    shutdown: CancellationToken,
) {
    let Some(server) = server else { return };
    let look = move || {
        let figures = shown.borrow().clone();
        async move { Some(of_agent(&figures)) }
    };
    server.serve(look, shutdown).await;
}

fn of_scheduler(figures: &SchedulerFigures) -> Exposition {
    let SchedulerFigures { stage, role, epoch, waiting_effects, leader, counts } = figures;
    let mut metrics = Exposition::default();
    let (leads, doubts) = match role {
        SchedulerRole::Leading { doubt, .. } => (true, doubt.is_some()),
        SchedulerRole::StandingBy { doubt } => (false, doubt.is_some()),
        SchedulerRole::Preparing | SchedulerRole::Refusing { .. } => (false, false),
    };
    metrics.gauge("scheduler_leading", "Whether this scheduler leads: 1 or 0", i64::from(leads));
    let help = "Whether this scheduler doubts its clock: 1 or 0";
    metrics.gauge("scheduler_in_doubt", help, i64::from(doubts));
    let stage = [((*stage).to_owned(), 1)];
    metrics.gauges("scheduler_stage", "1, with what this scheduler does", "stage", stage);
    if let Some(epoch) = epoch {
        metrics.gauge("scheduler_epoch", "Number of the tenure of this scheduler", signed(epoch.0));
    }
    metrics.counter("scheduler_tenures", "Tenures of this scheduler since it began", counts.tenures);
    let decisions = counts.decisions.iter().map(|(outcome, count)| ((*outcome).to_owned(), *count));
    let help = "Decisions of the clock by this scheduler, by what became of the instant";
    metrics.counters("scheduler_decisions", help, "outcome", decisions);
    let help = "From an instant to its decision by this scheduler";
    metrics.histogram("scheduler_lateness_seconds", help, &counts.lateness);
    let waiting = count(*waiting_effects);
    metrics.gauge("scheduler_effects_waiting", "Effects that wait for others to end", waiting);
    let LeaderFigures {
        apps,
        active_runs,
        queued_runs,
        apps_pending,
        unpublished_ticks,
        unpublished_summaries,
        unpublished_notices,
    } = *leader;
    metrics.gauge("scheduler_apps", "Apps that this scheduler leads", count(apps));
    metrics.gauge("scheduler_runs_active", "Runs that go on, as the leader has them", count(active_runs));
    metrics.gauge(
        "scheduler_runs_queued",
        "Runs that wait for their start, as the leader has them",
        count(queued_runs),
    );
    metrics.gauge("scheduler_apps_pending", "Apps with a replica that no agent takes", count(apps_pending));
    let outbox = [("tick", unpublished_ticks), ("history", unpublished_summaries), ("notice", unpublished_notices)];
    let outbox = outbox.map(|(message, waiting)| (message.to_owned(), count(waiting)));
    metrics.gauges("scheduler_outbox", "Messages of ledgers that are not known to be stored", "message", outbox);
    metrics
}

fn of_agent(figures: &AgentFigures) -> Exposition {
    let AgentFigures { said, acknowledged, unanswered, acknowledged_at, claims, pulls, starts, ends } = figures;
    let mut metrics = Exposition::default();
    if let Some(said) = said {
        let answers = i64::from(said.engine_answers);
        metrics.gauge("agent_engine_up", "Whether the container engine answers: 1 or 0", answers);
        metrics.gauge("agent_draining", "Whether the agent takes no new attempts: 1 or 0", i64::from(said.draining));
        metrics.gauge("agent_slots", "Attempts that may be held at once", i64::from(said.slots));
        metrics.gauge("agent_attempts_held", "Attempts that are held", count(said.held));
        let waiting = [("image", said.pulling), ("turn", said.queued)];
        let waiting = waiting.map(|(what, attempts)| (what.to_owned(), count(attempts)));
        metrics.gauges("agent_attempts_waiting", "Attempts without a container, by what they wait for", "for", waiting);
    }
    let heartbeats = [("acknowledged", *acknowledged), ("unanswered", *unanswered)];
    let heartbeats = heartbeats.map(|(outcome, beats)| (outcome.to_owned(), beats));
    metrics.counters("agent_heartbeats", "Heartbeats, by what became of them", "outcome", heartbeats);
    if let Some(at) = acknowledged_at {
        let help = "When the last heartbeat was acknowledged";
        metrics.gauge("agent_heartbeat_acknowledged_seconds", help, at.as_second());
    }
    metrics.counter("agent_claims", "Attempts that this agent wanted to claim", *claims);
    metrics.counter("agent_pulls", "Images that attempts asked for", *pulls);
    metrics.counter("agent_starts", "Containers that the engine was asked to start", *starts);
    let ends = ends.iter().map(|(outcome, ended)| ((*outcome).to_owned(), *ended));
    metrics.counters("agent_attempts_ended", "Attempts that ended here, by how", "outcome", ends);
    metrics
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
