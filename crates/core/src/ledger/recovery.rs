//! What becomes of a ledger when stored data was lost, and somebody has accepted that.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{ActiveRun, Claim, Ledger, Outbox, Progress, ReplicaPlace, ReplicaState, bounds::ATTEMPTS_USED_MAX};
use crate::{
    history::RunSummary,
    id::AttemptId,
    message::{AgentRecord, MachineDigest, TickRecord},
    name::{AgentName, AppName},
    time,
    timing::Timing,
};

/// How far numbers are moved: by more than anybody has used since the last copy of a store was made.
pub const NUMBERS_AHEAD: u64 = 1_000;

/// The last message on a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published<T> {
    pub message: T,
    /// Its sequence in the stream.
    pub sequence: u64,
}

/// What is left of an app in the other streams.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remains {
    /// The last decision of the clock.
    pub tick: Option<Published<TickRecord>>,
    /// The last run that ended.
    pub summary: Option<Published<RunSummary>>,
    /// Attempts that the ledger takes for claimed or that their agents hold, and about which the results have no word; with the
    /// machine that each is on.
    pub claims_lost: Vec<(AttemptId, MachineDigest)>,
}

impl Ledger {
    /// Moves every number ahead that somebody may have seen beyond what this ledger knows, so that none is used twice, and has
    /// the results folded again from their beginning. What the clock is on record to have decided stays decided.
    pub fn move_ahead(&mut self, app: &AppName, remains: Remains) {
        let Remains { tick, summary, claims_lost } = remains;
        let last_run = summary.as_ref().map_or(0, |summary| summary.message.run);
        self.last_run = self.last_run.max(last_run) + NUMBERS_AHEAD;
        if let Some(tick) = &tick {
            self.decided_through = self.decided_through.max(tick.message.scheduled_at);
        }
        self.ticks.move_ahead(tick.map(|it| (it.message.number, it.sequence)), |tick, number| tick.number = number);
        let summary = summary.map(|it| (it.message.number, it.sequence));
        self.history.move_ahead(summary, |summary, number| summary.number = number);
        self.notices.move_ahead(None, |notice, number| notice.number = number);
        for run in &mut self.active {
            run.results_through = 0;
            run.move_attempts_ahead();
            run.forget_claims(app, &claims_lost);
        }
    }
}

/// Returns what agents hold and no ledger has open: it is stopped before anybody leads on what is left,
/// or it runs beside its successor. An agent counts for as long as nobody else has ended its containers:
/// one that was last heard longer ago than its guard waits has stopped what it held.
pub fn orphans<'a>(
    agents: impl IntoIterator<Item = (&'a AgentRecord, Timestamp)>,
    ledgers: &BTreeMap<&str, &Ledger>,
    now: Timestamp,
    timing: &Timing,
) -> Vec<(AttemptId, AgentName)> {
    let is_open = |attempt: &AttemptId, agent: &AgentName| {
        let runs = ledgers.get(attempt.app.as_str()).map(|ledger| ledger.active.iter());
        let mut runs = runs.into_iter().flatten();
        runs.any(|run| run.open_attempts_on(&attempt.app, agent).any(|(open, _)| open == *attempt))
    };
    let guarded = timing.fence + timing.kill_margin;
    let heard = agents.into_iter().filter(|(_, at)| now < time::after(*at, guarded)).map(|(record, _)| record);
    let held = heard.flat_map(|record| record.held.iter().map(move |attempt| (attempt, &record.agent)));
    held.filter(|(attempt, agent)| !is_open(attempt, agent))
        .map(|(attempt, agent)| (attempt.clone(), agent.clone()))
        .collect()
}

