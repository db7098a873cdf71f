//! Reads what happens for one target, from where the last one stopped, and has what is worth it delivered.

use std::{collections::HashMap, time::Duration};

use futures_util::{StreamExt as _, stream::select_all};
use tickmesh_core::{
    history::RunSummary,
    message::{MeshEvent, SCHEMA, TickRecord},
    name::AppName,
    outcome::Outcome,
};
use tickmesh_messaging::{Cas, Entry, Error, Following, Mesh, NoticePosition, Start};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::{Notice, deliver::Deliverer};

/// How often the position is stored while nothing is worth a notice: what is read again after a change of leaders is read fast.
const STORED_EVERY: Duration = Duration::from_secs(10);
/// Apps of which it is remembered how they ended last; of others it is asked for.
const REMEMBERED_MAX: usize = 10_000;

/// Something that happened.
enum News {
    Tick(Entry<TickRecord>),
    Run(Entry<RunSummary>),
    Mesh(Entry<MeshEvent>),
}

/// One reading, from a position on.
pub(crate) struct Session<'a> {
    mesh: &'a Mesh,
    deliverer: &'a Deliverer,
    position: NoticePosition,
    /// Revision of the stored position.
    revision: u64,
    stored_at: Instant,
    /// How the last run of an app ended that nobody cancelled.
    outcomes: HashMap<AppName, Outcome>,
}

impl<'a> Session<'a> {
    /// Serves until something cannot be read; losing the future loses nothing but what is posted again.
    pub(crate) async fn run(mesh: &'a Mesh, deliverer: &'a Deliverer) -> Error {
        match Self::begin(mesh, deliverer).await {
            Ok((mut session, mut news)) => loop {
                match news.next().await {
                    Some(Ok(news)) => {
                        if let Err(error) = session.take(news).await {
                            return error;
                        }
                    }
                    Some(Err(error)) => return error,
                    None => return Error::Closed { stream: "history".to_owned() },
                }
            },
            Err(error) => error,
        }
    }

    async fn begin(mesh: &'a Mesh, deliverer: &'a Deliverer) -> Result<(Self, Following<News>), Error> {
        let (position, revision) = place(mesh, deliverer.webhook()).await?;
        let (ticks, runs, events) = (mesh.ticks(), mesh.history(), mesh.events());
        let news: Vec<Following<News>> = vec![
            ticks.follow(None, Start::After(position.ticks)).await?.map(|it| it.map(News::Tick)).boxed(),
            runs.follow(None, Start::After(position.history)).await?.map(|it| it.map(News::Run)).boxed(),
            events.follow(Start::After(position.mesh)).await?.map(|it| it.map(News::Mesh)).boxed(),
        ];
        let session = Self { mesh, deliverer, position, revision, stored_at: Instant::now(), outcomes: HashMap::new() };
        Ok((session, select_all(news).boxed()))
    }

    async fn take(&mut self, news: News) -> Result<(), Error> {
        let notice = match &news {
            News::Tick(entry) => Notice::of_tick(&entry.value),
            News::Run(entry) => {
                let before = self.before(&entry.value).await?;
                Notice::of_run(&entry.value, before.as_ref())
            }
            News::Mesh(entry) => Notice::of_event(&entry.value, entry.at, entry.sequence),
        };
        if let Some(notice) = &notice {
            debug!(notice = notice.id, text = notice.text, "delivering a notice");
            self.deliverer.deliver(notice).await;
        }
        match news {
            News::Tick(entry) => self.position.ticks = entry.sequence,
            News::Run(entry) => self.position.history = entry.sequence,
            News::Mesh(entry) => self.position.mesh = entry.sequence,
        }
        if notice.is_some() || self.stored_at.elapsed() >= STORED_EVERY {
            self.store().await?;
        }
        Ok(())
    }

    /// How the app's run before this one ended that nobody cancelled: an app that failed has not recovered by being cancelled.
    async fn before(&mut self, summary: &RunSummary) -> Result<Option<Outcome>, Error> {
        if summary.outcome == Outcome::Cancelled {
            return Ok(None);
        }
        let remembered = self.outcomes.get(&summary.app).cloned();
        if self.outcomes.len() >= REMEMBERED_MAX {
            self.outcomes.clear();
        }
        self.outcomes.insert(summary.app.clone(), summary.outcome.clone());
        // Only a success needs to know.
        if remembered.is_some() || summary.outcome != Outcome::Succeeded {
            return Ok(remembered);
        }
        let history = self.mesh.history().last(&summary.app).await?;
        let before = history
            .into_iter()
            .map(|entry| entry.value)
            .rfind(|it| it.number < summary.number && it.outcome != Outcome::Cancelled);
        Ok(before.map(|before| before.outcome))
    }

    async fn store(&mut self) -> Result<(), Error> {
        self.stored_at = Instant::now();
        match self.mesh.store_notice_position(self.deliverer.webhook(), &self.position, self.revision).await? {
            Cas::Stored { sequence } => self.revision = sequence,
            // Another process delivers, too: a leader that does not know yet that it is none. Both go on from what is theirs.
            Cas::Refused { current } => {
                warn!("another scheduler delivers notices, too");
                self.revision = current.map_or(0, |current| current.sequence);
            }
        }
        Ok(())
    }
}

/// Where to begin, with its revision. It is stored before anything is read: a leader that dies before it has posted anything leaves to
/// the next one what it read, and that one does not begin with its own now.
async fn place(mesh: &Mesh, webhook: u64) -> Result<(NoticePosition, u64), Error> {
    let (ticks, runs, events) = (mesh.ticks(), mesh.history(), mesh.events());
    loop {
        // Read before the ends of the streams: somebody who still delivers may be ahead of ends that were read before.
        let stored = mesh.notice_position(webhook).await?;
        let ends = tokio::try_join!(ticks.last_sequence(), runs.last_sequence(), events.last_sequence())?;
        let now = NoticePosition { schema: SCHEMA, ticks: ends.0, history: ends.1, mesh: ends.2 };
        let expected = match stored {
            Some(stored) if is_within(&stored.value, &now) => return Ok((stored.value, stored.sequence)),
            // What is stored belongs to streams that are gone.
            Some(stored) => stored.sequence,
            // Nobody has asked for notices before: what was is not told.
            None => 0,
        };
        match mesh.store_notice_position(webhook, &now, expected).await? {
            Cas::Stored { sequence } => return Ok((now, sequence)),
            // Somebody else began meanwhile: what is stored counts.
            Cas::Refused { .. } => {}
        }
    }
}

fn is_within(position: &NoticePosition, end: &NoticePosition) -> bool {
    position.ticks <= end.ticks && position.history <= end.history && position.mesh <= end.mesh
}
