//! Keeps the model up with the streams, and tells browsers that something has changed.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{Stream, StreamExt as _};
use jiff::Timestamp;
use tickmesh_client::leadership::{Leadership, leadership};
use tickmesh_core::message::AppRecord;
use tickmesh_messaging::{Change, Entry, Error, Following, Mesh, Start, chain};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tracing::warn;

use crate::{
    app::App,
    model::{Applied, Model},
};

/// Before a stream that broke is followed again.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at who leads.
const LEADER_EVERY: Duration = Duration::from_secs(2);
/// A browser is told this often at most.
const TOLD_EVERY: Duration = Duration::from_secs(1);
/// Changes that are taken in before anybody looks again.
const AT_ONCE: usize = 256;

/// Begins to follow everything, in tasks that end with `tasks`.
pub(crate) fn follow(app: &App, tasks: &mut JoinSet<()>) {
    tasks.spawn(watch_leader(app.clone()));
    tasks.spawn(again(app.clone(), "apps", |app| async move {
        let zones = app.zones.clone();
        let changes = app.mesh.apps().follow().await?;
        let mesh = app.mesh.clone();
        let numbered = move |change| {
            let mesh = mesh.clone();
            async move { numbered(&mesh, change).await }
        };
        let changes = changes.map(numbered).buffered(AT_ONCE).boxed();
        let read = move |entry| Applied::read(entry, &zones);
        let take = |model: &mut Model, applied: Option<Applied>| {
            if let Some(applied) = applied {
                model.app(applied);
            }
        };
        changed(&app, changes, read, take, Model::unreadable_app, Model::apps_loaded).await
    }));
    tasks.spawn(again(app.clone(), "ledgers", |app| async move {
        let changes = app.mesh.ledgers().follow().await?;
        changed(&app, changes, |entry| entry, Model::ledger, Model::unreadable_ledger, Model::ledgers_loaded).await
    }));
    tasks.spawn(again(app.clone(), "agents", |app| async move {
        let changes = app.mesh.agents().follow().await?;
        changed(&app, changes, |entry| entry, Model::agent, Model::unreadable_agent, Model::agents_loaded).await
    }));
    tasks.spawn(again(app.clone(), "history", |app| async move {
        let journal = app.mesh.history();
        let last = journal.last_sequence().await?;
        let entries = journal.follow(None, Start::All).await?;
        app.change(|model| {
            model.new_runs.begin(last);
            model.runs.clear();
            model.mended("history");
        });
        came(&app, entries, Model::run).await
    }));
    tasks.spawn(again(app.clone(), "ticks", |app| async move {
        let journal = app.mesh.ticks();
        let last = journal.last_sequence().await?;
        let entries = journal.follow(None, Start::All).await?;
        app.change(|model| {
            model.new_ticks.begin(last);
            model.ticks.clear();
            model.mended("ticks");
        });
        came(&app, entries, Model::tick).await
    }));
    tasks.spawn(again(app.clone(), "events", |app| async move {
        let events = app.mesh.events();
        let last = events.last_sequence().await?;
        let entries = events.follow(Start::All).await?;
        app.change(|model| {
            model.new_events.begin(last);
            model.mended("events");
        });
        came(&app, entries, |model, entry| model.event(&entry)).await
    }));
}

/// Fills in the number of a revision that an earlier release has stored.
async fn numbered(mesh: &Mesh, change: Result<Change<AppRecord>, Error>) -> Result<Change<AppRecord>, Error> {
    match change? {
        Change::Entry(entry) => mesh.number(entry).await.map(Change::Entry),
        other @ (Change::Unreadable { .. } | Change::SnapshotEnd { .. }) => Ok(other),
    }
}

/// Looks again and again who leads. A change of leaders takes less than a second: that nobody leads, or that nobody can be
/// asked, is said when it was so twice.
async fn watch_leader(app: App) {
    let mut was_led = true;
    loop {
        let found = leadership(&app.mesh).await;
        let is_led = match found {
            Leadership::Led | Leadership::InDoubt { .. } => true,
            Leadership::Nobody | Leadership::Unknown { .. } => false,
        };
        let is_sure = is_led || !was_led;
        was_led = is_led;
        if is_sure && app.look(|model| model.leadership != found) {
            app.change(|model| model.leadership = found);
        }
        sleep(LEADER_EVERY).await;
    }
}

/// Follows a stream again and again, whatever ends it.
async fn again<F>(app: App, what: &'static str, follow: impl Fn(App) -> F)
where
    F: Future<Output = Result<(), Error>>,
{
    loop {
        match follow(app.clone()).await {
            Ok(()) => warn!(what, "a stream ended"),
            Err(error) => warn!(what, error = &error as &dyn std::error::Error, "a stream cannot be followed"),
        }
        app.change(|model| model.broke(what, Timestamp::now()));
        sleep(PAUSE).await;
    }
}

/// What is to be taken in of a bucket.
enum News<R> {
    Entry(R),
    Unreadable { key: String, reason: String },
    Loaded,
}

/// Takes a bucket's changes in, each as it was read while nobody waited for it.
async fn changed<T, R>(
    app: &App,
    changes: Following<Change<T>>,
    read: impl Fn(Entry<T>) -> R,
    take: impl Fn(&mut Model, R),
    unreadable: impl Fn(&mut Model, &str, String),
    loaded: impl Fn(&mut Model),
) -> Result<(), Error> {
    let mut changes = changes.ready_chunks(AT_ONCE);
    while let Some(batch) = changes.next().await {
        let batch: Vec<Change<T>> = batch.into_iter().collect::<Result<_, _>>()?;
        let news = batch.into_iter().map(|change| match change {
            Change::Entry(entry) => News::Entry(read(entry)),
            Change::SnapshotEnd { .. } => News::Loaded,
            Change::Unreadable { key, error, .. } => News::Unreadable { key, reason: chain(&error) },
        });
        let news: Vec<News<R>> = news.collect();
        app.change(|model| {
            for it in news {
                match it {
                    News::Entry(entry) => take(model, entry),
                    News::Unreadable { key, reason } => unreadable(model, &key, reason),
                    News::Loaded => loaded(model),
                }
            }
        });
    }
    Ok(())
}

/// Takes a journal's messages in.
async fn came<T>(app: &App, entries: Following<Entry<T>>, take: impl Fn(&mut Model, Entry<T>)) -> Result<(), Error> {
    let mut entries = entries.ready_chunks(AT_ONCE);
    while let Some(batch) = entries.next().await {
        let batch: Vec<Entry<T>> = batch.into_iter().collect::<Result<_, _>>()?;
        app.change(|model| batch.into_iter().for_each(|entry| take(model, entry)));
    }
    Ok(())
}

/// `GET /live`: an event whenever something has changed, once a second at most.
pub(crate) async fn changes(State(app): State<App>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (changes, stopped) = (app.changes.subscribe(), app.stopped.clone());
    let events = futures_util::stream::unfold((changes, None::<Instant>), |(mut changes, told)| async move {
        changes.changed().await.ok()?;
        if let Some(told) = told {
            sleep_until(told + TOLD_EVERY).await;
        }
        let count = *changes.borrow_and_update();
        Some((Ok(Event::default().event("changed").data(count.to_string())), (changes, Some(Instant::now()))))
    });
    // A browser that stays would keep the server from ending.
    Sse::new(events.take_until(async move { stopped.cancelled().await })).keep_alive(KeepAlive::default())
}
