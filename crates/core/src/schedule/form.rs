//! How a schedule may be spelled: it depends on where it stands.

use super::token::Token;

/// Beginnings of a zone in front of a schedule.
const ZONE_PREFIXES: [&str; 2] = ["CRON_TZ=", "TZ="];

/// How a schedule may be spelled. What a spelling means is the same everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Crontab's, with a seconds field in front.
    SixFields,
    /// That of the original's `aliyun.schedule`: six fields, and `?` for any day.
    Original,
    /// That of `tickmesh.schedule`: five or six fields, and perhaps a zone in front.
    Any,
}

impl Form {
    /// Says whether the seconds field may be left out.
    pub(super) fn takes_five_fields(self) -> bool {
        match self {
            Self::SixFields | Self::Original => false,
            Self::Any => true,
        }
    }

    /// Says whether a day field may be `?`.
    pub(super) fn takes_question_marks(self) -> bool {
        match self {
            Self::SixFields | Self::Any => false,
            Self::Original => true,
        }
    }

    /// Returns the number of fields and their names, for messages.
    pub(super) fn fields(self) -> &'static str {
        match self {
            Self::SixFields | Self::Original => "6 fields (second minute hour day-of-month month day-of-week)",
            Self::Any => "5 fields (minute hour day-of-month month day-of-week; the second may stand in front)",
        }
    }
}

/// A schedule with a zone in front, such as `CRON_TZ=Asia/Tokyo 0 3 * * *`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneInFront<'a> {
    /// The word and the zone, as they are written.
    pub written: &'a str,
    /// Name of the zone.
    pub zone: &'a str,
    /// Number of the character where that begins, from 0.
    pub zone_at: usize,
    /// The schedule, with blanks where the zone was: its columns are those of the whole.
    pub expression: String,
}

/// Returns the zone in front of a schedule, if there is one.
pub fn zone_in_front(expression: &str) -> Option<ZoneInFront<'_>> {
    let blanks = expression.len() - expression.trim_start_matches([' ', '\t']).len();
    let whole = Token { text: &expression[blanks..], column: blanks + 1 };
    let (word, rest) = match whole.text.split_once([' ', '\t']) {
        Some((word, rest)) => (word, rest),
        None => (whole.text, ""),
    };
    let prefix = ZONE_PREFIXES.into_iter().find(|prefix| word.starts_with(prefix))?;
    let blank = " ".repeat(expression[..expression.len() - rest.len()].chars().count());
    Some(ZoneInFront {
        written: word,
        zone: &word[prefix.len()..],
        zone_at: blanks + prefix.len(),
        expression: format!("{blank}{rest}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zone_in_front_is_told_from_the_schedule() {
        let check = |text: &str, zone: &str, zone_at: usize, expression: &str| {
            let found = zone_in_front(text).unwrap();
            assert_eq!((found.zone, found.zone_at, found.expression.as_str()), (zone, zone_at, expression), "{text}");
        };
        check("CRON_TZ=Asia/Tokyo 0 3 * * *", "Asia/Tokyo", 8, "                   0 3 * * *");
        check(" TZ=UTC\t@daily", "UTC", 4, "        @daily");
        check("TZ=", "", 3, "   ");
        for text in ["", "0 3 * * *", "@daily", "tz=UTC @daily", "0 3 * * * TZ=UTC"] {
            assert_eq!(zone_in_front(text), None, "{text}");
        }
    }
}
