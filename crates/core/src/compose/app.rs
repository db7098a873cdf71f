//! The app: what its labels come to together, and which of them contradict each other or come to nothing.

use super::{
    labels::{AppLabels, Labels},
    reader::Reader,
    value::duration_text,
};
use crate::{
    name::AppName,
    schedule::Schedule,
    spec::{AppSpec, Overlap, RunSpec, ServiceSpec},
};

/// Labels that only say something about the ticks of a schedule.
const OF_SCHEDULES: [&str; 4] = ["timezone", "misfire", "start_deadline", "jitter"];

/// What a run of the app is.
pub(super) fn run_spec(labels: &Labels<AppLabels>, services: Vec<ServiceSpec>) -> RunSpec {
    RunSpec {
        timeout: labels.timeout,
        on_disconnect: labels.on_disconnect,
        on_lost: labels.on_lost,
        ..RunSpec::new(services)
    }
}

/// The app. `schedule` is `None` as well if it could not be read.
pub(super) fn app_spec(
    reader: &mut Reader<'_>,
    name: &AppName,
    labels: &Labels<AppLabels>,
    schedule: Option<Schedule>,
    run: RunSpec,
) -> AppSpec {
    let spec = AppSpec::new(name.clone(), run);
    let spec = AppSpec {
        schedule,
        overlap: overlap(labels).unwrap_or(spec.overlap),
        queue_limit: labels.queue_limit.unwrap_or(spec.queue_limit),
        misfire: labels.misfire,
        start_deadline: labels.start_deadline,
        jitter: labels.jitter.unwrap_or(spec.jitter),
        expect_success: labels.expect_success,
        warn_after: labels.warn_after,
        notify: labels.notify.clone(),
        paused: labels.paused,
        about: labels.about.clone(),
        ..spec
    };
    check_max_active(reader, labels);
    check_replace(reader, labels, &spec);
    check_jitter(reader, labels, &spec);
    check_labels_of_schedules(reader, labels);
    spec
}

fn overlap(labels: &AppLabels) -> Option<Overlap> {
    match (labels.overlap?, labels.max_active) {
        (Overlap::Allow { .. }, Some(max_active)) => Some(Overlap::Allow { max_active }),
        (overlap, _) => Some(overlap),
    }
}

/// A bound of runs at once would raise hopes where there is one at a time.
fn check_max_active(reader: &mut Reader<'_>, labels: &Labels<AppLabels>) {
    let Some(given) = labels.given("max_active") else { return };
    let may_overlap = match labels.overlap {
        Some(Overlap::Allow { .. }) => true,
        // What could not be read has been reported, and may have been meant so.
        None => labels.given("overlap").is_some(),
        Some(Overlap::Queue | Overlap::Skip | Overlap::Replace) => false,
    };
    if !may_overlap {
        let message = format!("`{}` is of use only where runs may overlap", given.name);
        reader.report.error_with_hint(given.place.clone(), message, "add the label `tickmesh.overlap: allow`");
    }
}

/// The tick that replaces a run has to wait for its end.
fn check_replace(reader: &mut Reader<'_>, labels: &Labels<AppLabels>, spec: &AppSpec) {
    let Some(given) = labels.given("queue_limit") else { return };
    if spec.overlap == Overlap::Replace && spec.queue_limit == 0 {
        let message = format!(
            "`{}` is 0, but with `overlap: replace` one tick has to wait for the end of the run that it replaces",
            given.name
        );
        reader.report.error_with_hint(given.place.clone(), message, "remove it, or let at least 1 wait");
    }
}

/// A tick that is due later than the next one would come out of order.
fn check_jitter(reader: &mut Reader<'_>, labels: &Labels<AppLabels>, spec: &AppSpec) {
    let (Some(given), Some(schedule)) = (labels.given("jitter"), &spec.schedule) else { return };
    if spec.jitter.is_zero() {
        return;
    }
    let period = schedule.shortest_period();
    if spec.jitter >= period {
        let period = duration_text(period);
        let message = format!(
            "`{}` is {}, but instants of this schedule are as little as {period} apart",
            given.name,
            duration_text(spec.jitter)
        );
        reader.report.error_with_hint(given.place.clone(), message, format!("write less than {period}"));
    }
}

fn check_labels_of_schedules(reader: &mut Reader<'_>, labels: &Labels<AppLabels>) {
    if labels.given("schedule").is_some() {
        return;
    }
    for given in OF_SCHEDULES.into_iter().filter_map(|name| labels.given(name)) {
        let message = format!("`{}` has no effect: the app has no schedule", given.name);
        reader.report.warning(given.place.clone(), message);
    }
}
