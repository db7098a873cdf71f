//! Replicas of a run.

use tickmesh_client::{
    views::{
        attempt::AttemptView,
        replica::{Doing, ReplicaView},
    },
    when,
};

use super::{Table, Tone, cell, paint};
use crate::escape;

/// The replicas of a run as a table.
pub(crate) fn table(replicas: &[ReplicaView]) -> String {
    let mut table = Table::new(["REPLICA", "ATTEMPT", "STATE", "AGENT", "REASON"]);
    for replica in replicas {
        table.row(vec![
            cell(replica.name(), Tone::Plain),
            cell(replica.attempt, Tone::Plain),
            cell(replica.state_text(), replica.tone()),
            cell(replica.agent.as_deref().unwrap_or("-"), Tone::Plain),
            cell(replica.reason.as_deref().unwrap_or_default(), Tone::Plain),
        ]);
    }
    table.into_text()
}

/// How the attempts of a replica went, and what the last one that failed wrote in the end; `None`: nothing is on record.
pub(crate) fn trouble(replica: &ReplicaView) -> Option<String> {
    let last = replica.attempts.last()?;
    let mut lines = vec![format!("{}:", replica.name())];
    let mut before: Option<&AttemptView> = None;
    for attempt in &replica.attempts {
        let pause = before.and_then(|before| Some(when::took(when::between(before.ended_at?, attempt.claimed_at?))));
        let again = pause.map(|pause| format!(", tried again after {pause}")).unwrap_or_default();
        let end = paint(attempt.tone(), &attempt.end_text());
        let took = attempt.claimed_at.zip(attempt.ended_at).map(|(from, to)| when::took(when::between(from, to)));
        let took = took.map(|took| format!(" ({took})")).unwrap_or_default();
        lines.push(format!("  attempt {} on {}{again}: {end}{took}", attempt.attempt, escape::text(&attempt.agent)));
        lines.extend(attempt.last_lines.iter().map(|line| format!("    | {}", escape::text(line))));
        before = Some(attempt);
    }
    if replica.state == Doing::Ended && last.has_failed() {
        lines.push("  no retry is left".to_owned());
    }
    lines.push(String::new());
    Some(lines.join("\n"))
}
