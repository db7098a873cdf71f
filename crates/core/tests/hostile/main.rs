//! What is stored may be damaged, old, or written by somebody who means ill. Whatever it says, it is read or refused, and a decision on
//! it ends: no panic, no loop, nothing that outgrows its limit.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod ledgers;
mod messages;
mod mutation;
