//! The leader's memory and will, without any I/O: events in, effects out.
//!
//! ```text
//!   event --> fold into the app's ledger (tickmesh_core::decide)
//!               |-- nothing to record --> actions at once
//!               `-- due --> WriteLedger --> LedgerWritten --> actions, confirmations, outbox messages
//! ```
//!
//! It holds a ledger in memory for every app, always with everything folded in; what is stored may be older. Whatever
//! follows from a decision waits until a ledger that contains the decision is stored: decide, record, act. A refused write
//! means that somebody else writes, and ends the tenure: the next one reads everything again, on the same path as the
//! first.

mod agents;
mod app;
mod commands;
mod figures;
mod frozen;
mod io;
mod placing;
mod revisions;
mod rounds;
mod silence;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use rand::rngs::StdRng;
use tickmesh_core::{
    decide::{self, AppChange, Clock, Context, Input, Tenure},
    fleet::{Fleet, LoadChange, Reservations},
    id::{Epoch, RequestId},
    ledger::{Ledger, WriteStamp},
    message::{AgentRecord, MeshEvent},
    name::{AgentName, AppName},
    time,
    timing::Timing,
};

use self::{
    agents::{Agents, Seen},
    app::{AppState, Consequences},
    placing::PlacementQueue,
    rounds::{Round, Rounds},
};
pub use self::{
    frozen::UnreadableLedger,
    io::{Conflict, Event, Outcome, StateChange},
};
use crate::{clock::Moment, effect::Effect};

/// How many apps are decided about at a time, before anything else has its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batches {
    /// Apps that are due. The effects of one batch begin before the next batch is decided.
    pub due: usize,
    /// Apps that are asked what all are asked, or told of when a tenure begins.
    pub round: usize,
}

impl Default for Batches {
    /// 64 due apps take 3 ms, and 1,024 apps of a round 5 to 10 ms: a small part of a lease's term.
    fn default() -> Self {
        Self { due: 64, round: 1_024 }
    }
}

/// A burst that lasts for longer began so long ago: a leader that cannot keep up has to miss what it would only be later with.
const BURST_MAX: Duration = Duration::from_secs(60);

/// A time in which something was due at every look at the clock. What falls due in it came in time if its beginning did, though its
/// turn comes later.
#[derive(Debug, Clone, Copy)]
struct Backlog {
    noticed: Timestamp,
    /// By the clock that nobody sets.
    looked_at: Duration,
}

impl Backlog {
    /// As it goes on. A leader that has not looked for long was not at work: a new one begins.
    fn at(before: Option<Self>, moment: Moment, late_after: Duration) -> Self {
        let goes_on = |backlog: &Self| moment.uptime.saturating_sub(backlog.looked_at) <= late_after;
        let noticed = before.filter(goes_on).map_or(moment.wall, |backlog| backlog.noticed);
        Self { noticed: noticed.max(time::before(moment.wall, BURST_MAX)), looked_at: moment.uptime }
    }
}

/// One tenure's dispatcher.
#[derive(Debug)]
pub struct Dispatcher {
    tenure: Tenure,
    timing: Timing,
    batches: Batches,
    random: StdRng,
    /// What is stored has been told: writes may begin.
    loaded: bool,
    /// What was under way is this leader's.
    taken_over: bool,
    /// The results from before the take-over are folded: the clock, edits and commands may go on.
    caught_up: bool,
    /// The wall clock is what it should be: instants may be decided.
    clock_trusted: bool,
    /// Last sequence of these results.
    results_end: u64,
    /// Revisions of apps that wait for them.
    deferred: Vec<(AppName, AppChange)>,
    /// Boxed: nodes of the tree are half empty.
    apps: BTreeMap<AppName, Box<AppState>>,
    agents: Agents,
    fleet: Fleet,
    /// Apps with open attempts on an agent, with how many.
    bound: BTreeMap<AgentName, BTreeMap<AppName, u32>>,
    /// Apps with a replica that no agent took.
    placement_queue: PlacementQueue,
    /// The apps in the placement queue are being served.
    serving: bool,
    /// The fleet may have more room than when they were served last.
    room: bool,
    wakes: BTreeSet<(Timestamp, AppName)>,
    rounds: Rounds,
    /// Something was due at the last look at the clock.
    backlog: Option<Backlog>,
    /// Apps whose write waits for the pace.
    paced: BTreeSet<(Duration, AppName)>,
    results_through: u64,
    /// Every revision of `apps` up to this one has been seen.
    apps_through: u64,
    writes: u64,
    outcome: Outcome,
}

