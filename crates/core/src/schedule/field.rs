//! One field of a cron expression: its grammar, and the set of values it means.
//!
//! `item(,item)*`, where an item is `*`, `*/step`, `value`, `first-last` or `first-last/step`. Values are numbers, or
//! three-letter names for months and weekdays. The grammar is ours and strict, because the library behind it takes empty
//! items, names in any field and other things that crontab refuses (some of them cost it seconds).

use super::{
    error::{Problem, ScheduleError},
    field_kind::FieldKind,
    token::Token,
};

/// A valid field.
#[derive(Debug)]
pub(super) struct Field {
    /// The values, one bit each; Sunday is bit 0.
    pub(super) values: u64,
    /// Where it stands in the expression.
    pub(super) column: usize,
    /// Whether it begins with `*`. Vixie's rule for combining the two day fields hangs on that, not on the values.
    pub(super) starred: bool,
}

/// One item of the list: a range with a step. A single value is a range of one.
#[derive(Debug, Clone, Copy)]
struct Item {
    first: u32,
    last: u32,
    step: u32,
    starred: bool,
}

impl Field {
    /// Reads the field that `token` is.
    pub(super) fn parse(kind: FieldKind, token: Token<'_>) -> Result<Self, ScheduleError> {
        let items = token.split(',').map(|item| Item::parse(kind, item)).collect::<Result<Vec<_>, _>>()?;
        let starred = items.first().is_some_and(|item| item.starred);
        Ok(Self { values: values(kind, &items), column: token.column, starred })
    }

    /// Whether `value` is in the set.
    pub(super) fn contains(&self, value: u32) -> bool {
        self.values >> value & 1 == 1
    }

    /// The values, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        (0..u64::BITS).filter(|value| self.contains(*value))
    }
}

fn values(kind: FieldKind, items: &[Item]) -> u64 {
    let mut values = 0;
    for item in items {
        for value in (item.first..=item.last).step_by(item.step as usize) {
            values |= 1 << value;
        }
    }
    if kind == FieldKind::DayOfWeek && values >> 7 & 1 == 1 {
        values = values & 0x7f | 1;
    }
    values
}

impl Item {
    fn parse(kind: FieldKind, token: Token<'_>) -> Result<Self, ScheduleError> {
        let (range, step) = token.split_once('/');
        if let Some(rest) = range.text.strip_prefix('*') {
            if !rest.is_empty() {
                return Err(Problem::AfterStar { field: kind, text: rest.to_owned() }.at(range.column + 1));
            }
            return Ok(Self { first: kind.min(), last: kind.max(), step: parse_step(kind, step)?, starred: true });
        }
        let (first_token, last_token) = range.split_once('-');
        let first = parse_value(kind, first_token)?;
        let Some(last_token) = last_token else {
            return match step {
                Some(step) => Err(step_without_range(kind, token, step)),
                None => Ok(Self { first, last: first, step: 1, starred: false }),
            };
        };
        let last = parse_value(kind, last_token)?;
        if first > last {
            return Err(backwards(kind, range, first, last));
        }
        Ok(Self { first, last, step: parse_step(kind, step)?, starred: false })
    }
}

/// Steps beyond this select the first value only, as in crontab; so they are all the same.
const STEP_MAX: u32 = 60;

fn parse_step(kind: FieldKind, token: Option<Token<'_>>) -> Result<u32, ScheduleError> {
    let Some(token) = token else { return Ok(1) };
    let problem = || Problem::Step { field: kind, text: token.text.to_owned() }.at(token.column);
    let digits = !token.text.is_empty() && token.text.bytes().all(|byte| byte.is_ascii_digit());
    match token.text.parse::<u32>() {
        Ok(step) if digits && step >= 1 => Ok(step.min(STEP_MAX)),
        Ok(_) | Err(_) => Err(problem()),
    }
}

