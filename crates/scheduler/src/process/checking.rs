//! Whether this process could lead: the mesh is the one that it knows, the lease can be read, and the streams
//! have everything that was seen of them. One that refuses is not to look well between two tries.

use std::{collections::BTreeSet, time::Duration};

use tickmesh_core::id::MeshId;
use tickmesh_messaging::{self as messaging, LeaseRecord, StreamKind, is_store_lost, lease::StreamMarks};

use super::{
    Loading, Process, Stage,
    io::Answer,
    loss_looks::{Look, LossLooks},
    reason::End,
    store_looks::{StoreLook, StoreLooks},
};
use crate::{
    effect::{Effect, Source},
    error::Error,
};

/// How far the checks have come.
#[derive(Debug)]
pub(super) enum Checking {
    /// The mesh is being opened, the lease read, or the streams checked.
    Asked,
    /// Somebody looks which streams are there.
    Seeking(StoreLooks),
    /// Somebody looks where the streams stand.
    Looking { looks: LossLooks, has_lease: bool },
}

impl Checking {
    /// When the next look is due.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        match self {
            Self::Asked => None,
            Self::Seeking(looks) => looks.wake_at(),
            Self::Looking { looks, .. } => looks.wake_at(),
        }
    }
}

impl Process {
    /// Begins the checks.
    pub(super) fn check(&mut self) -> Vec<Effect> {
        let seeks = self.is_stream_missing || self.is_store_lost;
        let (checking, effect) = match self.mesh {
            None => (Checking::Seeking(StoreLooks::new(self.is_store_lost)), Effect::OpenMesh),
            Some(_) if seeks => (Checking::Seeking(StoreLooks::new(self.is_store_lost)), Effect::FindStreams),
            Some(_) => (Checking::Asked, Effect::ReadLease),
        };
        self.stage = Stage::Checking(checking);
        vec![effect]
    }

    pub(super) fn mesh_found(&mut self, answer: Answer<MeshId>) -> Result<Vec<Effect>, End> {
        let Stage::Checking(_) = self.stage else { return Ok(Vec::new()) };
        let failed = if self.is_stream_missing { Error::Provision } else { Error::Load };
        let found = match answer {
            Ok(found) => found,
            // A process begins only on a mesh that was there: what is left of it?
            Err(error) if error.is_not_provisioned() => return Ok(vec![Effect::FindStreams]),
            Err(error) => return Err(End::Broken(failed(error))),
        };
        if let Some(known) = self.mesh.filter(|known| *known != found) {
            return Err(End::Broken(Error::OtherMesh { known, found }));
        }
        self.mesh = Some(found);
        self.is_stream_missing = false;
        self.stage = Stage::Checking(Checking::Asked);
        Ok(vec![Effect::ReadLease])
    }

    /// Takes which streams are not there. A single one is made anew, with the loss of what was in it. A store that is lost is
    /// not filled: whoever restores it could not.
    pub(super) fn streams_found(
        &mut self,
        answer: Answer<BTreeSet<StreamKind>>,
        now: Duration,
    ) -> Result<Vec<Effect>, End> {
        let Stage::Checking(Checking::Seeking(looks)) = &mut self.stage else { return Ok(Vec::new()) };
        let missing = answer.map_err(|error| End::Broken(Error::Load(error)))?;
        let is_whole = missing.is_empty() && self.mesh.is_some();
        match self.mesh {
            // Its identity is read again, too: the copy may be that of another mesh. Nothing is made, for the store may be
            // gone again when that arrives.
            Some(_) if is_whole && looks.begin_opening() => return Ok(vec![Effect::OpenMesh]),
            Some(mesh) if !is_whole && !self.is_store_lost && !is_store_lost(&missing) => {
                return Ok(vec![Effect::MakeMissingStreams { mesh, missing }]);
            }
            Some(_) | None => {}
        }
        if looks.missed(now) == StoreLook::Again {
            return Ok(Vec::new());
        }
        self.is_store_lost = true;
        Err(End::Broken(Error::StoreLost { missing }))
    }

    pub(super) fn lease_read(
        &mut self,
        answer: Answer<Option<Box<LeaseRecord>>>,
        now: Duration,
    ) -> Result<Vec<Effect>, End> {
        let Stage::Checking(_) = self.stage else { return Ok(Vec::new()) };
        let has_lease = match answer {
            Ok(lease) => {
                if let Some(lease) = &lease {
                    self.marks.see(lease.acceptance, &lease.streams);
                }
                lease.is_some()
            }
            // Whoever leads writes over it. This process would have to have read it to take it.
            Err(error) if error.unreadable_at().is_some() => true,
            Err(error) => return Err(End::Broken(Error::Lease(error))),
        };
        // Without a lease nothing shows that these streams are what was restored: they may be new.
        if self.is_store_lost && !has_lease {
            return Err(End::Broken(Error::StoreLost { missing: BTreeSet::new() }));
        }
        let mut looks = LossLooks::from(now);
        let look = looks.woken(&self.marks, now);
        self.stage = Stage::Checking(Checking::Looking { looks, has_lease });
        Ok(look.into_iter().collect())
    }

    /// Takes where the streams stand.
    pub(super) fn looked(&mut self, answer: Answer<StreamMarks>, now: Duration) -> Result<Vec<Effect>, End> {
        let Stage::Checking(Checking::Looking { looks, has_lease }) = &mut self.stage else { return Ok(Vec::new()) };
        let standing = answer.map_err(|error| End::Broken(Error::Lease(error)))?;
        match looks.answered(&standing, &mut self.marks, *has_lease, now) {
            Look::Whole => Ok(vec![Effect::CheckStreams]),
            Look::Again => Ok(Vec::new()),
            Look::Lost(loss) => Err(End::Broken(Error::Lease(messaging::Error::StateLost(loss).into()))),
        }
    }

    /// The checks are done: everything is read. Ledgers come first, since they say which revisions of the
    /// apps are still needed.
    pub(super) fn checked(&mut self, answer: Answer<()>) -> Result<Vec<Effect>, End> {
        let Stage::Checking(_) = self.stage else { return Ok(Vec::new()) };
        answer.map_err(|error| End::Broken(Error::Load(error)))?;
        self.is_store_lost = false;
        self.stage = Stage::Loading(Loading::default());
        Ok(vec![Effect::Follow(Source::Ledgers)])
    }
}
