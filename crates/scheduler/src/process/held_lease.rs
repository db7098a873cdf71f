//! The lease in the hands of this process: renewed four times in a term, and given back in the end.

use std::time::Duration;

use tickmesh_core::id::Epoch;
use tickmesh_messaging::{
    Cas, LeaseRecord,
    lease::{BootTime, Hold, StreamMarks},
};
use tracing::{info, warn};

use super::io::LeaseWritten;
use crate::effect::Effect;

/// A lease that was taken.
#[derive(Debug)]
pub(super) struct HeldLease {
    epoch: Epoch,
    hold: Hold,
    /// The last record sent.
    record: LeaseRecord,
    /// Where the streams stand: stored with the next renewal.
    noted: StreamMarks,
    /// The revision of a damaged record that somebody has written in this one's place: it is written over.
    damaged: Option<u64>,
    /// When the renewal under way was sent first.
    renewing: Option<BootTime>,
    is_lost: bool,
}

/// How a lease is given back.
#[derive(Debug)]
pub(super) enum Release {
    Write(Effect),
    /// Once it is known what becomes of the renewal under way: its revision can be given back.
    AfterRenewal,
    /// Not at all: it is lost.
    Nothing,
}

/// Another process holds the lease now, or it can never be renewed again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeaseLost;

impl HeldLease {
    /// A lease that was taken by a write of this record, sent then and stored at `revision`.
    pub(super) fn new(ttl: Duration, record: LeaseRecord, revision: u64, sent_at: BootTime) -> Self {
        let epoch = record.epoch(revision);
        info!(%epoch, process = record.holder, "took the lease");
        let noted = record.streams.clone();
        Self {
            epoch,
            hold: Hold::new(ttl, revision, sent_at),
            record,
            noted,
            damaged: None,
            renewing: None,
            is_lost: false,
        }
    }

    /// The number of the tenure that the lease began. Every later one has a higher number.
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Until when nobody else can hold the lease, unless it is renewed.
    pub(super) fn trusted_until(&self) -> Duration {
        self.hold.trusted_until().0
    }

    /// Notes where the streams stand. The next leader refuses streams that end earlier.
    pub(super) fn note_streams(&mut self, standing: StreamMarks) {
        self.noted = standing;
    }

    /// When the next renewal is due; `None`: one is under way.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        self.renewing.is_none().then(|| self.hold.renew_at().0)
    }

    /// Renews the lease if that is due.
    pub(super) fn woken(&mut self, now: Duration) -> Option<Effect> {
        self.wake_at().filter(|at| *at <= now)?;
        self.record = LeaseRecord { streams: self.noted.clone(), ..self.record.next() };
        self.renewing = Some(BootTime(now));
        Some(self.write())
    }

    /// Takes what became of a renewal. Returns another try where nobody knows.
    pub(super) fn written(&mut self, written: LeaseWritten) -> Result<Option<Effect>, LeaseLost> {
        // A record of unknown fate is sent again unchanged, and counts from when it was first sent: too
        // early, never too late.
        let Some(sent_at) = self.renewing.filter(|_| self.has_sent(&written)) else { return Ok(None) };
        match written.answer {
            Ok(written) => match *written {
                Cas::Stored { sequence } => {
                    self.renewing = None;
                    self.damaged = None;
                    self.hold.renewed(sequence, sent_at);
                    Ok(None)
                }
                Cas::Refused { current } => {
                    self.is_lost = true;
                    warn!(holder = ?current.map(|current| current.value.holder), "lost the lease");
                    Err(LeaseLost)
                }
            },
            Err(error) if error.is_unavailable() => {
                warn!(error = &*error as &dyn std::error::Error, "cannot renew the lease yet");
                Ok(Some(self.write()))
            }
            Err(error) => match error.unreadable_at() {
                // Nobody else holds the lease: whoever takes it stores a record that can be read.
                Some(revision) => {
                    warn!(error = &*error as &dyn std::error::Error, "writing over a damaged lease");
                    self.damaged = Some(revision);
                    Ok(Some(self.write()))
                }
                None => {
                    self.is_lost = true;
                    warn!(error = &*error as &dyn std::error::Error, "lost the lease");
                    Err(LeaseLost)
                }
            },
        }
    }

    /// Gives the lease back, so that a standby takes it at once.
    pub(super) fn release(&mut self) -> Release {
        if self.is_lost {
            return Release::Nothing;
        }
        if self.renewing.is_some() {
            return Release::AfterRenewal;
        }
        self.record = LeaseRecord { released: true, ..self.record.next() };
        Release::Write(self.write())
    }

    /// Whether this is about the last record sent, and not about one of an earlier tenure.
    pub(super) fn has_sent(&self, written: &LeaseWritten) -> bool {
        written.renewal == self.record.renewal
    }

    fn write(&self) -> Effect {
        Effect::WriteLease {
            record: Box::new(self.record.clone()),
            expected: self.damaged.unwrap_or(self.hold.revision()),
        }
    }
}