impl Dispatcher {
    /// Begins a tenure. `random` gives uids and jitter.
    pub fn new(tenure: Tenure, timing: Timing, random: StdRng) -> Self {
        Self {
            tenure,
            timing,
            batches: Batches::default(),
            random,
            loaded: false,
            taken_over: false,
            caught_up: false,
            clock_trusted: true,
            results_end: 0,
            deferred: Vec::new(),
            apps: BTreeMap::new(),
            agents: Agents::default(),
            fleet: Fleet::default(),
            bound: BTreeMap::new(),
            placement_queue: PlacementQueue::default(),
            serving: false,
            room: false,
            wakes: BTreeSet::new(),
            rounds: Rounds::default(),
            backlog: None,
            paced: BTreeSet::new(),
            results_through: 0,
            apps_through: 0,
            writes: 0,
            outcome: Outcome::default(),
        }
    }

    /// Sets what containers reserve, instead of the default. Before anything is folded: what is bound must be
    /// released.
    #[must_use]
    pub fn reserving(mut self, reservations: Reservations) -> Self {
        self.fleet.reservations = reservations;
        self
    }

    /// Replaces the sizes of the batches.
    #[must_use]
    pub fn in_batches(self, batches: Batches) -> Self {
        Self { batches, ..self }
    }

    /// Folds one event, and returns what is to be done. After a [`Conflict`] nothing more may be asked
    /// of this dispatcher.
    pub fn handle(&mut self, event: Event, moment: Moment) -> Result<Outcome, Conflict> {
        self.backlog = self.backlog_at(moment);
        match event {
            Event::Changed(change) => self.changed(change, moment),
            Event::LedgerSeen { app, revision, epoch } => self.ledger_seen(&app, revision, epoch)?,
            Event::LedgerUnreadable { app, revision, problem } => {
                self.ledger_unreadable(&app, revision, &problem);
            }
            Event::Loaded { results_end } => self.take_over(results_end, moment),
            Event::ReportSeen { sequence, report } => {
                self.results_through = self.results_through.max(sequence);
                if let Some(report) = report {
                    self.step(&report.attempt.app, Input::Report { sequence, report: &report }, moment);
                }
                self.catch_up(moment);
                self.results_folded(moment);
            }
            Event::ReportRefused { refused, found } => {
                let found = found.as_ref().map(|(sequence, report)| (*sequence, &**report));
                let input = Input::ReportRefused { refused: &refused, found };
                self.step(&refused.attempt.app, input, moment);
            }
            Event::CommandSeen { sequence, command } => self.command_seen(sequence, *command, moment),
            Event::CommandsBegin { sequence } => {
                self.ask_all(Round::CommandsConfirmed { below: sequence }, moment);
            }
            Event::Checkpoint => self.ask_all(Round::Checkpoint, moment),
            Event::LedgerWritten { app, revision } => self.ledger_written(&app, revision, moment),
            Event::LedgerRefused { app } => {
                let reason = format!("the ledger of `{app}` was written by another scheduler");
                return Err(Conflict { reason });
            }
            Event::TickStored { app, number, sequence } => {
                self.with_app(&app, AppState::tick_published);
                self.step(&app, Input::TickStored { number, sequence }, moment);
            }
            Event::HistoryStored { app, number, sequence } => {
                self.with_app(&app, AppState::history_published);
                self.step(&app, Input::HistoryStored { number, sequence }, moment);
            }
            Event::NoticeStored { app, number, sequence } => {
                self.with_app(&app, AppState::notice_published);
                self.step(&app, Input::NoticeStored { number, sequence }, moment);
            }
            Event::CommandConfirmed { app, request } => {
                self.step(&app, Input::CommandConfirmed(request), moment);
                self.release_commands(&app, moment);
            }
            Event::ResultsEnd { agent, sequence } => self.results_end(&agent, sequence),
            Event::AgentRead { agent, revision } => self.agent_read(&agent, revision, moment),
            Event::LedgerRead { app, epoch, attempt, agent } => self.ledger_read(&app, epoch, *attempt, agent)?,
            Event::SummaryRead { app, request, summary } => self.summary_read(&app, request, summary, moment),
            Event::Failed { reason } => return Err(Conflict { reason }),
            Event::Woken => self.woken(moment),
            Event::ClockDoubted => self.clock_trusted = false,
            Event::ClockTrusted => self.trust_clock(moment),
        }
        self.place_unplaced(moment);
        Ok(std::mem::take(&mut self.outcome))
    }

