//! Those who watch. They see what the engines do and what is stored, in the order in which it happens, and fail the history at
//! the first broken guarantee. What they judge by is theirs: what people asked for, and their own arithmetic on instants.

mod account;
mod decisions;
mod ends;
mod history;
mod live;
mod replicas;
mod runs;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use tickmesh_agent::engine::ContainerId;
use tickmesh_core::{
    id::{AttemptId, Nonce, RequestId},
    ledger::{HandledRequest, Ledger, Verdict},
    message::{AttemptReport, Command},
    name::AppName,
    time,
};

use self::{
    account::Account,
    ends::Ends,
    history::History,
    live::Live,
    replicas::Replicas,
    runs::{Editions, Runs},
};
pub(super) use self::{decisions::Decided, ends::Ender, live::Rule};
use super::{makers::Edition, net::Record};

/// How early an instant may be decided. A leader may be ahead of the server by a second before it doubts its
/// clock, and by as much more as the answer of the server took.
const EARLY_MAX: Duration = Duration::from_secs(4);

/// A container whose process begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighting<'a> {
    pub(super) host: usize,
    pub(super) container: &'a ContainerId,
    pub(super) attempt: &'a AttemptId,
    /// Of the claim under which it was created.
    pub(super) nonce: Nonce,
}

#[derive(Debug, Default)]
pub(super) struct Witness {
    editions: Editions,
    runs: Runs,
    live: Live,
    ends: Ends,
    replicas: Replicas,
    accounts: BTreeMap<AppName, Account>,
    histories: BTreeMap<AppName, History>,
    /// Commands that were acknowledged to their senders.
    commands: BTreeMap<RequestId, Arc<Command>>,
}

impl Witness {
    /// A message was stored.
    pub(super) fn stored(
        &mut self,
        subject: &str,
        record: &Record,
        sequence: u64,
        at: Timestamp,
    ) -> anyhow::Result<()> {
        match record {
            Record::App(edition) => {
                self.editions.add(sequence, at, edition.clone());
                Ok(())
            }
            Record::Ledger(ledger) => self.recorded(subject, ledger),
            Record::Order(order) => self.runs.ordered(order),
            Record::Report(report) => self.reported(report),
            Record::Tick(tick) => {
                let history = self.histories.entry(tick.app.clone()).or_default();
                history.ticked(tick).with_context(|| format!("P11, tick {} of {}", tick.number, tick.app))
            }
            Record::History(summary) => {
                let history = self.histories.entry(summary.app.clone()).or_default();
                history
                    .summed_up(summary)
                    .with_context(|| format!("G5, summary of {}/{}", summary.app, summary.run))?;
                let seen = self.replicas.summed_up(summary, &self.runs, &self.editions);
                seen.with_context(|| format!("G4, summary of {}/{}", summary.app, summary.run))
            }
            Record::Command(command) => {
                self.commands.insert(command.request, command.clone());
                Ok(())
            }
            Record::Lease(_) | Record::Agent(_) => Ok(()),
        }
    }

    fn recorded(&mut self, app: &str, ledger: &Ledger) -> anyhow::Result<()> {
        let app = AppName::new(app).context("a ledger of nobody")?;
        self.replicas.recorded(&app, ledger);
        let account = self.accounts.entry(app.clone()).or_default();
        account.follow(&app, ledger, &self.editions).with_context(|| format!("ledger of {app}"))
    }

    fn reported(&mut self, report: &AttemptReport) -> anyhow::Result<()> {
        let id = &report.attempt;
        let seen = self.live.reported(report, &self.runs, &self.editions);
        seen.with_context(|| format!("{id}: {:?}", report.event))?;
        let seen = self.ends.reported(report);
        seen.with_context(|| format!("{id}: {:?}", report.event))?;
        let seen = self.replicas.reported(report, &self.runs, &self.editions);
        seen.with_context(|| format!("G4, {id}: {:?}", report.event))
    }

    /// An engine started a container.
    pub(super) fn started(&mut self, sighting: &Sighting<'_>) -> anyhow::Result<()> {
        self.ends.started(sighting);
        let seen = self.live.started(sighting, &self.runs, &self.editions);
        seen.with_context(|| format!("container {} of {}", sighting.container, sighting.attempt))
    }

