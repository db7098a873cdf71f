//! How a run that is waited for goes on: a bar where there is a terminal, lines where there is none, and what went wrong as it does.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tickmesh_client::{
    read,
    requests::{News, is_of},
    views::{attempt::AttemptView, replica::Doing},
    zones,
};
use tickmesh_core::{
    history::RunSummary,
    id::{RequestId, RunNumber, RunToken},
    ledger::{ActiveRun, ReplicaState},
    name::{AppName, ServiceName},
    outcome::Outcome,
};
use tickmesh_messaging::Mesh;

use crate::{
    escape,
    output::{Bar, Output},
    views::paint,
};

/// Failed attempts that are told of one run: thousands may fail alike.
const FAILURES_MAX: usize = 10;

/// What was told of a run so far.
pub(super) struct Progress<'a> {
    mesh: &'a Mesh,
    app: &'a AppName,
    request: RequestId,
    output: Output,
    bar: Option<Bar>,
    /// Failures and losses of each replica that had any.
    failed: BTreeMap<(ServiceName, u32), u32>,
    /// The last attempt of each replica that was told.
    told_through: BTreeMap<(ServiceName, u32), u32>,
    told: usize,
    /// The run, once it has begun.
    run: Option<RunNumber>,
    /// Whether a replica of it waits for an agent.
    is_pending: bool,
    /// The last reason that was told for that.
    reason: Option<String>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(mesh: &'a Mesh, app: &'a AppName, request: RequestId, output: Output) -> Self {
        Self {
            mesh,
            app,
            request,
            output,
            bar: None,
            failed: BTreeMap::new(),
            told_through: BTreeMap::new(),
            told: 0,
            run: None,
            is_pending: false,
            reason: None,
        }
    }

    /// Takes news in, and shows what is new in it.
    pub(super) async fn show(&mut self, news: &News) -> anyhow::Result<()> {
        let News::Ledger(ledger) = news else { return Ok(()) };
        let Some(run) = ledger.active.iter().find(|run| is_of(&run.cause, self.request)) else { return Ok(()) };
        for replica in self.newly_failed(run) {
            self.tell(run.token(), replica).await?;
        }
        self.run = Some(run.number);
        self.is_pending = run.replicas().any(|(_, _, it)| matches!(it.state, ReplicaState::Pending { .. }));
        let (total, ended) = (run.replicas().count(), run.replicas().filter(|(_, _, it)| it.has_ended()).count());
        let retries: u32 = run.replicas().map(|(_, _, it)| run.retries_of(it)).sum();
        let again = if retries > 0 { format!(", {retries} tried again") } else { String::new() };
        let text = format!("run {}/{}{again}", self.app, run.number);
        let bar = self.bar.get_or_insert_with(|| self.output.bar(total));
        bar.set(ended, total, &text);
        Ok(())
    }

    /// Tells why a replica is pending, whenever that changes.
    pub(super) async fn explain(&mut self) -> anyhow::Result<()> {
        let Some(run) = self.run.filter(|_| self.is_pending) else { return Ok(()) };
        let view = read::run(self.mesh, self.app, run, &zones::database(), Timestamp::now()).await?;
        let replicas = view.map(|view| view.replicas).unwrap_or_default();
        let pending = replicas.iter().find(|replica| replica.state == Doing::Pending && replica.reason.is_some());
        let reason =
            pending.map(|it| format!("{} is pending: {}", it.name(), it.reason.as_deref().unwrap_or_default()));
        if reason != self.reason {
            reason.iter().for_each(|reason| self.say(&escape::text(reason)));
            self.reason = reason;
        }
        Ok(())
    }

    /// Says that the run goes on although nobody waits for it any more.
    pub(super) fn interrupted(&mut self) {
        self.clear();
        let app = self.app;
        self.output.talk(&match self.run {
            Some(run) => format!("run {app}/{run} goes on; `tickmesh cancel {app}/{run}` stops it"),
            None => format!("the run of app {app} was asked for; `tickmesh show {app}` says what became of it"),
        });
    }

    /// The replicas that have failed or got lost since the last look.
    fn newly_failed(&mut self, run: &ActiveRun) -> Vec<(ServiceName, u32)> {
        let mut newly = Vec::new();
        for (service, index, replica) in run.replicas() {
            let count = replica.failures + replica.losses;
            let key = (service.clone(), index);
            if count > self.failed.get(&key).copied().unwrap_or(0) {
                self.failed.insert(key.clone(), count);
                newly.push(key);
            }
        }
        newly
    }

    /// Tells the failed attempts of a replica that were not told yet.
    async fn tell(&mut self, token: RunToken, (service, replica): (ServiceName, u32)) -> anyhow::Result<()> {
        let left = FAILURES_MAX.saturating_sub(self.told);
        if left == 0 {
            return Ok(());
        }
        let through = self.told_through.entry((service.clone(), replica)).or_default();
        let failures = read::failures(self.mesh, self.app, token, (&service, replica), *through, left).await?;
        *through = failures.last().map_or(*through, |failed| failed.attempt);
        self.told += failures.len();
        for failed in &failures {
            let AttemptView { attempt, agent, last_lines, .. } = failed;
            let end = paint(failed.tone(), &failed.end_text());
            self.say(&format!("{service}/{replica} attempt {attempt} on {agent}: {end}"));
            last_lines.iter().for_each(|line| self.say(&format!("  | {}", escape::text(line))));
        }
        if self.told == FAILURES_MAX {
            self.say("more that fail are not told here: `tickmesh show`");
        }
        Ok(())
    }

    /// Tells the failures that ended the run: the leader writes them together with its end, so that no ledger ever has them. Whatever
    /// is said from now on stands where the bar was.
    pub(super) async fn end(&mut self, summary: &RunSummary) -> anyhow::Result<()> {
        for replica in &summary.replicas {
            let is_told = match replica.outcome {
                Outcome::Failed { .. } | Outcome::TimedOut | Outcome::Lost { .. } | Outcome::CouldNotStart { .. } => {
                    let key = (replica.service.clone(), replica.replica);
                    self.told_through.get(&key).is_some_and(|through| *through >= replica.attempts)
                }
                Outcome::Succeeded | Outcome::Cancelled | Outcome::Skipped { .. } => true,
            };
            if !is_told {
                let token = RunToken::new(summary.run, summary.uid);
                self.tell(token, (replica.service.clone(), replica.replica)).await?;
            }
        }
        self.clear();
        Ok(())
    }

    /// Takes the bar away.
    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.end();
        }
    }

    /// A line of its own, unless the bar says it.
    pub(super) fn step(&self, text: &str) {
        if self.bar.as_ref().is_none_or(Bar::is_hidden) {
            self.output.talk(text);
        }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.say(line),
            None => self.output.talk(line),
        }
    }
}