    /// When [`Event::Woken`] is next needed, at the latest; `None`: when something else happens.
    pub fn wake_in(&self, moment: Moment) -> Option<Duration> {
        if !self.rounds.is_empty() {
            return Some(Duration::ZERO);
        }
        let due = self.wakes.first().filter(|_| self.clock() == Clock::Running);
        let instant = due.map(|(at, _)| Duration::try_from(at.duration_since(moment.wall)).unwrap_or(Duration::ZERO));
        let paced = self.paced.first().map(|(at, _)| at.saturating_sub(moment.uptime));
        instant.into_iter().chain(paced).min()
    }

    /// The tenure that this dispatcher leads in.
    pub fn tenure(&self) -> Tenure {
        self.tenure
    }

    /// Whether apps are due.
    pub fn has_due_apps(&self, moment: Moment) -> bool {
        self.clock() == Clock::Running && self.wakes.first().is_some_and(|(at, _)| *at <= moment.wall)
    }

    /// The ledger of an app, with everything folded in.
    pub fn ledger(&self, app: &AppName) -> Option<&Ledger> {
        self.apps.get(app)?.ledger.as_ref()
    }

    /// Whether the take-over that [`Event::Loaded`] began is complete. Until then no results, commands
    /// or writes of ledgers are told.
    pub fn has_taken_over(&self) -> bool {
        self.taken_over
    }

    /// Results after this sequence are still needed by an app; `None`: none are.
    pub fn results_needed_after(&self) -> Option<u64> {
        self.apps.values().filter_map(|state| state.results_needed_after()).min()
    }

    /// The sequence up to which all results are folded.
    pub fn results_through(&self) -> u64 {
        self.results_through
    }

    fn changed(&mut self, change: StateChange, moment: Moment) {
        match change {
            StateChange::Ledger { app, revision, ledger: Ok(ledger) } => self.load(app, revision, *ledger),
            StateChange::Ledger { app, revision, ledger: Err(problem) } => {
                self.ledger_unreadable(&app, revision, &problem);
            }
            StateChange::UnreadableAgent { agent, revision } => self.agents.unreadable(&agent, revision, moment),
            StateChange::Agent { revision, at, record } => self.agent_seen(revision, at, *record, moment),
            StateChange::App { app, revision, at, content } => {
                self.app_seen(app, AppChange { revision, at, content }, moment);
            }
        }
    }

    fn load(&mut self, app: AppName, revision: u64, ledger: Ledger) {
        self.bind_loaded(&app, &ledger);
        self.app(&app).load(revision, ledger);
    }

