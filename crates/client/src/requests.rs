//! Requests to the leader: sent, and followed until something is known of them.
//!
//! A request is durable: it waits in its stream while no scheduler lives. What became of it is in the app's ledger, under
//! the request's id; how a run ended is in the app's history.

use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;
use tickmesh_core::{
    history::RunSummary,
    id::{RequestId, RunNumber},
    ledger::{Cause, Ledger, Standing, Verdict},
    message::{Command, CommandKind, SCHEMA},
    name::AppName,
};
use tickmesh_messaging::{Change, Entry, Error, Following, Mesh, Start};
use tokio::time::timeout;
use uuid::Uuid;

/// How long the leader's answer is waited for: a leader that was killed is replaced within this time.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Who asks, on which mesh.
#[derive(Debug, Clone)]
pub struct Asker {
    /// The mesh.
    pub mesh: Mesh,
    /// For people: `user@host`.
    pub by: String,
}

impl Asker {
    /// Sends a request about an app whose revision `revision` was seen.
    pub async fn send(&self, app: &AppName, revision: u64, kind: CommandKind) -> Result<RequestId, Error> {
        let request = RequestId(Uuid::now_v7());
        self.send_as(request, app, revision, kind).await?;
        Ok(request)
    }

    /// Sends a command under an id of the caller's: sent again under the same id, it is carried out once.
    pub async fn send_as(
        &self,
        request: RequestId,
        app: &AppName,
        revision: u64,
        kind: CommandKind,
    ) -> Result<(), Error> {
        let (app, by, at) = (app.clone(), self.by.clone(), Timestamp::now());
        let command = Command { schema: SCHEMA, request, app, app_revision: revision, by, at, kind };
        self.mesh.commands().send(&command).await.map(drop)
    }
}

/// What the leader made of a request; `None`: none has answered in time.
pub async fn answer(watch: &mut Watch, request: RequestId) -> anyhow::Result<Option<Verdict>> {
    timeout(ANSWER_WITHIN, answer_at_last(watch, request)).await.ok().transpose()
}

/// Waits for the leader's answer as long as it takes, and for a leader if there is none.
pub async fn answer_at_last(watch: &mut Watch, request: RequestId) -> anyhow::Result<Verdict> {
    loop {
        if let News::Ledger(ledger) = watch.next().await?
            && let Some(verdict) = verdict(&ledger, request)
        {
            return Ok(verdict);
        }
    }
}

/// Why a request did not come to what was asked for.
pub fn why_not(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Refused { reason } => reason.clone(),
        Verdict::Dropped { reason } => reason.to_string(),
        Verdict::Skipped { reason } => reason.to_string(),
        Verdict::Started { .. }
        | Verdict::Enqueued { .. }
        | Verdict::Paused
        | Verdict::Resumed { .. }
        | Verdict::Flushed { .. }
        | Verdict::Stopping { .. } => "the leader took the request for another one".to_owned(),
    }
}

/// What to say where no leader has answered.
pub fn unanswered() -> String {
    format!(
        "no leader has answered within {}s: the request is stored, and will be carried out",
        ANSWER_WITHIN.as_secs()
    )
}

/// Waits until all of these runs have ended.
pub async fn until_ended(watch: &mut Watch, mut runs: Vec<RunNumber>) -> anyhow::Result<Vec<RunSummary>> {
    let mut ended = Vec::new();
    while !runs.is_empty() {
        if let News::Ended(summary) = watch.next().await?
            && runs.contains(&summary.run)
        {
            runs.retain(|run| *run != summary.run);
            ended.push(*summary);
        }
    }
    Ok(ended)
}

/// Something new about an app.
#[derive(Debug)]
pub enum News {
    /// Its ledger, as it is or has become.
    Ledger(Box<Ledger>),
    /// A run has ended: one of the last ten, or just now.
    Ended(Box<RunSummary>),
}

/// Follows an app's ledger and history, from what is stored on.
pub struct Watch {
    app: AppName,
    ledgers: Following<Change<Ledger>>,
    history: Following<Entry<RunSummary>>,
}

impl Watch {
    /// Begins to follow.
    pub async fn begin(mesh: &Mesh, app: &AppName) -> Result<Self, Error> {
        let ledgers = mesh.ledgers().follow_key(app.as_str()).await?;
        let history = mesh.history().follow(Some(app), Start::All).await?;
        Ok(Self { app: app.clone(), ledgers, history })
    }

