//! What is told as it happens, as server-sent events: the events of the mesh to programs, the output of a run to its page.

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{Stream, StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tickmesh_client::{
    events::{self, Position},
    tail::{Live, Tail},
};
use tickmesh_core::{id::RunNumber, name::AppName};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::sleep,
};

use crate::{
    app::{App, FOLLOWERS_MAX, FOLLOWERS_PER_ADDRESS_MAX},
    connections::{Peer, Visit},
    output::{LINES_MAX, Shown, shown},
    pages::Whose,
    problem::Problem,
};

/// Where a program that comes back says how far it was.
const LAST_EVENT_ID: &str = "last-event-id";
/// Output of a run that has ended is followed until nothing has come for so long: agents send it in batches.
const SILENCE: Duration = Duration::from_secs(3);
/// Messages to a browser that are on their way.
const UNDERWAY_MAX: usize = 16;

type Told = Result<Event, Infallible>;

fn permit(app: &App, peer: Peer) -> Result<(OwnedSemaphorePermit, Visit), Problem> {
    let full = |problem| Problem::new(StatusCode::SERVICE_UNAVAILABLE, problem);
    let many = || full(format!("{FOLLOWERS_MAX} follow something already: that is as many as may"));
    let of_one = || full(format!("{FOLLOWERS_PER_ADDRESS_MAX} of {} follow something already", peer.0));
    let visit = app.followers_by_address.enter(peer).ok_or_else(of_one)?;
    Ok((app.followers.clone().try_acquire_owned().map_err(|_| many())?, visit))
}

/// Which events.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    app: Option<String>,
    #[serde(default)]
    from: From,
}

/// Where somebody begins who does not say how far he was.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum From {
    #[default]
    Now,
    Oldest,
}

/// `GET /api/v1/events`.
pub(crate) async fn events(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Told>>, Problem> {
    let permit = permit(&app, peer)?;
    let name = wanted.app.map(AppName::new).transpose().map_err(|error| Problem::bad(error.to_string()))?;
    let position = match (headers.get(LAST_EVENT_ID), wanted.from) {
        (Some(id), _) => {
            let id = id.to_str().unwrap_or_default();
            id.parse().map_err(|error| Problem::bad(format!("Last-Event-ID `{id}`: {error}")))?
        }
        (None, From::Now) => Position::end(&app.mesh).await?,
        (None, From::Oldest) => Position::BEGIN,
    };
    let coming = events::follow(&app.mesh, name.as_ref(), position).await?;
    // Whoever is cut off before anything has happened begins here again, too.
    let begin = stream::once(std::future::ready(Ok(Event::default().id(position.to_string()))));
    let told = coming.scan(permit, |_held, event| {
        // A client that is cut off comes back, and says how far it was.
        let event = event.inspect_err(|error| tracing::warn!(%error, "events cannot be followed")).ok();
        let told = event.and_then(|(position, view)| Event::default().id(position.to_string()).json_data(view).ok());
        std::future::ready(told.map(Ok))
    });
    let stopped = app.stopped.clone();
    let told = begin.chain(told).take_until(async move { stopped.cancelled().await });
    Ok(Sse::new(told).keep_alive(KeepAlive::default()))
}

/// Lines for a browser.
#[derive(Debug, Serialize)]
struct Lines {
    lines: Vec<Shown>,
    earlier: bool,
}

impl Lines {
    fn event(&self, name: &str) -> Option<Event> {
        Event::default().event(name).json_data(self).ok()
    }
}

/// `GET /apps/{app}/runs/{run}/logs/live`: `all` with the last lines, `more` with each that comes, and `end`.
pub(crate) async fn output(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Path((name, number)): Path<(String, RunNumber)>,
    Query(whose): Query<Whose>,
) -> Result<Sse<impl Stream<Item = Told>>, Problem> {
    let permit = permit(&app, peer)?;
    let missing = || Problem::not_found(format!("run {name}/{number}"));
    let filter = whose.filter(&name, number).ok_or_else(missing)?;
    let mut tail = Tail::read(&app.mesh, &filter, LINES_MAX, |_| true).await?;
    let all = Lines { lines: tail.lines.drain(..).map(|line| shown(&line)).collect(), earlier: tail.earlier };
    let live = tail.follow(&app.mesh, &filter).await?;
    let (sender, told) = mpsc::channel(UNDERWAY_MAX);
    let stopped = app.stopped.clone();
    tokio::spawn(async move {
        let told = tell(&app, live, all, &filter.app, number, &sender);
        // Whatever it is that it waits for, nobody may listen any more.
        tokio::select! {
            _ = told => {}
            () = sender.closed() => {}
        }
        drop(permit);
    });
    let told = stream::unfold(told, |mut told| async move { Some((Ok(told.recv().await?), told)) });
    let told = told.take_until(async move { stopped.cancelled().await });
    Ok(Sse::new(told).keep_alive(KeepAlive::default()))
}

/// Tells until the run has ended and nothing more comes; `None`: nobody listens, or there is nothing to listen to.
async fn tell(
    app: &App,
    mut live: Live,
    all: Lines,
    name: &AppName,
    run: RunNumber,
    sender: &mpsc::Sender<Event>,
) -> Option<()> {
    sender.send(all.event("all")?).await.ok()?;
    let mut changes = app.changes.subscribe();
    loop {
        let is_over = !app.look(|model| model.is_active(name, run));
        let more = tokio::select! {
            more = live.next() => more?.ok()?,
            changed = changes.changed(), if !is_over => {
                changed.ok()?;
                continue;
            }
            () = sleep(SILENCE), if is_over => break,
        };
        let lines = Lines { lines: more.iter().map(shown).collect(), earlier: false };
        sender.send(lines.event("more")?).await.ok()?;
    }
    let rest = Lines { lines: live.unfinished().iter().map(shown).collect(), earlier: false };
    sender.send(rest.event("more")?).await.ok()?;
    // Without data a browser would take it for none.
    sender.send(Event::default().event("end").data("over")).await.ok()
}