    /// Somebody else's revision of a ledger means that what this tenure has in memory is not what is stored.
    fn ledger_seen(&mut self, app: &AppName, revision: u64, epoch: Epoch) -> Result<(), Conflict> {
        if self.is_frozen(app) {
            return self.ledger_mended(app, revision);
        }
        let known = self.apps.get(app).map_or(0, |state| state.revision());
        if epoch != self.tenure.epoch && revision > known {
            let reason = format!("the ledger of `{app}` has a revision {revision} of tenure {epoch}");
            return Err(Conflict { reason });
        }
        Ok(())
    }

    fn agent_seen(&mut self, revision: u64, at: Timestamp, record: AgentRecord, moment: Moment) {
        let agent = record.agent.clone();
        let seen = if self.loaded { Seen::Live } else { Seen::Loaded };
        let is_back = self.agents.is_back(&record, revision, moment, &self.timing);
        self.agents.heartbeat(revision, at, record, seen, moment);
        if is_back && seen == Seen::Live {
            self.outcome.effects.push(Effect::Announce(MeshEvent::AgentBack { agent: agent.clone() }));
        }
        self.refresh_agent(&agent, moment);
        self.judge_agents(moment);
    }

    /// The tenure begins: what is under way becomes this leader's, and what ledgers still hold unpublished is published.
    fn take_over(&mut self, results_end: u64, moment: Moment) {
        self.loaded = true;
        self.begin_tenure_by(moment);
        self.results_end = results_end;
        self.results_through = results_end.min(self.results_needed_after().unwrap_or(results_end));
        let bound: Vec<AgentName> = self.bound.keys().cloned().collect();
        for agent in bound {
            self.agents.expect(&agent, moment);
        }
        self.refresh_fleet(moment);
        self.ask_all(Round::TakeOver, moment);
    }

    /// Once the results from before the take-over are folded, what waited for them goes on: edits, the clock, commands.
    fn catch_up(&mut self, moment: Moment) {
        if self.caught_up || !self.taken_over || self.results_through < self.results_end {
            return;
        }
        self.caught_up = true;
        self.fold_deferred(moment);
        self.ask_all(Round::Clock, moment);
    }

    /// A tenure that began in the future, by a clock that was ahead, began now at the latest: what falls due from here on has not
    /// been missed.
    fn begin_tenure_by(&mut self, moment: Moment) {
        self.tenure.since = self.tenure.since.min(moment.wall);
    }

    /// What passed meanwhile is decided.
    fn trust_clock(&mut self, moment: Moment) {
        self.clock_trusted = true;
        self.begin_tenure_by(moment);
        if self.caught_up {
            self.ask_all(Round::Clock, moment);
        }
    }

    fn ledger_written(&mut self, app: &AppName, revision: u64, moment: Moment) {
        let consequences = self.app(app).written(revision);
        self.act(app, consequences);
        self.pump(app, moment);
    }

    fn woken(&mut self, moment: Moment) {
        // In doubt no instant is decided, but replicas are retried and orders sent again, at the pace of housekeeping.
        let due: Vec<AppName> = if self.caught_up { self.due_apps(moment) } else { Vec::new() };
        for app in due {
            self.step(&app, Input::Clock, moment);
        }
        while let Some((_, app)) = self.paced.first().filter(|(at, _)| *at <= moment.uptime).cloned() {
            self.paced.pop_first();
            self.pump(&app, moment);
        }
        self.go_round(moment);
        if self.agents.is_time_to_look(moment.uptime, &self.timing) {
            self.refresh_fleet(moment);
            self.check_silence(moment);
        }
    }

    fn clock(&self) -> Clock {
        match (self.caught_up, self.clock_trusted) {
            (false, _) => Clock::CatchingUp,
            (true, false) => Clock::Doubted,
            (true, true) => Clock::Running,
        }
    }

    /// The backlog that goes on at this moment, if anything is due.
    fn backlog_at(&self, moment: Moment) -> Option<Backlog> {
        let due = self.wakes.first().filter(|(at, _)| self.clock() == Clock::Running && *at <= moment.wall);
        due.map(|_| Backlog::at(self.backlog, moment, self.timing.late_after))
    }

