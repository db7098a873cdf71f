//! Times for people. Programs get RFC 3339 (see `views`).

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

/// From here on a time is told in the next larger unit: "119s" says more than "1m", "120m" does not say more than "2h".
const SECONDS_MAX: u64 = 120;
const MINUTES_MAX: u64 = 120;
const HOURS_MAX: u64 = 48;

/// How long ago, or how soon: `3s ago`, `in 12s`, `now`.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let distance = at.duration_since(now);
    let seconds = distance.unsigned_abs().as_secs();
    match (seconds, distance.is_negative()) {
        (0, _) => "now".to_owned(),
        (_, true) => format!("{} ago", rough(seconds)),
        (_, false) => format!("in {}", rough(seconds)),
    }
}

/// How long something took: `0.42s`, `12s`, `3m05s`, `2h03m`.
pub fn took(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.2}s", duration.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600.. => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Time between two instants; zero if clocks disagree about their order.
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

/// RFC 3339 with the offset that the zone has at that moment.
pub fn in_zone(at: Timestamp, zone: &TimeZone) -> String {
    at.display_with_offset(zone.to_offset(at)).to_string()
}

fn rough(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    if seconds < SECONDS_MAX {
        format!("{seconds}s")
    } else if minutes < MINUTES_MAX {
        format!("{minutes}m")
    } else if hours < HOURS_MAX {
        format!("{hours}h")
    } else {
        format!("{}d", hours / 24)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_relative(seconds: i64, text: &str) {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        assert_eq!(relative(Timestamp::from_second(1_800_000_000 + seconds).unwrap(), now), text);
    }

    #[test]
    fn distances_have_one_unit() {
        check_relative(0, "now");
        check_relative(-3, "3s ago");
        check_relative(12, "in 12s");
        check_relative(-119, "119s ago");
        check_relative(120, "in 2m");
        check_relative(-7_199, "119m ago");
        check_relative(7_200, "in 2h");
        check_relative(-47 * 3600, "47h ago");
        check_relative(48 * 3600, "in 2d");
    }

    #[test]
    fn less_than_a_second_is_now() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        assert_eq!(relative(Timestamp::from_millisecond(1_800_000_000_900).unwrap(), now), "now");
        assert_eq!(relative(Timestamp::from_millisecond(1_799_999_999_100).unwrap(), now), "now");
    }

    #[track_caller]
    fn check_took(milliseconds: u64, text: &str) {
        assert_eq!(took(Duration::from_millis(milliseconds)), text);
    }

    #[test]
    fn durations_are_exact_where_it_matters() {
        check_took(0, "0.00s");
        check_took(420, "0.42s");
        check_took(12_900, "12s");
        check_took(185_000, "3m05s");
        check_took(7_380_000, "2h03m");
    }

    #[test]
    fn instants_carry_the_offset_of_their_zone_at_that_moment() {
        let zone = jiff::tz::TimeZoneDatabase::bundled().get("Europe/Berlin").unwrap();
        let at = |text: &str| in_zone(text.parse().unwrap(), &zone);
        assert_eq!(at("2026-07-01T00:00:00Z"), "2026-07-01T02:00:00+02:00");
        assert_eq!(at("2026-12-01T00:00:00Z"), "2026-12-01T01:00:00+01:00");
        assert_eq!(in_zone("2026-12-01T00:00:00Z".parse().unwrap(), &TimeZone::UTC), "2026-12-01T00:00:00+00:00");
    }
}
