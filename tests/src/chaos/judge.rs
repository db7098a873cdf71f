//! The judge: what was seen from outside against an independent count of instants. Pure, so that it can itself be tried with
//! violations that somebody made up.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use jiff::{SignedDuration, Timestamp};
use tickmesh_core::{
    history::RunSummary,
    ledger::Ledger,
    message::{Admission, TickRecord},
    outcome::Outcome,
};

use super::{
    Engine,
    instants::Schedule,
    lives::{End, Life},
    overlap,
};

/// An instant that falls due so shortly before an outage need not be recorded when that begins.
const RECORD_MAX: SignedDuration = SignedDuration::from_secs(1);

/// Ticks of an app that may wait: one that finds more is dropped.
const QUEUE_LIMIT: usize = 3;

/// Everything that was seen.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// What ran the containers.
    pub engine: Engine,
    /// The apps, each with the interval that is judged.
    pub schedules: Vec<Schedule>,
    /// Decisions of the clock, in the order of their stream.
    pub ticks: Vec<TickRecord>,
    /// Finished runs.
    pub summaries: Vec<RunSummary>,
    /// Containers.
    pub lives: Vec<Life>,
    /// The ledgers at the end.
    pub ledgers: Vec<(String, Ledger)>,
    /// When nobody could lead, or work, by what was measured.
    pub outages: Vec<Outage>,
    /// Processes that ended though nobody had ended them.
    pub fallen: Vec<String>,
}

/// A time in which instants may be missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// When it began.
    pub from: Timestamp,
    /// When it was over.
    pub to: Timestamp,
    /// Whom it kept from working.
    pub reach: Reach,
}

/// Whom an outage kept from working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Whoever led. What ran went on, and must not run again.
    Leaders,
    /// An agent: what became of its containers may have remained unknown, and then they may run again.
    Agents,
}

/// What is wrong, and what was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Instants that had to be decided.
    pub instants: u64,
    /// Instants that were not, and runs that began and did not end well.
    pub lost: Vec<String>,
    /// What happened twice.
    pub doubled: Vec<String>,
    /// Runs of one app, and containers of one replica, that ran at the same time.
    pub overlaps: Vec<String>,
    /// Instants that were missed though nothing was out of order, and whatever else must not be.
    pub unexcused: Vec<String>,
    /// Missed instants that were folded into a later one.
    pub coalesced: u64,
    /// Instants that became no run for another reason.
    pub dropped: u64,
    /// Containers that somebody ended.
    pub killed: u64,
    pub containers: u64,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        let Self { lost, doubled, overlaps, unexcused, .. } = self;
        [lost, doubled, overlaps, unexcused].iter().all(|findings| findings.is_empty())
    }
}

/// An app's part of the evidence.
struct Case<'a> {
    schedule: &'a Schedule,
    ticks: Vec<&'a TickRecord>,
    summaries: Vec<&'a RunSummary>,
    lives: Vec<&'a Life>,
    outages: &'a [Outage],
    engine: Engine,
    /// Numbers of the runs for each instant.
    runs_of: BTreeMap<Timestamp, BTreeSet<u64>>,
    /// Number of the last run whose instant is judged.
    last_run: u64,
}

/// Judges all apps.
pub fn judge(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict {
        containers: evidence.lives.len() as u64,
        killed: evidence.lives.iter().filter(|life| matches!(life.ended, Some((_, End::Killed)))).count() as u64,
        unexcused: evidence.fallen.iter().map(|process| format!("{process} ended by itself")).collect(),
        ..Verdict::default()
    };
    for schedule in &evidence.schedules {
        let app = &schedule.app;
        Case::new(schedule, evidence).judge(&mut verdict);
        for (_, ledger) in evidence.ledgers.iter().filter(|(name, _)| name == app) {
            judge_ledger(schedule, ledger, &mut verdict);
        }
    }
    verdict
}

