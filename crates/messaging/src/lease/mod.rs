//! The lease: which scheduler leads.
//!
//! It is one key without any expiry on the server, renewed by compare-and-set four times in a term. A
//! standby takes it by compare-and-set once no new revision has come for a whole term, or at once when it
//! was released or its holder is gone from the server. The revision of the write that took it is the
//! tenure's epoch. The lease only keeps leaders out of each other's way; correctness rests on the
//! compare-and-set on every record.
//!
//! What a candidate and a holder conclude is here, without I/O; a scheduler's process acts by it.

mod clock;
mod record;
mod state;

pub use self::{
    clock::BootTime,
    record::{ACCEPTANCE_SHIFT, LeaseRecord},
    state::{Candidate, DESERTED_FOR, Hold, Presence, RENEWALS_PER_TERM, Step},
};
pub use crate::marks::{HighWaterMarks, Loss, LossKind, StreamMark, StreamMarks, first_loss, without_lease};
