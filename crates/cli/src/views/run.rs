//! Runs, one or many.

use jiff::Timestamp;
use tickmesh_client::{
    views::run::{RunView, RunsView},
    when,
};

use super::{Detail, Style, Table, Tone, View, cell, paint, replica};
use crate::escape;

impl View for RunsView {
    fn text(&self, style: &Style) -> String {
        let mut headings = vec!["RUN", "CAUSE", "SCHEDULED", "STARTED", "DURATION", "OUTCOME", "REPLICAS"];
        if style.detail == Detail::Wide {
            headings.extend(["FINISHED", "UID"]);
        }
        let mut table = Table::new(headings);
        let relative = |at: Option<Timestamp>| at.map_or("-".to_owned(), |at| when::relative(at, style.now));
        for run in &self.0 {
            let mut cells = vec![
                cell(run.name(), Tone::Plain),
                cell(run.cause_text(), Tone::Plain),
                cell(relative(run.scheduled_at), Tone::Plain),
                cell(relative(Some(run.started_at)), Tone::Plain),
                cell(run.took(style.now), Tone::Plain),
                cell(run.state_text(), run.tone()),
                cell(format!("{}/{}", run.succeeded, run.replicas.len()), Tone::Plain),
            ];
            if style.detail == Detail::Wide {
                cells.push(cell(relative(run.finished_at), Tone::Plain));
                cells.push(cell(&run.uid, Tone::Dim));
            }
            table.row(cells);
        }
        table.into_text()
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(RunView::name).collect()
    }
}

impl View for RunView {
    fn text(&self, style: &Style) -> String {
        let mut lines = vec![format!("run {}: {}", self.name(), paint(self.tone(), &self.state_text()))];
        lines.push(format!("  cause      {}", escape::text(&self.cause_text())));
        if let Some(at) = self.scheduled_at {
            lines.push(format!("  scheduled  {at:.3} ({})", when::relative(at, style.now)));
        }
        lines.push(format!("  started    {:.3} ({})", self.started_at, when::relative(self.started_at, style.now)));
        if let Some(at) = self.finished_at {
            lines.push(format!("  finished   {at:.3} ({})", when::relative(at, style.now)));
        }
        lines.push(format!("  took       {}", self.took(style.now)));
        lines.push(format!("  replicas   {} of {} succeeded", self.succeeded, self.replicas.len()));
        lines.extend(self.waiting.iter().map(|waiting| format!("  waits      {}", escape::text(waiting))));
        if let Some(next) = self.next {
            lines.push(format!("  next run   {next:.0} ({})", when::relative(next, style.now)));
        }
        lines.push(String::new());
        lines.push(replica::table(&self.replicas));
        lines.extend(self.replicas.iter().filter_map(replica::trouble));
        lines.join("\n")
    }

    fn names(&self) -> Vec<String> {
        vec![self.name()]
    }
}
