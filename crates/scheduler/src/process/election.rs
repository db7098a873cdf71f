//! How a standby gets the lease: it waits until the lease is free, looks whether the streams are whole, and
//! takes the lease by compare-and-set.

use std::time::Duration;

use tickmesh_messaging::{
    self as messaging, Cas, LeaseRecord,
    lease::{BootTime, Candidate, DESERTED_FOR, HighWaterMarks, Presence, Step, StreamMarks},
};
use tracing::{debug, warn};

use super::{
    held_lease::HeldLease,
    io::{Answer, LeaseWritten},
    loss_looks::{Look, LossLooks},
    settings::Settings,
};
use crate::{
    effect::Effect,
    error::{Error, Failure},
};

/// How long a connection must have lasted before what it says of others counts: after a restart of the
/// server, everybody is gone for a moment.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// Terms of the lease for which a standby that doubts its clock leaves a free lease to others.
const HESITATION_TERMS: u32 = 2;

/// What a standby knows of the lease.
#[derive(Debug)]
pub(super) struct Election {
    process: String,
    host: String,
    ttl: Duration,
    candidate: Candidate,
    /// The last record seen.
    record: Option<LeaseRecord>,
    probe: Probe,
    /// Since when the lease has been free for this process to take, whose clock is in doubt.
    hesitates_since: Option<Duration>,
    taking: Option<Taking>,
}

/// Questions whether the holder of the lease is there.
#[derive(Debug)]
struct Probe {
    asked: bool,
    ask_at: Duration,
    settled_at: Duration,
    connection: Option<u64>,
}

/// A try to take the lease.
#[derive(Debug)]
struct Taking {
    revision: u64,
    looks: LossLooks,
    /// The record and when it was sent, once the streams are known to be whole.
    sent: Option<(LeaseRecord, BootTime)>,
}

impl Election {
    /// Begins when nothing is known of the lease.
    pub(super) fn new(settings: &Settings, now: Duration) -> Self {
        let (process, host, ttl) = (settings.id.clone(), settings.host.clone(), settings.timing.lease);
        let candidate = Candidate::new(ttl, BootTime(now));
        let probe = Probe { asked: false, ask_at: now, settled_at: now + SETTLED_AFTER, connection: None };
        Self { process, host, ttl, candidate, record: None, probe, hesitates_since: None, taking: None }
    }

    /// Notes that there is no lease.
    pub(super) fn absent(&mut self, now: Duration) {
        self.candidate.absent(BootTime(now));
    }

    /// Notes that what is stored as the lease cannot be read. Its holder, if there is one, will write over it within a term.
    pub(super) fn damaged(&mut self, revision: u64, now: Duration) {
        self.candidate.renewed(revision, BootTime(now));
    }

    /// Notes that the lease was written.
    pub(super) fn observe(&mut self, revision: u64, record: LeaseRecord, now: Duration) {
        self.hesitates_since = None;
        if self.record.as_ref().is_none_or(|known| known.holder != record.holder) {
            self.candidate.holder_changed();
        }
        if record.released {
            self.candidate.released(revision, BootTime(now));
        } else {
            self.candidate.renewed(revision, BootTime(now));
        }
        self.record = Some(record);
    }

    /// Notes what the holder, or nobody, answered.
    pub(super) fn probed(&mut self, holder: &str, presence: Presence, connection: u64, now: Duration) {
        self.probe.asked = false;
        // Counted from the answer: the next one must not come a hair too early to count.
        self.probe.ask_at = now + DESERTED_FOR;
        if self.probe.connection.replace(connection).is_some_and(|known| known != connection) {
            self.probe.settled_at = now + SETTLED_AFTER;
        }
        if self.holder() != Some(holder) {
            return;
        }
        let settled = now >= self.probe.settled_at;
        let presence = if presence == Presence::Gone && !settled { Presence::Unknown } else { presence };
        self.candidate.probed(presence, BootTime(now));
    }

    /// Whether a try to take the lease is under way.
    pub(super) fn is_taking(&self) -> bool {
        self.taking.is_some()
    }

    /// When [`Self::woken`] has something to do.
    pub(super) fn wake_at(&self, is_in_doubt: bool, now: Duration) -> Option<Duration> {
        if let Some(taking) = &self.taking {
            return taking.looks.wake_at();
        }
        let take_at = match self.candidate.step(BootTime(now)) {
            Step::Take(_) if is_in_doubt => self.hesitates_since.map_or(now, |since| since + self.hesitation()),
            Step::Take(_) => now,
            Step::Wait(until) => until.0,
        };
        let ask_at = (self.holder().is_some() && !self.probe.asked).then_some(self.probe.ask_at);
        ask_at.into_iter().chain([take_at]).min()
    }

