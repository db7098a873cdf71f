//! Commands: each is folded once its sender's view of the app is, and confirmed once its verdict is recorded.

use std::collections::VecDeque;

use tickmesh_core::{
    decide::{Clock, Input},
    history::RunSummary,
    id::{RequestId, RunNumber},
    ledger::Ledger,
    message::{Command, CommandKind},
    name::AppName,
};

use super::{
    Dispatcher,
    app::{AppState, HeldCommand, Retried},
};
use crate::{clock::Moment, effect::Effect};

impl Dispatcher {
    pub(super) fn command_seen(&mut self, sequence: u64, command: Command, moment: Moment) {
        let app = command.app.clone();
        let state = self.app(&app);
        if state.held.iter().all(|held| held.command.request != command.request) {
            state.held.push_back(HeldCommand { sequence, command, retried: Retried::Unasked });
        }
        self.release_commands(&app, moment);
    }

    /// Folds the commands of an app that need not wait any more, in the order in which they came.
    pub(super) fn release_commands(&mut self, app: &AppName, moment: Moment) {
        while let Some(HeldCommand { sequence, command, retried }) = self.next_command(app) {
            let retried = match &retried {
                Retried::Read(summary) => summary.as_deref(),
                Retried::Unasked | Retried::Asked => None,
            };
            let input = Input::Command { sequence, command: &command, retried };
            self.step_with(app, input, vec![command.request], moment);
        }
    }

    /// The history of an app was read for a command.
    pub(super) fn summary_read(
        &mut self,
        app: &AppName,
        request: RequestId,
        summary: Option<Box<RunSummary>>,
        moment: Moment,
    ) {
        let held =
            self.apps.get_mut(app).and_then(|state| state.held.iter_mut().find(|it| it.command.request == request));
        if let Some(held) = held {
            held.retried = Retried::Read(summary);
        }
        self.release_commands(app, moment);
    }

    fn next_command(&mut self, app: &AppName) -> Option<HeldCommand> {
        if !self.caught_up {
            return None;
        }
        self.dismiss_commands_for_nobody(app);
        let is_doubted = self.clock() == Clock::Doubted;
        let state = self.apps.get_mut(app)?;
        // Not applied as far as this leader has seen: the sender saw more, and so will it.
        let ledger = state.ledger.as_ref()?;
        let next = next_in_order(&state.held, is_doubted)?;
        let first = &mut state.held[next];
        if ledger.requests.iter().any(|handled| handled.request == first.command.request) {
            return state.held.remove(next);
        }
        if first.command.app_revision > ledger.app_revision || !ledger.has_room_for_request() {
            return None;
        }
        if first.retried == Retried::Unasked
            && let Some(run) = wants_from_history(&first.command, ledger)
        {
            first.retried = Retried::Asked;
            let request = first.command.request;
            self.outcome.effects.push(Effect::ReadSummary { app: app.clone(), request, run });
        }
        if first.retried == Retried::Asked { None } else { state.held.remove(next) }
    }
}

/// Returns the command to fold next: the oldest one. While the clock is doubted, a `resume` waits, because it
/// skips every instant up to now, and a clock that is ahead would skip instants that are not due yet. Later
/// `pause` and `resume` commands of the app wait behind it.
fn next_in_order(held: &VecDeque<HeldCommand>, is_doubted: bool) -> Option<usize> {
    let mut resume_waits = false;
    held.iter().position(|held| {
        resume_waits |= is_doubted && matches!(held.command.kind, CommandKind::Resume);
        !(resume_waits && matches!(held.command.kind, CommandKind::Resume | CommandKind::Pause))
    })
}

impl Dispatcher {
    /// Confirms commands for an app that does not exist, of senders that did not see more than this leader: nothing will ever
    /// come of them. Not before all that was stored is folded: a first revision may have to wait for results.
    fn dismiss_commands_for_nobody(&mut self, app: &AppName) {
        let is_nobody = |state: &&mut Box<AppState>| state.ledger.is_none() && state.frozen.is_none();
        let Some(state) = self.apps.get_mut(app).filter(is_nobody) else { return };
        let (dismissed, held) = state.held.drain(..).partition(|held| held.command.app_revision <= self.apps_through);
        state.held = held;
        if state.held.is_empty() {
            self.apps.remove(app);
        }
        let dismissed: VecDeque<HeldCommand> = dismissed;
        for HeldCommand { command, .. } in dismissed {
            self.outcome.effects.push(Effect::ConfirmCommand { app: app.clone(), request: command.request });
        }
    }
}

/// The run that a command is about, if only the history can tell how it ended.
fn wants_from_history(command: &Command, ledger: &Ledger) -> Option<RunNumber> {
    match command.kind {
        CommandKind::Retry { run } => {
            let unpublished = ledger.history.pending.iter().any(|summary| summary.run == run);
            let active = ledger.active.iter().any(|active| active.number == run);
            (!unpublished && !active).then_some(run)
        }
        CommandKind::Run(_)
        | CommandKind::Cancel { .. }
        | CommandKind::Pause
        | CommandKind::Resume
        | CommandKind::Flush => None,
    }
}
