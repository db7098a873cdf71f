//! The rules by which a compose file is read, under a number: a release that changes what files
//! mean leaves the meaning of those alone that are applied already.

/// Number of a dialect as it is stored. Apps that have none were applied before there were numbers:
/// theirs is 1.
pub type DialectNumber = u32;

/// The number of the oldest dialect.
pub const DIALECT_FIRST: DialectNumber = 1;

/// The rules by which a compose file is read. Whoever changes a default or a rule adds a variant,
/// and meets every place that decides by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// The rules of the first releases.
    #[default]
    First,
    /// The rules since compose files are read as docker compose reads them: no init process unless
    /// the file asks for one, UTC for schedules of `tickmesh.schedule`, and what the original meant
    /// by `aliyun.latest_image` and `cpu_shares`.
    Second,
}

/// A dialect of a later release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the app was applied in dialect {number}, and this release knows dialects up to {}", Dialect::PRESENT.number())]
pub struct UnknownDialect {
    number: DialectNumber,
}

impl Dialect {
    /// The dialect of files that are applied now.
    pub const PRESENT: Self = Self::Second;
    /// All dialects, the oldest first.
    pub const ALL: [Self; 2] = [Self::First, Self::Second];

    /// Returns the number under which the dialect is stored.
    pub const fn number(self) -> DialectNumber {
        match self {
            Self::First => DIALECT_FIRST,
            Self::Second => 2,
        }
    }

    /// Says whether the label of a schedule decides its zone where the file names none.
    pub(super) const fn has_zone_of_label(self) -> bool {
        match self {
            Self::First => false,
            Self::Second => true,
        }
    }

    /// Says whether a dependency on a service that looks like a server is an error. Before, the run
    /// waited for ever.
    pub(super) const fn refuses_waiting_for_servers(self) -> bool {
        match self {
            Self::First => false,
            Self::Second => true,
        }
    }

    /// Says whether a label of the tables acts. One that does not is passed over with a warning, as
    /// it was.
    pub(super) fn has_label(self, name: &str) -> bool {
        match self {
            Self::First => name != "latest_image",
            Self::Second => true,
        }
    }

    /// Says whether `cpu_shares` of a file of the original reserve cores.
    pub(super) const fn reserves_shares(self) -> bool {
        match self {
            Self::First => false,
            Self::Second => true,
        }
    }

    /// Says whether a container has an init process if the file does not mention `init`.
    pub(super) const fn adds_init(self) -> bool {
        match self {
            Self::First => true,
            Self::Second => false,
        }
    }

    /// Returns the dialect of a stored number.
    pub fn of_number(number: DialectNumber) -> Result<Self, UnknownDialect> {
        Self::ALL.into_iter().find(|dialect| dialect.number() == number).ok_or(UnknownDialect { number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialects_are_numbered_in_order_up_to_the_present() {
        let numbers: Vec<_> = Dialect::ALL.into_iter().map(Dialect::number).collect();
        assert_eq!(numbers, (DIALECT_FIRST..=Dialect::PRESENT.number()).collect::<Vec<_>>());
        assert!(Dialect::ALL.is_sorted());
        for dialect in Dialect::ALL {
            assert_eq!(Dialect::of_number(dialect.number()), Ok(dialect));
        }
    }

    #[test]
    fn numbers_of_other_releases_are_refused() {
        for number in [0, Dialect::PRESENT.number() + 1, u32::MAX] {
            assert!(Dialect::of_number(number).is_err(), "{number}");
        }
    }
}
