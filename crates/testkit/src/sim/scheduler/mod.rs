//! A scheduler process: production's lease logic and leader on a simulated network.
//!
//! ```text
//!   Standby --Candidate says take--> Taking --stored--> Loading --> Leading --> Resting --> Standby
//! ```

mod perform;
mod tenure;

use std::time::Duration;

use tickmesh_messaging::{
    Cas,
    lease::{BootTime, Candidate, DESERTED_FOR, Hold, LeaseRecord, Presence, Step, first_loss},
};

pub(super) use self::perform::Tag;
use self::tenure::Tenure;
use super::{
    census::{Address, Place},
    clock::Clock,
    faults::Fault,
    ground::Ground,
    happening::Happening,
    net::{Answer, Call, Kind, Record, Stored, Write},
};

/// Between two tenures of one process, as production pauses.
const PAUSE: Duration = Duration::from_secs(1);

/// One scheduler.
#[derive(Debug)]
pub(super) struct Scheduler {
    pub(super) place: Place,
    /// The process, or the present tenure of it.
    pub(super) address: Address,
    pub(super) clock: Clock,
    role: Role,
    /// When its next wake-up is due, as true time.
    armed: Option<Duration>,
    alarm: u64,
}

/// What it does.
#[derive(Debug)]
enum Role {
    Dead,
    /// Nobody can lead: stored data is missing.
    Refusing,
    Standby(Box<Standby>),
    Leading(Box<Tenure>),
    /// A tenure has ended.
    Resting {
        until: BootTime,
    },
}

#[derive(Debug)]
struct Standby {
    candidate: Candidate,
    /// The last record seen.
    record: Option<LeaseRecord>,
    /// What it tries to take the lease with, and since when.
    taking: Option<Taking>,
}

#[derive(Debug)]
struct Taking {
    record: LeaseRecord,
    revision: u64,
    sent_at: BootTime,
}

impl Scheduler {
    pub(super) fn new(index: usize, clock: Clock, ground: &mut Ground) -> Self {
        let place = Place::Scheduler(index);
        let address = ground.census.begin(place);
        ground.census.end(place);
        Self { place, address, clock, role: Role::Dead, armed: None, alarm: 0 }
    }

    /// The process begins.
    pub(super) fn start(&mut self, ground: &mut Ground) {
        self.address = ground.census.begin(self.place);
        self.stand_by(ground);
        self.arm(ground);
    }

    /// The process dies.
    pub(super) fn kill(&mut self, ground: &mut Ground) {
        ground.census.end(self.place);
        ground.forget_followers(self.place);
        self.role = Role::Dead;
        self.armed = None;
    }

    pub(super) fn tenure(&self) -> Option<&Tenure> {
        if let Role::Leading(tenure) = &self.role { Some(tenure) } else { None }
    }

