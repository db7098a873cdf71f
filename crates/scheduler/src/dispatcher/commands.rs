//! Commands: each is folded once its sender's view of the app is, and confirmed once its verdict is recorded.

use tickmesh_core::{decide::Input, message::Command, name::AppName};

use super::{
    Dispatcher,
    boundary::{Effect, Moment},
};

impl Dispatcher {
    pub(super) fn command_seen(&mut self, sequence: u64, command: Command, moment: Moment) {
        let app = command.app.clone();
        if self.apps.get(&app).is_none_or(|state| state.ledger.is_none()) && command.app_revision <= self.apps_through {
            // There is no such app, and the sender did not see more than this leader: nothing will ever come of it.
            self.effects.push(Effect::ConfirmCommand { app, request: command.request });
            return;
        }
        let state = self.app(&app);
        if state.held.iter().all(|(_, held)| held.request != command.request) {
            state.held.push_back((sequence, command));
        }
        self.release_commands(&app, moment);
    }

    /// Folds the commands of an app that need not wait any more, in the order in which they came.
    pub(super) fn release_commands(&mut self, app: &AppName, moment: Moment) {
        while let Some((sequence, command)) = self.next_command(app) {
            self.step_with(app, Input::Command { sequence, command: &command }, vec![command.request], moment);
        }
    }

    /// The same for all apps.
    pub(super) fn release_all_commands(&mut self, moment: Moment) {
        let apps: Vec<AppName> = self.apps.keys().cloned().collect();
        for app in apps {
            self.release_commands(&app, moment);
        }
    }

    fn next_command(&mut self, app: &AppName) -> Option<(u64, Command)> {
        if !self.caught_up {
            return None;
        }
        let state = self.apps.get_mut(app)?;
        let (_, first) = state.held.front()?;
        let Some(ledger) = &state.ledger else {
            // Not applied as far as this leader has seen; the sender saw more, and so will it.
            return None;
        };
        let known = ledger.requests.iter().any(|handled| handled.request == first.request);
        let seen = first.app_revision <= ledger.app_revision;
        if known || (seen && ledger.has_room_for_request()) { state.held.pop_front() } else { None }
    }
}