/// The ledger's own count against ours.
fn judge_ledger(schedule: &Schedule, ledger: &Ledger, verdict: &mut Verdict) {
    let (app, decided) = (&schedule.app, ledger.counters.decided);
    let due = schedule.instants_through(ledger.decided_through).count() as u64;
    if decided < due {
        verdict.lost.push(format!("{app}: its ledger counts {decided} instants of {due}"));
    }
    if decided > due {
        verdict.doubled.push(format!("{app}: its ledger counts {decided} instants of {due}"));
    }
    if !ledger.is_balanced() {
        verdict.unexcused.push(format!("{app}: its ledger does not add up: {:?}", ledger.counters));
    }
}

impl<'a> Case<'a> {
    fn new(schedule: &'a Schedule, evidence: &'a Evidence) -> Self {
        let app = &schedule.app;
        let summaries: Vec<_> = evidence.summaries.iter().filter(|run| run.app.as_str() == app).collect();
        let mut runs_of: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for run in &summaries {
            if let Some(instant) = run.scheduled_at {
                runs_of.entry(instant).or_default().insert(run.run);
            }
        }
        let last_run = runs_of.range(..=schedule.through).flat_map(|(_, runs)| runs).max().copied().unwrap_or(0);
        Self {
            schedule,
            ticks: evidence.ticks.iter().filter(|tick| tick.app.as_str() == app).collect(),
            summaries,
            lives: evidence.lives.iter().filter(|life| life.attempt.app == *app).collect(),
            outages: &evidence.outages,
            engine: evidence.engine,
            runs_of,
            last_run,
        }
    }

    fn judge(&self, verdict: &mut Verdict) {
        let ticks = self.numbered(verdict);
        self.judge_instants(&ticks, verdict);
        self.judge_runs(verdict);
        self.judge_containers(verdict);
        overlap::judge(&self.schedule.app, &self.lives, &mut verdict.overlaps);
    }

    /// The decisions by number: a repeat is no other decision, and no number is missing.
    fn numbered(&self, verdict: &mut Verdict) -> Vec<&TickRecord> {
        let app = &self.schedule.app;
        let mut ticks: BTreeMap<u64, &TickRecord> = BTreeMap::new();
        for tick in &self.ticks {
            if ticks.insert(tick.number, tick).is_some_and(|other| other != *tick) {
                verdict.doubled.push(format!("{app}: decision {} says two things", tick.number));
            }
        }
        let last = ticks.keys().last().copied().unwrap_or(0);
        for number in (1..=last).filter(|number| !ticks.contains_key(number)) {
            verdict.lost.push(format!("{app}: decision {number} was not published"));
        }
        ticks.into_values().collect()
    }

    /// Every instant is decided once, and becomes one run, or has an excuse.
    fn judge_instants(&self, ticks: &[&TickRecord], verdict: &mut Verdict) {
        let (app, period) = (&self.schedule.app, self.schedule.period);
        let mut decided: BTreeMap<i64, u64> = self.schedule.instants().map(|instant| (instant, 0)).collect();
        verdict.instants += decided.len() as u64;
        let end = self.schedule.through.as_second();
        for tick in ticks {
            let latest = tick.scheduled_at.as_second();
            let before = |back: u64| latest - period * i64::try_from(back).unwrap_or(i64::MAX / period);
            for instant in covered(tick).map(before) {
                match decided.get_mut(&instant) {
                    Some(times) => *times += 1,
                    None if instant > end => {}
                    None => verdict.doubled.push(format!("{app}: decided {instant}, which is no instant")),
                }
            }
            if latest > end {
                continue;
            }
            let Fates { coalesced, dropped } = fates(tick);
            verdict.coalesced += coalesced.clone().count() as u64;
            verdict.dropped += dropped.clone().count() as u64;
            let (coalesced, dropped) = (coalesced.map(before), dropped.map(before));
            let ran = coalesced.clone().chain(dropped.clone()).filter(|instant| self.has_run(*instant));
            let ran =
                ran.map(|instant| format!("{app}: {instant} ran, and was to become no run: {:?}", tick.admission));
            verdict.doubled.extend(ran);
            let dropped = dropped.filter(|instant| !self.is_queue_full(*instant));
            let unexcused = coalesced.chain(dropped).filter(|instant| !self.is_excused(*instant));
            let unexcused = unexcused.map(|instant| format!("{app}: no run for {instant}: {:?}", tick.admission));
            verdict.unexcused.extend(unexcused);
            self.judge_run_of(tick, verdict);
        }
        for (instant, times) in decided {
            match times {
                0 => verdict.lost.push(format!("{app}: {instant} was not decided")),
                1 => {}
                _ => verdict.doubled.push(format!("{app}: {instant} was decided {times} times")),
            }
        }
    }

