//! Apps whose ledger cannot be read. Nothing is decided about such an app, and what runs of it is left alone: the ledger may
//! be one of a later release, and only it knows what is under way. No other app is concerned.

use tickmesh_core::{message::MeshEvent, name::AppName};
use tracing::error;

use super::{Conflict, Dispatcher};
use crate::effect::Effect;

/// Why a ledger cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableLedger {
    /// What is wrong with it, for people.
    pub reason: String,
    /// Whether a later release wrote it: then what it needs must be kept for that release.
    pub is_newer: bool,
}

/// The state of an app whose ledger cannot be read.
#[derive(Debug)]
pub(super) struct Frozen {
    /// The revision that cannot be read.
    pub(super) revision: u64,
}

impl Dispatcher {
    /// The ledger of an app cannot be read.
    pub(super) fn ledger_unreadable(&mut self, app: &AppName, revision: u64, problem: &UnreadableLedger) {
        let state = self.app(app);
        if let Some(frozen) = &mut state.frozen {
            frozen.revision = frozen.revision.max(revision);
            return;
        }
        if revision <= state.revision() {
            return;
        }
        error!(%app, revision, reason = problem.reason, "the app is frozen: see `tickmesh doctor`");
        let told = MeshEvent::AppUnreadable { app: app.clone(), reason: problem.reason.clone() };
        self.outcome.effects.push(Effect::Announce(told));
        let Some(state) = self.apps.get_mut(app) else { return };
        let wake_at = state.wake_at.take();
        state.freeze(Frozen { revision }, problem.is_newer);
        // Due for ever, it would keep the others from their turns.
        if let Some(at) = wake_at {
            self.wakes.remove(&(at, app.clone()));
        }
        let placing = self.placing(app);
        self.note_unplaced(app, false, false, placing);
    }

    /// Whether nothing may be decided about an app.
    pub(super) fn is_frozen(&self, app: &AppName) -> bool {
        self.apps.get(app).is_some_and(|state| state.frozen.is_some())
    }

    /// Notes a readable ledger of a frozen app: somebody has mended it. Everything is read again, on the same path as at the
    /// beginning of any tenure.
    pub(super) fn ledger_mended(&self, app: &AppName, revision: u64) -> Result<(), Conflict> {
        let frozen = self.apps.get(app).and_then(|state| state.frozen.as_ref());
        if frozen.is_some_and(|frozen| frozen.revision < revision) {
            return Err(Conflict { reason: format!("the ledger of `{app}` can be read again") });
        }
        Ok(())
    }
}
