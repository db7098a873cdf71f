//! One tenure: load, take over, then events in and steps out, as production's tenure does it.

use std::{collections::BTreeMap, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tickmesh_core::{decide, id::RequestId, ledger::Ledger, name::AppName};
use tickmesh_messaging::{
    Cas,
    lease::{BootTime, Hold, LeaseRecord, StreamMarks, first_loss},
};
use tickmesh_scheduler::{
    clock::Moment,
    dispatcher::{Event, Outcome},
    leader::{Leader, Stop, Trust},
};

use super::{Role, Scheduler, Tag, lease_write};
use crate::sim::{
    faults::Fault,
    ground::Ground,
    happening::Happening,
    mischief::Relief,
    net::{Answer, Call, Kind, Record, Stored},
};

/// A process that died between two effects is started again after this long.
const RESTART: Duration = Duration::from_secs(2);

/// What confirms a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delivery {
    sequence: u64,
    consumer: u64,
}

/// A leader in office.
#[derive(Debug)]
pub(in crate::sim) struct Tenure {
    pub(super) hold: Hold,
    /// The last record of the lease that was sent.
    pub(super) lease: LeaseRecord,
    /// When the renewal under way was sent first.
    renewing: Option<BootTime>,
    /// Where the streams ended when the lease last noted it.
    noted: StreamMarks,
    note_at: Duration,
    pub(super) office: decide::Tenure,
    leader: Leader,
    deliveries: BTreeMap<RequestId, Delivery>,
    stage: Stage,
    consumer: u64,
    housekeeping_at: Duration,
    purge_at: Duration,
}

/// How far the take-over has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Loading,
    Running,
}

/// A part of what is loaded, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Part {
    Ledgers,
    Agents,
    Apps,
}

/// Where the streams' snapshots ended.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::sim) struct Ends {
    ledgers: u64,
    agents: u64,
    apps: u64,
}

impl Tenure {
    pub(super) fn results_through(&self) -> u64 {
        self.leader.results_through()
    }

    pub(super) fn wake_at(&self, moment: Moment) -> Option<Duration> {
        let renew_at = self.renewing.is_none().then(|| self.hold.renew_at().0);
        let leader = (self.stage == Stage::Running).then(|| self.leader.wake_in(moment)).flatten();
        let rest = (self.stage == Stage::Running).then_some([self.housekeeping_at, self.purge_at, self.note_at]);
        let wake_at = leader.map(|wake_in| moment.uptime + wake_in);
        rest.into_iter().flatten().chain(renew_at).chain(wake_at).min()
    }
}

impl Scheduler {
    pub(super) fn moment(&self, ground: &Ground) -> Moment {
        Moment { wall: self.clock.wall(ground), uptime: self.clock.uptime(ground) }
    }

    /// The lease is taken: what is stored is loaded.
    pub(super) fn begin_tenure(&mut self, ground: &mut Ground, hold: Hold, lease: LeaseRecord) {
        ground.summary.tenures += 1;
        ground.forget_followers(self.place);
        let moment = self.moment(ground);
        let seen = ground.witness.tenure_began(ground.net.regressed);
        ground.judge(seen);
        let random = StdRng::seed_from_u64(ground.random.random());
        let housekeeping_at = moment.uptime + ground.timing.heartbeat / 2;
        let office = decide::Tenure { epoch: lease.epoch(hold.revision()), since: moment.wall };
        let leader = Leader::new(office, ground.timing, random);
        self.role = Role::Leading(Box::new(Tenure {
            hold,
            noted: lease.streams.clone(),
            lease,
            renewing: None,
            note_at: moment.uptime + ground.timing.lease,
            office,
            leader,
            deliveries: BTreeMap::new(),
            stage: Stage::Loading,
            consumer: 0,
            housekeeping_at,
            purge_at: moment.uptime + ground.timing.purge,
        }));
        self.load(ground, Part::Ledgers, Ends::default());
    }

    /// A part of what is stored has come; the next one is asked for.
    pub(super) fn loaded(&mut self, ground: &mut Ground, part: Part, mut ends: Ends, answer: Answer) {
        let Answer::Messages(messages, end) = answer else { return };
        for stored in &messages {
            let event = if part == Part::Ledgers { ledger_loaded(stored) } else { event_of(stored) };
            self.handle(ground, event);
        }
        // What was told may have ended the tenure: then nothing more is loaded for it.
        let Role::Leading(_) = &self.role else { return };
        let next = match part {
            Part::Ledgers => {
                ends.ledgers = end;
                Part::Agents
            }
            Part::Agents => {
                ends.agents = end;
                Part::Apps
            }
            Part::Apps => {
                ends.apps = end;
                return ground.call(self.address, Tag::LoadEnd(ends).into(), Call::End(Kind::Results));
            }
        };
        self.load(ground, next, ends);
    }

