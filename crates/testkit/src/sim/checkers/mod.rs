//! Those who watch. They see what the engines do and what is stored, in the order in which it happens, and fail the history at
//! the first broken guarantee. What they judge by is theirs: what people asked for, and their own arithmetic on instants.

mod account;
mod asked;
mod decisions;
mod ends;
mod history;
mod live;
mod notices;
mod replicas;
mod runs;
#[cfg(test)]
mod tests;
mod wishes;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use tickmesh_agent::engine::ContainerId;
use tickmesh_core::{
    id::{AttemptId, Nonce, RequestId},
    ledger::{HandledRequest, Ledger, Verdict},
    message::{AttemptReport, Command, CommandKind},
    name::{AgentName, AppName},
    time,
};

use self::{
    account::Account,
    asked::AskedEnds,
    ends::Ends,
    history::History,
    live::Live,
    notices::Notices,
    replicas::Replicas,
    runs::{Editions, Runs},
    wishes::Wishes,
};
pub(super) use self::{decisions::Decided, ends::Ender, live::Rule};
use super::{
    generators::Edition,
    net::{Record, Stored},
};

/// How early an instant may be decided. A leader decides by the server's clock, and knows it as exactly as the server
/// answers soon.
const EARLY_MAX: Duration = Duration::from_millis(500);

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
    asked: AskedEnds,
    replicas: Replicas,
    accounts: BTreeMap<AppName, Account>,
    histories: BTreeMap<AppName, History>,
    notices: BTreeMap<AppName, Notices>,
    /// Notices are missing with good reason.
    has_lost_notices: bool,
    /// Commands that were acknowledged to their senders.
    commands: BTreeMap<RequestId, Arc<Command>>,
    /// Those that end a run by force.
    forced: BTreeSet<RequestId>,
    wishes: Wishes,
}

impl Witness {
    /// A scheduler of the release before began, which does not know what agents allow.
    pub(super) fn earlier_release_began(&mut self) {
        self.replicas.earlier_release_began();
        self.forgive_notices();
    }

    /// Stored data was lost, or a scheduler began that knows no notices: from now on some may be missing.
    fn forgive_notices(&mut self) {
        self.has_lost_notices = true;
        self.notices.values_mut().for_each(Notices::forgive);
    }

