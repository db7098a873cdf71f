//! What the text of a scalar means: numbers, sizes, durations. Each reads one text and knows nothing of files.

use std::{ops::RangeInclusive, time::Duration};

use super::report::quote;
use crate::spec::Amount;

/// A text that is not what is expected at its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is not {expected}", quote(text))]
pub struct Refused {
    text: String,
    expected: String,
}

impl Refused {
    pub(super) fn new(text: &str, expected: impl Into<String>) -> Self {
        Self { text: text.to_owned(), expected: expected.into() }
    }
}

/// Longest name of a volume, network or container.
const ENGINE_NAME_BYTES_MAX: usize = 255;

/// Whether an engine takes this for the name of something that it has: what it would take for a path
/// is none.
pub(super) fn is_engine_name(text: &str) -> bool {
    let first = text.starts_with(|first: char| first.is_ascii_alphanumeric());
    let rest = text.chars().all(|character| character.is_ascii_alphanumeric() || "_.-".contains(character));
    first && rest && text.len() <= ENGINE_NAME_BYTES_MAX
}

/// A whole number within bounds, in digits only: no sign, no `1_000`.
pub(super) fn number(text: &str, bounds: RangeInclusive<u64>) -> Result<u64, Refused> {
    let digits_only = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = if digits_only { text.parse().ok() } else { None };
    value
        .filter(|value| bounds.contains(value))
        .ok_or_else(|| Refused::new(text, format!("a whole number from {} to {}", bounds.start(), bounds.end())))
}

/// A whole number, or `-1` for no limit, as docker has it.
pub(super) fn amount(text: &str) -> Result<Amount, Refused> {
    if text == "-1" {
        return Ok(Amount::Unlimited);
    }
    let found = number(text, 0..=i64::MAX.unsigned_abs()).map(Amount::AtMost);
    found.map_err(|_| Refused::new(text, "a whole number, or `-1` for no limit"))
}

/// A boolean, in the spellings of YAML 1.1 and 1.2.
pub(super) fn boolean(text: &str) -> Result<bool, Refused> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" => Ok(false),
        _ => Err(Refused::new(text, "`true` or `false`")),
    }
}

/// A size in bytes: `4194304`, `512m`, `1.5 GiB`. As everywhere in docker, `k`, `kb`, `ki` and
/// `kib` are all 1024 bytes.
///
/// # Errors
///
/// If the text is no size, or a larger one than a number of bytes can be.
pub fn size(text: &str) -> Result<u64, Refused> {
    let refused = || Refused::new(text, "a size such as `512m`, `1.5g` or a number of bytes");
    let number_end = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(number_end);
    let unit: u128 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "ki" | "kib" => 1 << 10,
        "m" | "mb" | "mi" | "mib" => 1 << 20,
        "g" | "gb" | "gi" | "gib" => 1 << 30,
        "t" | "tb" | "ti" | "tib" => 1 << 40,
        _ => return Err(refused()),
    };
    let (numerator, denominator) = decimal(number).ok_or_else(refused)?;
    let bytes = numerator.checked_mul(unit).map(|bytes| bytes / denominator);
    bytes.and_then(|bytes| u64::try_from(bytes).ok()).ok_or_else(refused)
}

/// Says whether the text is a zero, by which docker means that there is no limit.
pub(super) fn is_zero(text: &str) -> bool {
    let number = text.trim_end_matches(|character: char| character.is_ascii_alphabetic() || character == ' ');
    size(text).is_ok() && decimal(number).is_some_and(|(numerator, _)| numerator == 0)
}

/// Reads a limit of which 0 says that there is none.
pub(super) fn unless_zero<T>(text: &str, read: impl FnOnce(&str) -> Result<T, Refused>) -> Result<Option<T>, Refused> {
    if is_zero(text) { Ok(None) } else { read(text).map(Some) }
}

/// Processors, in thousandths of a core: `2`, `0.5`, `.25`. More decimals are rounded: docker keeps
/// billionths.
pub(super) fn cpus(text: &str) -> Result<u64, Refused> {
    /// Docker refuses less.
    const MILLIS_MIN: u64 = 10;
    /// More cores than any host has.
    const MILLIS_MAX: u64 = 1024 * 1000;
    decimal(text)
        .and_then(|(numerator, denominator)| {
            let millis = (numerator.checked_mul(1000)? + denominator / 2) / denominator;
            u64::try_from(millis).ok()
        })
        .filter(|millis| (MILLIS_MIN..=MILLIS_MAX).contains(millis))
        .ok_or_else(|| Refused::new(text, "a number of cores from 0.01 to 1024, such as `0.5`"))
}

/// A decimal number as a fraction whose denominator is a power of ten.
fn decimal(text: &str) -> Option<(u128, u128)> {
    /// Docker keeps as many; the fraction stays below 2^97, so that a unit of 2^30 and more fits
    /// beside it.
    const DECIMALS_MAX: usize = 9;
    /// No amount of anything is longer.
    const DIGITS_MAX: usize = 20;
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_empty = whole.is_empty() && decimals.is_empty();
    if is_empty || whole.len() > DIGITS_MAX || !is_number(whole) || !is_number(decimals) {
        return None;
    }
    let decimals = &decimals[..decimals.len().min(DECIMALS_MAX)];
    let denominator = (0..decimals.len()).fold(1, |power, _| power * 10);
    Some((format!("{whole}{decimals}").parse().ok()?, denominator))
}

/// A duration: numbers with units, the larger before the smaller, as in `1m30s`, `1.5s`, `500ms`.
pub fn duration(text: &str) -> Result<Duration, Refused> {
    /// The units, largest first, in milliseconds. Nothing here is scheduled finer.
    const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let refused = || Refused::new(text, "a duration such as `10s`, `1m30s` or `500ms`");
    let mut rest = text;
    let mut units = UNITS.as_slice();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let is_of_number = |character: char| character.is_ascii_digit() || character == '.';
        let (number, after) = rest.split_at(rest.find(|character| !is_of_number(character)).unwrap_or(rest.len()));
        let unit_end = after.find(is_of_number).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let index = units.iter().position(|(name, _)| *name == unit).ok_or_else(refused)?;
        let (numerator, denominator) = decimal(number).ok_or_else(refused)?;
        let part = numerator.checked_mul(u128::from(units[index].1)).map(|millis| millis / denominator);
        total = part
            .and_then(|part| u64::try_from(part).ok())
            .and_then(|part| total.checked_add(part))
            .ok_or_else(refused)?;
        units = &units[index + 1..];
        rest = after;
    }
    if text.is_empty() { Err(refused()) } else { Ok(Duration::from_millis(total)) }
}

/// A duration within bounds.
pub(super) fn duration_within(text: &str, bounds: RangeInclusive<Duration>) -> Result<Duration, Refused> {
    let [least, most] = [*bounds.start(), *bounds.end()].map(duration_text);
    match duration(text)? {
        duration if bounds.contains(&duration) => Ok(duration),
        _ => Err(Refused::new(text, format!("a duration from {least} to {most}"))),
    }
}

/// A duration as this file writes it.
pub(super) fn duration_text(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0 => "0s".to_owned(),
        // One day is as well known as 24 hours; more of them are easier to read as days.
        _ if millis.is_multiple_of(86_400_000) && millis > 86_400_000 => format!("{}d", millis / 86_400_000),
        _ if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
        _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ if millis.is_multiple_of(1_000) => format!("{}s", millis / 1_000),
        _ => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests;
