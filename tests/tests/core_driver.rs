//! The pure core under thousands of seeded histories of faults: guarantees G1 to G4, G6 and G7.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use tickmesh_testkit::core_driver::{self, INPUTS_MIN, Summary};

/// Histories of one test run: seeds 0 and up.
const SEEDS: u64 = 2_000;

/// Names a seed that is to be replayed.
const SEED_VARIABLE: &str = "TICKMESH_SEED";

#[test]
fn no_history_breaks_a_guarantee() {
    let total = play_all().unwrap_or_else(|failure| panic!("{failure}"));
    println!("{SEEDS} histories: {total:#?}");
    assert_eq!(total.missing_faults(), [], "kinds of faults that never occurred");
    assert!(total.inputs >= SEEDS * INPUTS_MIN, "{} inputs", total.inputs);
    assert!(total.runs > SEEDS && total.containers > SEEDS, "{} runs, {} containers", total.runs, total.containers);
}

/// Plays the history that `TICKMESH_SEED` names, or the first one, twice.
#[test]
fn replay_of_a_seed_is_the_same_history() {
    let seed = std::env::var(SEED_VARIABLE).map_or(0, |text| text.parse().expect("a seed is a number"));
    let [first, second] = [play(seed), play(seed)].map(|played| played.unwrap_or_else(|failure| panic!("{failure}")));
    println!("seed {seed}: {first:#?}");
    assert_eq!(first, second);
}

/// Every seed once, on all processors.
fn play_all() -> Result<Summary, String> {
    let next = AtomicU64::new(0);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(|| play_some(&next))).collect();
        let mut total = Summary::default();
        for worker in workers {
            total.add(&worker.join().expect("a worker returns its failure")?);
        }
        Ok(total)
    })
}

/// Seeds until there are no more, or one fails.
fn play_some(next: &AtomicU64) -> Result<Summary, String> {
    let mut total = Summary::default();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= SEEDS {
            return Ok(total);
        }
        total.add(&play(seed)?);
    }
}

fn play(seed: u64) -> Result<Summary, String> {
    let command = "cargo test -p tickmesh-tests --test core_driver -- replay --nocapture";
    core_driver::run(seed).map_err(|error| format!("{error:#}\n\nreplay it: {SEED_VARIABLE}={seed} {command}\n"))
}
