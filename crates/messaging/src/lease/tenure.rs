//! The lease in the hands of this process: a handle for the leader, and the task that renews in the background.

use std::time::Duration;

use tickmesh_core::id::Epoch;
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

use super::{LeaseKeeper, LeaseRecord, clock::BootTime, state::Hold};
use crate::{
    bucket::Bucket,
    compare_and_set::Cas,
    error::chain,
    marks::{HighWaterMarks as MarkMemory, Loss, StreamMarks, first_loss},
    names::{LEASE_KEY, StreamKind},
};

/// The lease in the hands of this process. Renewed in the background until it is lost, released or dropped; dropped without
/// [`Tenure::release`] it runs out like that of a process that died.
#[derive(Debug)]
pub struct Tenure {
    epoch: Epoch,
    ttl: Duration,
    standing: watch::Receiver<Standing>,
    keeper: LeaseKeeper,
    streams: watch::Sender<StreamMarks>,
    release: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// What the background task knows of its lease.
#[derive(Debug)]
struct Standing {
    hold: Hold,
    lost: bool,
}

impl Tenure {
    pub(super) fn begin(keeper: &LeaseKeeper, record: LeaseRecord, hold: Hold) -> Self {
        let epoch = record.epoch(hold.revision());
        let (streams, noted) = watch::channel(record.streams.clone());
        let (sender, standing) = watch::channel(Standing { hold, lost: false });
        let (release, released) = oneshot::channel();
        let renewing = Renewing { bucket: keeper.bucket.clone(), record, standing: sender, streams: noted };
        let task = tokio::spawn(renewing.run(released));
        Self { epoch, ttl: keeper.ttl, standing, keeper: keeper.clone(), streams, release: Some(release), task }
    }

    /// The number of this tenure. Every later one has a higher number.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether nobody else can hold the lease right now. A leader asks before it acts, and stops acting while the answer is
    /// no; it may become yes again, unless the lease is lost.
    pub fn is_trusted(&self) -> bool {
        let standing = self.standing.borrow();
        !standing.lost && standing.hold.is_trusted(BootTime::now())
    }

    /// Resolves when another process was seen to hold the lease, or when it can never be renewed again.
    pub async fn lost(&self) {
        let mut standing = self.standing.clone();
        // The sender lives in the renewing task: if that has ended, there is nobody to renew.
        let _ended = standing.wait_for(|standing| standing.lost).await;
    }

    /// What this process has seen of the streams. To be asked for *before* somebody looks where they stand: what is written
    /// meanwhile is no loss.
    pub fn seen(&self) -> MarkMemory {
        self.keeper.memory()
    }

    /// Notes where the streams stand: it is stored with the next renewal, and whoever leads next refuses streams that lack
    /// it. Nothing is noted if this process itself had seen more: that would hide the loss.
    pub fn note_streams(&self, seen: &MarkMemory, found: StreamMarks) -> Result<(), Loss> {
        if let Some(loss) = first_loss(seen.marks(), &found) {
            return Err(loss);
        }
        self.keeper.see(seen.acceptance(), &found);
        self.streams.send_replace(found);
        Ok(())
    }

    /// This leader has written or read a stream up to a sequence: see [`LeaseKeeper::saw`].
    pub fn saw(&self, stream: StreamKind, last_sequence: u64) {
        self.keeper.saw(stream, last_sequence);
    }

    /// Gives the lease back, so that a standby takes it at once. Does what can be done within a term.
    pub async fn release(mut self) {
        if let Some(release) = self.release.take() {
            // An error means that the task has ended, since the lease was lost: nothing to give back.
            let _ended = release.send(());
        }
        if timeout(self.ttl, &mut self.task).await.is_err() {
            warn!(epoch = %self.epoch, "could not release the lease in time: a standby takes it when it runs out");
        }
    }
}

impl Drop for Tenure {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The background task of a tenure.
struct Renewing {
    bucket: Bucket<LeaseRecord>,
    /// The last record written.
    record: LeaseRecord,
    standing: watch::Sender<Standing>,
    streams: watch::Receiver<StreamMarks>,
}

impl Renewing {
    async fn run(mut self, mut released: oneshot::Receiver<()>) {
        loop {
            let pause = self.standing.borrow().hold.renew_at().since(BootTime::now());
            tokio::select! {
                biased;
                _ = &mut released => return self.give_back().await,
                () = sleep(pause) => {}
            }
            self.record = self.record.next();
            self.record.streams.clone_from(&self.streams.borrow());
            if !self.renew().await {
                self.standing.send_modify(|standing| standing.lost = true);
                return;
            }
        }
    }

    /// Writes the record until it is known whether it is stored. `false`: the lease is lost.
    async fn renew(&self) -> bool {
        // A record of unknown fate is sent again unchanged, and counts from when it was first sent: too early, never too late.
        let sent_at = BootTime::now();
        loop {
            let revision = self.standing.borrow().hold.revision();
            match self.bucket.compare_and_set(LEASE_KEY, &self.record, revision).await {
                Ok(Cas::Stored { sequence }) => {
                    self.standing.send_modify(|standing| standing.hold.renewed(sequence, sent_at));
                    return true;
                }
                Ok(Cas::Refused { current }) => {
                    let holder = current.map(|current| current.value.holder);
                    warn!(?holder, "lost the lease");
                    return false;
                }
                Err(error) if error.is_unavailable() => warn!(error = %chain(&error), "cannot renew the lease yet"),
                Err(error) => {
                    warn!(error = %chain(&error), "lost the lease");
                    return false;
                }
            }
        }
    }

    async fn give_back(&self) {
        let record = LeaseRecord { released: true, ..self.record.next() };
        let revision = self.standing.borrow().hold.revision();
        self.standing.send_modify(|standing| standing.lost = true);
        match self.bucket.compare_and_set(LEASE_KEY, &record, revision).await {
            Ok(Cas::Stored { .. }) => info!(process = record.holder, "released the lease"),
            Ok(Cas::Refused { .. }) => debug!("nothing to release: the lease was lost"),
            Err(error) => warn!(error = %chain(&error), "could not release the lease"),
        }
    }
}
