//! What is told: one notice, or several that say the same. Pure.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;
use tickmesh_client::views::{replica::detail, run::RunView};
use tickmesh_core::{
    history::RunSummary,
    message::{AppNotice, NoticeRecord, TickRecord},
    name::AppName,
};

use crate::kind::Kind;

/// Texts of a digest that are told in full.
const DIGEST_TEXTS_MAX: usize = 10;
/// Names that are told of the apps of one storm.
const NAMES_MAX: usize = 5;

/// One notice, as it is posted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Notice {
    /// Id of the notice. A notice that is posted again has the same id, so that a receiver can leave out repeats.
    pub id: String,
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// When it happened.
    pub at: Timestamp,
    /// The app; `null`: it is about the mesh, or several apps.
    pub app: Option<String>,
    /// For people, in one line.
    pub text: String,
    /// What opens and what closes an incident have the same here.
    pub incident: String,
    /// Where to look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The last lines that the run wrote.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
    /// Ids of the notices that this one stands for, if it stands for several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
    /// The message as it is on its subject.
    pub message: serde_json::Value,
    /// What notices have in common that say the same of several apps.
    #[serde(skip)]
    pub same: String,
    /// The run that it is about.
    #[serde(skip)]
    pub run: Option<u64>,
}

impl Notice {
    /// Of an app. `summary` is that of the run that ended, and `tick` the tick that was dropped, if they are at hand.
    pub fn of_app(record: &NoticeRecord, summary: Option<&RunSummary>, tick: Option<&TickRecord>) -> Option<Self> {
        let NoticeRecord { number, app, at, notice, .. } = record;
        let kind = Kind::of_app(notice);
        let numbered = || format!("notice-{app}-{number}");
        let (id, incident) = match notice {
            AppNotice::Failed { run, .. } | AppNotice::Recovered { run, .. } => {
                (format!("run-{app}-{run}"), format!("failing-{app}"))
            }
            AppNotice::Pending { .. } | AppNotice::Placed { .. } => (numbered(), format!("pending-{app}")),
            AppNotice::Overdue { .. } | AppNotice::OnTime { .. } => (numbered(), format!("overdue-{app}")),
            AppNotice::Long { run, .. } | AppNotice::LongOver { run, .. } => (numbered(), format!("long-{app}-{run}")),
            AppNotice::Dropped { tick, .. } => (format!("tick-{app}-{tick}"), format!("dropped-{app}")),
            AppNotice::Invalid { .. } | AppNotice::Valid => (numbered(), format!("invalid-{app}")),
        };
        let (text, same) = words(app, notice, summary);
        let message = match (summary, tick) {
            (Some(summary), _) => serde_json::to_value(summary),
            (None, Some(tick)) => serde_json::to_value(tick),
            (None, None) => serde_json::to_value(record),
        };
        Some(Self {
            id,
            kind,
            at: summary.map_or(*at, |summary| summary.finished_at),
            app: Some(app.to_string()),
            text,
            incident,
            link: None,
            last_lines: Vec::new(),
            notices: Vec::new(),
            message: message.ok()?,
            same,
            run: run_of(notice),
        })
    }

    /// Of the mesh.
    pub(crate) fn of_mesh(kind: Kind, id: String, at: Timestamp, incident: String, text: String) -> Self {
        let message = serde_json::Value::Null;
        let (link, last_lines, notices) = (None, Vec::new(), Vec::new());
        let (same, run) = (String::new(), None);
        Self { id, kind, at, app: None, text, incident, link, last_lines, notices, message, same, run }
    }

    /// What somebody sends to see whether a target works.
    pub fn test(target: &str, by: &str, at: Timestamp, id: String) -> Self {
        let text = format!("tickmesh: this is a test of the target {target}, sent by {by}");
        Self::of_mesh(Kind::Test, id, at, format!("test-{target}"), text)
    }

    /// Several notices of one kind that say the same, as one.
    pub(crate) fn storm(notices: &[Self]) -> Option<Self> {
        let first = notices.first()?;
        let names: Vec<&str> = notices.iter().filter_map(|notice| notice.app.as_deref()).take(NAMES_MAX).collect();
        let more = if notices.len() > names.len() { " ..." } else { "" };
        let text = format!("{} apps {} ({}{more})", notices.len(), first.same, names.join(", "));
        Some(Self::together(notices, first.kind, text))
    }

    /// Notices of any kind that there is no room for, as one.
    pub(crate) fn digest(notices: &[Self]) -> Option<Self> {
        let first = notices.first()?;
        let mut text = format!("{} more notices:", notices.len());
        for notice in notices.iter().take(DIGEST_TEXTS_MAX) {
            let _infallible = write!(text, "\n- {}", notice.text);
        }
        if notices.len() > DIGEST_TEXTS_MAX {
            let _infallible = write!(text, "\n- and {} others", notices.len() - DIGEST_TEXTS_MAX);
        }
        Some(Self { kind: Kind::Digest, ..Self::together(notices, first.kind, text) })
    }

