//! Many durations in three figures.

use std::fmt;

use jiff::SignedDuration;

/// Median, 99th percentile and maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Spread {
    pub(crate) p50: SignedDuration,
    pub(crate) p99: SignedDuration,
    pub(crate) max: SignedDuration,
}

impl Spread {
    /// The figures of these durations, by nearest rank; of none they are 0.
    pub(crate) fn of(mut durations: Vec<SignedDuration>) -> Self {
        durations.sort_unstable();
        let Some(&max) = durations.last() else { return Self::default() };
        let percentile = |percent: usize| durations[(durations.len() * percent).div_ceil(100) - 1];
        Self { p50: percentile(50), p99: percentile(99), max }
    }

    /// Of each figure the median of the rounds.
    pub(crate) fn median(rounds: &[Self]) -> Self {
        let median = |figure: fn(&Self) -> SignedDuration| Self::of(rounds.iter().map(figure).collect()).p50;
        Self { p50: median(|it| it.p50), p99: median(|it| it.p99), max: median(|it| it.max) }
    }
}

/// As a number.
pub(crate) fn milliseconds(duration: SignedDuration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

impl fmt::Display for Spread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p99, max } = self;
        write!(formatter, "{:>10.1}{:>10.1}{:>10.1}", milliseconds(*p50), milliseconds(*p99), milliseconds(*max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(milliseconds: impl Iterator<Item = i64>, p50: i64, p99: i64, max: i64) {
        let of = SignedDuration::from_millis;
        assert_eq!(Spread::of(milliseconds.map(of).collect()), Spread { p50: of(p50), p99: of(p99), max: of(max) });
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        check(1..=100, 50, 99, 100);
        check((1..=1_000).rev(), 500, 990, 1_000);
        check([7].into_iter(), 7, 7, 7);
        check([1, 9].into_iter(), 1, 9, 9);
        check([].into_iter(), 0, 0, 0);
    }

    #[test]
    fn one_bad_round_of_three_is_no_figure() {
        let of = SignedDuration::from_millis;
        let round = |p50, p99, max| Spread { p50: of(p50), p99: of(p99), max: of(max) };
        let rounds = [round(1, 20, 21), round(2, 8, 9), round(900, 950, 960)];
        assert_eq!(Spread::median(&rounds), round(2, 20, 21));
    }
}