    /// A tick that was to become a run became one.
    fn judge_run_of(&self, tick: &TickRecord, verdict: &mut Verdict) {
        let (app, instant) = (&self.schedule.app, tick.scheduled_at);
        let expected = match &tick.admission {
            Admission::Start { run } => Some(*run),
            Admission::Enqueue { .. } => None,
            Admission::Drop { .. } | Admission::Skip { .. } | Admission::Discard { .. } => return,
        };
        let runs: Vec<u64> = self.runs_of.get(&instant).into_iter().flatten().copied().collect();
        match (&runs[..], expected) {
            ([], _) => verdict.lost.push(format!("{app}: {instant} became no run: {:?}", tick.admission)),
            ([run], Some(expected)) if *run != expected => {
                verdict.doubled.push(format!("{app}: {instant} began as run {expected}, and ended as {run}"));
            }
            ([_], _) => {}
            (_, _) => verdict.doubled.push(format!("{app}: {instant} became the runs {runs:?}")),
        }
    }

    /// Every run up to the last that is judged ended once, and well.
    fn judge_runs(&self, verdict: &mut Verdict) {
        let app = &self.schedule.app;
        let mut last_tries: BTreeMap<_, u32> = BTreeMap::new();
        for attempt in self.lives.iter().map(|life| &life.attempt) {
            let last = last_tries.entry((attempt.run, attempt.service.as_str(), attempt.replica)).or_default();
            *last = attempt.number.max(*last);
        }
        let mut by_number: BTreeMap<u64, &RunSummary> = BTreeMap::new();
        for run in &self.summaries {
            if by_number.insert(run.run, run).is_some_and(|other| other != *run) {
                verdict.doubled.push(format!("{app}: run {} ended twice", run.run));
            }
        }
        for number in (1..=self.last_run).filter(|number| !by_number.contains_key(number)) {
            verdict.lost.push(format!("{app}: run {number} did not end"));
        }
        for (number, run) in by_number {
            if run.outcome != Outcome::Succeeded {
                verdict.lost.push(format!("{app}: run {number} ended as {}", run.outcome));
            }
            for replica in &run.replicas {
                let key = (number, replica.service.as_str(), replica.replica);
                let last = last_tries.get(&key).copied().unwrap_or(0);
                if last > replica.attempts {
                    let replica = replica.replica;
                    verdict.doubled.push(format!("{app}: replica {replica} of run {number} ran again after its end"));
                }
                if last < replica.attempts {
                    let (replica, attempts) = (replica.replica, replica.attempts);
                    verdict.lost.push(format!(
                        "{app}: attempt {attempts} of replica {replica} of run {number} had no container"
                    ));
                }
            }
        }
    }

