//! No instant is lost or decided twice, and no two runs of an app overlap, whatever is killed, frozen, cut off or restarted.
//! `TICKMESH_CHAOS_TABLE` names the file for the table of every fault many times; without it each happens a few times.
//! `TICKMESH_CHAOS_KILLS` says how often the leader is killed in it, and `TICKMESH_CHAOS_ONLY` picks the faults whose names contain it.

use std::{fs, path::Path};

use futures_util::{StreamExt as _, stream};
use tickmesh_tests::chaos::{Figures, json, markdown, play, rows};

const FLEET: &str = env!("CARGO_BIN_EXE_fleet");
/// Where the table goes.
const TABLE: &str = "TICKMESH_CHAOS_TABLE";
/// Where the same goes as JSON, with every finding.
const JSON: &str = "TICKMESH_CHAOS_JSON";
/// How often the leader is killed in it.
const KILLS: &str = "TICKMESH_CHAOS_KILLS";
const KILLS_DEFAULT: usize = 500;
/// Which faults.
const ONLY: &str = "TICKMESH_CHAOS_ONLY";
/// Rows that are played at once, each on a mesh of its own: they mostly wait. Fewer where times are to be compared.
const AT_ONCE: usize = 4;
const AT_ONCE_FOR_TABLE: usize = 2;

const HEAD: &str = "\
# Faults by the hundred

`make chaos` writes this table. Real schedulers, agents and NATS servers run apps that are due every second, and run for 0.2 s;
something happens to them, again and again; and what comes of it is judged from outside tickmesh. Instants are counted by the test
itself; decisions, orders and ends of runs are read from their streams by a plain NATS client; containers are those of a journal
that an engine in memory keeps, or of Docker's events.

- *Lost*: an instant that was not decided, or a run that began and did not end well.
- *Doubled*: an instant decided twice, two runs for one instant, a number given twice, an attempt with two containers, a replica
  that ran again after its end.
- *Overlaps*: two runs of one app, or two containers of one replica, at the same time.
- *Other*: an instant missed or dropped while nothing was out of order, a process that had to be started again, a ledger that does
  not add up.
- *Coalesced*: instants that were missed between a fault and the first order after it, and became one run with a later one.
- *Dropped*: instants that found three waiting, because no run could end in that time: an outage went on for agents, or Docker was slow.
  Recorded as such.
- *Killed*: containers that somebody ended.
- *Next tick*: from the fault to the first order for a tick due after it, by the clock of NATS. *Of that late*: what of this time came
  after that tick was due.

";

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_loses_or_doubles_anything() {
    let table = std::env::var(TABLE).ok();
    let only = std::env::var(ONLY).unwrap_or_default();
    let kills = std::env::var(KILLS).map_or(KILLS_DEFAULT, |kills| kills.parse().expect("a number of kills"));
    let (rows, at_once) = if table.is_some() { (rows::many(kills), AT_ONCE_FOR_TABLE) } else { (rows::few(), AT_ONCE) };
    let rows = rows.into_iter().filter(|row| row.to_string().contains(&only));
    let playing = stream::iter(rows.enumerate()).map(async |(place, row)| {
        let figures = play(Path::new(FLEET), row).await;
        println!("{row}, after {:?}:\n{}", figures.took, markdown(std::slice::from_ref(&figures)));
        (place, figures)
    });
    let mut played: Vec<(usize, Figures)> = playing.buffer_unordered(at_once).collect().await;
    played.sort_by_key(|(place, _)| *place);
    let played: Vec<_> = played.into_iter().map(|(_, figures)| figures).collect();
    println!("{}\n{:#}", markdown(&played), json(&played));
    if let Some(file) = table {
        fs::write(&file, format!("{HEAD}{}", markdown(&played))).expect("write the table");
    }
    if let Ok(file) = std::env::var(JSON) {
        fs::write(&file, format!("{:#}\n", json(&played))).expect("write the figures");
    }
    let bad: Vec<_> = played.iter().filter(|figures| !figures.verdict.is_clean()).collect();
    let said = bad.iter().map(|figures| format!("{}: {:#?}\n{}", figures.row, figures.verdict, figures.said));
    assert!(bad.is_empty(), "{}", said.collect::<String>());
}
