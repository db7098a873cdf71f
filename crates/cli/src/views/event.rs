//! What happened, one line each.

use tickmesh_client::views::{
    attempt::end,
    event::{EventView, What},
    run::RunView,
};
use tickmesh_core::{
    history::RunSummary,
    message::{Admission, AttemptReport, MeshEvent, TickRecord},
};

use super::{Tone, paint};
use crate::escape::text;

/// An event for people.
pub(crate) fn line(event: &EventView) -> String {
    let what = match &event.what {
        What::Tick(record) => tick(record),
        What::Result(report) => result(report),
        What::Run(summary) => run(summary),
        What::Mesh(event) => format!("mesh    {}", mesh(event)),
    };
    format!("{:.3}  {what}", event.at)
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
    let what = match end(&report.event) {
        None => paint(Tone::Busy, "claimed"),
        Some(end) => paint(end.tone(), &end.text()),
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
        MeshEvent::LeaderChanged { leader, host, .. } => format!("scheduler {} on {} leads", text(leader), text(host)),
        MeshEvent::Examined { by } => format!("examined by {}", text(by)),
        MeshEvent::AgentJoined { agent } => format!("agent {agent} joined"),
        MeshEvent::AgentLost { agent } => paint(Tone::Bad, &format!("agent {agent} is lost")),
        MeshEvent::AgentBack { agent } => format!("agent {agent} is back"),
        MeshEvent::LeaderDoubted { host, reason } => {
            paint(Tone::Bad, &format!("the leader on {} does not trust its clock: {}", text(host), text(reason)))
        }
        MeshEvent::LeaderTrusted { host } => format!("the leader on {} trusts its clock again", text(host)),
        MeshEvent::AppUnreadable { app, reason } => {
            paint(Tone::Bad, &format!("the ledger of app {app} cannot be read: {}", text(reason)))
        }
        MeshEvent::EngineLost { agent, reason } => {
            paint(Tone::Bad, &format!("agent {agent} has no engine that answers: {}", text(reason)))
        }
        MeshEvent::EngineBack { agent } => format!("agent {agent} has an engine that answers again"),
        MeshEvent::AgentStopped { agent } => format!("agent {agent} was stopped"),
        MeshEvent::AgentDraining { agent } => format!("agent {agent} is draining"),
        MeshEvent::AgentDrained { agent } => format!("agent {agent} is drained"),
        MeshEvent::AgentUndrained { agent } => format!("agent {agent} takes work again"),
        MeshEvent::AgentForgotten { agent } => format!("agent {agent} is forgotten"),
    }
}