    /// No attempt has two containers, no run two uids, and every container of a judged run ended.
    fn judge_containers(&self, verdict: &mut Verdict) {
        let app = &self.schedule.app;
        let mut uids: BTreeMap<u64, String> = self.summaries.iter().map(|run| (run.run, run.uid.to_string())).collect();
        let mut attempts = BTreeMap::new();
        // The replicas of which a container ended by itself while its host could say so.
        let mut done: BTreeMap<(u64, &str, u32), u64> = BTreeMap::new();
        for life in &self.lives {
            let attempt = &life.attempt;
            if *uids.entry(attempt.run).or_insert_with(|| attempt.uid.clone()) != attempt.uid {
                verdict.doubled.push(format!("{app}: two runs have the number {}", attempt.run));
            }
            *attempts.entry(attempt).or_insert(0_u64) += 1;
            let ended_well = life.ended.is_some_and(|(at, end)| end == End::Exited && !self.is_unsaid(at));
            if ended_well {
                *done.entry((attempt.run, &attempt.service, attempt.replica)).or_insert(0) += 1;
            }
            if life.ended.is_none() && attempt.run <= self.last_run {
                verdict.lost.push(format!("{app}: the container of `{attempt}` has no end"));
            }
        }
        let twice = attempts.into_iter().filter(|(_, containers)| *containers > 1);
        verdict.doubled.extend(twice.map(|(attempt, containers)| format!("`{attempt}` had {containers} containers")));
        let again = done.into_iter().filter(|(_, ends)| *ends > 1);
        verdict.doubled.extend(again.map(|((run, service, replica), ends)| {
            format!("{app}: replica {replica} of {service} of run {run} came to an end {ends} times")
        }));
    }

    /// Whether an instant became a run.
    fn has_run(&self, instant: i64) -> bool {
        Timestamp::from_second(instant).is_ok_and(|instant| self.runs_of.contains_key(&instant))
    }

    /// Whether an instant may be missed.
    fn is_excused(&self, instant: i64) -> bool {
        let Ok(instant) = Timestamp::from_second(instant) else { return false };
        self.outages.iter().any(|outage| instant >= outage.from - RECORD_MAX && instant <= outage.to)
    }

    /// Whether an engine that really was slow had not yet ended so many runs from before an instant that this one had to be
    /// dropped: one that runs, and as many as may wait.
    fn is_queue_full(&self, instant: i64) -> bool {
        let Ok(instant) = Timestamp::from_second(instant) else { return false };
        match self.engine {
            Engine::Fake => false,
            Engine::Docker => {
                let earlier = self.runs_of.range(..instant).flat_map(|(_, runs)| runs);
                earlier.filter(|run| self.runs_beyond(**run, instant - RECORD_MAX)).count() > QUEUE_LIMIT
            }
        }
    }

    /// Whether a container of a run ended after that moment.
    fn runs_beyond(&self, run: u64, moment: Timestamp) -> bool {
        let mut lives = self.lives.iter().filter(|life| life.attempt.run == run);
        lives.any(|life| life.ended.is_none_or(|(at, _)| at > moment))
    }

    /// Whether an agent could not say at that moment what became of its containers.
    fn is_unsaid(&self, moment: Timestamp) -> bool {
        let mut outages = self.outages.iter().filter(|outage| outage.reach == Reach::Agents);
        outages.any(|outage| moment >= outage.from && moment <= outage.to)
    }
}

/// The instants that a decision is the first word on, each by how many it lies before the latest.
fn covered(tick: &TickRecord) -> Range<u64> {
    match tick.admission {
        Admission::Start { .. } | Admission::Enqueue { .. } | Admission::Drop { .. } => 0..1 + tick.coalesced,
        Admission::Skip { instants, .. } => 0..instants,
        Admission::Discard { .. } => 0..0,
    }
}

/// The instants that became no run of their own, each by how many it lies before the latest.
struct Fates {
    /// Missed, and folded into a later one.
    coalesced: Range<u64>,
    /// For another reason.
    dropped: Range<u64>,
}

fn fates(tick: &TickRecord) -> Fates {
    match tick.admission {
        Admission::Start { .. } | Admission::Enqueue { .. } => {
            Fates { coalesced: 1..1 + tick.coalesced, dropped: 0..0 }
        }
        Admission::Drop { .. } => Fates { coalesced: 1..1 + tick.coalesced, dropped: 0..1 },
        Admission::Skip { instants, .. } => Fates { coalesced: 0..0, dropped: 0..instants },
        Admission::Discard { ticks, .. } => Fates { coalesced: 0..0, dropped: 0..ticks },
    }
}
