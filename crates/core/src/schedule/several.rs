//! Several schedules as one: due at the instants of all of them. An instant that two have is one.

use jiff::{SignedDuration, Timestamp};

use super::{Schedule, missed::Missed};

/// Instants are whole seconds.
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// The first instant after `after` that any of them has.
pub(super) fn next_after(schedules: &[Schedule], after: Timestamp) -> Option<Timestamp> {
    schedules.iter().filter_map(|schedule| schedule.next_after(after)).min()
}

/// Counts the instants in `(after, through]`. Those of the schedule with the most are counted by
/// the day; those of the others are visited, and looked for in the schedules before.
pub(super) fn count_between(schedules: &[Schedule], after: Timestamp, through: Timestamp) -> Missed {
    let mut counted: Vec<(&Schedule, Missed)> =
        schedules.iter().map(|schedule| (schedule, schedule.count_between(after, through))).collect();
    counted.sort_by_key(|(_, missed)| std::cmp::Reverse(missed.count));
    let Some(((_, most), others)) = counted.split_first() else { return Missed::default() };
    let mut total = *most;
    for (index, (schedule, missed)) in others.iter().enumerate() {
        let before = &counted[..=index];
        let next = |instant: &Timestamp| schedule.next_after(*instant);
        let instants = std::iter::successors(next(&after), next).take_while(|instant| *instant <= through);
        let new = instants.filter(|instant| !before.iter().any(|(schedule, _)| has(schedule, *instant)));
        total.count += new.fold(0, |count, _| count + 1);
        total.last = total.last.max(missed.last);
    }
    total
}

fn has(schedule: &Schedule, instant: Timestamp) -> bool {
    let before = instant.checked_sub(SECOND);
    before.is_ok_and(|before| schedule.next_after(before) == Some(instant))
}
