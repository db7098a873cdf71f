//! Findings that follow from other ones. What mends the cause mends them, and a way out of their own would lead astray.

use crate::views::doctor::{Check, Finding};

/// Findings about what everything else is stored in, the cause first.
const CAUSES: [&str; 4] = ["store", "copies", "storage", "writes"];
/// Findings that such a cause brings about: nobody renews a lease or is heard who cannot store anything.
const CONSEQUENCES: [&str; 12] = [
    "copies", "storage", "writes", "room", "clock", "streams", "data", "leader", "standby", "agents", "records",
    "builds",
];

/// Says of each finding that follows from another one which that is.
pub(super) fn mark(checks: &mut [Check]) {
    let Some(cause) = cause(checks) else { return };
    let at = checks.iter().position(|check| check.name == cause).unwrap_or(0);
    for (place, check) in checks.iter_mut().enumerate() {
        let follows = CONSEQUENCES.contains(&check.name);
        if place != at && check.name != cause && check.finding == Finding::Wrong && follows {
            check.follows_from = Some(cause);
            check.hint = None;
        }
    }
}

/// The cause of others, if there is one: the store takes nothing. That a single copy is missing keeps nobody from anything.
fn cause(checks: &[Check]) -> Option<&'static str> {
    let is_wrong = |name: &str| checks.iter().any(|check| check.name == name && check.finding == Finding::Wrong);
    let takes_nothing = is_wrong("store") || is_wrong("storage") || is_wrong("writes");
    if !takes_nothing {
        return None;
    }
    CAUSES.into_iter().find(|name| is_wrong(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_a_store_that_takes_nothing_is_marked() {
        let mut checks = [
            Check::ok("nats", "answers"),
            Check::wrong("storage", "no acknowledgement", "look into the log"),
            Check::wrong("leader", "nobody leads", "start one"),
            Check::warning("standby", "none", "start one"),
            Check::wrong("dialects", "later", "apply"),
        ];
        mark(&mut checks);
        let marked: Vec<_> = checks.iter().map(|check| (check.follows_from, check.hint.is_some())).collect();
        assert_eq!(marked, [(None, false), (None, true), (Some("storage"), false), (None, true), (None, true)]);
    }

    #[test]
    fn missing_copy_is_nobodys_cause() {
        let mut checks =
            [Check::wrong("copies", "n3 is offline", "start it"), Check::wrong("leader", "nobody", "start")];
        mark(&mut checks);
        assert!(checks.iter().all(|check| check.follows_from.is_none() && check.hint.is_some()));
    }
}
