//! Streams that somebody has removed under the mesh are made anew, so that it can go on once the loss is accepted, and without any
//! process being restarted. Nothing is decided by that: whoever is to lead finds what is lost.

use tickmesh_core::id::MeshId;
use tickmesh_messaging::Mesh;

use crate::Error;

/// What this process knows of the mesh's streams.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    mesh: Option<MeshId>,
    /// One was missing at the last try. A server that is only just starting can say so, too: it is asked again first.
    missing: bool,
}

impl Streams {
    /// Makes what was missing at the last try and still is. The mesh keeps its identity, which every container carries.
    pub(crate) async fn mend(&mut self, mesh: &Mesh) -> Result<(), Error> {
        let known = match self.mesh {
            Some(known) => known,
            None => *self.mesh.insert(mesh.open().await.map_err(Error::Load)?),
        };
        if self.missing {
            let found = mesh.provision_missing(known).await.map_err(Error::Provision)?;
            if found != known {
                return Err(Error::OtherMesh { known, found });
            }
            self.missing = false;
        }
        Ok(())
    }

    /// A try to lead or to stand by failed.
    pub(crate) fn failed(&mut self, error: &Error) {
        self.missing |= error.is_missing_stream();
    }
}
