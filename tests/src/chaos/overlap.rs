//! Whether two runs of an app, or two containers of a replica, ran at the same time.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::lives::Life;

/// From a first start to a last end; one without an end goes on for ever.
type Span = (Timestamp, Timestamp);

/// Adds what ran at the same time. `lives` are the containers of one app, which never runs twice at once.
pub(super) fn judge(app: &str, lives: &[&Life], overlaps: &mut Vec<String>) {
    let mut runs: BTreeMap<(u64, &str), Span> = BTreeMap::new();
    let mut replicas: BTreeMap<(u64, &str, u32), Vec<Span>> = BTreeMap::new();
    for life in lives {
        let (attempt, span) = (&life.attempt, span(life));
        let run = runs.entry((attempt.run, &attempt.uid)).or_insert(span);
        *run = (run.0.min(span.0), run.1.max(span.1));
        replicas.entry((attempt.run, &attempt.service, attempt.replica)).or_default().push(span);
    }
    let mut runs: Vec<_> = runs.into_iter().map(|((run, _), span)| (span, run)).collect();
    runs.sort();
    for ((earlier, one), (later, other)) in pairs(&runs) {
        if later.0 < earlier.1 {
            overlaps.push(format!("{app}: run {other} began at {}, and run {one} ended at {}", later.0, earlier.1));
        }
    }
    for ((run, service, replica), mut spans) in replicas {
        spans.sort();
        if pairs(&spans).any(|(earlier, later)| later.0 < earlier.1) {
            overlaps.push(format!("{app}: two containers of replica {replica} of {service} of run {run} at once"));
        }
    }
}

fn span(life: &Life) -> Span {
    (life.started, life.ended.map_or(Timestamp::MAX, |(at, _)| at))
}

/// Each with its successor.
fn pairs<T: Copy>(sorted: &[T]) -> impl Iterator<Item = (T, T)> {
    sorted.windows(2).map(|pair| (pair[0], pair[1]))
}
