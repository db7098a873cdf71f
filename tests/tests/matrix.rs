//! The fencing matrix: containers never run beside their replacement, whatever happens to their agent, engine or network.
//! `TICKMESH_MATRIX` names the file for the table of all cells; without it three are played.

use std::{fs, path::Path};

use futures_util::future::join_all;
use tickmesh_core::{outcome::Outcome, timing::Timing};
use tickmesh_tests::{
    matrix::{Back, Cell, Fault, Measured, play, table},
    world::timing,
};

const FLEET: &str = env!("CARGO_BIN_EXE_fleet");
/// Cells that are played at once, each in a mesh of its own: they mostly wait.
const AT_ONCE: usize = 3;
/// Where the table goes.
const VARIABLE: &str = "TICKMESH_MATRIX";

const HEAD: &str = "\
# Two hosts, one job, one fault

`make matrix` writes this table. A job runs on a host to which something happens, and another host could take it over. Whether two
of its containers ran at the same time is read from the events of the Docker engines. All clocks of the mesh are five times as fast
as in production; the times that end runs are given at the speed of production, where an agent without a heartbeat is fenced after
45 s and lost after 60 s. The job takes 75 s.

";

fn three() -> Vec<Cell> {
    let cell = |fault, back| Cell { fault, back };
    vec![
        cell(Fault::AgentKilled, Back::Never),
        cell(Fault::AgentStopped, Back::Never),
        cell(Fault::NetworkCut, Back::ALL[2]),
    ]
}

fn judge(cell: Cell, measured: &Measured) {
    let what = format!("{} ({}): {measured:?}", cell.fault, cell.back);
    assert_eq!(measured.outcome, Outcome::Succeeded, "{what}");
    assert!(measured.containers > 0, "no container was seen: {what}");
    if cell.is_excepted() {
        return;
    }
    assert!(measured.overlap.is_zero(), "two containers at once: {what}");
    let containers = if cell.ends_container() { 2 } else { 1 };
    assert_eq!((measured.attempts, measured.containers), (containers, containers), "{what}");
    if cell.ends_container() {
        // The guard did it, and not the end of the job.
        let Timing { fence, kill_margin, .. } = timing();
        assert!(measured.first_ended_after.is_some_and(|after| after < fence + kill_margin), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_two_containers_of_a_replica_run_at_once() {
    let file = std::env::var(VARIABLE).ok();
    let cells = if file.is_some() { Cell::all() } else { three() };
    let mut rows = Vec::new();
    for cells in cells.chunks(AT_ONCE) {
        let plays = cells.iter().map(|&cell| async move {
            let measured = play(Path::new(FLEET), cell).await;
            println!("{} ({}): {measured:?}", cell.fault, cell.back);
            (cell, measured)
        });
        rows.extend(join_all(plays).await);
    }
    if let Some(file) = file {
        fs::write(&file, format!("{HEAD}{}", table(&rows))).expect("write the table");
    }
    for (cell, measured) in &rows {
        judge(*cell, measured);
    }
}