impl ActiveRun {
    /// Skips the attempt numbers that may have been used since the copy was made. Their subjects may
    /// hold messages: an attempt that got such a number again could be neither claimed nor revoked,
    /// and nobody would ever report its end.
    fn move_attempts_ahead(&mut self) {
        let last = self.replicas().map(|(_, _, replica)| replica.last_attempt).max().unwrap_or(0);
        let used = self.attempts_used.max(last).saturating_add(NUMBERS_AHEAD as u32);
        self.attempts_used = used.min(ATTEMPTS_USED_MAX);
    }

    /// A claim of which the results have no word any more has the sequence 0: whoever says how the attempt ended says the first
    /// word on it. That goes for one, too, that this ledger has not noted yet: its agent would be taken for one that does not
    /// take the attempt, which would be revoked and run elsewhere.
    fn forget_claims(&mut self, app: &AppName, lost: &[(AttemptId, MachineDigest)]) {
        let claim_of = |place| {
            let (attempt, _) = self.open_attempt(app, place)?;
            let (_, machine) = lost.iter().find(|(lost, _)| *lost == attempt)?;
            Some((place, Claim { sequence: 0, machine: *machine }))
        };
        let claims: Vec<(ReplicaPlace, Claim)> = self.places().filter_map(claim_of).collect();
        for (place, claim) in claims {
            self.change(place, |replica| {
                if let ReplicaState::Open(open) = &mut replica.state {
                    open.progress = Progress::Claimed(claim);
                }
            });
        }
    }
}