    /// What is new.
    pub async fn next(&mut self) -> anyhow::Result<News> {
        loop {
            tokio::select! {
                change = self.ledgers.next() => match change.transpose()? {
                    Some(Change::Entry(entry)) => return Ok(News::Ledger(Box::new(entry.value))),
                    Some(Change::Unreadable { error, .. }) => {
                        return Err(anyhow::Error::new(error).context(frozen(&self.app)));
                    }
                    Some(Change::SnapshotEnd { .. }) => {}
                    None => anyhow::bail!("the ledger of app `{}` cannot be followed any more", self.app),
                },
                entry = self.history.next() => match entry.transpose()? {
                    Some(entry) => return Ok(News::Ended(Box::new(entry.value))),
                    None => anyhow::bail!("the history of app `{}` cannot be followed any more", self.app),
                },
            }
        }
    }
}

/// What to say of an app whose ledger cannot be read. What is asked of it is stored all the same.
fn frozen(app: &AppName) -> String {
    format!(
        "app `{app}` is frozen, and requests wait until `tickmesh doctor --repair ledger/{app}` has mended its ledger"
    )
}

/// What a ledger says of a request. The ring of answers is short, and a busy app's may have lost ours: but a run that
/// came of it says so itself.
pub fn verdict(ledger: &Ledger, request: RequestId) -> Option<Verdict> {
    if let Some(handled) = ledger.requests.iter().find(|handled| handled.request == request) {
        return Some(handled.verdict.clone());
    }
    if let Some(run) = ledger.active.iter().find(|run| is_of(&run.cause, request)) {
        return Some(Verdict::Started { run: run.number });
    }
    let waiting = (1..).zip(&ledger.queue).find(|(_, waiting)| is_of(&waiting.cause, request));
    waiting.map(|(place, _)| Verdict::Enqueued { waiting: place })
}

/// Whether a run exists because of a request.
pub fn is_of(cause: &Cause, request: RequestId) -> bool {
    match cause {
        Cause::Manual { request: of, .. } | Cause::Retry { request: of, .. } => *of == request,
        Cause::Schedule | Cause::CatchUp { .. } => false,
    }
}

/// Where a run that was asked for has got to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing worth a word.
    Nothing,
    /// Something to tell.
    Progress(String),
    /// It ended.
    Ended(Box<RunSummary>),
    /// There will be no run.
    NoRun(String),
}

/// Follows one run from its request to its end. Pure: news in, steps out.
#[derive(Debug)]
pub struct RunWatch {
    app: AppName,
    request: RequestId,
    last_told: String,
}

impl RunWatch {
    /// Begins with the request.
    pub fn new(app: AppName, request: RequestId) -> Self {
        Self { app, request, last_told: String::new() }
    }

    /// Takes news in.
    pub fn fold(&mut self, news: News) -> Step {
        match news {
            News::Ended(summary) if is_of(&summary.cause, self.request) => Step::Ended(summary),
            News::Ended(_) => Step::Nothing,
            News::Ledger(ledger) => self.fold_ledger(&ledger),
        }
    }

    fn fold_ledger(&mut self, ledger: &Ledger) -> Step {
        if let Some(run) = ledger.active.iter().find(|run| is_of(&run.cause, self.request)) {
            let total = run.replicas().count();
            let ended = run.replicas().filter(|(_, _, replica)| replica.has_ended()).count();
            return self.tell(match ended {
                0 => format!("run {}/{} started", self.app, run.number),
                _ => format!("run {}/{}: {ended} of {total} replicas have ended", self.app, run.number),
            });
        }
        if let Some(place) = ledger.queue.iter().position(|waiting| is_of(&waiting.cause, self.request)) {
            return self.tell(format!("app {}: the run waits, at place {}", self.app, place + 1));
        }
        match verdict(ledger, self.request) {
            Some(Verdict::Dropped { reason }) => Step::NoRun(format!("there will be no run: {reason}")),
            Some(Verdict::Refused { reason }) => Step::NoRun(format!("there will be no run: {reason}")),
            Some(Verdict::Skipped { reason }) => Step::NoRun(format!("there will be no run: {reason}")),
            Some(Verdict::Enqueued { .. }) if self.is_gone(ledger) => Step::NoRun(match ledger.standing {
                Standing::Removed => "there will be no run: the app was removed".to_owned(),
                Standing::Applied | Standing::Invalid { .. } => {
                    "there will be no run: it was thrown out of the queue".to_owned()
                }
            }),
            Some(
                Verdict::Started { .. }
                | Verdict::Enqueued { .. }
                | Verdict::Paused
                | Verdict::Resumed { .. }
                | Verdict::Flushed { .. }
                | Verdict::Stopping { .. },
            )
            | None => Step::Nothing,
        }
    }