fn parse_value(kind: FieldKind, token: Token<'_>) -> Result<u32, ScheduleError> {
    if token.text.is_empty() {
        return Err(Problem::Missing { field: kind }.at(token.column));
    }
    if !token.text.bytes().all(|byte| byte.is_ascii_digit()) {
        return kind.named(token.text).ok_or_else(|| not_a_value(kind, token));
    }
    match token.text.parse() {
        Ok(value) if (kind.min()..=kind.max()).contains(&value) => Ok(value),
        Ok(_) | Err(_) => Err(Problem::OutOfRange { field: kind, text: token.text.to_owned() }.at(token.column)),
    }
}

/// Tells apart the dialects people bring along: Quartz, Jenkins, cronie, and plain typing errors.
fn not_a_value(kind: FieldKind, token: Token<'_>) -> ScheduleError {
    if let Some((index, sign)) = foreign_sign(kind, token.text) {
        let error = Problem::NotCrontab { field: kind, sign }.at(token.column + index);
        return error.hint_is(foreign_hint(kind, sign));
    }
    let text = token.text.to_owned();
    if kind.value_names().is_empty() {
        let known = FieldKind::Month.named(&text).or(FieldKind::DayOfWeek.named(&text)).is_some();
        return match known {
            true => Problem::NameElsewhere { field: kind, text }.at(token.column),
            false => Problem::NotANumber { field: kind, text }.at(token.column),
        };
    }
    let hint = nearest_name(kind, &text).map(|name| format!("write `{name}`"));
    let error = Problem::NotAName { field: kind, text }.at(token.column);
    match hint {
        Some(hint) => error.hint_is(hint),
        None => error,
    }
}

fn nearest_name(kind: FieldKind, text: &str) -> Option<&'static str> {
    let upper = text.to_ascii_uppercase();
    kind.value_names().iter().copied().find(|name| upper.starts_with(name) || strsim::levenshtein(name, &upper) == 1)
}

/// The first sign of another dialect: `? # + ~` anywhere, `H` alone or before a bracket, `L` and `W` where Quartz has
/// them.
fn foreign_sign(kind: FieldKind, text: &str) -> Option<(usize, char)> {
    if let Some(found) = text.char_indices().find(|(_, character)| matches!(character, '?' | '#' | '+' | '~')) {
        return Some(found);
    }
    let upper = text.to_ascii_uppercase();
    if upper == "H" || upper.starts_with("H(") {
        return Some((0, 'H'));
    }
    let stem = upper.trim_end_matches(['L', 'W']);
    let quartz = stem.is_empty() || stem.bytes().all(|byte| byte.is_ascii_digit()) || kind.named(stem).is_some();
    if !quartz || stem.len() == upper.len() {
        return None;
    }
    upper[stem.len()..].chars().next().map(|sign| (stem.len(), sign))
}

fn foreign_hint(kind: FieldKind, sign: char) -> String {
    match sign {
        '?' => "write `*`".to_owned(),
        'H' | '~' => format!("write one {kind}; the label `jitter` spreads apps over time"),
        'L' => {
            "run on every day it could be, and let the job test the date (`28-31` for the last of a month)".to_owned()
        }
        'W' => "run on `1-5`, and let the job test the date".to_owned(),
        '#' => "run on every such weekday, and let the job test the date (1 to 7 is the first)".to_owned(),
        _ => "remove it".to_owned(),
    }
}

fn step_without_range(kind: FieldKind, item: Token<'_>, step: Token<'_>) -> ScheduleError {
    let (value, _) = item.split_once('/');
    let hint = format!("write `{}-{}/{}`", value.text, kind.max(), step.text);
    Problem::StepWithoutRange { field: kind, text: item.text.to_owned() }.at(item.column).hint_is(hint)
}

fn backwards(kind: FieldKind, range: Token<'_>, first: u32, last: u32) -> ScheduleError {
    let span = |first, last| if first == last { format!("{first}") } else { format!("{first}-{last}") };
    // The head of the week is already there as 7: `sat-sun` is `6-7`.
    let head = if kind == FieldKind::DayOfWeek { 1 } else { kind.min() };
    let mut hint = format!("write `{}", span(first, kind.max()));
    if last >= head {
        hint = format!("{hint},{}", span(head, last));
    }
    Problem::Backwards { field: kind, text: range.text.to_owned() }.at(range.column).hint_is(format!("{hint}`"))
}
