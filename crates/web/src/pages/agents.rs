//! The Docker hosts, and what they carry.

use askama::Template;
use axum::{extract::State, response::Response};
use jiff::Timestamp;
use tickmesh_client::views::agent::{AgentState, AgentsView};
use tickmesh_core::quantity::{bytes, cores};

use super::{
    Head, page,
    words::{Moment, class},
};
use crate::app::App;

struct Row {
    name: String,
    host: String,
    state: &'static str,
    /// What is wrong with its engine, if anything is.
    trouble: String,
    class: &'static str,
    slots: u32,
    used: u32,
    percent: u32,
    cpu: String,
    memory: String,
    gpus: String,
    engine: String,
    version: String,
    labels: String,
    heartbeat: Moment,
    is_draining: bool,
}

#[derive(Template)]
#[template(path = "agents.html")]
struct AgentsPage {
    head: Head,
    rows: Vec<Row>,
}

/// `GET /agents`.
pub(crate) async fn agents(State(app): State<App>) -> Response {
    let now = Timestamp::now();
    let views = app.look(|model| AgentsView::of(&model.agents(), model.ledgers().map(|(_, it)| it), now));
    let rows = views.0.iter().map(|view| {
        let (state, tone) = view.state.text();
        Row {
            name: view.name.clone(),
            host: view.host.clone(),
            state,
            trouble: view.trouble_text(now).unwrap_or_default(),
            class: class(tone),
            slots: view.slots,
            used: view.slots_used,
            percent: (view.slots_used * 100).checked_div(view.slots).unwrap_or(0).min(100),
            cpu: format!("{} of {}", cores(view.cpu_millis_reserved), cores(view.cpu_millis)),
            memory: format!("{} of {}", bytes(view.memory_bytes_reserved), bytes(view.memory_bytes)),
            gpus: view.gpus_text().unwrap_or_default(),
            engine: view.engine.clone(),
            version: view.build.clone(),
            labels: view.labels_text(),
            heartbeat: Moment::new(view.heartbeat_at, now),
            is_draining: view.state == AgentState::Draining,
        }
    });
    page(&AgentsPage { head: Head::of(&app, "agents", now), rows: rows.collect() })
}
