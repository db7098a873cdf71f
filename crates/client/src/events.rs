//! What happens in a mesh: kept in four streams, and read as one.

use std::{collections::BTreeMap, fmt, str::FromStr};

use futures_util::{StreamExt as _, stream::select_all};
use jiff::Timestamp;
use tickmesh_core::{message::AttemptReport, name::AppName};
use tickmesh_messaging::{Change, Error, Following, Mesh, Start};

use crate::views::event::EventView;

/// How far somebody has read: the last sequence of each stream. With it he reads on where he was, without loss and without repeats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position([u64; 4]);

/// A stream of events, and its place in a position.
#[derive(Debug, Clone, Copy)]
enum Source {
    Ticks = 0,
    Results = 1,
    History = 2,
    Mesh = 3,
}

impl Position {
    /// Before everything that is kept.
    pub const BEGIN: Self = Self([0; 4]);

    /// After everything that is kept.
    pub async fn end(mesh: &Mesh) -> Result<Self, Error> {
        Ok(Self([
            mesh.ticks().last_sequence().await?,
            mesh.results().last_sequence().await?,
            mesh.history().last_sequence().await?,
            mesh.events().last_sequence().await?,
        ]))
    }

    fn of(self, source: Source) -> u64 {
        self.0[source as usize]
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [ticks, results, history, mesh] = self.0;
        write!(formatter, "{ticks}-{results}-{history}-{mesh}")
    }
}

/// A text that is no position.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be four numbers with hyphens between them, as an event's id is")]
pub struct InvalidPosition;

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let numbers: Result<Vec<u64>, _> = text.split('-').map(str::parse).collect();
        let numbers = numbers.map_err(|_| InvalidPosition)?;
        numbers.try_into().map(Self).map_err(|_| InvalidPosition)
    }
}

/// Which of what is kept is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Only what happened since.
    pub since: Option<Timestamp>,
    /// Only the newest, at most so many.
    pub count: usize,
}

/// What is kept and wanted.
#[derive(Debug)]
pub struct Kept {
    /// In the order of time.
    pub events: Vec<EventView>,
    /// How many earlier ones there are beyond the count.
    pub earlier: u64,
}

/// What is kept; of an app, or of all and of the mesh itself. However much that is, no more is held than is wanted.
pub async fn kept(mesh: &Mesh, app: Option<&AppName>, wanted: Wanted) -> Result<Kept, Error> {
    let mut newest = Newest::new(wanted);
    let (ticks, runs) = match app {
        Some(app) => (mesh.ticks().last(app).await?, mesh.history().last(app).await?),
        None => (mesh.ticks().list().await?, mesh.history().list().await?),
    };
    ticks.into_iter().for_each(|entry| newest.take(EventView::tick(entry.value)));
    runs.into_iter().for_each(|entry| newest.take(EventView::run(entry.value)));
    let mut reports = reports(mesh, app, 0).await?;
    while let Some(change) = reports.next().await.transpose()? {
        match change {
            Change::Entry(entry) => newest.take(EventView::result(entry.value)),
            Change::Unreadable { .. } => {}
            Change::SnapshotEnd { .. } => break,
        }
    }
    if app.is_none() {
        let events = mesh.events().list().await?;
        events.into_iter().for_each(|entry| newest.take(EventView::mesh(entry.at, entry.value)));
    }
    Ok(newest.into_kept())
}

/// What becomes of attempts, of an app or of all.
async fn reports(mesh: &Mesh, app: Option<&AppName>, after: u64) -> Result<Following<Change<AttemptReport>>, Error> {
    match app {
        Some(app) => mesh.results().follow_app(app, after).await,
        None => mesh.results().follow(after).await,
    }
}

/// The newest of what comes in any order.
struct Newest {
    wanted: Wanted,
    /// How many were wanted but for the count; with the time this orders those that are held.
    seen: u64,
    held: BTreeMap<(Timestamp, u64), EventView>,
}

impl Newest {
    fn new(wanted: Wanted) -> Self {
        Self { wanted, seen: 0, held: BTreeMap::new() }
    }

