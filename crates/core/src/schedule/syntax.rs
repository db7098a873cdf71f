//! From text to six fields or a period, with the place of everything that is wrong.

use super::{
    error::{Problem, ScheduleError},
    every::Period,
    field::Field,
    field_kind::FieldKind,
    form::Form,
    limits::EXPRESSION_LENGTH_MAX,
    token::Token,
};

/// The names that stand for six fields.
const SHORTCUTS: [(&str, &str); 7] = [
    ("@hourly", "0 0 * * * *"),
    ("@daily", "0 0 0 * * *"),
    ("@midnight", "0 0 0 * * *"),
    ("@weekly", "0 0 0 * * 0"),
    ("@monthly", "0 0 0 1 * *"),
    ("@yearly", "0 0 0 1 1 *"),
    ("@annually", "0 0 0 1 1 *"),
];

/// An expression that is valid in form.
pub(super) enum Syntax {
    Cron(Box<Fields>),
    Every(Period),
}

/// The six fields of a cron expression.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) second: Field,
    pub(super) minute: Field,
    pub(super) hour: Field,
    pub(super) day_of_month: Field,
    pub(super) month: Field,
    pub(super) day_of_week: Field,
}

/// Reads an expression in any of its forms.
pub(super) fn parse(expression: &str, form: Form) -> Result<Syntax, ScheduleError> {
    check_characters(expression)?;
    let tokens = words(expression);
    match tokens.as_slice() {
        [] => Err(Problem::Empty.into()),
        [first, arguments @ ..] if first.text.starts_with('@') => parse_shortcut(*first, arguments),
        fields => parse_fields(fields, form).map(|fields| Syntax::Cron(Box::new(fields))),
    }
}

/// Refuses what is too long or not printable ASCII, before anything else looks at it.
fn check_characters(expression: &str) -> Result<(), ScheduleError> {
    if expression.len() > EXPRESSION_LENGTH_MAX {
        return Err(Problem::TooLong { length: expression.len() }.into());
    }
    let printable = |character: char| character.is_ascii_graphic() || matches!(character, ' ' | '\t');
    // A block scalar of YAML ends with a line feed, which is not worth an error.
    let line = expression.trim_end_matches(['\n', '\r']);
    match line.chars().enumerate().find(|(_, character)| !printable(*character)) {
        Some((index, character)) => Err(Problem::Character(character).at(index + 1)),
        None => Ok(()),
    }
}

fn words(expression: &str) -> Vec<Token<'_>> {
    let whole = Token { text: expression.trim_end(), column: 1 };
    let blank = |token: &Token<'_>| !token.text.is_empty();
    whole.split(' ').flat_map(|token| token.split('\t')).filter(blank).collect()
}

fn parse_shortcut(name: Token<'_>, arguments: &[Token<'_>]) -> Result<Syntax, ScheduleError> {
    if name.text == "@every" {
        return Period::parse(name, arguments).map(Syntax::Every);
    }
    let Some((shortcut, fields)) = SHORTCUTS.iter().find(|(shortcut, _)| *shortcut == name.text) else {
        return Err(unknown_shortcut(name));
    };
    if let Some(argument) = arguments.first() {
        return Err(Problem::ShortcutArguments(shortcut).at(argument.column));
    }
    parse_fields(&words(fields), Form::SixFields).map(|fields| Syntax::Cron(Box::new(fields)))
}

fn unknown_shortcut(name: Token<'_>) -> ScheduleError {
    if name.text.eq_ignore_ascii_case("@reboot") {
        return Problem::Reboot.at(name.column);
    }
    let known = SHORTCUTS.iter().map(|(shortcut, _)| *shortcut).chain(["@every"]);
    let lower = name.text.to_ascii_lowercase();
    let error = Problem::UnknownShortcut(name.text.to_owned()).at(name.column);
    match known.min_by_key(|shortcut| strsim::levenshtein(shortcut, &lower)) {
        Some(nearest) if strsim::levenshtein(nearest, &lower) <= 2 => error.hint_is(format!("write `{nearest}`")),
        _ => error.hint_is(
            "write six fields, or one of @hourly @daily @midnight @weekly @monthly @yearly @annually, or `@every 90s`",
        ),
    }
}

fn parse_fields(tokens: &[Token<'_>], form: Form) -> Result<Fields, ScheduleError> {
    let [second, minute, hour, day_of_month, month, day_of_week] = match *tokens {
        [second, minute, hour, day_of_month, month, day_of_week] => {
            [second, minute, hour, day_of_month, month, day_of_week]
        }
        [minute, hour, day_of_month, month, day_of_week] if form.takes_five_fields() => {
            let second = Token { text: "0", column: minute.column };
            [second, minute, hour, day_of_month, month, day_of_week]
        }
        _ => return Err(wrong_count(tokens, form)),
    };
    let day_of_month = any_day(day_of_month, form);
    let day_of_week = any_day(day_of_week, form);
    Ok(Fields {
        second: Field::parse(FieldKind::Second, second)?,
        minute: Field::parse(FieldKind::Minute, minute)?,
        hour: Field::parse(FieldKind::Hour, hour)?,
        day_of_month: Field::parse(FieldKind::DayOfMonth, day_of_month)?,
        month: Field::parse(FieldKind::Month, month)?,
        day_of_week: Field::parse(FieldKind::DayOfWeek, day_of_week)?,
    })
}

/// Returns a day field with `*` for the `?` that some forms have.
fn any_day(token: Token<'_>, form: Form) -> Token<'_> {
    if form.takes_question_marks() && token.text == "?" { Token { text: "*", ..token } } else { token }
}

fn wrong_count(tokens: &[Token<'_>], form: Form) -> ScheduleError {
    let problem = Problem::FieldCount { found: tokens.len(), form };
    match tokens {
        [first, _, _, _, _] => {
            problem.at(first.column).hint_is("the first field is the second: write `0 ` in front of these five")
        }
        [_, _, _, _, _, _, seventh, ..] => problem.at(seventh.column).hint_is("remove it: a year is not supported"),
        [.., last] => problem.at(last.column + last.text.len()),
        [] => problem.into(),
    }
}
