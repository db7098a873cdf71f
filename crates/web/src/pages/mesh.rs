//! The mesh itself: who leads, who stands by, and what is stored.

use askama::Template;
use axum::{extract::State, response::Response};
use jiff::Timestamp;
use tickmesh_client::read;
use tickmesh_core::quantity::bytes;

use super::{
    Failed, Head, page,
    words::{Moment, class},
};
use crate::app::App;

struct Scheduler {
    id: String,
    host: String,
    state: &'static str,
    class: &'static str,
    since: Moment,
    version: String,
    reason: String,
}

struct Stream {
    name: String,
    messages: u64,
    bytes: String,
    last: u64,
    replicas: usize,
}

#[derive(Template)]
#[template(path = "mesh.html")]
struct MeshPage {
    head: Head,
    namespace: String,
    server: String,
    answer: String,
    schedulers: Vec<Scheduler>,
    streams: Vec<Stream>,
}

/// `GET /mesh`.
pub(crate) async fn mesh(State(app): State<App>) -> Result<Response, Failed> {
    let now = Timestamp::now();
    let schedulers = read::schedulers(&app.mesh).await?;
    let streams = app.mesh.stream_states().await?;
    let took = app.mesh.round_trip().await?;
    let scheduler = |view: &tickmesh_client::views::scheduler::SchedulerView| {
        let (state, tone) = view.state.text();
        Scheduler {
            id: view.id.clone(),
            host: view.host.clone(),
            state,
            class: class(tone),
            since: Moment::new(view.since, now),
            version: view.build.clone().unwrap_or_default(),
            reason: view.reason.clone().unwrap_or_default(),
        }
    };
    Ok(page(&MeshPage {
        head: Head::of(&app, "mesh", now),
        namespace: app.mesh.names().namespace().to_string(),
        server: app.mesh.server_version(),
        answer: format!("{:.1} ms", took.as_secs_f64() * 1_000.0),
        schedulers: schedulers.0.iter().map(scheduler).collect(),
        streams: streams
            .into_iter()
            .map(|it| Stream {
                name: it.stream,
                messages: it.messages,
                bytes: bytes(it.bytes),
                last: it.last_sequence,
                replicas: it.replicas,
            })
            .collect(),
    }))
}