    fn load(&self, ground: &mut Ground, part: Part, ends: Ends) {
        let kind = match part {
            Part::Ledgers => Kind::Ledger,
            Part::Agents => Kind::Agents,
            Part::Apps => Kind::Apps,
        };
        ground.call(self.address, Tag::Load(part, ends).into(), Call::Snapshot(kind));
    }

    /// All is loaded: the tenure begins, and every stream is followed from where its snapshot ended.
    pub(super) fn take_over(&mut self, ground: &mut Ground, ends: Ends, results_end: u64) {
        self.handle(ground, Some(Event::Loaded { results_end }));
        let Role::Leading(tenure) = &mut self.role else { return };
        tenure.stage = Stage::Running;
        let results_through = tenure.leader.results_through();
        ground.follow(self.address, Kind::Ledger, None, ends.ledgers);
        ground.follow(self.address, Kind::Agents, None, ends.agents);
        ground.follow(self.address, Kind::Apps, None, ends.apps);
        ground.follow(self.address, Kind::Results, None, results_through);
        ground.call(self.address, Tag::Receive.into(), Call::ReceiveCommands);
        ground.call(self.address, Tag::CommandsBegin.into(), Call::CommandsBegin);
    }

    pub(super) fn receive_from(&mut self, ground: &mut Ground, consumer: u64) {
        if let Role::Leading(tenure) = &mut self.role {
            tenure.consumer = consumer;
        }
        if ground.net.queue.consumer != consumer {
            self.superseded(ground, consumer);
        }
    }

    /// Somebody else receives the commands: there may be another leader.
    pub(in crate::sim) fn superseded(&mut self, ground: &mut Ground, consumer: u64) {
        if let Role::Leading(tenure) = &self.role
            && tenure.consumer == consumer
        {
            tracing::debug!(now = ?ground.now, scheduler = ?self.place, "tenure ended: another one receives commands");
            self.end_tenure(ground);
        }
    }

    pub(super) fn lead_on(&mut self, ground: &mut Ground, kind: Kind, stored: &Stored) {
        if kind != Kind::Lease {
            self.handle(ground, event_of(stored));
        }
    }

    /// Commands are delivered.
    pub(in crate::sim) fn take_commands(&mut self, ground: &mut Ground, consumer: u64, commands: &[Stored]) {
        for stored in commands {
            let Record::Command(command) = &stored.record else { continue };
            let delivery = Delivery { sequence: stored.sequence, consumer };
            let Role::Leading(tenure) = &mut self.role else { return };
            tenure.deliveries.insert(command.request, delivery);
            let command = Box::new((**command).clone());
            self.handle(ground, Some(Event::CommandSeen { sequence: stored.sequence, command }));
        }
        self.arm(ground);
    }

    /// Folds an event, and begins what follows from it.
    pub(super) fn handle(&mut self, ground: &mut Ground, event: Option<Event>) {
        let Some(event) = event else { return };
        let moment = self.moment(ground);
        let Role::Leading(tenure) = &mut self.role else { return };
        if !matches!(event, Event::Woken) {
            ground.summary.inputs += 1;
        }
        let hold = &tenure.hold;
        let outcome = tenure.leader.handle(event, moment, || trust(hold, moment));
        self.begin(ground, outcome);
    }

    fn begin(&mut self, ground: &mut Ground, outcome: Result<Outcome, Stop>) {
        match outcome {
            Err(stop) => {
                tracing::debug!(now = ?ground.now, scheduler = ?self.place, ?stop, "tenure ended");
                self.end_tenure(ground);
            }
            Ok(outcome) => {
                for (index, effect) in outcome.effects.into_iter().enumerate() {
                    if index > 0 && ground.mishap(Fault::CrashBetweenEffects) {
                        ground.later(RESTART, Happening::Relief(Relief::of(self.place)));
                        return self.kill(ground);
                    }
                    self.perform(ground, effect);
                }
            }
        }
    }

