//! Schedules, judged from outside: tables of what crontab says, an oracle written from Vixie's rules, and the days on
//! which clocks jump. Everything uses jiff's bundled zone tables, so results do not depend on the host.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests, which clippy only sees inside of `#[test]`")]

mod count;
mod croner;
mod expressions;
mod hostile;
mod oracle;
mod period;
mod random;
mod refusals;
mod several;
mod transitions;
mod zones;

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use jiff::{Timestamp, tz::TimeZoneDatabase};
use tickmesh_core::schedule::Schedule;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

#[track_caller]
fn schedule_in(zone: &str, expression: &str) -> Schedule {
    match Schedule::parse(expression, zone, &ZONES) {
        Ok(schedule) => schedule,
        Err(error) => panic!("`{expression}` in {zone}: {error}"),
    }
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The instants of `schedule` in `(after, through]`, by asking for one after the other.
fn instants(schedule: &Schedule, after: Timestamp, through: Timestamp) -> Vec<Timestamp> {
    let next = |instant: &Timestamp| schedule.next_after(*instant);
    std::iter::successors(next(&after), next).take_while(|instant| *instant <= through).collect()
}

/// How long `work` takes: the best of three, because the machine may be busy with other things.
#[expect(clippy::disallowed_methods, reason = "what work costs can only be measured")]
fn time_of<T>(work: impl Fn() -> T) -> Duration {
    let once = || {
        let started = Instant::now();
        std::hint::black_box(work());
        started.elapsed()
    };
    once().min(once()).min(once())
}
