//! How far notices (webhooks) have been delivered, so that whoever leads next goes on from there.

use serde::{Deserialize, Serialize};

use crate::{bucket::Bucket, compare_and_set::Cas, error::Error, mesh::Mesh, wire::Entry};

/// Its key in the bucket `meta`.
pub(crate) const NOTICES_KEY: &str = "notices";

/// The last messages that have been dealt with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticePosition {
    /// Schema version.
    pub schema: u32,
    /// Sequence in the stream of ticks.
    pub ticks: u64,
    /// Sequence in the stream of finished runs.
    pub history: u64,
    /// Sequence in the stream of the mesh's events.
    pub mesh: u64,
}

impl Mesh {
    /// How far notices have been delivered; `None`: nobody ever did.
    pub async fn notice_position(&self) -> Result<Option<Entry<NoticePosition>>, Error> {
        self.notices().read(NOTICES_KEY).await
    }

    /// Stores how far notices have been delivered, if the stored position is still the one at `expected`; 0: if there is none.
    pub async fn store_notice_position(
        &self,
        position: &NoticePosition,
        expected: u64,
    ) -> Result<Cas<NoticePosition>, Error> {
        self.notices().compare_and_set(NOTICES_KEY, position, expected).await
    }

    fn notices(&self) -> Bucket<NoticePosition> {
        self.meta()
    }
}
