//! Whether this process could lead: the mesh is the one that it knows, the lease can be read, and the streams
//! have everything that was seen of them. One that refuses is not to look well between two tries.

use std::time::Duration;

use tickmesh_core::id::MeshId;
use tickmesh_messaging::{self as messaging, LeaseRecord, lease::StreamMarks};

use super::{
    Loading, Process, Stage,
    io::Answer,
    loss_looks::{Look, LossLooks},
    reason::End,
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
    /// Somebody looks where the streams stand.
    Looking { looks: LossLooks, has_lease: bool },
}

impl Checking {
    /// When the next look is due.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        match self {
            Self::Asked => None,
            Self::Looking { looks, .. } => looks.wake_at(),
        }
    }
}

impl Process {
    /// Begins the checks.
    pub(super) fn check(&mut self) -> Vec<Effect> {
        self.stage = Stage::Checking(Checking::Asked);
        vec![match self.mesh {
            None => Effect::OpenMesh,
            // A server that is only just starting says that a stream is missing, too: it is asked again first.
            Some(mesh) if self.is_stream_missing => Effect::MakeMissingStreams { mesh },
            Some(_) => Effect::ReadLease,
        }]
    }

    pub(super) fn mesh_found(&mut self, answer: Answer<MeshId>) -> Result<Vec<Effect>, End> {
        let Stage::Checking(_) = self.stage else { return Ok(Vec::new()) };
        let failed = if self.mesh.is_none() { Error::Load } else { Error::Provision };
        let found = answer.map_err(|error| End::Broken(failed(error)))?;
        match self.mesh.replace(found) {
            Some(known) if known != found => {
                self.mesh = Some(known);
                Err(End::Broken(Error::OtherMesh { known, found }))
            }
            Some(_) => {
                self.is_stream_missing = false;
                Ok(vec![Effect::ReadLease])
            }
            None => Ok(self.check()),
        }
    }

    pub(super) fn lease_read(
        &mut self,
        answer: Answer<Option<Box<LeaseRecord>>>,
        now: Duration,
    ) -> Result<Vec<Effect>, End> {
        let Stage::Checking(_) = self.stage else { return Ok(Vec::new()) };
        let lease = answer.map_err(|error| End::Broken(Error::Lease(error)))?;
        if let Some(lease) = &lease {
            self.marks.see(lease.acceptance, &lease.streams);
        }
        let mut looks = LossLooks::from(now);
        let look = looks.woken(&self.marks, now);
        self.stage = Stage::Checking(Checking::Looking { looks, has_lease: lease.is_some() });
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
        self.stage = Stage::Loading(Loading::default());
        Ok(vec![Effect::Follow(Source::Ledgers)])
    }
}
