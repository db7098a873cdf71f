//! Numbers, sizes, durations and the like, as compose files spell them.

use super::*;

#[track_caller]
fn check_size(text: &str, expect: Option<u64>) {
    assert_eq!(size(text).ok(), expect, "{text:?}");
}

#[test]
fn sizes_are_1024_based() {
    check_size("0", Some(0));
    check_size("100000000", Some(100_000_000));
    check_size("1b", Some(1));
    check_size("2k", Some(2048));
    check_size("2kb", Some(2048));
    check_size("2KiB", Some(2048));
    check_size("512m", Some(512 << 20));
    check_size("512 MB", Some(512 << 20));
    check_size("1.5g", Some(3 << 29));
    check_size("0.5G", Some(1 << 29));
    check_size("2t", Some(2 << 40));
    check_size("512Mi", Some(512 << 20));
    check_size("1Gi", Some(1 << 30));
    check_size("1.123456789g", Some(1_206_302_541));
}

#[test]
fn what_is_no_size_is_refused() {
    for text in [
        "",
        "m",
        "-1",
        "+1",
        "5xyz",
        "1 m b",
        "1_000",
        "1e3",
        "1..5m",
        "1.2.3g",
        ".",
        "0x10",
        "１m",
        "18446744073709551616",
    ] {
        check_size(text, None);
    }
    check_size("18446744073709551615", Some(u64::MAX));
    check_size("18446744073709551615k", None);
    assert_eq!(
        size("5xyz").unwrap_err().to_string(),
        "`5xyz` is not a size such as `512m`, `1.5g` or a number of bytes"
    );
}

#[track_caller]
fn check_duration(text: &str, expect_millis: Option<u64>) {
    assert_eq!(duration(text).ok(), expect_millis.map(Duration::from_millis), "{text:?}");
}

#[test]
fn durations_are_numbers_with_units() {
    check_duration("0s", Some(0));
    check_duration("10s", Some(10_000));
    check_duration("1m30s", Some(90_000));
    check_duration("500ms", Some(500));
    check_duration("1h5s250ms", Some(3_605_250));
    check_duration("2d", Some(172_800_000));
    check_duration("90s", Some(90_000));
    check_duration("1.5s", Some(1_500));
    check_duration("1m0.25s", Some(60_250));
    check_duration(".5h", Some(1_800_000));
}

#[test]
fn what_is_no_duration_is_refused() {
    for text in [
        "",
        "10",
        "s",
        "10 s",
        "-1s",
        "30s1m",
        "1s1s",
        "1..5s",
        ".s",
        "1us",
        "1S",
        "ms",
        "99999999999999999999s",
        "99999999999999999d",
    ] {
        check_duration(text, None);
    }
}

#[test]
fn durations_are_written_with_their_largest_whole_unit() {
    for text in ["0s", "1ms", "1500ms", "10s", "90s", "2m", "24h"] {
        assert_eq!(duration_text(duration(text).unwrap()), text);
    }
}

#[track_caller]
fn check_cpus(text: &str, expect: Option<u64>) {
    assert_eq!(cpus(text).ok(), expect, "{text:?}");
}

#[test]
fn cpus_are_thousandths_of_a_core() {
    check_cpus("2", Some(2000));
    check_cpus("0.5", Some(500));
    check_cpus(".25", Some(250));
    check_cpus("1.50", Some(1500));
    check_cpus("1.5000", Some(1500));
    check_cpus("0.01", Some(10));
    check_cpus("1024", Some(1_024_000));
    check_cpus("0.3333", Some(333));
    check_cpus("0.66666666666666667", Some(667));
    for text in ["", "0", "0.009", "1025", "0.0015", "-1", "1e2", "half", "0.5.5", "1,5"] {
        check_cpus(text, None);
    }
}

#[test]
fn numbers_have_bounds_and_no_decoration() {
    assert_eq!(number("05", 0..=100), Ok(5));
    assert_eq!(number("100", 0..=100), Ok(100));
    for text in ["101", "-1", "+1", "1_0", "1.0", "", " 1", "x", "99999999999999999999"] {
        assert!(number(text, 0..=100).is_err(), "{text:?}");
    }
    assert_eq!(number("many", 1..=5).unwrap_err().to_string(), "`many` is not a whole number from 1 to 5");
}

#[test]
fn booleans_have_the_spellings_of_both_yamls() {
    for (text, expect) in [("true", true), ("Yes", true), ("ON", true), ("false", false), ("no", false), ("Off", false)]
    {
        assert_eq!(boolean(text), Ok(expect));
    }
    for text in ["", "1", "0", "y", "truth"] {
        assert!(boolean(text).is_err(), "{text:?}");
    }
}

#[test]
fn zeros_are_told_from_small_amounts() {
    for text in ["0", "0.0", "00", "0m", "0 MB"] {
        assert!(is_zero(text), "{text:?}");
    }
    for text in ["", "1", "0.1", "0.001", "-0", "x", ".", "m"] {
        assert!(!is_zero(text), "{text:?}");
    }
}
