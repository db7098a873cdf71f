//! `/metrics` for Prometheus, and `/readyz`. Put together when it is asked for, from the model.

use std::collections::BTreeMap;

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use serde::Deserialize;
use tickmesh_client::{leadership::Leadership, views::agent::AgentsView};

use crate::{app::App, exposition::Exposition, model::Model, problem::Problem};

/// What became of an instant or a run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutcome {
    outcome: &'static str,
}

/// In which state something is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    state: &'static str,
}

/// In which stream or bucket something is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfStream {
    stream: String,
}

/// `GET /readyz`: whether the model is whole, NATS is there, and somebody decides ticks.
pub(crate) async fn ready(State(app): State<App>) -> Response {
    if !app.mesh.is_connected() {
        return (StatusCode::SERVICE_UNAVAILABLE, "there is no connection to NATS\n").into_response();
    }
    if !app.look(Model::is_loaded) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the mesh has not been read to its end yet\n").into_response();
    }
    if let Some(stale) = app.stale(Timestamp::now()) {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{stale}\n")).into_response();
    }
    if let Some(problem) = app.look(|model| model.leadership.problem()) {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")).into_response();
    }
    "ok\n".into_response()
}

/// Of which app something is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfApp {
    app: String,
}

/// What the address says.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    /// Whether each app has its own, too: several for each may be many.
    #[serde(default)]
    apps: u8,
}