    /// One word for what it does.
    pub(super) fn role(&self) -> &'static str {
        match self.role {
            Role::Dead => "dead",
            Role::Refusing => "refusing",
            Role::Standby(_) => "standing by",
            Role::Leading(_) => "leading",
            Role::Resting { .. } => "resting",
        }
    }

    fn boot_time(&self, ground: &Ground) -> BootTime {
        BootTime(self.clock.uptime(ground))
    }

    fn stand_by(&mut self, ground: &mut Ground) {
        let candidate = Candidate::new(ground.timing.lease, self.boot_time(ground));
        self.role = Role::Standby(Box::new(Standby { candidate, record: None, taking: None }));
        // What is stored comes first, then every change: the lease has one key.
        ground.follow(self.address, Kind::Lease, None, 0);
        ground.call(self.address, Tag::LeaseEnd.into(), Call::End(Kind::Lease));
    }

    /// A message of a stream that it follows.
    pub(super) fn hear(&mut self, ground: &mut Ground, kind: Kind, stored: &Stored) {
        match &mut self.role {
            Role::Standby(standby) => {
                if let Some(record) = stored.record.lease() {
                    let now = BootTime(self.clock.uptime(ground));
                    standby.observe(record, stored.sequence, now);
                    if ground.mishap(Fault::HolderUnheard) {
                        standby.hear_nobody(now);
                    }
                }
            }
            Role::Leading(_) => self.lead_on(ground, kind, stored),
            Role::Dead | Role::Refusing | Role::Resting { .. } => {}
        }
        self.arm(ground);
    }

    /// A call was answered.
    pub(super) fn answered(&mut self, ground: &mut Ground, tag: Tag, answer: Answer) {
        match (tag, answer) {
            (Tag::LeaseEnd, answer) => self.lease_end(ground, &answer),
            (Tag::CheckStreams, answer) => self.streams_checked(ground, answer),
            (Tag::Take, answer) => self.taken(ground, answer),
            (Tag::Release, _) => {}
            (tag, answer) => self.tenure_answered(ground, tag, answer),
        }
        self.arm(ground);
    }

    /// It looks at its clock.
    pub(super) fn wake(&mut self, ground: &mut Ground, alarm: u64) {
        if alarm != self.alarm {
            return;
        }
        self.armed = None;
        let now = self.boot_time(ground);
        match &mut self.role {
            Role::Standby(standby) if standby.taking.is_none() => {
                if let Step::Take(revision) = standby.candidate.step(now) {
                    let record = LeaseRecord::first(&name(self.place), "host", standby.record.as_ref());
                    standby.taking = Some(Taking { record, revision, sent_at: now });
                    ground.call_for(ground.timing.lease, self.address, Tag::CheckStreams.into(), Call::Ends);
                }
            }
            Role::Leading(_) => self.look_at_clock(ground),
            Role::Resting { until } if *until <= now => self.stand_by(ground),
            Role::Standby(_) | Role::Resting { .. } | Role::Dead | Role::Refusing => {}
        }
        self.arm(ground);
    }

    fn lease_end(&mut self, ground: &Ground, answer: &Answer) {
        let now = self.boot_time(ground);
        if let (Role::Standby(standby), Answer::Sequence(0)) = (&mut self.role, answer) {
            standby.candidate.absent(now);
        }
    }

    fn streams_checked(&mut self, ground: &mut Ground, answer: Answer) {
        let now = self.boot_time(ground);
        let Role::Standby(standby) = &mut self.role else { return };
        let Some(taking) = &standby.taking else { return };
        let Answer::Ends(found) = answer else {
            standby.candidate.unanswered(now);
            standby.taking = None;
            return;
        };
        if first_loss(&taking.record.streams, &found).is_some() {
            self.role = Role::Refusing;
            return;
        }
        let write = lease_write(taking.record.clone(), taking.revision);
        ground.call_for(ground.timing.lease, self.address, Tag::Take.into(), write);
    }

    fn taken(&mut self, ground: &mut Ground, answer: Answer) {
        let now = self.boot_time(ground);
        let Role::Standby(standby) = &mut self.role else { return };
        let Some(taking) = standby.taking.take() else { return };
        let Answer::Written(written) = answer else { return standby.candidate.unanswered(now) };
        match written {
            Cas::Stored { sequence } => {
                let hold = Hold::new(ground.timing.lease, sequence, taking.sent_at);
                self.begin_tenure(ground, hold, taking.record);
            }
            Cas::Refused { current: Some(current) } => {
                if let Some(record) = current.value.lease() {
                    standby.observe(record, current.sequence, now);
                }
            }
            Cas::Refused { current: None } => standby.candidate = Candidate::new(ground.timing.lease, now),
        }
    }

    /// A tenure ends: nothing of it is done any more, but for what is under way already.
    fn end_tenure(&mut self, ground: &mut Ground) {
        let Role::Leading(tenure) = &self.role else { return };
        let record = LeaseRecord { released: true, ..tenure.lease.next() };
        let write = lease_write(record, tenure.hold.revision());
        ground.forget_followers(self.place);
        self.address = ground.census.begin(self.place);
        ground.call_for(ground.timing.lease, self.address, Tag::Release.into(), write);
        self.armed = None;
        let until = self.boot_time(ground).after(PAUSE);
        self.role = Role::Resting { until };
    }

    /// Sets its alarm to the next moment at which it has something to do.
    fn arm(&mut self, ground: &mut Ground) {
        let at = match &self.role {
            Role::Dead | Role::Refusing => None,
            Role::Standby(standby) if standby.taking.is_some() => None,
            Role::Standby(standby) => match standby.candidate.step(self.boot_time(ground)) {
                Step::Take(_) => Some(ground.now),
                Step::Wait(until) => Some(self.clock.true_time(until.0)),
            },
            Role::Resting { until } => Some(self.clock.true_time(until.0)),
            Role::Leading(tenure) => tenure.wake_at(self.moment(ground)).map(|uptime| self.clock.true_time(uptime)),
        };
        let at = at.map(|at| at.max(ground.now));
        if at != self.armed
            && let Some(at) = at
        {
            self.alarm += 1;
            ground.agenda.put(at, Happening::Wake(self.address, self.alarm));
        }
        self.armed = at;
    }
}

impl Standby {
    /// The server says that the holder is gone, whether it is or not.
    fn hear_nobody(&mut self, now: BootTime) {
        self.candidate.probed(Presence::Answers, now);
        self.candidate.probed(Presence::Gone, now);
        self.candidate.probed(Presence::Gone, now.after(DESERTED_FOR));
    }

    fn observe(&mut self, record: &LeaseRecord, revision: u64, now: BootTime) {
        if record.released {
            self.candidate.released(revision, now);
        } else {
            self.candidate.renewed(revision, now);
        }
        self.record = Some(record.clone());
    }
}

fn lease_write(record: LeaseRecord, expected: u64) -> Call {
    Call::Write(Write { kind: Kind::Lease, subject: "leader".into(), record: Record::Lease(record.into()), expected })
}

fn name(place: Place) -> String {
    format!("{place:?}")
}
