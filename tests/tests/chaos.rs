//! No instant is lost or decided twice, and no two runs of an app overlap, whatever is killed, frozen, cut off or restarted.

use std::path::Path;

use tickmesh_tests::chaos::{Fault, Figures, Row, json, markdown, play};

const FLEET: &str = env!("CARGO_BIN_EXE_fleet");

async fn check(row: Row) -> Figures {
    let figures = play(Path::new(FLEET), row).await;
    println!("{}", markdown(std::slice::from_ref(&figures)));
    let verdict = &figures.verdict;
    assert!(verdict.is_clean(), "{row}: {:#}", json(std::slice::from_ref(&figures)));
    figures
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_costs_nothing() {
    check(Row::new(Fault::LeaderKilled, 3)).await;
}
