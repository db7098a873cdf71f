//! What people ask for, each request once.

use std::sync::Arc;

use super::{Record, Transition};
use crate::{
    history::RunSummary,
    id::RunNumber,
    json_size::shortened,
    ledger::{
        CarryOver, Cause, HandledRequest, Pause, REASON_BYTES_MAX, REQUESTS_MAX, Standing, StopReason, Verdict, Waiting,
    },
    message::{Command, CommandKind, DiscardReason, RunRequest, SkipReason},
    outcome::Outcome,
    spec::AppSpec,
    time,
};

impl Transition<'_> {
    /// Carries out a request, unless it was carried out before, and remembers what became of it.
    pub(super) fn fold_command(&mut self, sequence: u64, command: &Command, retried: Option<&RunSummary>) {
        if self.ledger.requests.iter().any(|handled| handled.request == command.request) {
            return;
        }
        let verdict = self
            .carry_out(command, retried)
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
    fn carry_out(&mut self, command: &Command, retried: Option<&RunSummary>) -> Result<Verdict, String> {
        if command.app_revision < self.ledger.tombstone_revision {
            return Err("the app was removed after this was sent".to_owned());
        }
        command.check().map_err(|error| error.to_string())?;
        match &command.kind {
            CommandKind::Run(request) => {
                let spec = self.runnable()?;
                let cause = Cause::Manual { by: command.by.clone(), request: command.request };
                let waiting = Waiting { request: request.clone(), ..self.waiting(cause, None) };
                Ok(self.admit_manual(&spec, waiting))
            }
            CommandKind::Retry { run } => self.retry(*run, command, retried),
            CommandKind::Cancel { run, force } => self.cancel(*run, &command.by, *force),
            CommandKind::Pause => self.pause(&command.by),
            CommandKind::Resume => self.resume(),
            CommandKind::Flush => {
                Ok(Verdict::Flushed { waiting: self.discard_waiting(DiscardReason::Flushed, |_| true) })
            }
        }
    }

    fn runnable(&self) -> Result<Arc<AppSpec>, String> {
        match &self.ledger.standing {
            Standing::Removed => Err("the app was removed".to_owned()),
            Standing::Invalid { reason } => Err(format!("the app is not valid: {reason}")),
            Standing::Applied => self.spec.clone().ok_or_else(|| "the app is not known".to_owned()),
        }
    }

    /// Asks for a new run of what did not succeed in an earlier one. It is a run of the spec as it is at its start, as any
    /// other: who retries has often mended the file.
    fn retry(&mut self, run: RunNumber, command: &Command, retried: Option<&RunSummary>) -> Result<Verdict, String> {
        let spec = self.runnable()?;
        if self.ledger.active.iter().any(|active| active.number == run) {
            return Err(format!("run {run} is active: only one that has ended can be retried"));
        }
        let unpublished = self.ledger.history.pending.iter().find(|summary| summary.run == run);
        let summary = unpublished.or_else(|| retried.filter(|summary| summary.run == run));
        let summary = summary.ok_or_else(|| format!("run {run} is not in the history"))?;
        if summary.outcome == Outcome::Succeeded {
            return Err(format!("run {run} succeeded: nothing of it is left to do"));
        }
        let cause = Cause::Retry { of: run, by: command.by.clone(), request: command.request };
        let run_spec = spec.run();
        let request = self.request_again(summary)?;
        let carried = CarryOver::of(summary, &run_spec);
        if carried.leaves_nothing_of(&run_spec) {
            return Err(format!("what did not succeed in run {run} is not in the file any more"));
        }
        let waiting = Waiting { request, carried, ..self.waiting(cause, summary.scheduled_at) };
        Ok(self.admit_retry(&spec, waiting))
    }

    /// Returns what a person asked to be different in a finished run. The history has the names of
    /// variables alone: their values are in the ledger, for as long as they fit, and in the records
    /// of releases that stored them there.
    fn request_again(&self, summary: &RunSummary) -> Result<RunRequest, String> {
        let retained = self.ledger.retained_values(summary.run);
        let request = retained.and_then(|values| summary.request.with_values(values));
        request.or_else(|| summary.request.with_own_values()).ok_or_else(|| {
            let names: Vec<&str> = summary.request.names.iter().map(String::as_str).collect();
            let (run, names) = (summary.run, names.join(", "));
            format!(
                "the values that run {run} was started with are not kept any more: run the app with --env for {names}"
            )
        })
    }

    fn cancel(&mut self, wanted: Option<RunNumber>, by: &str, force: bool) -> Result<Verdict, String> {
        let active = self.ledger.active.iter().map(|run| run.number);
        let runs: Vec<RunNumber> = active.filter(|number| wanted.is_none_or(|wanted| wanted == *number)).collect();
        if runs.is_empty() {
            let last = self.ledger.last_run;
            return Err(match wanted {
                None => "no run is active".to_owned(),
                Some(run) if run > last && last == 0 => format!("there is no run {run}: the app has not run yet"),
                Some(run) if run > last => format!("there is no run {run}: the newest one is run {last}"),
                Some(run) => format!("run {run} has ended"),
            });
        }
        for number in &runs {
            self.stop_run(*number, StopReason::Cancelled { by: by.to_owned() });
            if force {
                self.end_by_force(*number);
            }
        }
        Ok(Verdict::Stopping { runs })
    }

    /// From now on no instant is decided and nothing that waits is started. What is active goes on.
    fn pause(&mut self, by: &str) -> Result<Verdict, String> {
        self.not_removed()?;
        let since = self.context.now;
        self.ledger.pause.get_or_insert_with(|| Pause { by: by.to_owned(), since });
        Ok(Verdict::Paused)
    }

    /// The instants that fell due meanwhile are skipped, all with one word.
    fn resume(&mut self) -> Result<Verdict, String> {
        self.not_removed()?;
        let mut skipped = 0;
        if let Some(spec) = self.spec.clone().filter(|_| self.ledger.pause.is_some())
            && let Some(schedule) = &spec.schedule
        {
            let through = time::before(self.context.now, spec.offset());
            skipped = self.skip_instants(schedule, through, SkipReason::Paused);
        }
        self.tell_resumed(self.context.now);
        self.ledger.pause = None;
        Ok(Verdict::Resumed { skipped })
    }

    fn not_removed(&self) -> Result<(), String> {
        match self.ledger.standing {
            Standing::Removed => Err("the app was removed".to_owned()),
            Standing::Applied | Standing::Invalid { .. } => Ok(()),
        }
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