/// `GET /metrics`.
pub(crate) async fn metrics(State(app): State<App>, Query(wanted): Query<Wanted>) -> Result<Response, Problem> {
    let streams = app.mesh.stream_states().await?;
    let mut metrics = Exposition::default();
    app.look(|model| {
        leader(&mut metrics, model);
        histograms(&mut metrics, model, wanted.apps > 0);
        let registry = metrics.registry();
        instants(registry, model);
        runs(registry, model);
        agents(registry, model);
        unreadable(registry, model);
        if wanted.apps > 0 {
            each_app(registry, model);
        }
    });
    let registry = metrics.registry();
    let skipped = Family::<OfStream, Counter>::default();
    for (stream, count) in app.mesh.skipped() {
        skipped.get_or_create(&OfStream { stream: stream.as_str().to_owned() }).inc_by(count);
    }
    registry.register("records_skipped", "Records that this process could not read and left out, by stream", skipped);
    let last = Family::<OfStream, Gauge>::default();
    let messages = Family::<OfStream, Gauge>::default();
    let bytes = Family::<OfStream, Gauge>::default();
    for state in streams {
        let of = OfStream { stream: state.stream };
        last.get_or_create(&of).set(signed(state.last_sequence));
        messages.get_or_create(&of).set(signed(state.messages));
        bytes.get_or_create(&of).set(signed(state.bytes));
    }
    registry.register("stream_last_sequence", "Sequence of the last message of each stream", last);
    registry.register("stream_messages", "Messages in each stream", messages);
    registry.register("stream_bytes", "Bytes of each stream", bytes);
    metrics.response().map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

/// Who decides ticks.
fn leader(metrics: &mut Exposition, model: &Model) {
    let (present, in_doubt) = match model.leadership {
        Leadership::Led => (1, 0),
        Leadership::InDoubt { .. } => (1, 1),
        Leadership::Nobody => (0, 0),
        // Neither is known, and an alert on the absence tells.
        Leadership::Unknown { .. } => return,
    };
    metrics.gauge("leader_present", "Whether a scheduler leads: 1 or 0", present);
    metrics.gauge("leader_in_doubt", "Whether the leader doubts its clock and decides no tick: 1 or 0", in_doubt);
}

/// What became of instants: the sum over all ledgers, which only grows.
fn instants(registry: &mut Registry, model: &Model) {
    let decisions = Family::<OfOutcome, Counter>::default();
    let waiting = Gauge::<i64>::default();
    for (_, ledger) in model.ledgers() {
        let counters = &ledger.counters;
        for (outcome, count) in [
            ("started", counters.started),
            ("enqueued", counters.enqueued),
            ("dropped", counters.dropped),
            ("skipped", counters.skipped),
            ("coalesced", counters.coalesced),
        ] {
            decisions.get_or_create(&OfOutcome { outcome }).inc_by(count);
        }
        waiting.inc_by(signed(ledger.queue.len() as u64));
    }
    registry.register("instants", "Instants of schedules, by what became of them", decisions);
    registry.register("queue_length", "Runs that wait for their start", waiting);
}

fn runs(registry: &mut Registry, model: &Model) {
    let ended = Family::<OfOutcome, Counter>::default();
    let replicas = Family::<OfState, Gauge>::default();
    let active = Gauge::<i64>::default();
    for (outcome, count) in &model.counts.runs {
        ended.get_or_create(&OfOutcome { outcome }).inc_by(*count);
    }
    for run in model.ledgers().flat_map(|(_, ledger)| &ledger.active) {
        active.inc();
        for (_, _, replica) in run.replicas() {
            let state = if replica.has_ended() {
                "ended"
            } else if matches!(replica.state, tickmesh_core::ledger::ReplicaState::Open(_)) {
                "bound"
            } else {
                "pending"
            };
            replicas.get_or_create(&OfState { state }).inc();
        }
    }
    let changes = Counter::<u64>::default();
    let epoch = Gauge::<i64>::default();
    let apps = Gauge::<i64>::default();
    changes.inc_by(model.counts.leader_changes);
    epoch.set(signed(model.counts.epoch));
    apps.set(signed(model.names().count() as u64));
    registry.register("runs", "Runs that ended since this process began, by outcome", ended);
    registry.register("runs_active", "Runs that go on", active);
    registry.register("replicas", "Replicas of the runs that go on", replicas);
    registry.register("leader_changes", "Tenures that began since this process did", changes);
    registry.register("leader_epoch", "Number of the tenure", epoch);
    registry.register("apps", "Apps under control of the mesh", apps);
}

fn agents(registry: &mut Registry, model: &Model) {
    let states = Family::<OfState, Gauge>::default();
    let total = Gauge::<i64>::default();
    let used = Gauge::<i64>::default();
    let ledgers: Vec<_> = model.ledgers().map(|(_, ledger)| ledger).collect();
    let mut by_state: BTreeMap<&'static str, i64> = BTreeMap::new();
    for agent in AgentsView::of(&model.agents(), ledgers, Timestamp::now()).0 {
        *by_state.entry(agent.state.text().0).or_default() += 1;
        total.inc_by(i64::from(agent.slots));
        used.inc_by(i64::from(agent.slots_used));
    }
    for (state, count) in by_state {
        states.get_or_create(&OfState { state }).set(count);
    }
    registry.register("agents", "Agents, by state", states);
    registry.register("slots", "Containers that may run at once", total);
    registry.register("slots_used", "Attempts that are bound to agents", used);
}

fn unreadable(registry: &mut Registry, model: &Model) {
    let records = Family::<OfStream, Gauge>::default();
    for (stream, count) in model.unreadable() {
        records.get_or_create(&OfStream { stream: stream.to_owned() }).set(signed(count as u64));
    }
    registry.register("records_unreadable", "Keys whose record cannot be read now, by stream", records);
}

/// What alerts on single apps are made of.
fn each_app(registry: &mut Registry, model: &Model) {
    type Gauges = Family<OfApp, Gauge>;
    let (success, succeeded) = (Gauges::default(), Gauges::default());
    let (failed, waiting) = (Gauges::default(), Gauges::default());
    for (app, ledger) in model.ledgers() {
        let of = OfApp { app: app.to_string() };
        let last_success = ledger.recent.iter().rfind(|run| run.outcome == "succeeded");
        if let Some(run) = last_success {
            success.get_or_create(&of).set(run.finished_at.as_second());
        }
        succeeded.get_or_create(&of).set(i64::from(last_success.is_some()));
        if let Some(last) = ledger.recent.back() {
            failed.get_or_create(&of).set(i64::from(!matches!(last.outcome.as_str(), "succeeded" | "cancelled")));
        }
        waiting.get_or_create(&of).set(signed(ledger.queue.len() as u64));
    }
    registry.register("app_last_success_seconds", "When the last of its last ten runs that succeeded ended", success);
    registry.register(
        "app_succeeded",
        "1: one of its last ten runs succeeded; 0: none did, or none ended yet",
        succeeded,
    );
    registry.register("app_last_run_failed", "1: its last run did not succeed", failed);
    registry.register("app_queue_length", "Its runs that wait", waiting);
}

/// What was counted in buckets since this process began.
fn histograms(metrics: &mut Exposition, model: &Model, wants_apps: bool) {
    let counts = &model.counts;
    for (name, help, histogram) in [
        (
            "tick_lateness_seconds",
            "From an instant to its decision, of ticks since this process began",
            &counts.lateness,
        ),
        ("run_duration_seconds", "From the start of a run to its end, of runs since this process began", &counts.took),
        (
            "run_wait_seconds",
            "From an instant to the start of its run, of runs since this process began",
            &counts.waited,
        ),
    ] {
        metrics.histogram(name, help, histogram);
    }
    if wants_apps {
        let help = "From the start of a run to its end, by app, of runs since this process began";
        let by_app = counts.took_by_app.iter().map(|(app, histogram)| (app.to_string(), histogram));
        metrics.histograms("app_run_duration_seconds", help, "app", by_app);
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
