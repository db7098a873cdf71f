//! What processes take of the machine, as the kernel counts it.

use std::{fs, time::Duration};

/// The kernel counts processor time in hundredths of a second, on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// Time that a process has been on a processor.
///
/// # Panics
///
/// If it has ended.
pub fn processor_time(process: u32) -> Duration {
    let stat = read(&format!("/proc/{process}/stat"));
    // User and system time are fields 14 and 15, counted behind the name, which may contain anything.
    let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
    TICK * fields.split_whitespace().skip(11).take(2).map(number).sum::<u32>()
}

/// Time that the whole machine has been busy, all processors together.
///
/// # Panics
///
/// If the kernel does not tell.
pub fn machine_busy() -> Duration {
    let stat = read("/proc/stat");
    let fields = stat.lines().next().and_then(|line| line.strip_prefix("cpu ")).expect("the line of all processors");
    let ticks: Vec<u32> = fields.split_whitespace().map(number).collect();
    // User, nice, system, idle, waiting for a disk, interrupts, soft interrupts.
    let [user, nice, system, _, _, interrupts, soft, ..] = ticks[..] else { panic!("`{fields}` has seven fields") };
    TICK * (user + nice + system + interrupts + soft)
}

/// Memory of a process, in KiB.
///
/// # Panics
///
/// If it has ended.
pub fn resident_kib(process: u32) -> u64 {
    let status = read(&format!("/proc/{process}/status"));
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}

fn number(text: &str) -> u32 {
    text.parse().expect("a number of ticks")
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("failed to read {path}: {error}"))
}
