//! The labels `notify` and `notify_on`: who is told of an app, and of what.

use std::collections::BTreeSet;

use super::super::{report::one_of, value::Refused};
use crate::spec::{NotifyChoice, Topic};

/// Stands for no target at all.
const NOBODY: &str = "none";
/// Most targets that an app may name: schedulers have no more.
const TARGETS_MAX: usize = 16;
/// Longest name of a target.
const NAME_BYTES_MAX: usize = 40;

/// Reads `notify`.
pub(super) fn read_targets(text: &str, choice: &mut NotifyChoice) -> Result<(), Refused> {
    let names: BTreeSet<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    let targets = if text.trim() == NOBODY { BTreeSet::new() } else { names };
    if targets.len() > TARGETS_MAX || !targets.iter().all(|name| is_target_name(name)) {
        let expected = format!("`{NOBODY}`, or up to {TARGETS_MAX} names of targets with commas between them");
        return Err(Refused::new(text, expected));
    }
    choice.targets = Some(targets);
    Ok(())
}

/// Reads `notify_on`.
pub(super) fn read_topics(text: &str, choice: &mut NotifyChoice) -> Result<(), Refused> {
    let known = || Topic::ALL.into_iter().filter(|topic| topic.is_of_app());
    let topic = |word: &str| {
        let found = Topic::parse(word).filter(|topic| topic.is_of_app());
        found.ok_or_else(|| Refused::new(word, one_of(known().map(Topic::as_str))))
    };
    choice.topics = Some(text.split(',').map(str::trim).map(topic).collect::<Result<_, _>>()?);
    Ok(())
}

/// Returns whether a target may have that name.
pub fn is_target_name(name: &str) -> bool {
    let characters = name.chars().all(|it| it.is_ascii_alphanumeric() || "_-".contains(it));
    characters && (1..=NAME_BYTES_MAX).contains(&name.len()) && name != NOBODY
}
