//! What people should hear of an app: decided from its state and the time, as every deadline is, and put into the ledger's
//! outbox. Each incident is told once when it opens and once when it closes, whoever leads.

use std::time::Duration;

use jiff::Timestamp;

use super::{Clock, Record, Tenure, Transition};
use crate::{
    id::RunNumber,
    json_size::shortened,
    ledger::{ActiveRun, Ledger, NOTICES_PENDING_MAX, Phase, REASON_BYTES_MAX, Standing, ToldDrops},
    message::{AppNotice, DropReason, NoticeRecord, SCHEMA},
    outcome::Outcome,
    placement::Placement,
    spec::AppSpec,
    time,
    timing::Timing,
};

impl Transition<'_> {
    /// Puts a notice into the outbox. Numbers begin at the tenure's, so that a notice of this tenure is never taken for one that
    /// was published before a release that knows no notices wrote the ledger, or before stored data was lost.
    fn tell(&mut self, notice: AppNotice) {
        let (app, at, Tenure { epoch, .. }) = (self.context.app.clone(), self.context.now, self.context.tenure);
        let notices = &mut self.ledger.notices;
        notices.skip_to(epoch.0);
        notices.push(|number| NoticeRecord { schema: SCHEMA, number, app, at, notice });
        notices.keep_newest(NOTICES_PENDING_MAX);
        self.note(Record::Due);
    }

    /// Tells how a run ended, if somebody should hear of it. A run that a person cancelled is as that person wanted it.
    pub(super) fn tell_end(&mut self, run: RunNumber, outcome: &Outcome) {
        let told = &mut self.ledger.told;
        let was_long = told.long.contains(&run);
        told.long.retain(|told| *told != run);
        if was_long {
            self.tell(AppNotice::LongOver { run, outcome: outcome.clone() });
        }
        match outcome {
            Outcome::Cancelled => {}
            Outcome::Succeeded => self.tell_success(run),
            Outcome::Failed { .. }
            | Outcome::TimedOut
            | Outcome::Lost { .. }
            | Outcome::CouldNotStart { .. }
            | Outcome::Skipped { .. } => {
                let failures = self.ledger.told.failures.saturating_add(1);
                self.ledger.told.failures = failures;
                self.tell(AppNotice::Failed { run, outcome: outcome.clone(), failures });
            }
        }
    }

    fn tell_success(&mut self, run: RunNumber) {
        let failures = std::mem::take(&mut self.ledger.told.failures);
        if failures > 0 {
            self.tell(AppNotice::Recovered { run, failures });
        }
        if let Some(since) = &mut self.ledger.told.expected_since {
            *since = self.context.now;
        }
        if std::mem::take(&mut self.ledger.told.overdue) {
            self.tell(AppNotice::OnTime { run: Some(run) });
        }
    }

    /// Tells of a tick that was dropped: the first at once, and those of the next hour together.
    pub(super) fn tell_drop(&mut self, scheduled_at: Timestamp, reason: DropReason) {
        let (now, tick) = (self.context.now, self.ledger.ticks.last_number);
        let open = self.ledger.told.dropped.as_mut();
        if let Some(drops) = open.filter(|drops| now < time::after(drops.at, self.context.timing.tell_dropped)) {
            drops.untold = drops.untold.saturating_add(1);
            drops.scheduled_at = scheduled_at;
            return;
        }
        // Those that are due to be told have their turn below, with this one.
        let untold = self.ledger.told.dropped.as_ref().map_or(0, |drops| drops.untold);
        self.ledger.told.dropped = Some(ToldDrops { at: now, untold: 0, scheduled_at });
        self.tell(AppNotice::Dropped { tick, scheduled_at, reason, ticks: untold.saturating_add(1) });
    }

    /// A new revision says since when a success is expected, and whether the file is valid.
    pub(super) fn tell_revision(&mut self, at: Timestamp) {
        let standing = self.ledger.standing.clone();
        match standing {
            Standing::Invalid { reason } => {
                if !std::mem::replace(&mut self.ledger.told.invalid, true) {
                    self.tell(AppNotice::Invalid { reason });
                }
                return;
            }
            Standing::Applied => {
                if self.spec.as_ref().is_some_and(|spec| spec.expect_success.is_some()) {
                    self.ledger.told.expected_since.get_or_insert(at);
                }
            }
            Standing::Removed => {
                self.expect_no_success();
                self.ledger.told.failures = 0;
                self.ledger.told.dropped = None;
            }
        }
        if std::mem::take(&mut self.ledger.told.invalid) {
            self.tell(AppNotice::Valid);
        }
    }

    /// A pause ends: what was expected within some time is expected as much later.
    pub(super) fn tell_resumed(&mut self, at: Timestamp) {
        let (Some(pause), Some(since)) = (&self.ledger.pause, &mut self.ledger.told.expected_since) else { return };
        let paused = at.duration_since(pause.since.max(*since));
        *since = time::after(*since, Duration::try_from(paused).unwrap_or(Duration::ZERO));
    }

    /// Tells what follows from the state and the time. Not while the clock is in doubt, or results from before the take-over are
    /// folded: a run that seems to wait may have ended.
    pub(super) fn judge_notices(&mut self) {
        if self.context.clock != Clock::Running {
            return;
        }
        self.judge_pending();
        self.judge_long();
        self.judge_overdue();
        self.judge_dropped();
    }

    fn judge_pending(&mut self) {
        let now = self.context.now;
        let waiting = self.ledger.active.iter().find(|run| waits_for_agent(run, now));
        let waits = waiting.map(|run| (run.number, waits_since(run, now)));
        let told = &mut self.ledger.told;
        let mut since = waits.map(|(_, since)| told.waits_since.unwrap_or(since));
        if told.waits_since != since {
            told.waits_since = since;
            self.record = self.record.max(Record::WithNext);
        }
        let is_open = |run: &RunNumber| {
            let active = self.ledger.active.iter().find(|active| active.number == *run);
            active.is_some_and(|active| waits_for_agent(active, now))
        };
        if let Some(run) = self.ledger.told.pending.filter(|run| !is_open(run)) {
            self.ledger.told.pending = None;
            self.tell(AppNotice::Placed { run });
            // Another run that waits has waited since its own beginning.
            since = waits.map(|(_, since)| since);
            self.ledger.told.waits_since = since;
        }
        let (Some((run, _)), Some(since)) = (waits, since) else { return };
        if self.ledger.told.pending.is_none() && time::after(since, self.context.timing.tell_pending) <= now {
            self.ledger.told.pending = Some(run);
            let reason = shortened(&self.obstacle(run), REASON_BYTES_MAX);
            self.tell(AppNotice::Pending { run, since, reason });
        }
    }

    /// What keeps a run from every agent.
    fn obstacle(&self, number: RunNumber) -> String {
        let placement = Placement::new(self.context.fleet);
        let obstacle = || {
            let run = self.ledger.active.iter().find(|run| run.number == number)?;
            let Some((service, _)) = run.pending_services().next() else {
                return Some("no agent has what its constraints ask for".to_owned());
            };
            let (_, place) = run.pending(service).next()?;
            let wanted = placement.wanted_in(run, service, run.service_spec(service)?);
            match run.pinned_agent(place) {
                Some(agent) => placement.explain_on(agent, wanted.load).map(|why| why.to_string()),
                None => placement.explain(wanted).map(|why| why.to_string()),
            }
        };
        obstacle().unwrap_or_else(|| "other runs have waited longer".to_owned())
    }

    fn judge_long(&mut self) {
        let Some(warn_after) = self.spec.as_ref().and_then(|spec| spec.warn_after) else { return };
        let now = self.context.now;
        let due = |run: &&ActiveRun| long_at(&self.ledger, run, warn_after).is_some_and(|at| at <= now);
        let due: Vec<_> = self.ledger.active.iter().filter(due).map(|run| (run.number, run.started_at)).collect();
        for (run, started_at) in due {
            self.ledger.told.long.push(run);
            self.tell(AppNotice::Long { run, started_at, warn_after_ms: millis(warn_after) });
        }
    }

    fn judge_overdue(&mut self) {
        let Some(spec) = self.spec.clone() else { return };
        let Some(expect_success) = spec.expect_success else { return self.expect_no_success() };
        // A release that knows no notices has led meanwhile.
        if self.ledger.told.expected_since.is_none() {
            self.ledger.told.expected_since = Some(self.context.now);
            self.record = self.record.max(Record::WithNext);
        }
        let due = overdue_at(&self.ledger, &spec).is_some_and(|at| at <= self.context.now);
        if let Some(since) = self.ledger.told.expected_since.filter(|_| due) {
            self.ledger.told.overdue = true;
            self.tell(AppNotice::Overdue { since, expect_success_ms: millis(expect_success) });
        }
    }

    /// The file expects nothing any more.
    fn expect_no_success(&mut self) {
        if self.ledger.told.expected_since.take().is_some() {
            self.record = self.record.max(Record::WithNext);
        }
        if std::mem::take(&mut self.ledger.told.overdue) {
            self.tell(AppNotice::OnTime { run: None });
        }
    }

    fn judge_dropped(&mut self) {
        let now = self.context.now;
        if untold_at(&self.ledger, self.context.timing).is_none_or(|at| now < at) {
            return;
        }
        let tick = self.ledger.ticks.last_number;
        let Some(drops) = &mut self.ledger.told.dropped else { return };
        let (ticks, scheduled_at) = (std::mem::take(&mut drops.untold), drops.scheduled_at);
        drops.at = now;
        self.tell(AppNotice::Dropped { tick, scheduled_at, reason: DropReason::QueueFull, ticks });
    }
}