    fn take(&mut self, event: EventView) {
        if self.wanted.since.is_some_and(|since| event.at < since) {
            return;
        }
        self.seen += 1;
        self.held.insert((event.at, self.seen), event);
        if self.held.len() > self.wanted.count {
            self.held.pop_first();
        }
    }

    fn into_kept(self) -> Kept {
        let earlier = self.seen - self.held.len() as u64;
        Kept { events: self.held.into_values().collect(), earlier }
    }
}

/// What comes after a position, each event with the position after it. Those of one stream are in its order.
pub async fn follow(
    mesh: &Mesh,
    app: Option<&AppName>,
    mut position: Position,
) -> Result<Following<(Position, EventView)>, Error> {
    let after = |source| Start::After(position.of(source));
    let ticks = mesh.ticks().follow(app, after(Source::Ticks)).await?;
    let runs = mesh.history().follow(app, after(Source::History)).await?;
    let reports = reports(mesh, app, position.of(Source::Results)).await?;
    let reports = reports.filter_map(|change| {
        let event = match change {
            Ok(Change::Entry(entry)) => Some(Ok((Source::Results, entry.sequence, EventView::result(entry.value)))),
            Ok(Change::Unreadable { .. } | Change::SnapshotEnd { .. }) => None,
            Err(error) => Some(Err(error)),
        };
        std::future::ready(event)
    });
    let mut sources: Vec<Following<(Source, u64, EventView)>> = vec![
        ticks.map(|entry| entry.map(|it| (Source::Ticks, it.sequence, EventView::tick(it.value)))).boxed(),
        runs.map(|entry| entry.map(|it| (Source::History, it.sequence, EventView::run(it.value)))).boxed(),
        reports.boxed(),
    ];
    if app.is_none() {
        let events = mesh.events().follow(after(Source::Mesh)).await?;
        let events = events.map(|entry| entry.map(|it| (Source::Mesh, it.sequence, EventView::mesh(it.at, it.value))));
        sources.push(events.boxed());
    }
    let events = select_all(sources).map(move |event| {
        let (source, sequence, view) = event?;
        position.0[source as usize] = sequence;
        Ok((position, view))
    });
    Ok(events.boxed())
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use tickmesh_core::message::MeshEvent;
    use tickmesh_testkit::records as fixture;

    use super::*;

    #[track_caller]
    fn check_newest(wanted: Wanted, expected: &[&str], earlier: u64) {
        let mut newest = Newest::new(wanted);
        for (second, by) in [(3, "c"), (1, "a"), (2, "b"), (3, "d")] {
            let at = fixture::now() + SignedDuration::from_secs(second);
            newest.take(EventView::mesh(at, MeshEvent::Examined { by: by.to_owned() }));
            assert!(newest.held.len() <= wanted.count, "no more is held than is wanted");
        }
        let kept = newest.into_kept();
        let texts: Vec<String> = kept.events.iter().map(|it| format!("{:?}", it.what)).collect();
        let expected: Vec<String> = expected.iter().map(|by| format!("Mesh(Examined {{ by: {by:?} }})")).collect();
        assert_eq!((texts, kept.earlier), (expected, earlier));
    }

    #[test]
    fn the_newest_are_held_in_the_order_of_time() {
        check_newest(Wanted { since: None, count: 10 }, &["a", "b", "c", "d"], 0);
        check_newest(Wanted { since: None, count: 2 }, &["c", "d"], 2);
        check_newest(Wanted { since: None, count: 0 }, &[], 4);
        let since = Some(fixture::now() + SignedDuration::from_secs(2));
        check_newest(Wanted { since, count: 2 }, &["c", "d"], 1);
    }

    #[test]
    fn a_position_is_four_numbers() {
        let position = Position([12, 0, 3, u64::MAX]);
        assert_eq!(position.to_string().parse(), Ok(position));
        for text in ["", "1", "1-2-3", "1-2-3-4-5", "1-2--4", "1-2-3-x", "1-2-3-18446744073709551616"] {
            assert_eq!(text.parse::<Position>(), Err(InvalidPosition), "{text}");
        }
    }
}
