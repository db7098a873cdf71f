//! The last outcomes of an app at a glance: `✓✓✗✓`, the newest on the right.

use tickmesh_client::views::tone::sign;

use super::paint;

/// All of them, oldest first.
pub(super) fn strip<'a>(outcomes: impl IntoIterator<Item = &'a str>) -> String {
    outcomes.into_iter().map(sign).map(|(sign, tone)| paint(tone, sign)).collect()
}

#[cfg(test)]
mod tests {
    use tickmesh_core::outcome::{LostReason, Outcome};

    use super::*;

    #[test]
    fn every_outcome_has_its_sign() {
        let outcomes = [
            Outcome::Succeeded,
            Outcome::failed(1),
            Outcome::TimedOut,
            Outcome::Lost { reason: LostReason::AgentSilent },
            Outcome::Cancelled,
            Outcome::CouldNotStart { reason: "no image".to_owned() },
        ];
        let painted = strip(outcomes.iter().map(Outcome::label));
        assert_eq!(anstream::adapter::strip_str(&painted).to_string(), "✓✗✗?-✗");
        assert!(painted.contains("\u{1b}["), "painted: {painted:?}");
        assert_eq!(strip([]), "");
    }
}
