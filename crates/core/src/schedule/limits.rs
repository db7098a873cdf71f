//! How long an expression and a period may be.

/// Longest expression, in bytes. Six fields that list every value take 600; nobody writes those by hand, and the limit
/// is what keeps hostile text cheap.
pub(super) const EXPRESSION_LENGTH_MAX: usize = 256;

/// Longest period, in seconds: more than a year is a typing error.
pub(super) const PERIOD_MAX: u64 = 366 * 24 * 3_600;
/// [`PERIOD_MAX`] as messages spell it.
pub(super) const PERIOD_MAX_TEXT: &str = "366d";
