//! What happens in a mesh: kept in four streams, and read as one.

use std::{fmt, str::FromStr};

use futures_util::{StreamExt as _, stream::select_all};
use tickmesh_core::name::AppName;
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

/// What is kept, in the order of time; of an app, or of all and of the mesh itself.
pub async fn kept(mesh: &Mesh, app: Option<&AppName>) -> Result<Vec<EventView>, Error> {
    let mut events: Vec<EventView> = Vec::new();
    let (ticks, runs) = match app {
        Some(app) => (mesh.ticks().last(app).await?, mesh.history().last(app).await?),
        None => (mesh.ticks().list().await?, mesh.history().list().await?),
    };
    events.extend(ticks.into_iter().map(|entry| EventView::tick(entry.value)));
    events.extend(runs.into_iter().map(|entry| EventView::run(entry.value)));
    let reports = mesh.results().list().await?.into_iter().map(|entry| entry.value);
    events.extend(reports.filter(|report| app.is_none_or(|app| report.attempt.app == *app)).map(EventView::result));
    if app.is_none() {
        events.extend(mesh.events().list().await?.into_iter().map(|entry| EventView::mesh(entry.at, entry.value)));
    }
    events.sort_by_key(|event| event.at);
    Ok(events)
}

/// What comes after a position, each event with the position after it. Those of one stream are in its order.
pub async fn follow(
    mesh: &Mesh,
    app: Option<&AppName>,
    mut position: Position,
) -> Result<Following<(Position, EventView)>, Error> {
    let after = |source| Start::After(position.of(source));
    let wanted = app.cloned();
    let ticks = mesh.ticks().follow(app, after(Source::Ticks)).await?;
    let runs = mesh.history().follow(app, after(Source::History)).await?;
    let reports = mesh.results().follow(position.of(Source::Results)).await?;
    let reports = reports.filter_map(move |change| {
        let event = match change {
            Ok(Change::Entry(entry)) if wanted.as_ref().is_none_or(|app| entry.value.attempt.app == *app) => {
                Some(Ok((Source::Results, entry.sequence, EventView::result(entry.value))))
            }
            Ok(Change::Entry(_) | Change::Unreadable { .. } | Change::SnapshotEnd { .. }) => None,
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
    use super::*;

    #[test]
    fn a_position_is_four_numbers() {
        let position = Position([12, 0, 3, u64::MAX]);
        assert_eq!(position.to_string().parse(), Ok(position));
        for text in ["", "1", "1-2-3", "1-2-3-4-5", "1-2--4", "1-2-3-x", "1-2-3-18446744073709551616"] {
            assert_eq!(text.parse::<Position>(), Err(InvalidPosition), "{text}");
        }
    }
}