    fn together(notices: &[Self], kind: Kind, text: String) -> Self {
        let (first, last) = (&notices[0], &notices[notices.len() - 1]);
        let id = format!("several-{}", first.id);
        let ids = notices.iter().flat_map(|notice| match notice.notices.as_slice() {
            [] => vec![notice.id.clone()],
            several => several.to_vec(),
        });
        Self { notices: ids.collect(), ..Self::of_mesh(kind, id.clone(), last.at, id, text) }
    }
}

/// The run that a notice is about.
pub(crate) fn run_of(notice: &AppNotice) -> Option<u64> {
    match notice {
        AppNotice::Failed { run, .. }
        | AppNotice::Recovered { run, .. }
        | AppNotice::Pending { run, .. }
        | AppNotice::Placed { run }
        | AppNotice::Long { run, .. }
        | AppNotice::LongOver { run, .. } => Some(*run),
        AppNotice::OnTime { run } => *run,
        AppNotice::Overdue { .. } | AppNotice::Dropped { .. } | AppNotice::Invalid { .. } | AppNotice::Valid => None,
    }
}

/// The sentence, and what several apps of which it is true have in common, after "apps".
fn words(app: &AppName, notice: &AppNotice, summary: Option<&RunSummary>) -> (String, String) {
    match notice {
        AppNotice::Failed { run, outcome, failures } => {
            let again = if *failures > 1 { format!(", {failures} failures in a row") } else { String::new() };
            let text = summary.map_or_else(|| format!("run {app}/{run} {outcome}"), ended);
            (text + &again, "failed".to_owned())
        }
        AppNotice::Recovered { run, failures } => {
            let runs = if *failures == 1 { "1 failed run".to_owned() } else { format!("{failures} failed runs") };
            let text = summary.map_or_else(|| format!("run {app}/{run} succeeded"), ended);
            (format!("{text}, after {runs}"), "recovered".to_owned())
        }
        AppNotice::Pending { run, since, reason } => {
            (format!("run {app}/{run} has waited for an agent since {since:.0}: {reason}"), format!("wait: {reason}"))
        }
        AppNotice::Placed { run } => (
            format!("run {app}/{run} does not wait for an agent any more"),
            "do not wait for an agent any more".to_owned(),
        ),
        AppNotice::Overdue { since, expect_success_ms } => {
            let within = duration(*expect_success_ms);
            let text = format!(
                "app {app} is overdue: no run has succeeded since {since:.0}, and one is expected every {within}"
            );
            (text, "are overdue".to_owned())
        }
        AppNotice::OnTime { run: Some(run) } => (
            format!("app {app} is not overdue any more: run {app}/{run} succeeded"),
            "are not overdue any more".to_owned(),
        ),
        AppNotice::OnTime { run: None } => (
            format!("app {app} is not overdue any more: no success is expected"),
            "are not overdue any more".to_owned(),
        ),
        AppNotice::Long { run, started_at, warn_after_ms } => {
            let limit = duration(*warn_after_ms);
            let text = format!("run {app}/{run} goes on since {started_at:.0}, which is longer than {limit}");
            (text, "have runs that go on for too long".to_owned())
        }
        AppNotice::LongOver { run, outcome } => (
            format!("run {app}/{run}, which went on for long, has ended: {outcome}"),
            "have ended long runs".to_owned(),
        ),
        AppNotice::Dropped { scheduled_at, reason, ticks: 1, .. } => {
            (format!("app {app}: the tick of {scheduled_at:.0} was dropped: {reason}"), format!("drop ticks: {reason}"))
        }
        AppNotice::Dropped { scheduled_at, reason, ticks, .. } => {
            let text = format!("app {app}: {ticks} ticks up to {scheduled_at:.0} were dropped: {reason}");
            (text, format!("drop ticks: {reason}"))
        }
        AppNotice::Invalid { reason } => (
            format!("app {app} is not valid any more, and does not run: {reason}"),
            "are not valid any more".to_owned(),
        ),
        AppNotice::Valid => (format!("app {app} is valid again, or removed"), "are valid again".to_owned()),
    }
}

/// How a run ended, with its replicas.
fn ended(summary: &RunSummary) -> String {
    let view = RunView::of_summary(summary);
    let detail = detail(&summary.outcome).map(|detail| format!(" ({detail})")).unwrap_or_default();
    let (name, outcome) = (view.name(), summary.outcome.label());
    format!("run {name} {outcome}{detail}, {} of {} replicas succeeded", view.succeeded, view.replicas.len())
}

/// A duration as labels write it.
fn duration(ms: u64) -> String {
    let (mut rest, mut text) = (ms / 1_000, String::new());
    for (unit, seconds) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        if rest >= seconds {
            let _infallible = write!(text, "{}{unit}", rest / seconds);
            rest %= seconds;
        }
    }
    if text.is_empty() { format!("{ms}ms") } else { text }
}

#[cfg(test)]
mod tests {
    use tickmesh_core::{
        ledger::Cause,
        message::{DropReason, SCHEMA},
        outcome::Outcome,
    };
    use tickmesh_testkit::records;