    /// A container's process ended.
    pub(super) fn exited(&mut self, container: &ContainerId, code: i64, ender: Ender) {
        self.live.stopped(container);
        self.ends.exited(container, code, ender);
    }

    /// A container is gone.
    pub(super) fn removed(&mut self, container: &ContainerId) {
        self.live.stopped(container);
    }

    /// Whether anybody is left on a host who would stop its containers.
    pub(super) fn host_seen(&mut self, host: usize, rule: Rule) {
        self.live.host_seen(host, rule);
    }

    /// A host has booted.
    pub(super) fn rebooted(&mut self, host: usize) {
        self.ends.rebooted(host);
    }

    /// From now on the engine of a host does not obey.
    pub(super) fn engine_frozen(&mut self, host: usize, now: Duration) {
        self.live.engine_frozen(host, now);
    }

    /// It does again.
    pub(super) fn engine_thawed(&mut self, host: usize, now: Duration, margin: Duration) {
        self.live.engine_thawed(host, now, margin);
    }

    /// The file of an app at a revision.
    pub(super) fn edition(&self, app: &AppName, revision: u64) -> Option<&Arc<Edition>> {
        self.editions.at(app, revision)
    }

    /// The commands that were sent for an app.
    pub(super) fn commands_for(&self, app: &AppName) -> Vec<Arc<Command>> {
        self.commands.values().filter(|command| command.app == *app).cloned().collect()
    }

    /// Somebody took the lease.
    pub(super) fn tenure_began(&self, regressed: bool) -> anyhow::Result<()> {
        ensure!(!regressed, "somebody leads on a stream that lost messages");
        Ok(())
    }

    /// No instant is decided long before it is due, however wrong the leader's clock is.
    pub(super) fn decides_in_time(ledger: &Ledger, now: Timestamp) -> anyhow::Result<()> {
        let decided = ledger.decided_through;
        ensure!(decided <= time::after(now, EARLY_MAX), "G2: instants up to {decided} are decided at {now}");
        Ok(())
    }

    /// Conflicts that a listed exception explains.
    pub(super) fn excused(&self) -> u64 {
        self.live.excused()
    }

    /// Instants that were decided, as the ledgers say.
    pub(super) fn instants(&self) -> u64 {
        self.accounts.values().map(Account::decided).sum()
    }

    /// Runs whose summary was published.
    pub(super) fn finished_runs(&self) -> u64 {
        self.histories.values().map(History::runs).sum()
    }

    /// At the end, when nothing is under way any more: nothing is missing (guarantee G5).
    pub(super) fn close(&self, ledgers: &BTreeMap<AppName, Arc<Ledger>>) -> anyhow::Result<()> {
        ensure!(!self.live.any(), "G6: a container runs at the end");
        for (app, ledger) in ledgers {
            let nothing = History::default();
            let history = self.histories.get(app).unwrap_or(&nothing);
            history.close(ledger).with_context(|| format!("G5, {app} at the end"))?;
            self.check_commands(app, ledger).with_context(|| format!("G5, commands of {app}"))?;
        }
        Ok(())
    }

    fn check_commands(&self, app: &AppName, ledger: &Ledger) -> anyhow::Result<()> {
        for command in self.commands.values().filter(|command| command.app == *app) {
            let handled = ledger.requests.iter().find(|handled| handled.request == command.request);
            let handled = handled.with_context(|| format!("nothing came of {command:?}"))?;
            self.check_verdict(app, handled)?;
        }
        Ok(())
    }

    fn check_verdict(&self, app: &AppName, handled: &HandledRequest) -> anyhow::Result<()> {
        let runs = self.histories.get(app).map_or(0, |history| history.runs_of(handled.request));
        match &handled.verdict {
            Verdict::Started { run } => ensure!(runs == 1, "{runs} runs in the history for run {run}"),
            Verdict::Enqueued { .. } => ensure!(runs <= 1, "{runs} runs came of one command"),
            Verdict::Dropped { .. }
            | Verdict::Skipped { .. }
            | Verdict::Stopping { .. }
            | Verdict::Paused
            | Verdict::Resumed { .. }
            | Verdict::Flushed { .. }
            | Verdict::Refused { .. } => ensure!(runs == 0, "{runs} runs came of {handled:?}"),
        }
        Ok(())
    }
}