    /// A run that waited, waits no more and is not active has ended and is in the history, or is about to enter it, or was
    /// thrown out. Whoever is told that it is gone looks into the history.
    fn is_gone(&self, ledger: &Ledger) -> bool {
        !ledger.history.pending.iter().any(|summary| is_of(&summary.cause, self.request))
    }

    fn tell(&mut self, text: String) -> Step {
        if text == self.last_told {
            return Step::Nothing;
        }
        self.last_told.clone_from(&text);
        Step::Progress(text)
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_core::{
        ledger::{CarryOver, HandledRequest, Waiting},
        message::{DropReason, RunRequest},
        outcome::Outcome,
    };

    use tickmesh_testkit::records as fixture;

    use super::*;

    fn handled(verdict: Verdict) -> Ledger {
        let mut ledger = fixture::ledger(vec![]);
        ledger.requests.push_back(HandledRequest {
            request: fixture::request(),
            sequence: 1,
            verdict,
            confirmed: true,
        });
        ledger
    }

    fn waiting(cause: Cause) -> Waiting {
        let (request, carried) = (RunRequest::default(), CarryOver::default());
        Waiting { cause, scheduled_at: None, enqueued_at: fixture::now(), request, carried }
    }

    #[test]
    fn a_run_speaks_for_a_request_that_the_ring_has_lost() {
        let request = fixture::request();
        assert_eq!(verdict(&fixture::ledger(vec![]), request), None);
        let run = fixture::active(4, fixture::manual(), vec![fixture::pending()]);
        assert_eq!(verdict(&fixture::ledger(vec![run]), request), Some(Verdict::Started { run: 4 }));
        let mut ledger = fixture::ledger(vec![]);
        ledger.queue.extend([waiting(Cause::Schedule), waiting(fixture::manual())]);
        assert_eq!(verdict(&ledger, request), Some(Verdict::Enqueued { waiting: 2 }));
        let refused = Verdict::Refused { reason: "no".to_owned() };
        assert_eq!(verdict(&handled(refused.clone()), request), Some(refused));
    }

    #[track_caller]
    fn check(watch: &mut RunWatch, ledger: Ledger, expected: Step) {
        assert_eq!(watch.fold(News::Ledger(Box::new(ledger))), expected);
    }

    fn progress(text: &str) -> Step {
        Step::Progress(text.to_owned())
    }

    #[test]
    fn a_run_is_followed_from_the_queue_to_its_end() {
        let mut watch = RunWatch::new(fixture::app(), fixture::request());
        check(&mut watch, fixture::ledger(vec![]), Step::Nothing);
        let mut queued = handled(Verdict::Enqueued { waiting: 1 });
        queued.queue.push_back(waiting(fixture::manual()));
        check(&mut watch, queued.clone(), progress("app nightly: the run waits, at place 1"));
        check(&mut watch, queued, Step::Nothing);
        let run = |states| fixture::ledger(vec![fixture::active(4, fixture::manual(), states)]);
        check(&mut watch, run(vec![fixture::pending(), fixture::pending()]), progress("run nightly/4 started"));
        let half = run(vec![fixture::ended(Outcome::Succeeded), fixture::pending()]);
        check(&mut watch, half, progress("run nightly/4: 1 of 2 replicas have ended"));
        let mut ending = handled(Verdict::Enqueued { waiting: 1 });
        ending.history.push(|_| fixture::summary(4, fixture::manual(), &[Outcome::Succeeded]));
        check(&mut watch, ending, Step::Nothing);

        let other = fixture::summary(3, Cause::Schedule, &[Outcome::Succeeded]);
        assert_eq!(watch.fold(News::Ended(Box::new(other))), Step::Nothing);
        let ours = Box::new(fixture::summary(4, fixture::manual(), &[Outcome::Succeeded]));
        assert_eq!(watch.fold(News::Ended(ours.clone())), Step::Ended(ours));
    }

    #[test]
    fn a_request_without_a_run_ends_the_wait() {
        let mut watch = RunWatch::new(fixture::app(), fixture::request());
        let no_run = |why: &str| Step::NoRun(format!("there will be no run: {why}"));
        let dropped = handled(Verdict::Dropped { reason: DropReason::QueueFull });
        check(&mut watch, dropped, no_run("the queue is full"));
        let flushed = Ledger { standing: Standing::Removed, ..handled(Verdict::Enqueued { waiting: 1 }) };
        check(&mut watch, flushed.clone(), no_run("the app was removed"));
        check(&mut watch, handled(Verdict::Enqueued { waiting: 1 }), no_run("it was thrown out of the queue"));
        let mut ending = flushed;
        ending.history.push(|_| fixture::summary(4, fixture::manual(), &[Outcome::Succeeded]));
        check(&mut watch, ending, Step::Nothing);
    }
}