impl<T> Outbox<T> {
    /// Gives what waits new numbers, well above every number that is known: of the last message stored, with its sequence, and
    /// of the last one put in. What is stored already does not wait any more.
    fn move_ahead(&mut self, stored: Option<(u64, u64)>, mut renumber: impl FnMut(&mut T, u64)) {
        let (number, sequence) = stored.unwrap_or((0, 0));
        self.stored(number, sequence);
        self.last_number = self.last_number.max(number) + NUMBERS_AHEAD;
        self.last_sequence = sequence;
        let first = self.last_number + 1 - self.pending.len() as u64;
        for (number, message) in (first..).zip(&mut self.pending) {
            renumber(message, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{
        cause::Cause,
        id::RunUid,
        ledger::{CarryOver, NewRun, OpenAttempt, Waiting},
        message::{Admission, RunRequest, SCHEMA},
        name::ServiceName,
        spec::{ContainerSpec, RunSpec, ServiceSpec},
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn app() -> AppName {
        AppName::new("nightly").unwrap()
    }

    fn tick(number: u64, second: i64) -> TickRecord {
        let admission = Admission::Start { run: number };
        TickRecord {
            schema: SCHEMA,
            number,
            app: app(),
            scheduled_at: at(second),
            decided_at: at(second),
            admission,
            coalesced: 0,
        }
    }

    /// A ledger that is decided through second 30, has put `last` ticks in, and waits for the last `pending` to be stored.
    fn ledger(last: u64, pending: u64) -> Ledger {
        let mut ledger = Ledger::new(1, at(30));
        ledger.last_run = 7;
        for number in 1..=last {
            ledger.ticks.push(|number| tick(number, 30));
            if number <= last - pending {
                ledger.ticks.stored(number, 100 + number);
            }
        }
        ledger
    }

    #[track_caller]
    fn check(mut ledger: Ledger, stored: Option<Published<TickRecord>>, waiting: &[u64], last: u64, through: i64) {
        let sequence = stored.as_ref().map_or(0, |stored| stored.sequence);
        ledger.move_ahead(&app(), Remains { tick: stored, ..Remains::default() });
        let numbers: Vec<_> = ledger.ticks.pending.iter().map(|tick| tick.number).collect();
        assert_eq!((numbers.as_slice(), ledger.ticks.last_number), (waiting, last));
        assert_eq!(ledger.ticks.last_sequence, sequence, "the next message goes on top of what is there");
        assert_eq!((ledger.last_run, ledger.decided_through), (7 + NUMBERS_AHEAD, at(through)));
    }

    #[test]
    fn numbers_go_on_above_whatever_is_known() {
        check(ledger(4, 0), None, &[], 1_004, 30);
        check(ledger(4, 2), None, &[1_003, 1_004], 1_004, 30);
    }

    #[test]
    fn what_the_stream_has_beyond_the_ledger_is_not_decided_again() {
        let stored = Published { message: tick(9, 45), sequence: 77 };
        check(ledger(4, 2), Some(stored), &[], 1_009, 45);
    }

    #[test]
    fn what_the_stream_has_already_does_not_wait_any_more() {
        let stored = Published { message: tick(3, 30), sequence: 77 };
        check(ledger(4, 2), Some(stored), &[1_004], 1_004, 30);
    }

    /// A run whose only replica is at attempt 1, on `h1`.
    fn running() -> ActiveRun {
        let service = ServiceSpec::new(ServiceName::new("s1").unwrap(), ContainerSpec::new("busybox"));
        let waiting = Waiting {
            cause: Cause::Schedule,
            scheduled_at: None,
            enqueued_at: at(0),
            request: RunRequest::default(),
            carried: CarryOver::default(),
        };
        let (uid, spec) = (RunUid::from_random([1; 16]), Arc::new(RunSpec::new(vec![service])));
        let mut run = ActiveRun::begin(NewRun { number: 7, uid, waiting, started_at: at(0), spec, results_through: 0 });
        run.change(ReplicaPlace { service: 0, replica: 0 }, |replica| {
            let open = OpenAttempt {
                agent: AgentName::new("h1").unwrap(),
                progress: Progress::Ordered { at: at(0) },
                sent_at: None,
            };
            (replica.last_attempt, replica.state) = (1, ReplicaState::Open(open));
        });
        run
    }

    fn holding(agent: &str, held: &AttemptId) -> AgentRecord {
        serde_json::from_value(json!({
            "schema": SCHEMA, "agent": agent, "process": "00000000-0000-0000-0000-000000000001", "number": 1,
            "machine": "m", "boot": "b", "host": agent, "version": "", "engine": "", "at": at(0), "labels": {},
            "capacity": {"slots": 1, "cpu_millis": 1, "memory_bytes": 1}, "draining": false, "stopped": false,
            "results_seen": 0, "held": [held], "fence_ms": 1, "kill_margin_ms": 1,
        }))
        .unwrap()
    }

    /// Agent `agent` holds attempt `number`, and was heard so many seconds ago.
    #[track_caller]
    fn check_orphan(agent: &str, number: u32, heard: i64, expected: bool) {
        let mut ledger = ledger(0, 0);
        ledger.active.push(running());
        let service = ServiceName::new("s1").unwrap();
        let held = AttemptId { attempt: number, ..ledger.active[0].attempt_id(&app(), &service, 0, 1) };
        let record = holding(agent, &held);
        let ledgers = [("nightly", &ledger)].into();
        let found = orphans([(&record, at(1_000 - heard))], &ledgers, at(1_000), &Timing::default());
        assert_eq!(!found.is_empty(), expected, "{found:?}");
    }

    #[test]
    fn an_orphan_counts_until_its_guard_has_ended_it() {
        check_orphan("h1", 1, 1, false);
        check_orphan("h1", 2, 1, true);
        check_orphan("h2", 1, 1, true);
        check_orphan("h1", 2, 54, true);
        check_orphan("h1", 2, 55, false);
    }

    #[test]
    fn attempts_are_counted_on_from_far_above_the_highest() {
        let mut ledger = ledger(0, 0);
        ledger.active.push(running());
        let place = ReplicaPlace { service: 0, replica: 0 };
        for expected in [1_002, 2_002] {
            ledger.move_ahead(&app(), Remains::default());
            assert_eq!(ledger.active[0].next_attempt(place), expected);
        }
        assert_eq!(ledger.active[0].replica(place).last_attempt, 1, "what is open keeps its number");
    }
}
