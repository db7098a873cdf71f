//! What happened, one line each.

use tickmesh_client::views::{
    attempt::outcome,
    event::{EventView, What},
    run::RunView,
    tone::outcome_tone,
};
use tickmesh_core::{
    history::RunSummary,
    message::{Admission, AttemptEvent, AttemptReport, MeshEvent, TickRecord},
};

use super::{Tone, paint};

/// An event for people.
pub(crate) fn line(event: &EventView) -> String {
    let text = match &event.what {
        What::Tick(record) => tick(record),
        What::Result(report) => result(report),
        What::Run(summary) => run(summary),
        What::Mesh(event) => format!("mesh    {}", mesh(event)),
    };
    format!("{:.3}  {text}", event.at)
}

fn tick(record: &TickRecord) -> String {
    let (what, tone) = match &record.admission {
        Admission::Start { run } => (format!("run {run} started"), Tone::Plain),
        Admission::Enqueue { waiting } => (format!("waits, at place {waiting}"), Tone::Unsure),
        Admission::Drop { reason } => (format!("dropped: {reason}"), Tone::Bad),
        Admission::Skip { reason, instants: 1 } => (format!("skipped: {reason}"), Tone::Unsure),
        Admission::Skip { reason, instants } => (format!("{instants} skipped: {reason}"), Tone::Unsure),
        Admission::Discard { reason, ticks } => (format!("{ticks} that waited are discarded: {reason}"), Tone::Unsure),
    };
    let missed = if record.coalesced > 0 { format!(", for {} missed before", record.coalesced) } else { String::new() };
    format!("tick    {} {:.0}: {}{missed}", record.app, record.scheduled_at, paint(tone, &what))
}

fn result(report: &AttemptReport) -> String {
    let id = &report.attempt;
    let name = format!("{}/{}/{}/{}", id.app, id.run, id.service, id.replica);
    let what = match &report.event {
        AttemptEvent::Claimed { .. } => paint(Tone::Busy, "claimed"),
        AttemptEvent::Revoked { reason, .. } => paint(Tone::Unsure, &format!("revoked: {reason}")),
        event => outcome(event).map_or_else(String::new, |outcome| {
            let detail = tickmesh_client::views::replica::detail(&outcome);
            let detail = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
            paint(outcome_tone(outcome.label()), &format!("{}{detail}", outcome.label()))
        }),
    };
    format!("result  {name} attempt {} on {}: {what}", id.attempt, report.agent)
}

fn run(summary: &RunSummary) -> String {
    let view = RunView::of_summary(summary);
    let (succeeded, total) = (view.succeeded, view.replicas.len());
    let state = paint(view.tone(), &view.state_text());
    format!("run     {} {state} after {}, {succeeded} of {total} replicas", view.name(), view.took(summary.finished_at))
}

fn mesh(event: &MeshEvent) -> String {
    match event {
        MeshEvent::LeaderChanged { leader, host, .. } => format!("scheduler {leader} on {host} leads"),
        MeshEvent::Examined { by } => format!("examined by {by}"),
        MeshEvent::AgentJoined { agent } => format!("agent {agent} joined"),
        MeshEvent::AgentLost { agent } => paint(Tone::Bad, &format!("agent {agent} is lost")),
        MeshEvent::AgentStopped { agent } => format!("agent {agent} was stopped"),
        MeshEvent::AgentDraining { agent } => format!("agent {agent} is draining"),
        MeshEvent::AgentDrained { agent } => format!("agent {agent} is drained"),
        MeshEvent::AgentUndrained { agent } => format!("agent {agent} takes work again"),
        MeshEvent::AgentForgotten { agent } => format!("agent {agent} is forgotten"),
    }
}
