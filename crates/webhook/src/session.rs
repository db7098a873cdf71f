//! Reads what there is to tell one target, from where the last one stopped, and has it delivered.

use std::{collections::HashMap, time::Duration};

use futures_util::{StreamExt as _, stream::select_all};
use jiff::{Timestamp, tz::TimeZoneDatabase};
use tickmesh_client::{read, stored::understand_stored};
use tickmesh_core::{
    history::RunSummary,
    id::RunToken,
    message::{AppNotice, MeshEvent, NoticeRecord, SCHEMA},
    name::AppName,
    outcome::Outcome,
    spec::NotifyChoice,
};
use tickmesh_messaging::{Cas, Entry, Error, Following, Mesh, NoticePosition, Start};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, warn};

use crate::{
    Notice,
    deliver::Deliverer,
    gather::{Limit, collapse},
    mesh_notices::MeshNotices,
    notice::run_of,
    target::Target,
    text::masked,
};

/// How often the position is stored while nothing is told: what is read again after a change of leaders is read fast.
const STORED_EVERY: Duration = Duration::from_secs(10);
/// How long notices are gathered, so that a storm is one message.
const GATHER: Duration = Duration::from_secs(1);
/// Notices that are gathered at most.
const GATHERED_MAX: usize = 1_000;
/// Apps whose choice is remembered; those of others are read again.
const REMEMBERED_MAX: usize = 10_000;
/// Lines of output that come with a notice.
const LAST_LINES: usize = 20;
/// How long the summary of a run is waited for, which is published beside the notice of its end.
const SUMMARY_WITHIN: Duration = Duration::from_secs(2);
const SUMMARY_PAUSE: Duration = Duration::from_millis(100);

/// Something that happened.
enum News {
    Notice(Entry<NoticeRecord>),
    Mesh(Entry<MeshEvent>),
}

/// What sessions of all targets need.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    pub(crate) mesh: Mesh,
    pub(crate) zones: TimeZoneDatabase,
    /// Where the page is, for links.
    pub(crate) public_url: Option<String>,
}

/// One reading, from a position on.
pub(crate) struct Session<'a> {
    around: &'a Surroundings,
    target: &'a Target,
    deliverer: &'a Deliverer,
    position: NoticePosition,
    /// Revision of the stored position.
    revision: u64,
    stored_at: Instant,
    known: MeshNotices,
    /// What the apps have chosen, each at a revision of its file.
    choices: HashMap<AppName, (u64, NotifyChoice)>,
    limit: Limit,
}

impl<'a> Session<'a> {
    /// Serves until something cannot be read; losing the future loses nothing but what is sent again.
    pub(crate) async fn run(around: &'a Surroundings, target: &'a Target, deliverer: &'a Deliverer) -> Error {
        match Self::begin(around, target, deliverer).await {
            Ok((mut session, mut news)) => loop {
                if let Err(error) = session.serve_once(&mut news).await {
                    return error;
                }
            },
            Err(error) => error,
        }
    }

    async fn begin(
        around: &'a Surroundings,
        target: &'a Target,
        deliverer: &'a Deliverer,
    ) -> Result<(Self, Following<News>), Error> {
        let mesh = &around.mesh;
        let (position, revision) = place(mesh, target.key).await?;
        let (notices, events) = (mesh.notices(), mesh.events());
        let mut known = MeshNotices::default();
        for entry in events.list().await?.iter().filter(|entry| entry.sequence <= position.mesh) {
            known.take(&entry.value, entry.at, entry.sequence);
        }
        let after = position.notices.unwrap_or_default();
        let news: Vec<Following<News>> = vec![
            notices.follow(None, Start::After(after)).await?.map(|it| it.map(News::Notice)).boxed(),
            events.follow(Start::After(position.mesh)).await?.map(|it| it.map(News::Mesh)).boxed(),
        ];
        let session = Self {
            around,
            target,
            deliverer,
            position,
            revision,
            stored_at: Instant::now(),
            known,
            choices: HashMap::new(),
            limit: Limit::new(target.per_hour),
        };
        Ok((session, select_all(news).boxed()))
    }

    /// Waits for the next notice, and tells it with those that come at about that time.
    async fn serve_once(&mut self, news: &mut Following<News>) -> Result<(), Error> {
        let mut position = self.position.clone();
        let mut notices = Vec::new();
        let first = next(news).await?;
        self.take(first, &mut position, &mut notices).await?;
        if !notices.is_empty() {
            self.gather(news, &mut position, &mut notices).await?;
        }
        let is_told = !notices.is_empty();
        if is_told {
            self.deliver(notices).await?;
        }
        self.position = position;
        if is_told || self.stored_at.elapsed() >= STORED_EVERY {
            self.store().await?;
        }
        Ok(())
    }