    /// Looks at the clock. A lease that nobody renews and that was never read is not taken: what it noted of the streams is
    /// not known, and it may be more than they have.
    pub(super) fn woken(
        &mut self,
        marks: &HighWaterMarks,
        is_in_doubt: bool,
        now: Duration,
    ) -> Result<Vec<Effect>, Error> {
        if self.taking.is_none()
            && let Step::Take(revision) = self.candidate.step(BootTime(now))
            && !self.hesitates(is_in_doubt, now)
        {
            if self.record.is_none() && revision > 0 {
                return Err(Error::LeaseUnknown { revision });
            }
            self.taking = Some(Taking { revision, looks: LossLooks::from(now), sent: None });
        }
        if let Some(taking) = &mut self.taking {
            return Ok(taking.looks.woken(marks, now).into_iter().collect());
        }
        let holder = self.holder().filter(|_| !self.probe.asked && self.probe.ask_at <= now);
        let ask: Vec<_> = holder.map(|holder| Effect::AskHolder { holder: holder.to_owned() }).into_iter().collect();
        self.probe.asked |= !ask.is_empty();
        Ok(ask)
    }

    /// Whether this process leaves a free lease to others for a while: its clock is in doubt, and theirs need not be.
    fn hesitates(&mut self, is_in_doubt: bool, now: Duration) -> bool {
        if !is_in_doubt {
            self.hesitates_since = None;
            return false;
        }
        now < *self.hesitates_since.get_or_insert(now) + self.hesitation()
    }

    /// Long enough for anybody else to take a free lease.
    fn hesitation(&self) -> Duration {
        self.ttl * HESITATION_TERMS
    }

    /// Takes what a look at the streams found: if they are whole, the lease is written.
    pub(super) fn marks_read(
        &mut self,
        answer: Answer<StreamMarks>,
        marks: &mut HighWaterMarks,
        now: Duration,
    ) -> Result<Option<Effect>, Error> {
        let Some(taking) = &mut self.taking else { return Ok(None) };
        let standing = match answer {
            Ok(standing) => standing,
            Err(error) => return self.failed(error, now).map(|()| None),
        };
        match taking.looks.answered(&standing, marks, self.record.is_some(), now) {
            Look::Again => Ok(None),
            Look::Lost(loss) => Err(Error::Lease(messaging::Error::StateLost(loss).into())),
            Look::Whole => {
                let record = LeaseRecord::first(&self.process, &self.host, self.record.as_ref());
                // The lease counts from here: what the look took is nobody's time in office.
                taking.sent = Some((record.clone(), BootTime(now)));
                Ok(Some(Effect::WriteLease { record: Box::new(record), expected: taking.revision }))
            }
        }
    }

    /// Takes what became of the write. Returns the lease if it is this process's.
    pub(super) fn written(&mut self, written: LeaseWritten, now: Duration) -> Result<Option<HeldLease>, Error> {
        let sent = self.taking.as_mut().map(|taking| &mut taking.sent);
        // An answer to a write of an earlier tenure says nothing of this one.
        let own = sent.and_then(|sent| sent.take_if(|(record, _)| record.renewal == written.renewal));
        let Some((record, sent_at)) = own else { return Ok(None) };
        match written.answer {
            Ok(written) => match *written {
                Cas::Stored { sequence } => return Ok(Some(HeldLease::new(self.ttl, record, sequence, sent_at))),
                Cas::Refused { current: Some(current) } => {
                    debug!(holder = current.value.holder, "lost the election for the lease (not an error)");
                    self.observe(current.sequence, current.value, now);
                }
                // The bucket was made anew under a key that was seen: nothing is known any more.
                Cas::Refused { current: None } => self.candidate = Candidate::new(self.ttl, BootTime(now)),
            },
            Err(error) => match error.unreadable_at() {
                Some(revision) => self.damaged(revision, now),
                None => self.failed(error, now)?,
            },
        }
        self.taking = None;
        Ok(None)
    }

    /// A try without an answer is repeated after a while; any other failure means that nobody can lead.
    fn failed(&mut self, error: Failure, now: Duration) -> Result<(), Error> {
        if !error.is_unavailable() {
            return Err(Error::Lease(error));
        }
        warn!(error = &*error as &dyn std::error::Error, "could not try to take the lease");
        self.taking = None;
        self.candidate.unanswered(BootTime(now));
        Ok(())
    }

    fn holder(&self) -> Option<&str> {
        self.record.as_ref().filter(|record| !record.released).map(|record| record.holder.as_str())
    }
}
