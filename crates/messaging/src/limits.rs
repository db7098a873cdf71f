//! How large a record may be.

use tickmesh_core::ledger::LEDGER_BYTES_MAX;

use crate::names::StreamKind;

/// Largest body of anything but a ledger, in bytes. A server takes 1 MiB by default, headers included, and closes the
/// connection of who sends more.
pub const BODY_BYTES_MAX: usize = 768 * 1024;

/// Returns the limit for the body of a message in a stream.
pub(crate) fn bytes_max(kind: StreamKind) -> usize {
    match kind {
        StreamKind::Ledger => LEDGER_BYTES_MAX,
        StreamKind::Meta
        | StreamKind::Lease
        | StreamKind::Apps
        | StreamKind::Agents
        | StreamKind::Commands
        | StreamKind::Ticks
        | StreamKind::Orders
        | StreamKind::Results
        | StreamKind::History
        | StreamKind::Notices
        | StreamKind::Logs
        | StreamKind::Mesh => BODY_BYTES_MAX,
    }
}
