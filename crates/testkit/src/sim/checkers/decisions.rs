//! G7, and the promise of `wake_at`: the core is asked again about a ledger that is about to be stored.
//!
//! What was folded once changes nothing the second time, and before the moment for which the core asks to be woken the clock has
//! nothing to say.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use rand::{SeedableRng as _, rngs::StdRng};
use tickmesh_core::{
    decide::{Clock, Context, Decision, Input, Placing, Record, Tenure, decide, wake_at},
    fleet::Fleet,
    ledger::Ledger,
    message::{AttemptReport, Command},
    name::AppName,
    spec::AppSpec,
    time,
    timing::Timing,
};

/// A ledger, and what its leader knew when it was about to be stored.
#[derive(Debug, Clone, Copy)]
pub(in crate::sim) struct Decided<'a> {
    pub(in crate::sim) app: &'a AppName,
    pub(in crate::sim) spec: Option<&'a Arc<AppSpec>>,
    pub(in crate::sim) ledger: &'a Ledger,
    pub(in crate::sim) now: Timestamp,
    pub(in crate::sim) tenure: Tenure,
    pub(in crate::sim) results_through: u64,
    pub(in crate::sim) timing: &'a Timing,
}

impl Decided<'_> {
    /// Asks again: about the clock, about messages and commands that were folded, and about the clock just before it is due.
    pub(in crate::sim) fn check(
        &self,
        reports: &[(u64, Arc<AttemptReport>)],
        commands: &[Arc<Command>],
    ) -> anyhow::Result<()> {
        // The write may have waited for the pace: instants may have fallen due since.
        let settled = self.decide(self.ledger.clone(), Input::Clock, self.now).ledger;
        self.check_nothing(&settled, Input::Clock, self.now)?;
        for (sequence, report) in reports.iter().filter(|(sequence, _)| *sequence <= self.results_through) {
            self.check_nothing(&settled, Input::Report { sequence: *sequence, report }, self.now)?;
        }
        for command in commands.iter().filter(|command| settled.requests.iter().any(|it| it.request == command.request))
        {
            self.check_nothing(&settled, Input::Command { sequence: 1, command, retried: None }, self.now)?;
        }
        let due_at = wake_at(&settled, self.spec.map(|spec| &**spec), self.timing, self.tenure, self.now);
        let early = due_at.map_or(time::after(self.now, Duration::from_secs(3_600)), before);
        if early > self.now {
            self.check_nothing(&settled, Input::Clock, early).with_context(|| format!("before {due_at:?}"))?;
        }
        Ok(())
    }

    fn check_nothing(&self, ledger: &Ledger, input: Input<'_>, now: Timestamp) -> anyhow::Result<()> {
        let decision = self.decide(ledger.clone(), input.clone(), now);
        let nothing = decision.record == Record::Unchanged && decision.actions.is_empty() && decision.ledger == *ledger;
        ensure!(nothing, "G7: {input:?} at {now} changed something twice: {:?}", decision.actions);
        Ok(())
    }

    fn decide(&self, ledger: Ledger, input: Input<'_>, now: Timestamp) -> Decision {
        let context = Context {
            app: self.app,
            spec: self.spec,
            fleet: &Fleet::default(),
            now,
            noticed: now,
            tenure: self.tenure,
            results_through: self.results_through,
            timing: self.timing,
            clock: Clock::Running,
            // Whether replicas are placed depends on a fleet that only the leader knows.
            placing: Placing::InTurn,
        };
        decide(&context, ledger, input, &mut StdRng::seed_from_u64(0))
    }
}

/// The last moment before an instant.
fn before(instant: Timestamp) -> Timestamp {
    time::before(instant, Duration::from_nanos(1))
}