    /// Takes what comes within a moment, and all that comes while the target is to be told nothing.
    async fn gather(
        &mut self,
        news: &mut Following<News>,
        position: &mut NoticePosition,
        notices: &mut Vec<Notice>,
    ) -> Result<(), Error> {
        let mut until = Instant::now() + GATHER;
        loop {
            while notices.len() < GATHERED_MAX
                && let Ok(more) = timeout_at(until, next(news)).await
            {
                self.take(more?, position, notices).await?;
            }
            let now = Timestamp::now();
            let quiet = self
                .target
                .quiet
                .as_ref()
                .and_then(|quiet| quiet.end(now))
                .map(|end| Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO));
            let full =
                if self.target.service.keeps_incidents() { Duration::ZERO } else { self.limit.wait(Instant::now()) };
            match quiet.unwrap_or(Duration::ZERO).max(full) {
                Duration::ZERO => return Ok(()),
                // With more than can be gathered the rest stays where it is.
                wait if notices.len() >= GATHERED_MAX => sleep(wait).await,
                wait => until = Instant::now() + wait,
            }
        }
    }

    /// Moves the position over something, and adds what the target is to be told of it.
    async fn take(
        &mut self,
        news: News,
        position: &mut NoticePosition,
        notices: &mut Vec<Notice>,
    ) -> Result<(), Error> {
        let (notice, app) = match news {
            News::Notice(entry) => {
                position.notices = Some(entry.sequence);
                (self.of_app(&entry.value).await?, Some(entry.value.app))
            }
            News::Mesh(entry) => {
                position.mesh = entry.sequence;
                (self.known.take(&entry.value, entry.at, entry.sequence), None)
            }
        };
        let Some(notice) = notice else { return Ok(()) };
        let choice = match &app {
            Some(app) => Some(self.choice(app).await?),
            None => None,
        };
        if self.target.wants(&notice, choice.as_ref()) {
            notices.push(notice);
        }
        Ok(())
    }

    async fn deliver(&mut self, notices: Vec<Notice>) -> Result<(), Error> {
        let messages =
            if self.target.service.keeps_incidents() { notices } else { self.limit.fitting(collapse(notices)) };
        for notice in messages {
            debug!(notice = notice.id, text = notice.text, "delivering a notice");
            self.deliverer.deliver(&notice).await;
            self.limit.sent(Instant::now());
        }
        Ok(())
    }

    /// What is told of a notice of an app, with what people need to understand it.
    async fn of_app(&self, record: &NoticeRecord) -> Result<Option<Notice>, Error> {
        let mesh = &self.around.mesh;
        let (mut summary, mut tick) = (None, None);
        match &record.notice {
            AppNotice::Failed { run, .. } | AppNotice::Recovered { run, .. } => {
                summary = self.summary(&record.app, *run).await?;
            }
            AppNotice::Dropped { tick: number, .. } => {
                let ticks = mesh.ticks().last(&record.app).await?;
                tick = ticks.into_iter().map(|entry| entry.value).find(|tick| tick.number == *number);
            }
            AppNotice::Pending { .. }
            | AppNotice::Placed { .. }
            | AppNotice::Overdue { .. }
            | AppNotice::OnTime { .. }
            | AppNotice::Long { .. }
            | AppNotice::LongOver { .. }
            | AppNotice::Invalid { .. }
            | AppNotice::Valid => {}
        }
        let Some(mut notice) = Notice::of_app(record, summary.as_ref(), tick.as_ref()) else { return Ok(None) };
        if let (AppNotice::Failed { .. }, Some(summary)) = (&record.notice, &summary) {
            notice.last_lines = self.last_lines(summary).await?;
        }
        notice.link = self.around.public_url.as_ref().map(|base| match run_of(&record.notice) {
            Some(run) => format!("{base}/apps/{}/runs/{run}", record.app),
            None => format!("{base}/apps/{}", record.app),
        });
        Ok(Some(notice))
    }

    /// The summary of a run; `None`: the history does not have it in time, or not any more.
    async fn summary(&self, app: &AppName, run: u64) -> Result<Option<RunSummary>, Error> {
        let until = Instant::now() + SUMMARY_WITHIN;
        loop {
            let history = self.around.mesh.history().last(app).await?;
            let newest = history.iter().map(|entry| entry.value.run).max().unwrap_or(0);
            let found = history.into_iter().map(|entry| entry.value).find(|summary| summary.run == run);
            if found.is_some() || newest > run || Instant::now() >= until {
                return Ok(found);
            }
            sleep(SUMMARY_PAUSE).await;
        }
    }

    /// The last lines of the first replica that did not succeed.
    async fn last_lines(&self, summary: &RunSummary) -> Result<Vec<String>, Error> {
        let has_failed = |outcome: &Outcome| !matches!(outcome, Outcome::Succeeded | Outcome::Skipped { .. });
        let replica = summary.replicas.iter().find(|replica| has_failed(&replica.outcome) && replica.attempts > 0);
        let Some(replica) = replica else { return Ok(Vec::new()) };
        let (token, place) =
            (RunToken::new(summary.run, summary.uid), (&replica.service, replica.replica, replica.attempts));
        let lines = read::last_lines(&self.around.mesh, &summary.app, token, place, LAST_LINES).await?;
        Ok(lines.iter().map(|line| masked(line)).collect())
    }

    /// Whom the app wants to be told of it. One whose file cannot be read has no choice.
    async fn choice(&mut self, app: &AppName) -> Result<NotifyChoice, Error> {
        let record = match self.around.mesh.apps().read(app.as_str()).await {
            Err(Error::Unreadable { .. }) => return Ok(NotifyChoice::default()),
            record => record?,
        };
        let Some(entry) = record else { return Ok(NotifyChoice::default()) };
        if let Some((revision, choice)) = self.choices.get(app)
            && *revision == entry.sequence
        {
            return Ok(choice.clone());
        }
        let source = entry.value.source.as_ref();
        let spec = source.and_then(|source| understand_stored(app, source, &self.around.zones).spec);
        // A tombstone says nothing: what was chosen before holds for what is still to be told.
        let before = self.choices.get(app).map(|(_, choice)| choice.clone());
        let choice = spec.map(|spec| spec.notify.clone()).or(before).unwrap_or_default();
        if self.choices.len() >= REMEMBERED_MAX {
            self.choices.clear();
        }
        self.choices.insert(app.clone(), (entry.sequence, choice.clone()));
        Ok(choice)
    }

    async fn store(&mut self) -> Result<(), Error> {
        self.stored_at = Instant::now();
        match self.around.mesh.store_notice_position(self.target.key, &self.position, self.revision).await? {
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

async fn next(news: &mut Following<News>) -> Result<News, Error> {
    match news.next().await {
        Some(news) => news,
        None => Err(Error::Closed { stream: "notices".to_owned() }),
    }
}

/// The position to begin at, and its revision. A first position is stored before anything is read: a leader that dies before it has sent
/// anything leaves to the next one what it read, and that one does not begin with its own now.
async fn place(mesh: &Mesh, target: u64) -> Result<(NoticePosition, u64), Error> {
    let (ticks, runs, events, notices) = (mesh.ticks(), mesh.history(), mesh.events(), mesh.notices());
    loop {
        // Read before the ends of the streams: somebody who still delivers may be ahead of ends that were read before.
        let stored = mesh.notice_position(target).await?;
        let ends = tokio::try_join!(
            ticks.last_sequence(),
            runs.last_sequence(),
            events.last_sequence(),
            notices.last_sequence()
        )?;
        let now =
            NoticePosition { schema: SCHEMA, ticks: ends.0, history: ends.1, mesh: ends.2, notices: Some(ends.3) };
        let (place, expected) = match stored {
            Some(stored) => {
                let place = within(&stored.value, &now, told_by(mesh, stored.at).await?);
                if place == stored.value {
                    return Ok((place, stored.sequence));
                }
                (place, stored.sequence)
            }
            // Nobody has asked for notices before: what was is not told.
            None => (now, 0),
        };
        match mesh.store_notice_position(target, &place, expected).await? {
            Cas::Stored { sequence } => return Ok((place, sequence)),
            // Somebody else began meanwhile: what is stored counts.
            Cas::Refused { .. } => {}
        }
    }
}

/// A stored position in the streams that are there now, which end at `ends`. After a restore they may be others, and those of the
/// mesh then begin anew or are older. `told` is the last notice that was stored before the position was: with a stream of notices
/// that begins anew it is 0. A release that knows no notices has told as far as that, or the leader before it.
fn within(stored: &NoticePosition, ends: &NoticePosition, told: u64) -> NoticePosition {
    NoticePosition {
        schema: SCHEMA,
        ticks: stored.ticks.min(ends.ticks),
        history: stored.history.min(ends.history),
        mesh: stored.mesh.min(ends.mesh),
        notices: Some(stored.notices.map_or(told, |notices| notices.min(told))),
    }
}

/// The sequence of the last notice that was stored at that time or before; 0 if there is none.
async fn told_by(mesh: &Mesh, then: Timestamp) -> Result<u64, Error> {
    let stored = mesh.notices().list().await?;
    Ok(stored.iter().filter(|entry| entry.at <= then).map(|entry| entry.sequence).max().unwrap_or(0))
}
