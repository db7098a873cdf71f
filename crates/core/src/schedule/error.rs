//! Why a text is not a schedule, and where in it.

use super::{field_kind::FieldKind, form::Form};

/// Why an expression or a zone's name was refused. Names the field, the place, and mostly what to write instead.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct ScheduleError {
    problem: Problem,
    column: Option<usize>,
    hint: Option<String>,
}

impl ScheduleError {
    /// Place in the expression: number of the character, from 1. `None` if it is about the whole, or about the zone.
    pub fn column(&self) -> Option<usize> {
        self.column
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

impl From<Problem> for ScheduleError {
    fn from(problem: Problem) -> Self {
        Self { problem, column: None, hint: None }
    }
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("the schedule is empty")]
    Empty,
    #[error("the schedule is {length} bytes long, more than the {max} allowed", max = super::limits::EXPRESSION_LENGTH_MAX)]
    TooLong { length: usize },
    #[error("the schedule contains the character `{}`", .0.escape_default())]
    Character(char),
    #[error("the schedule has {found} of {}", form.fields())]
    FieldCount { found: usize, form: Form },
    #[error("`{0}` in front of a schedule is for `tickmesh.schedule` only")]
    ZoneInFront(String),
    #[error("`{0}` is not a schedule this program knows")]
    UnknownShortcut(String),
    #[error("`@reboot` is not supported: a fleet has no moment at which it boots")]
    Reboot,
    #[error("`{0}` takes no arguments")]
    ShortcutArguments(&'static str),
    #[error("`@every` needs a duration")]
    NoDuration,
    #[error("`{0}` is not a duration")]
    Duration(String),
    #[error("a period of {0} is out of range: it must be from 1s to {max}", max = super::limits::PERIOD_MAX_TEXT)]
    Period(String),
    #[error("{field}: a value is missing")]
    Missing { field: FieldKind },
    #[error("{field}: `{text}` is not a number")]
    NotANumber { field: FieldKind, text: String },
    #[error("{field}: `{text}` is not a number or a name")]
    NotAName { field: FieldKind, text: String },
    #[error("{field}: names such as `{text}` are for month and day-of-week only")]
    NameElsewhere { field: FieldKind, text: String },
    #[error("{field}: `{text}` is out of range: it must be from {min} to {max}", min = field.min(), max = field.max())]
    OutOfRange { field: FieldKind, text: String },
    #[error("{field}: the range `{text}` runs backwards")]
    Backwards { field: FieldKind, text: String },
    #[error("{field}: `{text}` after `*` is not understood")]
    AfterStar { field: FieldKind, text: String },
    #[error("{field}: the step `/{text}` is not a whole number from 1")]
    Step { field: FieldKind, text: String },
    #[error("{field}: `{text}` is a step without a range, which is not crontab")]
    StepWithoutRange { field: FieldKind, text: String },
    #[error("{field}: `{sign}` is not crontab")]
    NotCrontab { field: FieldKind, sign: char },
    #[error("day-of-month: the schedule never fires, since no month it names has such a day")]
    NeverFires,
    #[error("`{0}` is not a time zone this program knows")]
    UnknownZone(String),
}

impl Problem {
    /// The error, at a place in the expression.
    pub(super) fn at(self, column: usize) -> ScheduleError {
        ScheduleError { column: Some(column), ..self.into() }
    }
}

impl ScheduleError {
    /// Adds what to do about it.
    pub(super) fn hint_is(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}
