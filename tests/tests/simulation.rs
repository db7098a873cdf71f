//! A simulated mesh under thousands of seeded histories of faults: guarantees G1 to G8 and G10.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use tickmesh_testkit::sim::{self, FAULTS_MIN, INPUTS_MIN, Summary};

/// Histories of one test run: some tens of seconds. `make sim` plays more.
const SEEDS_DEFAULT: u64 = 3_000;
/// Says how many histories are played.
const SEEDS_VARIABLE: &str = "TICKMESH_SEEDS";
/// Says which seed is the first.
const FIRST_SEED_VARIABLE: &str = "TICKMESH_FIRST_SEED";
/// Names a seed that is to be replayed.
const SEED_VARIABLE: &str = "TICKMESH_SEED";

#[test]
fn no_history_breaks_a_guarantee() {
    let (first, seeds) = (number(FIRST_SEED_VARIABLE, 0), number(SEEDS_VARIABLE, SEEDS_DEFAULT));
    let begun = Instant::now();
    let total = play_all(first, seeds).unwrap_or_else(|failure| panic!("{failure}"));
    println!("{seeds} histories from seed {first} on in {:?}: {total:#?}", begun.elapsed());
    assert!(total.inputs >= seeds * INPUTS_MIN && total.fault_count() >= seeds * FAULTS_MIN, "too little happened");
    // A few histories, played to look for something, need not have everything.
    if seeds >= SEEDS_DEFAULT {
        assert_eq!(total.missing_faults(), [], "kinds of faults that never occurred");
        assert!(total.runs > seeds && total.containers > seeds, "{} runs, {} containers", total.runs, total.containers);
    }
}

/// Plays the history that `TICKMESH_SEED` names, or the first one, twice.
#[test]
fn replay_of_a_seed_is_the_same_history() {
    // With RUST_LOG=debug it tells what happens, step by step.
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "off".into());
    tracing_subscriber::fmt().with_env_filter(filter).without_time().init();
    let seed = number(SEED_VARIABLE, 0);
    let [first, second] = [play(seed), play(seed)].map(|played| played.unwrap_or_else(|failure| panic!("{failure}")));
    println!("seed {seed}: {first:#?}");
    assert_eq!(first, second);
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a seed or a count of seeds is a number"))
}

/// Every seed once, on all processors.
fn play_all(first: u64, seeds: u64) -> Result<Summary, String> {
    let next = AtomicU64::new(first);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(|| play_some(&next, first + seeds))).collect();
        let mut total = Summary::default();
        for worker in workers {
            total.add(&worker.join().expect("a worker returns its failure")?);
        }
        Ok(total)
    })
}

/// Seeds until there are no more, or one fails.
fn play_some(next: &AtomicU64, end: u64) -> Result<Summary, String> {
    let mut total = Summary::default();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return Ok(total);
        }
        total.add(&play(seed)?);
    }
}

fn play(seed: u64) -> Result<Summary, String> {
    let command = "cargo test -p tickmesh-tests --test simulation -- replay --nocapture";
    sim::run(seed).map_err(|error| format!("{error:#}\n\nreplay it: {SEED_VARIABLE}={seed} {command}\n"))
}