/// The moments at which the time alone gives people something to hear.
pub(super) fn tell_at<'a>(
    ledger: &'a Ledger,
    spec: Option<&'a AppSpec>,
    timing: &Timing,
) -> impl Iterator<Item = Timestamp> + 'a {
    let told = &ledger.told;
    let pending = told.waits_since.filter(|_| told.pending.is_none());
    let pending = pending.map(|since| time::after(since, timing.tell_pending));
    let warn_after = spec.and_then(|spec| spec.warn_after);
    let long = warn_after.into_iter();
    let long =
        long.flat_map(move |warn_after| ledger.active.iter().filter_map(move |run| long_at(ledger, run, warn_after)));
    let overdue = spec.and_then(|spec| overdue_at(ledger, spec));
    pending.into_iter().chain(long).chain(overdue).chain(untold_at(ledger, timing))
}

/// When a run is to be told long; `None`: it was.
fn long_at(ledger: &Ledger, run: &ActiveRun, warn_after: Duration) -> Option<Timestamp> {
    (!ledger.told.long.contains(&run.number)).then(|| time::after(run.started_at, warn_after))
}

/// When an app is to be told overdue; `None`: it was, or it is paused, or no success is expected.
fn overdue_at(ledger: &Ledger, spec: &AppSpec) -> Option<Timestamp> {
    let is_open = ledger.told.overdue || ledger.pause.is_some();
    let since = ledger.told.expected_since.filter(|_| !is_open)?;
    Some(time::after(since, spec.expect_success?))
}

/// When the ticks that were dropped since the last notice are to be told.
fn untold_at(ledger: &Ledger, timing: &Timing) -> Option<Timestamp> {
    let drops = ledger.told.dropped.as_ref().filter(|drops| drops.untold > 0)?;
    Some(time::after(drops.at, timing.tell_dropped))
}

/// Whether a run wants an agent, and nothing of it runs.
fn waits_for_agent(run: &ActiveRun, now: Timestamp) -> bool {
    let wants_agent = || run.pending_services().any(|(_, since)| since <= now) || run.unresolved().next().is_some();
    *run.phase() == Phase::Running && run.open_by_agent().next().is_none() && wants_agent()
}

/// Since when a run waits that was not seen waiting before.
fn waits_since(run: &ActiveRun, now: Timestamp) -> Timestamp {
    if run.replicas().any(|(_, _, replica)| replica.last_attempt > 0) {
        return now;
    }
    run.pending_services().map(|(_, since)| since).min().unwrap_or(run.started_at).min(now)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
