//! What people ask for, each request once.

use std::sync::Arc;

use super::{Record, Transition};
use crate::{
    encoded::shortened,
    id::RunNumber,
    ledger::{HandledRequest, REASON_BYTES_MAX, REQUESTS_MAX, Standing, Verdict},
    message::{Command, CommandKind},
    spec::AppSpec,
};

impl Transition<'_> {
    /// Carries out a request, unless it was carried out before, and remembers what became of it.
    pub(super) fn fold_command(&mut self, sequence: u64, command: &Command) {
        if self.ledger.requests.iter().any(|handled| handled.request == command.request) {
            return;
        }
        let verdict = self
            .carry_out(command)
            .unwrap_or_else(|reason| Verdict::Refused { reason: shortened(&reason, REASON_BYTES_MAX) });
        // Only confirmed requests leave the ring: any other may come again (protocol rule P13). The dispatcher holds
        // commands back while there is no room.
        if self.ledger.requests.len() >= REQUESTS_MAX
            && let Some(oldest) = self.ledger.requests.iter().position(|handled| handled.confirmed)
        {
            self.ledger.requests.remove(oldest);
        }
        self.ledger.requests.push_back(HandledRequest {
            request: command.request,
            sequence,
            verdict,
            confirmed: false,
        });
        self.note(Record::Due);
    }

    /// Carries a request out, or says why not.
    fn carry_out(&mut self, command: &Command) -> Result<Verdict, String> {
        if command.app_revision < self.ledger.tombstone_revision {
            return Err("the app was removed after this was sent".to_owned());
        }
        command.check().map_err(|error| error.to_string())?;
        match &command.kind {
            CommandKind::Run(run) => {
                let spec = self.runnable()?;
                Ok(self.admit_manual(&spec, command, run))
            }
            CommandKind::Cancel { run } => self.cancel(*run, &command.by),
        }
    }

    fn runnable(&self) -> Result<Arc<AppSpec>, String> {
        match &self.ledger.standing {
            Standing::Removed => Err("the app was removed".to_owned()),
            Standing::Invalid { reason } => Err(format!("the app is not valid: {reason}")),
            Standing::Applied => self.spec.clone().ok_or_else(|| "the app is not known".to_owned()),
        }
    }

    fn cancel(&mut self, wanted: Option<RunNumber>, by: &str) -> Result<Verdict, String> {
        let active = self.ledger.active.iter().map(|run| run.number);
        let runs: Vec<RunNumber> = active.filter(|number| wanted.is_none_or(|wanted| wanted == *number)).collect();
        if runs.is_empty() {
            return Err(wanted.map_or("no run is active".to_owned(), |run| format!("run {run} is not active")));
        }
        for number in &runs {
            self.stop_run(*number, by);
        }
        Ok(Verdict::Stopping { runs })
    }

    /// The stream will not send these requests again, so they may leave the ring when their place is needed.
    pub(super) fn confirm_commands(&mut self, is_confirmed: impl Fn(&HandledRequest) -> bool) {
        for handled in &mut self.ledger.requests {
            if !handled.confirmed && is_confirmed(handled) {
                handled.confirmed = true;
                self.record = self.record.max(Record::WithNext);
            }
        }
    }
}
