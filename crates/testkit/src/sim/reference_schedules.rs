//! An independent count of instants: arithmetic on remainders, for schedules that are simple enough for it. Nothing here
//! knows `Schedule`.

use jiff::Timestamp;

/// A schedule, and what it means: the seconds since 1970 with one of these remainders.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rhythm {
    /// As the compose file spells it; the zone is Asia/Shanghai, 8 hours ahead of UTC all year.
    pub(super) expression: &'static str,
    period: i64,
    remainders: &'static [i64],
}

/// One of each kind that the schedule knows: periods, steps, lists, and a time of day.
pub(super) static RHYTHMS: [Rhythm; 9] = [
    Rhythm { expression: "@every 1s", period: 1, remainders: &[0] },
    Rhythm { expression: "@every 7s", period: 7, remainders: &[0] },
    Rhythm { expression: "@every 1m30s", period: 90, remainders: &[0] },
    Rhythm { expression: "* * * * * *", period: 1, remainders: &[0] },
    Rhythm { expression: "0-59/30 * * * * *", period: 30, remainders: &[0] },
    Rhythm { expression: "0,7,31 * * * * *", period: 60, remainders: &[0, 7, 31] },
    Rhythm { expression: "5 */2 * * * *", period: 120, remainders: &[5] },
    Rhythm { expression: "@hourly", period: 3_600, remainders: &[0] },
    Rhythm { expression: "0 10 8 * * *", period: 86_400, remainders: &[10 * 60] },
];

impl Rhythm {
    /// Instants in `(after, through]`.
    pub(super) fn count(&self, after: Timestamp, through: Timestamp) -> u64 {
        let passed = |until: Timestamp, remainder: i64| (until.as_second() - remainder).div_euclid(self.period);
        let between = |remainder: &i64| passed(through, *remainder) - passed(after, *remainder);
        let count = self.remainders.iter().map(between).sum::<i64>();
        u64::try_from(count).unwrap_or(0)
    }

    /// The first instant after a moment.
    pub(super) fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let second = moment.as_second();
        let next = |remainder: &i64| remainder + ((second - remainder).div_euclid(self.period) + 1) * self.period;
        self.remainders.iter().map(next).min().and_then(|second| Timestamp::from_second(second).ok())
    }

    /// Whether it is due then.
    pub(super) fn is_due(&self, instant: Timestamp) -> bool {
        instant.subsec_nanosecond() == 0 && self.remainders.contains(&instant.as_second().rem_euclid(self.period))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_one_would_count_by_hand() {
        let at = |seconds: i64| Timestamp::from_second(1_767_225_600 + seconds).unwrap();
        let by_hand = |rhythm: &Rhythm, after: i64, through: i64| {
            (after + 1..=through).filter(|second| rhythm.is_due(at(*second))).count() as u64
        };
        for rhythm in &RHYTHMS {
            let next = rhythm.next_after(at(-3)).unwrap();
            assert_eq!((rhythm.is_due(next), rhythm.count(at(-3), next)), (true, 1), "{rhythm:?}");
            for (after, through) in [(0, 0), (0, 1), (-1, 0), (3, 200), (-90, 90), (0, 86_400)] {
                assert_eq!(rhythm.count(at(after), at(through)), by_hand(rhythm, after, through), "{rhythm:?}");
            }
        }
    }
}