    use super::*;

    fn record(notice: AppNotice) -> NoticeRecord {
        NoticeRecord { schema: SCHEMA, number: 12, app: records::app(), at: records::now(), notice }
    }

    fn notice(of: AppNotice) -> Notice {
        Notice::of_app(&record(of), None, None).unwrap()
    }

    #[track_caller]
    fn check(of: AppNotice, id: &str, kind: &str, text: &str) {
        let told = serde_json::to_value(notice(of)).unwrap();
        assert_eq!(
            (told["id"].as_str(), told["type"].as_str(), told["text"].as_str()),
            (Some(id), Some(kind), Some(text))
        );
    }

    #[test]
    fn each_notice_has_an_id_a_type_and_a_sentence() {
        let (at, run) = (records::now(), 7);
        check(
            AppNotice::Failed { run, outcome: Outcome::failed(3), failures: 2 },
            "run-nightly-7",
            "run_failed",
            "run nightly/7 failed (exit code 3), 2 failures in a row",
        );
        check(
            AppNotice::Recovered { run, failures: 1 },
            "run-nightly-7",
            "run_recovered",
            "run nightly/7 succeeded, after 1 failed run",
        );
        check(
            AppNotice::Pending { run, since: at, reason: "no agent is known".to_owned() },
            "notice-nightly-12",
            "run_pending",
            "run nightly/7 has waited for an agent since 2026-11-22T08:00:00Z: no agent is known",
        );
        check(
            AppNotice::Overdue { since: at, expect_success_ms: 93_600_000 },
            "notice-nightly-12",
            "app_overdue",
            "app nightly is overdue: no run has succeeded since 2026-11-22T08:00:00Z, and one is expected every 1d2h",
        );
        check(
            AppNotice::Dropped { tick: 4, scheduled_at: at, reason: DropReason::QueueFull, ticks: 1 },
            "tick-nightly-4",
            "tick_dropped",
            "app nightly: the tick of 2026-11-22T08:00:00Z was dropped: the queue is full",
        );
        check(AppNotice::Valid, "notice-nightly-12", "app_valid", "app nightly is valid again, or removed");
    }

    #[test]
    fn of_a_run_whose_summary_is_known_the_replicas_are_told() {
        let summary = records::summary(7, Cause::Schedule, &[Outcome::failed(3), Outcome::Succeeded]);
        let failed = AppNotice::Failed { run: 7, outcome: Outcome::failed(3), failures: 1 };
        let told = Notice::of_app(&record(failed), Some(&summary), None).unwrap();
        assert_eq!(told.text, "run nightly/7 failed (exit code 3), 1 of 2 replicas succeeded");
        assert_eq!((&told.message["run"], told.at), (&serde_json::json!(7), summary.finished_at));
    }

    #[test]
    fn what_opens_and_what_closes_is_one_incident() {
        let (at, run) = (records::now(), 7);
        let pairs = [
            (
                AppNotice::Failed { run: 3, outcome: Outcome::TimedOut, failures: 1 },
                AppNotice::Recovered { run, failures: 1 },
            ),
            (AppNotice::Pending { run, since: at, reason: String::new() }, AppNotice::Placed { run }),
            (AppNotice::Overdue { since: at, expect_success_ms: 1 }, AppNotice::OnTime { run: None }),
            (
                AppNotice::Long { run, started_at: at, warn_after_ms: 1 },
                AppNotice::LongOver { run, outcome: Outcome::Succeeded },
            ),
            (AppNotice::Invalid { reason: String::new() }, AppNotice::Valid),
        ];
        for (opens, closes) in pairs.map(|(opens, closes)| (notice(opens), notice(closes))) {
            assert_eq!(opens.incident, closes.incident);
            assert!(opens.kind.opens() && closes.kind.closes(), "{opens:?} {closes:?}");
        }
    }

    #[test]
    fn a_storm_is_one_message_and_so_is_what_finds_no_room() {
        let pending = |app: &str| {
            let reason = "0 of 3 agents have disk=ssd".to_owned();
            let record = record(AppNotice::Pending { run: 1, since: records::now(), reason });
            Notice::of_app(&NoticeRecord { app: AppName::new(app).unwrap(), ..record }, None, None).unwrap()
        };
        let all: Vec<_> = (0..37).map(|number| pending(&format!("a{number}"))).collect();
        let storm = Notice::storm(&all).unwrap();
        assert_eq!(storm.text, "37 apps wait: 0 of 3 agents have disk=ssd (a0, a1, a2, a3, a4 ...)");
        assert_eq!((storm.notices.len(), storm.kind, storm.app.as_deref()), (37, Kind::RunPending, None));
        let digest = Notice::digest(&[storm, notice(AppNotice::Valid)]).unwrap();
        assert_eq!((digest.kind, digest.notices.len()), (Kind::Digest, 38));
        assert!(digest.text.starts_with("2 more notices:\n- 37 apps wait"), "{}", digest.text);
    }
}