    fn notices_of(&mut self, app: &AppName) -> &mut Notices {
        let is_incomplete = self.has_lost_notices;
        self.notices.entry(app.clone()).or_insert_with(|| {
            let mut notices = Notices::default();
            if is_incomplete {
                notices.forgive();
            }
            notices
        })
    }

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
            Record::Ledger(ledger) => self.recorded(subject, ledger, at),
            Record::Order(order) => self.runs.ordered(order),
            Record::Report(report) => self.reported(report, at),
            Record::Tick(tick) => {
                let history = self.histories.entry(tick.app.clone()).or_default();
                history.ticked(tick).with_context(|| format!("P11, tick {} of {}", tick.number, tick.app))
            }
            Record::Notice(notice) => {
                let seen = self.notices_of(&notice.app).told(notice);
                seen.with_context(|| format!("notice {} of {}: {:?}", notice.number, notice.app, notice.notice))
            }
            Record::History(summary) => {
                self.notices_of(&summary.app).summed_up(summary);
                let history = self.histories.entry(summary.app.clone()).or_default();
                history
                    .summed_up(summary)
                    .with_context(|| format!("G5, summary of {}/{}", summary.app, summary.run))?;
                let seen = self.replicas.summed_up(summary, &self.asked, &self.runs, &self.editions);
                seen.with_context(|| format!("G4, summary of {}/{}", summary.app, summary.run))
            }
            Record::Command(command) => {
                if let CommandKind::Cancel { force: true, .. } = command.kind {
                    self.forced.insert(command.request);
                }
                self.commands.insert(command.request, command.clone());
                Ok(())
            }
            Record::Agent(record) => {
                self.replicas.heard(record);
                self.wishes.stored(record, sequence)
            }
            Record::Lease(_) | Record::Unreadable(_) => Ok(()),
        }
    }

    fn recorded(&mut self, app: &str, ledger: &Ledger, at: Timestamp) -> anyhow::Result<()> {
        let app = AppName::new(app).context("a ledger of nobody")?;
        self.replicas.recorded(&app, ledger);
        self.asked.recorded(&app, ledger, &self.forced, at);
        self.live.ended_unreported(&self.asked);
        let account = self.accounts.entry(app.clone()).or_default();
        account.follow(&app, ledger, &self.editions).with_context(|| format!("ledger of {app}"))
    }

    fn reported(&mut self, report: &AttemptReport, at: Timestamp) -> anyhow::Result<()> {
        let id = &report.attempt;
        let seen = self.live.reported(report, at, (&self.asked, &self.runs, &self.editions));
        seen.with_context(|| format!("{id}: {:?}", report.event))?;
        let seen = self.ends.reported(report);
        seen.with_context(|| format!("{id}: {:?}", report.event))?;
        let seen = self.replicas.reported(report, &self.runs, &self.editions);
        seen.with_context(|| format!("G4, {id}: {:?}", report.event))
    }

    /// An engine is asked to start a container, when the clocks of its host and of the server say this.
    pub(super) fn start_asked(&self, attempt: &AttemptId, host: Timestamp, server: Timestamp) -> anyhow::Result<()> {
        let seen = self.runs.check_not_early(attempt.uid, host, server);
        seen.with_context(|| format!("G2, {attempt}"))
    }

    /// An engine started a container.
    pub(super) fn started(&mut self, sighting: &Sighting<'_>) -> anyhow::Result<()> {
        self.ends.started(sighting);
        let seen = self.live.started(sighting, (&self.asked, &self.runs, &self.editions));
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

    /// The attempts that an agent has claimed and that have not ended.
    pub(super) fn open_of(&self, agent: &AgentName) -> Vec<&AttemptId> {
        self.live.open_of(agent)
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

    /// Whether a run was ended by force.
    pub(super) fn forced_ends(&self) -> u64 {
        self.asked.forced_count()
    }

    /// The store was restored from a copy that has revisions of apps up to this one: those after it were never
    /// stored.
    pub(super) fn store_restored(&mut self, apps_through: u64) {
        self.editions.forget_after(apps_through);
    }

    /// An app is gone from its bucket: what its file said binds nobody any more.
    pub(super) fn app_lost(&mut self, app: &AppName) {
        self.editions.forget_app(app);
    }

    /// A message about an attempt was stored while nobody leads on a store that lost data.
    pub(super) fn reported_in_loss(&mut self, report: &AttemptReport) {
        self.live.reported_in_loss(report);
    }

    /// Somebody accepted that what was stored since the copy is lost. What comes is judged from these ledgers on;
    /// of the runs that had begun, only what the engines do. `unheard`: hosts whose agent was not heard.
    pub(super) fn loss_accepted(&mut self, ledgers: &BTreeMap<AppName, Ledger>, unheard: &BTreeSet<usize>) {
        self.accounts = ledgers.iter().map(|(app, ledger)| (app.clone(), Account::begin_at(ledger))).collect();
        self.histories = ledgers.iter().map(|(app, ledger)| (app.clone(), History::begin_at(ledger))).collect();
        self.commands.clear();
        self.forgive_notices();
        self.runs.forget_instants();
        self.replicas.loss_accepted(ledgers);
        let left = ledgers.values().flat_map(|ledger| ledger.active.iter().map(|run| run.uid)).collect();
        self.live.loss_accepted(unheard, &left, (&self.runs, &self.editions));
    }

    /// Somebody begins to wish something of an agent.
    pub(super) fn wish_begun(&mut self, agent: &AgentName) {
        self.wishes.forget(agent);
    }

    /// Somebody hears that an agent is to drain, or not to, by the record at that sequence.
    pub(super) fn wish_granted(&mut self, agent: &AgentName, draining: bool, sequence: u64) -> anyhow::Result<()> {
        self.wishes.granted(agent, draining, sequence)
    }

    /// The key of an agent holds something that cannot be read: what was wished of the agent may be lost.
    pub(super) fn agent_damaged(&mut self, agent: &str) {
        self.wishes.damaged(agent);
    }

    /// Stored messages were lost, and wishes with them.
    pub(super) fn wishes_lost(&mut self) {
        self.wishes.forget_all();
    }

    /// Somebody said of an agent whose key had this that its host will not come back.
    pub(super) fn forgotten(before: Option<&Stored>, at: Timestamp, lost: Duration) -> anyhow::Result<()> {
        wishes::may_be_forgotten(before, at, lost)
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

    /// A record that nobody can read ends no tenure.
    pub(super) fn bears_unreadable(before: &str, after: &str) -> anyhow::Result<()> {
        let leads = |stage| matches!(stage, "leading" | "catching up");
        ensure!(!leads(before) || leads(after), "a bad record made a scheduler go from {before} to {after}");
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
        // Of more than wait at a time the oldest are given up, and counted.
        let is_complete = |app: &AppName| ledgers.get(app).is_none_or(|ledger| ledger.notices.given_up == 0);
        for (app, notices) in self.notices.iter().filter(|(app, _)| is_complete(app)) {
            notices.close().with_context(|| format!("notices of {app}"))?;
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
