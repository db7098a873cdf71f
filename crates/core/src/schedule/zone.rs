//! Time zones by name.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::error::{Problem, ScheduleError};

/// Longest name that is looked up. The longest of the IANA database has 32 characters.
const ZONE_NAME_LENGTH_MAX: usize = 64;
/// Most typing errors in a name for which the nearest one is suggested.
const ZONE_NAME_TYPOS_MAX: usize = 3;

/// Names that the system's database may have beside the IANA zones. They mean something else on each host.
const HOST_DEPENDENT: [&str; 3] = ["localtime", "posixrules", "Etc/Unknown"];

/// Looks up the zone called `name`, in any case.
pub fn zone(zones: &TimeZoneDatabase, name: &str) -> Result<TimeZone, ScheduleError> {
    let refused = name.len() > ZONE_NAME_LENGTH_MAX || HOST_DEPENDENT.iter().any(|it| it.eq_ignore_ascii_case(name));
    if !refused && let Ok(zone) = zones.get(name) {
        return Ok(zone);
    }
    // A hostile name may be huge: an error message is not the place to repeat it whole.
    let name: String = name.chars().take(ZONE_NAME_LENGTH_MAX).collect();
    let nearest = nearest(zones, &name);
    let error = ScheduleError::from(Problem::UnknownZone(printable(&name)));
    Err(match nearest {
        Some(nearest) => error.hint_is(format!("write `{nearest}`")),
        None => error.hint_is("zones have names like `Asia/Shanghai` or `UTC`"),
    })
}

/// The name with its control characters spelled out: it must not steer the terminal that shows the error.
fn printable(name: &str) -> String {
    let spell = |character: char| match character.is_control() {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    name.chars().map(spell).collect()
}

fn nearest(zones: &TimeZoneDatabase, name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let distance = |zone: &str| strsim::levenshtein(&zone.to_ascii_lowercase(), &lower);
    let city = |zone: &str| zone.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(name));
    let all: Vec<String> = zones.available().map(|zone| zone.as_str().to_owned()).collect();
    let by_city = all.iter().find(|zone| city(zone)).cloned();
    // The distance is at least the difference in length, and costs far more to compute.
    let length = lower.chars().count();
    let is_near = |zone: &&String| zone.len().abs_diff(length) <= ZONE_NAME_TYPOS_MAX;
    let by_distance = || {
        let (distance, zone) = all.iter().filter(is_near).map(|zone| (distance(zone), zone)).min()?;
        (distance <= ZONE_NAME_TYPOS_MAX).then(|| zone.clone())
    };
    by_city.or_else(by_distance)
}
