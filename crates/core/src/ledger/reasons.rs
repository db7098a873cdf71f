//! How long the reasons in a ledger may be.

use crate::{json_size::text_bytes, outcome::Outcome};

/// Longest reason that is kept of anything, as JSON: a line or two on a terminal.
pub const REASON_BYTES_MAX: usize = 200;
/// Longest reason of a replica when its run has [`REASONS_LONG_MAX`] long ones already.
pub(super) const REASON_SHORT_BYTES_MAX: usize = 40;
/// Long reasons in one run. Replicas that could not start mostly have the same one.
pub(super) const REASONS_LONG_MAX: usize = 32;

/// Whether an outcome has a reason that is more than short.
pub(super) fn is_long(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::CouldNotStart { reason } => text_bytes(reason) > REASON_SHORT_BYTES_MAX,
        Outcome::Succeeded
        | Outcome::Failed { .. }
        | Outcome::TimedOut
        | Outcome::Lost { .. }
        | Outcome::Cancelled
        | Outcome::Skipped { .. } => false,
    }
}
