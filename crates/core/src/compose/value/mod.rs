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

/// A size in bytes: `4194304`, `512m`, `1.5 GiB`. As everywhere in docker, `k`, `kb` and `kib` are all 1024 bytes.
///
/// # Errors
///
/// If the text is no size, or a larger one than a number of bytes can be.
pub fn size(text: &str) -> Result<u64, Refused> {
    let refused = || Refused::new(text, "a size such as `512m`, `1.5g` or a number of bytes");
    let number_end = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(number_end);
    let unit: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return Err(refused()),
    };
    let (numerator, denominator) = decimal(number).ok_or_else(refused)?;
    numerator.checked_mul(unit).map(|bytes| bytes / denominator).ok_or_else(refused)
}

/// Processors, in thousandths of a core: `2`, `0.5`, `.25`.
pub(super) fn cpus(text: &str) -> Result<u64, Refused> {
    /// Docker refuses less.
    const MILLIS_MIN: u64 = 10;
    /// More cores than any host has.
    const MILLIS_MAX: u64 = 1024 * 1000;
    decimal(text)
        .and_then(|(numerator, denominator)| {
            let millis = numerator.checked_mul(1000)?;
            (millis % denominator == 0).then_some(millis / denominator)
        })
        .filter(|millis| (MILLIS_MIN..=MILLIS_MAX).contains(millis))
        .ok_or_else(|| {
            Refused::new(text, "a number of cores from 0.01 to 1024 with at most three decimals, such as `0.5`")
        })
}

/// A decimal number as a fraction whose denominator is a power of ten.
fn decimal(text: &str) -> Option<(u64, u64)> {
    /// Keeps numerator times any unit within 64 bits for all sizes that exist.
    const DECIMALS_MAX: usize = 6;
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{decimals}");
    if digits.is_empty() || decimals.len() > DECIMALS_MAX || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let denominator = (0..decimals.len()).fold(1, |power, _| power * 10);
    Some((digits.parse().ok()?, denominator))
}

/// A duration: numbers with units, the larger before the smaller, as in `1m30s`, `10s`, `500ms`.
pub fn duration(text: &str) -> Result<Duration, Refused> {
    /// The units, largest first, in milliseconds. Nothing here is scheduled finer.
    const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let refused = || Refused::new(text, "a duration such as `10s`, `1m30s` or `500ms`");
    let mut rest = text;
    let mut units = UNITS.as_slice();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, after) =
            rest.split_at(rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len()));
        let unit_end = after.find(|character: char| character.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let index = units.iter().position(|(name, _)| *name == unit).ok_or_else(refused)?;
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(units[index].1));
        total = part.and_then(|part| total.checked_add(part)).ok_or_else(refused)?;
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
