//! What a label takes: the form and the bounds of its value, what is said when they are broken, and where the value goes.

use std::time::Duration;

use super::super::{
    reader::Text,
    report::one_of,
    value::{Refused, boolean, duration_text, duration_within, number},
};

/// A word that a label takes, and what it does.
pub(super) type Word<S> = (&'static str, fn(&mut S));

/// What a label takes, and where its value goes.
#[derive(Debug)]
pub(super) enum Takes<S: 'static> {
    /// A whole number.
    Number { min: u32, max: u32, into: fn(&mut S) -> &mut Option<u32> },
    /// A length of time, such as `1m30s`.
    Duration { min: Duration, max: Duration, into: fn(&mut S) -> &mut Option<Duration> },
    /// True or false.
    Flag(fn(&mut S) -> &mut bool),
    /// One of these words.
    Word(&'static [Word<S>]),
    /// Something that has a reader of its own. What it looks like is for people.
    Value { looks: &'static str, read: fn(&str, &mut S) -> Result<(), Refused> },
    /// What can only be read when all labels are known. What it looks like is for people.
    Text { looks: &'static str, into: fn(&mut S) -> &mut Option<Text> },
}

impl<S> Takes<S> {
    /// Puts a value where it belongs.
    pub(super) fn read(&self, text: Text, labels: &mut S) -> Result<(), Refused> {
        match *self {
            Self::Number { min, max, into } => {
                let value = number(&text.value, u64::from(min)..=u64::from(max))?;
                *into(labels) = u32::try_from(value).ok();
            }
            Self::Duration { min, max, into } => *into(labels) = Some(duration_within(&text.value, min..=max)?),
            Self::Flag(into) => *into(labels) = boolean(&text.value)?,
            Self::Word(words) => {
                let word = words.iter().find(|(word, _)| *word == text.value);
                let (_, set) =
                    word.ok_or_else(|| Refused::new(&text.value, one_of(words.iter().map(|(word, _)| *word))))?;
                set(labels);
            }
            Self::Value { read, .. } => read(&text.value, labels)?,
            Self::Text { into, .. } => *into(labels) = Some(text),
        }
        Ok(())
    }

    /// The values, for people.
    pub(super) fn values(&self) -> String {
        match *self {
            Self::Number { min, max, .. } => format!("{min} to {max}"),
            Self::Duration { min, max, .. } => format!("{} to {}", duration_text(min), duration_text(max)),
            Self::Flag(_) => "`true`, `false`".to_owned(),
            Self::Word(words) => words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", "),
            Self::Value { looks, .. } | Self::Text { looks, .. } => looks.to_owned(),
        }
    }
}