    /// The apps that are due, longest first. In doubt an app can be due for long, and must not keep the others out.
    fn due_apps(&self, moment: Moment) -> Vec<AppName> {
        let at_once = if self.clock() == Clock::Running { self.batches.due } else { usize::MAX };
        let due = self.wakes.iter().take_while(|(at, _)| *at <= moment.wall).take(at_once);
        due.map(|(_, app)| app.clone()).collect()
    }

    /// Decides about one app, and does or records what follows.
    fn step(&mut self, app: &AppName, input: Input<'_>, moment: Moment) {
        self.step_with(app, input, Vec::new(), moment);
    }

    fn step_with(&mut self, app: &AppName, input: Input<'_>, confirmations: Vec<RequestId>, moment: Moment) {
        let (placing, clock) = (self.placing(app), self.clock());
        let Some(state) = self.apps.get_mut(app) else { return };
        let Some(ledger) = state.ledger.take() else { return };
        let context = Context {
            app,
            spec: state.spec.as_ref(),
            fleet: &self.fleet,
            now: moment.wall,
            noticed: self.backlog.map_or(moment.wall, |backlog| backlog.noticed),
            tenure: self.tenure,
            results_through: self.results_through,
            timing: &self.timing,
            clock,
            placing,
        };
        let decision = decide::decide(&context, ledger, input, &mut self.random);
        state.ledger = Some(decision.ledger);
        let consequences = Consequences { actions: decision.actions, confirmations };
        let at_once = state.take(decision.record, consequences);
        let got_some = decision.loads.iter().any(|change| matches!(change, LoadChange::Bind(..)));
        for change in decision.loads {
            self.apply_load(app, &change);
        }
        self.note_unplaced(app, decision.unplaced, got_some, placing);
        self.act(app, at_once);
        self.schedule_wake(app, moment);
        self.pump(app, moment);
    }

    fn act(&mut self, app: &AppName, consequences: Consequences) {
        let confirmations = consequences.confirmations.into_iter();
        let confirmations = confirmations.map(|request| Effect::ConfirmCommand { app: app.clone(), request });
        self.outcome.effects.extend(consequences.actions.into_iter().map(Effect::Act));
        self.outcome.effects.extend(confirmations);
    }

    /// Starts the write and the publications that are due.
    fn pump(&mut self, app: &AppName, moment: Moment) {
        if !self.loaded {
            return;
        }
        let Some(state) = self.apps.get_mut(app) else { return };
        let pace = self.timing.write_pace;
        let (epoch, writes) = (self.tenure.epoch, &mut self.writes);
        let stamp = || {
            *writes += 1;
            WriteStamp { epoch, number: *writes }
        };
        match state.begin_write(moment.uptime, pace, stamp) {
            Some(write) => self.outcome.effects.push(write),
            None => self.paced.extend(state.paced_until(pace).map(|at| (at, app.clone()))),
        }
        if state.hasten_write() {
            self.outcome.hastened.push(app.clone());
        }
        self.outcome.effects.extend(state.publish());
    }

    fn schedule_wake(&mut self, app: &AppName, moment: Moment) {
        let Some(state) = self.apps.get_mut(app) else { return };
        let Some(ledger) = &state.ledger else { return };
        let wake_at = decide::wake_at(ledger, state.spec.as_deref(), &self.timing, self.tenure, moment.wall);
        let before = std::mem::replace(&mut state.wake_at, wake_at);
        if before == wake_at {
            return;
        }
        if let Some(at) = before {
            self.wakes.remove(&(at, app.clone()));
        }
        self.wakes.extend(wake_at.map(|at| (at, app.clone())));
    }

    fn app(&mut self, app: &AppName) -> &mut AppState {
        self.apps.entry(app.clone()).or_insert_with(|| Box::new(AppState::new(app.clone())))
    }

    fn with_app(&mut self, app: &AppName, change: impl FnOnce(&mut AppState)) {
        if let Some(state) = self.apps.get_mut(app) {
            change(state);
        }
    }
}
