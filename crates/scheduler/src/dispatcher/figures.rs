//! What a leader has in memory, counted for whoever asks.

use super::Dispatcher;
use crate::figures::LeaderFigures;

impl Dispatcher {
    /// Counts what is in memory: a look at every app.
    pub fn figures(&self) -> LeaderFigures {
        let mut figures = LeaderFigures::default();
        for app in self.apps.values() {
            let Some(ledger) = &app.ledger else { continue };
            figures.apps += 1;
            figures.active_runs += ledger.active.len();
            figures.queued_runs += ledger.queue.len();
            figures.apps_pending += usize::from(app.ticket.is_some());
            figures.unpublished_ticks += ledger.ticks.pending.len();
            figures.unpublished_summaries += ledger.history.pending.len();
            figures.unpublished_notices += ledger.notices.pending.len();
        }
        figures
    }
}
