//! Revisions of apps. Until the results from before the take-over are folded, a revision that changes something waits: it
//! first decides all instants up to its own moment, and these need the results.

use std::sync::Arc;

use tickmesh_core::{
    decide::{AppChange, AppContent, Input},
    ledger::Ledger,
    name::AppName,
    spec::AppSpec,
};

use super::Dispatcher;
use crate::clock::Moment;

impl Dispatcher {
    pub(super) fn app_seen(&mut self, app: AppName, change: AppChange, moment: Moment) {
        self.apps_through = self.apps_through.max(change.revision);
        let ledger = self.apps.get(&app).and_then(|state| state.ledger.as_ref());
        let folded = ledger.map_or(0, |ledger| ledger.app_revision);
        if change.revision < folded {
            return;
        }
        if change.revision == folded {
            self.app(&app).spec = spec_of(&change.content);
            self.schedule_wake(&app, moment);
        } else if self.caught_up {
            self.fold_revision(&app, change, moment);
        } else {
            self.deferred.push((app, change));
        }
    }

    /// Folds the revisions that had to wait.
    pub(super) fn fold_deferred(&mut self, moment: Moment) {
        for (app, change) in std::mem::take(&mut self.deferred) {
            self.fold_revision(&app, change, moment);
        }
    }

    fn fold_revision(&mut self, app: &AppName, change: AppChange, moment: Moment) {
        if self.is_frozen(app) {
            return;
        }
        let spec = spec_of(&change.content);
        let state = self.app(app);
        if state.ledger.is_none() {
            if matches!(change.content, AppContent::Removed) {
                return;
            }
            state.ledger = Some(Ledger::new(0, change.at));
        }
        self.step(app, Input::App(change), moment);
        self.app(app).spec = spec;
        self.schedule_wake(app, moment);
        self.release_commands(app, moment);
    }
}

fn spec_of(content: &AppContent) -> Option<Arc<AppSpec>> {
    match content {
        AppContent::Applied(spec) => Some(spec.clone()),
        AppContent::Invalid { .. } | AppContent::Removed => None,
    }
}
