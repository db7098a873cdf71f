//! Faults of engines, images and containers. `TICKMESH_FAULTS` names the file for the table, and then an engine stands still for as
//! long as the table says; without it for a shorter time. What is done to an engine is done to one of the test's own, which takes root.

use std::{fs, time::Duration};

use futures_util::future::join_all;
use tickmesh_tests::engine_faults::{Fault, Measured, play, table};

/// Faults that are played at once, each in a mesh of its own.
const AT_ONCE: usize = 2;
/// Where the table goes.
const VARIABLE: &str = "TICKMESH_FAULTS";
/// How long an engine is away for the table.
const AWAY: Duration = Duration::from_secs(30);
/// How soon the end of an attempt has to be known once everything is well again.
const KNOWN_WITHIN: Duration = Duration::from_secs(10);

const HEAD: &str = "\
# One host, one job, one thing that goes wrong

`make faults` writes this table: a real agent on a Docker engine of its own, one container, and one fault. An engine that stands still
or has no socket does so for 30 s. The last column counts from the fault, or from when the engine was well again, until what became of it
was stored.

";

fn judge(fault: Fault, measured: &Measured) {
    assert!(fault.is_right(measured), "{fault}: {measured:?}");
    assert!(measured.known_after < KNOWN_WITHIN, "{fault}: {measured:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_an_engine_ends_as_people_expect() {
    let file = std::env::var(VARIABLE).ok();
    let lasts = if file.is_some() { AWAY } else { Duration::ZERO };
    let owns_engines = file.is_some() || rustix::process::geteuid().is_root();
    let (of_engine, others): (Vec<Fault>, Vec<Fault>) = Fault::ALL.into_iter().partition(|fault| fault.is_of_engine());
    if !owns_engines {
        assert!(std::env::var_os("CI").is_none(), "{} faults of engines take root", of_engine.len());
        eprintln!("SKIPPED, for it takes root to have an engine of one's own:");
        of_engine.iter().for_each(|fault| eprintln!("- {fault}"));
    }
    let faults = if owns_engines { Fault::ALL.to_vec() } else { others };
    let mut rows = Vec::new();
    for faults in faults.chunks(AT_ONCE) {
        let plays = faults.iter().map(|&fault| async move {
            let measured = Box::pin(play(fault, lasts)).await;
            println!("{fault}: {measured:?}");
            (fault, measured)
        });
        rows.extend(join_all(plays).await);
    }
    if let Some(file) = file {
        fs::write(&file, format!("{HEAD}{}", table(&rows))).expect("write the table");
    }
    for (fault, measured) in &rows {
        judge(*fault, measured);
    }
}
