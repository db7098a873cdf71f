//! How far notices have been delivered to each webhook, so that whoever leads next goes on from there.

use serde::{Deserialize, Serialize};

use crate::{bucket::Bucket, compare_and_set::Cas, error::Error, mesh::Mesh, wire::Entry};

/// The first token of their keys in the bucket `meta`; the second is the webhook's digest. One key each: a webhook that is away
/// holds up no other.
const NOTICES_KEY: &str = "notices";

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
    /// Sequence in the stream of notices about apps; `None`: a release without that stream has delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notices: Option<u64>,
}

impl Mesh {
    /// How far notices have been delivered to the webhook with that digest; `None`: nobody ever began to.
    pub async fn notice_position(&self, webhook: u64) -> Result<Option<Entry<NoticePosition>>, Error> {
        self.notice_positions().read(&key(webhook)).await
    }

    /// Stores how far notices have been delivered to a webhook, if the stored position is still the one at `expected`; 0: if there
    /// is none.
    pub async fn store_notice_position(
        &self,
        webhook: u64,
        position: &NoticePosition,
        expected: u64,
    ) -> Result<Cas<NoticePosition>, Error> {
        self.notice_positions().compare_and_set(&key(webhook), position, expected).await
    }

    fn notice_positions(&self) -> Bucket<NoticePosition> {
        self.meta()
    }
}

fn key(webhook: u64) -> String {
    format!("{NOTICES_KEY}.{webhook:016x}")
}
