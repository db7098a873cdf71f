//! Why a tenure or a try to stand by ends.

use crate::{dispatcher::Conflict, error::Error};

/// Why a tenure or a try to stand by ends.
#[derive(Debug)]
pub(super) enum End {
    /// The process is to stop.
    Shutdown,
    /// Somebody else is to lead.
    SteppedDown,
    /// The clock is in doubt, and somebody else can lead whose clock is not.
    InDoubt,
    /// The lease could not be renewed in time.
    LeaseLost,
    /// Somebody else writes.
    Conflict(Conflict),
    /// Something that must be read or followed cannot be.
    Broken(Error),
}