    pub(super) fn confirm(&mut self, ground: &mut Ground, app: AppName, request: RequestId) {
        let Role::Leading(tenure) = &mut self.role else { return };
        let Some(Delivery { sequence, consumer }) = tenure.deliveries.remove(&request) else { return };
        ground.call(self.address, Tag::Confirm(app, request).into(), Call::Confirm { consumer, sequence });
    }

    /// Renews the lease, keeps house, purges: whatever is due.
    pub(super) fn look_at_clock(&mut self, ground: &mut Ground) {
        self.renew(ground);
        let moment = self.moment(ground);
        let Role::Leading(tenure) = &mut self.role else { return };
        if tenure.stage == Stage::Loading {
            return;
        }
        if tenure.note_at <= moment.uptime {
            tenure.note_at = moment.uptime + ground.timing.lease;
            ground.call_for(ground.timing.lease, self.address, Tag::Note.into(), Call::Ends);
        }
        if tenure.purge_at <= moment.uptime {
            tenure.purge_at += ground.timing.purge;
            let hold = &tenure.hold;
            let outcome = tenure.leader.purge(moment, || trust(hold, moment));
            return self.begin(ground, outcome);
        }
        if tenure.housekeeping_at <= moment.uptime || tenure.leader.wake_in(moment) == Some(Duration::ZERO) {
            tenure.housekeeping_at = moment.uptime + ground.timing.heartbeat / 2;
            self.handle(ground, Some(Event::Woken));
        }
    }

    fn renew(&mut self, ground: &mut Ground) {
        let now = self.boot_time(ground);
        let Role::Leading(tenure) = &mut self.role else { return };
        if tenure.renewing.is_none() && tenure.hold.renew_at() <= now {
            tenure.lease = LeaseRecord { streams: tenure.noted.clone(), ..tenure.lease.next() };
            // A record of unknown fate is sent again unchanged, and counts from when it was first sent.
            tenure.renewing = Some(now);
            let write = lease_write(tenure.lease.clone(), tenure.hold.revision());
            ground.call(self.address, Tag::Renew.into(), write);
        }
    }

    pub(super) fn renewed(&mut self, ground: &mut Ground, answer: Answer) {
        let Role::Leading(tenure) = &mut self.role else { return };
        let Some(sent_at) = tenure.renewing.take() else { return };
        if let Answer::Written(Cas::Stored { sequence }) = answer {
            tenure.hold.renewed(sequence, sent_at);
        } else {
            self.end_tenure(ground);
        }
    }

    /// The streams' ends go with the next renewal. A stream that ends before what this leader has seen of it ends the tenure.
    pub(super) fn noted(&mut self, ground: &mut Ground, answer: Answer) {
        if let (Role::Leading(tenure), Answer::Ends(ends)) = (&mut self.role, answer) {
            if first_loss(&tenure.noted, &ends).is_some() {
                return self.end_tenure(ground);
            }
            tenure.noted = ends;
        }
    }
}

fn trust(hold: &Hold, moment: Moment) -> Trust {
    if hold.is_trusted(BootTime(moment.uptime)) { Trust::Held } else { Trust::Expired }
}

/// The ledger as it comes out of the store: what production does not store is not there.
fn ledger_loaded(stored: &Stored) -> Option<Event> {
    let ledger = stored.record.ledger()?;
    let json = serde_json::to_string(&**ledger).ok()?;
    let ledger: Ledger = serde_json::from_str(&json).ok()?;
    let app = AppName::new(&*stored.subject).ok()?;
    Some(Event::LedgerLoaded { app, revision: stored.sequence, ledger: Box::new(ledger) })
}

/// What a message of a stream is for a leader that follows it.
fn event_of(stored: &Stored) -> Option<Event> {
    let (sequence, at) = (stored.sequence, stored.at);
    match &stored.record {
        Record::Ledger(ledger) => {
            let app = AppName::new(&*stored.subject).ok()?;
            Some(Event::LedgerSeen { app, revision: sequence, epoch: ledger.write.epoch })
        }
        Record::Agent(record) => {
            Some(Event::AgentSeen { revision: sequence, at, record: Box::new((**record).clone()) })
        }
        Record::App(edition) => {
            let content = edition.content.clone();
            Some(Event::AppSeen { app: edition.app.clone(), revision: sequence, at, content })
        }
        Record::Report(report) => Some(Event::ReportSeen { sequence, report: Some(Box::new((**report).clone())) }),
        Record::Lease(_) | Record::Command(_) | Record::Order(_) | Record::Tick(_) | Record::History(_) => None,
    }
}
