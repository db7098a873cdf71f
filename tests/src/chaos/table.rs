//! The figures for people, as a table in Markdown, and for programs, as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Figures, judge::Verdict};

/// The table.
pub fn markdown(rows: &[Figures]) -> String {
    let mut lines = vec![
        "| fault | times | instants | lost | doubled | overlaps | other | coalesced | dropped | containers | killed | next tick p50 | p99 | max | of that late p50 | p99 | max |"
            .to_owned(),
        format!("|{}", "---|".repeat(17)),
    ];
    lines.extend(rows.iter().map(|figures| {
        let Figures { row, verdict, next, late, .. } = figures;
        let Verdict { instants, lost, doubled, overlaps, unexcused, coalesced, dropped, killed, containers } = verdict;
        let (lost, doubled, overlaps, other) = (lost.len(), doubled.len(), overlaps.len(), unexcused.len());
        let times = |times: &[Duration]| quantiles(times).map_or_else(|| vec!["-".to_owned(); 3], |it| it.map(seconds).to_vec()).join(" | ");
        format!(
            "| {row} | {} | {instants} | {lost} | {doubled} | {overlaps} | {other} | {coalesced} | {dropped} | {containers} | \
             {killed} | {} | {} |",
            row.times,
            times(next),
            times(late),
        )
    }));
    lines.join("\n") + "\n"
}

/// The figures as JSON, with every finding.
pub fn json(rows: &[Figures]) -> Value {
    let rows = rows.iter().map(|figures| {
        let Figures { row, verdict, next, late, took, said: _ } = figures;
        let Verdict { instants, lost, doubled, overlaps, unexcused, coalesced, dropped, killed, containers } = verdict;
        let times = |times: &[Duration]| {
            let quantiles = quantiles(times).map(|it| it.map(|time| time.as_secs_f64()));
            quantiles.map(|[p50, p99, max]| json!({ "p50": p50, "p99": p99, "max": max }))
        };
        json!({
            "fault": row.to_string(),
            "times": row.times,
            "apps": row.apps,
            "period_seconds": row.period,
            "instants": instants,
            "lost": lost,
            "doubled": doubled,
            "overlaps": overlaps,
            "other": unexcused,
            "coalesced": coalesced,
            "dropped": dropped,
            "containers": containers,
            "containers_killed": killed,
            "next_tick_seconds": times(next),
            "late_seconds": times(late),
            "took_seconds": took.as_secs_f64(),
        })
    });
    rows.collect()
}

/// Median, 99th percentile and maximum of sorted times, if there are any.
fn quantiles(sorted: &[Duration]) -> Option<[Duration; 3]> {
    let at = |share: f64| {
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied()
    };
    Some([at(0.5)?, at(0.99)?, at(1.0)?])
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
