//! Labels of other schedulers. They look as if they said when a job runs, and say nothing here: so
//! each scheduler's labels are told once, with the line that says the same.

use super::{
    super::{
        reader::Reader,
        report::{Place, quote},
    },
    Other,
};
use crate::schedule::{Form, Schedule, zone_in_front};

/// Beginnings of the labels of other schedulers.
const PREFIXES: [&str; 7] =
    ["ofelia.", "chadburn.", "swarm.cronjob.", "deck-chores.", "mobycron.", "cd.doco.", "net.reddec.scheduler."];
/// Prefix of the scheduler whose files have no replicas until it starts some.
const SWARM_CRONJOB: &str = "swarm.cronjob.";
/// Last words of labels that hold a schedule.
const SCHEDULE_KEYS: [&str; 3] = ["schedule", "cron", "interval"];
/// Words of deck-chores for a schedule, and ours.
const INTERVALS: [(&str, &str); 4] =
    [("hourly", "@hourly"), ("daily", "@daily"), ("weekly", "@weekly"), ("every minute", "* * * * *")];

/// Warns of labels of other schedulers: once for each of these, at its first label.
pub(super) fn warn(reader: &mut Reader<'_>, labels: &[Other]) {
    for prefix in PREFIXES {
        let theirs = || labels.iter().filter(|label| label.name.starts_with(prefix));
        let Some(first) = theirs().next() else { continue };
        let message =
            format!("labels of another scheduler (`{prefix}`) have no effect here; one on the host may heed them");
        // Another schedule of ours would be one too many.
        if reader.is_scheduled {
            reader.report.warning_with_hint(
                first.place.clone(),
                message,
                "remove them: the schedule of this file counts",
            );
            continue;
        }
        let hint = match theirs().find_map(|label| translated(reader, label)) {
            Some(schedule) => format!("write the label `tickmesh.schedule: \"{schedule}\"` instead"),
            None => "the label `tickmesh.schedule` says when to run".to_owned(),
        };
        reader.report.warning_with_hint(first.place.clone(), message, hint);
    }
}

/// Says whether a label is another scheduler's.
pub(super) fn is_foreign(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Says whether labels are among these of the scheduler whose files have `replicas: 0`.
pub(super) fn is_of_swarm_cronjob(labels: &[Other]) -> bool {
    labels.iter().any(|label| label.name.starts_with(SWARM_CRONJOB))
}

/// Returns the schedule that a label holds, as ours.
fn translated(reader: &Reader<'_>, Other { name, value, .. }: &Other) -> Option<String> {
    let last = name.rsplit('.').next()?;
    if !SCHEDULE_KEYS.contains(&last) {
        return None;
    }
    let text = value.trim();
    let text = INTERVALS.iter().find(|(theirs, _)| *theirs == text).map_or(text, |(_, ours)| *ours);
    let in_front = zone_in_front(text);
    let (expression, zone) = match &in_front {
        Some(found) => (found.expression.as_str(), found.zone),
        None => (text, "UTC"),
    };
    let is_schedule = Schedule::parse_as(Form::Any, expression, zone, reader.zones).is_ok();
    is_schedule.then(|| text.to_owned())
}

/// Says what becomes of `replicas: 0`, without which swarm-cronjob would start the job twice.
pub(crate) fn settle_no_replicas(reader: &mut Reader<'_>, place: Place, is_of_swarm_cronjob: bool) {
    let message = format!("{} is for swarm-cronjob, which starts the job itself", quote("replicas: 0"));
    let hint = "remove it: the schedule starts the job here";
    if is_of_swarm_cronjob {
        reader.report.warning_with_hint(place, format!("{message}: it counts as 1"), hint);
    } else {
        reader.report.error_with_hint(place, message, hint);
    }
}
