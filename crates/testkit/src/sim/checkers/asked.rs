//! Runs that a person wants to end, and those that end although nobody has reported on all of their attempts.
//! That is allowed by force, and once the time has passed for which agents are waited for.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use tickmesh_core::{
    id::{AttemptId, RequestId, RunNumber, RunUid},
    ledger::{ActiveRun, Ledger, Phase, Verdict},
    message::{AttemptEvent, AttemptReport},
    name::AppName,
    outcome::LostReason,
    time,
    timing::Timing,
};

/// How far the clocks of two leaders and of the server may be apart.
const SKEW: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct AskedEnds {
    /// Runs that somebody wants to end, by uid.
    asked: BTreeMap<RunUid, Asked>,
    forced: BTreeSet<(AppName, RunNumber)>,
    /// Runs that are over, whatever is still open of them.
    unreported: BTreeSet<RunUid>,
}

#[derive(Debug)]
struct Asked {
    app: AppName,
    run: RunNumber,
    at: Option<Timestamp>,
}

impl AskedEnds {
    /// A ledger was stored.
    pub(super) fn recorded(&mut self, app: &AppName, ledger: &Ledger, forced: &BTreeSet<RequestId>, at: Timestamp) {
        for run in &ledger.active {
            // A member of an earlier release stores when a run was stopped, but not since when its end is waited for.
            let known = self.asked.get(&run.uid).and_then(|asked| asked.at);
            let noted = run.end_asked_at().or(known).or_else(|| is_asked_to_end(run).then_some(at));
            let asked = Asked { app: app.clone(), run: run.number, at: noted };
            self.asked.insert(run.uid, asked);
        }
        for handled in ledger.requests.iter().filter(|handled| forced.contains(&handled.request)) {
            if let Verdict::Stopping { runs } = &handled.verdict {
                self.forced.extend(runs.iter().map(|run| (app.clone(), *run)));
            }
        }
        let active: BTreeSet<RunUid> = ledger.active.iter().map(|run| run.uid).collect();
        let timing = super::super::world::TIMING;
        let patience = timing.lost + timing.unclaimed.saturating_sub(timing.resend);
        let over = self.asked.iter().filter(|(uid, asked)| asked.app == *app && !active.contains(uid));
        let over: Vec<RunUid> = over
            .filter(|(_, asked)| self.is_forced(app, asked.run) || asked.is_older(patience, at))
            .map(|(uid, _)| *uid)
            .collect();
        self.unreported.extend(over);
    }

    /// Whether an attempt is of such a run.
    pub(super) fn covers(&self, attempt: &AttemptId) -> bool {
        self.is_unreported(&attempt.app, attempt.run, attempt.uid)
    }

    fn is_forced(&self, app: &AppName, run: RunNumber) -> bool {
        self.forced.contains(&(app.clone(), run))
    }

    pub(super) fn forced_count(&self) -> u64 {
        self.forced.len() as u64
    }

    /// Whether a run may have ended while something of it was open. One that was ended by force as soon as it
    /// began is in no ledger.
    pub(super) fn is_unreported(&self, app: &AppName, run: RunNumber, uid: RunUid) -> bool {
        self.unreported.contains(&uid) || self.is_forced(app, run)
    }

    /// Whether a report gives up what may go on without the mesh, since somebody asked for the end of its run.
    pub(super) fn gives_up(&self, report: &AttemptReport, at: Timestamp) -> bool {
        let given_up = AttemptEvent::Lost { reason: LostReason::AgentSilent };
        let not_held = AttemptEvent::Lost { reason: LostReason::NotHeld };
        let asked = self.asked.get(&report.attempt.uid);
        let Timing { lost, .. } = super::super::world::TIMING;
        (report.event == given_up || report.event == not_held) && asked.is_some_and(|asked| asked.is_older(lost, at))
    }
}

fn is_asked_to_end(run: &ActiveRun) -> bool {
    match run.phase() {
        Phase::Running => false,
        Phase::Stopping { reason } => reason.is_asked_for(),
    }
}

impl Asked {
    /// Whether somebody asked at least so long ago.
    fn is_older(&self, age: Duration, now: Timestamp) -> bool {
        self.at.is_some_and(|at| time::after(at, age) <= time::after(now, SKEW))
    }
}
