//! Amounts of what a host has, as people read them.

/// Cores, of which there are thousandths: `2`, `0.5`.
pub fn cores(millis: u64) -> String {
    let text = format!("{}.{:03}", millis / 1000, millis % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Formats a number of cores as a phrase: `1 core`, `0.5 cores`.
pub fn count_of_cores(millis: u64) -> String {
    let noun = if millis == 1000 { "core" } else { "cores" };
    format!("{} {noun}", cores(millis))
}

/// Memory as docker writes it: `1.9GiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut amount = count as f64;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count}B") } else { format!("{amount:.1}{}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_docker_writes_them() {
        assert_eq!([cores(2000), cores(500), cores(1250), cores(0)], ["2", "0.5", "1.25", "0"]);
        assert_eq!([count_of_cores(1000), count_of_cores(1500)], ["1 core", "1.5 cores"]);
        assert_eq!([bytes(0), bytes(1023), bytes(1024), bytes(2_040_109_465)], ["0B", "1023B", "1.0KiB", "1.9GiB"]);
        assert_eq!(bytes(u64::MAX), "16777216.0TiB");
    }
}
