//! The syntax of env files, as docker compose has it: `NAME=value` lines, with comments, `export`, and quotes that may span
//! lines. Values without quotes and in double quotes may use variables; those in single quotes are as they stand.

/// Sets a variable.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) value: Value,
    /// The line on which it begins, from 1.
    pub(super) line: usize,
}

/// The value of a variable.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// The name alone: the value is that of the place where the file is read.
    Inherited,
    /// As it is.
    Literal(String),
    /// With variables to be replaced.
    Template(String),
}

/// A line that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// From 1.
    pub(super) line: usize,
    /// What is wrong with it.
    pub(super) problem: &'static str,
}

/// What may stand around names and values.
const BLANKS: [char; 2] = [' ', '\t'];

/// Reads an env file.
pub(super) fn parse(text: &str) -> Result<Vec<Assignment>, Malformed> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let mut assignments = Vec::new();
    let (mut rest, mut line) = (text.as_str(), 1);
    while !rest.is_empty() {
        let statement = without_export(rest.trim_start_matches(BLANKS));
        let (first_line, mut after) = split_line(statement);
        if !first_line.trim_end().is_empty() && !first_line.starts_with('#') {
            let (name, value, left) = assignment(statement).map_err(|problem| Malformed { line, problem })?;
            assignments.push(Assignment { name: name.to_owned(), value, line });
            after = left;
        }
        line += rest[..rest.len() - after.len()].matches('\n').count();
        rest = after;
    }
    Ok(assignments)
}

/// The assignment with which the text begins: name, value, and the lines after it.
fn assignment(text: &str) -> Result<(&str, Value, &str), &'static str> {
    let name_end = text.find(['=', ':', '\n']).unwrap_or(text.len());
    let name = text[..name_end].trim_end_matches(BLANKS);
    if !is_name(name) {
        return Err("it does not begin with the name of a variable: letters, digits, `_`, `.` and `-`");
    }
    let Some(value) = text[name_end..].strip_prefix(['=', ':']) else {
        return Ok((name, Value::Inherited, split_line(&text[name_end..]).1));
    };
    let value = value.trim_start_matches(BLANKS);
    let (value, left) = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(&value[1..], quote).ok_or("its quote is not closed")?,
        Some(_) | None => unquoted(value),
    };
    let (trailing, after) = split_line(left);
    let trailing = trailing.trim_start_matches(BLANKS);
    if !trailing.is_empty() && !trailing.starts_with('#') {
        return Err("something follows its closing quote");
    }
    Ok((name, value, after))
}

/// The text up to the end of the line, and that after it.
fn split_line(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

fn without_export(statement: &str) -> &str {
    let rest = statement.strip_prefix("export").filter(|rest| rest.starts_with(BLANKS));
    rest.map_or(statement, |rest| rest.trim_start_matches(BLANKS))
}

fn is_name(text: &str) -> bool {
    let inner = |character: char| character.is_alphanumeric() || "_.-[]".contains(character);
    !text.is_empty() && text.chars().all(inner)
}

/// Up to the end of the line, or to a comment, which begins with a space.
fn unquoted(text: &str) -> (Value, &str) {
    let (line, _) = split_line(text);
    // `NAME= # nothing`: the blanks before the value are gone already.
    let value = if line.starts_with('#') { "" } else { line.split(" #").next().unwrap_or_default() };
    (Value::Template(value.trim_end().to_owned()), &text[line.len()..])
}

/// Up to the closing quote; `text` begins after the opening one.
fn quoted(text: &str, quote: char) -> Option<(Value, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == quote {
            let left = &text[at + quote.len_utf8()..];
            return Some((if quote == '"' { Value::Template(value) } else { Value::Literal(value) }, left));
        }
        if character != '\\' {
            value.push(character);
            continue;
        }
        let (_, escaped) = characters.next()?;
        if escaped == quote {
            value.push(quote);
        } else if quote == '"' {
            push_escaped(&mut value, escaped);
        } else {
            value.extend(['\\', escaped]);
        }
    }
    None
}

/// What a backslash and this character mean in double quotes.
fn push_escaped(value: &mut String, escaped: char) {
    match escaped {
        'n' => value.push('\n'),
        'r' => value.push('\r'),
        't' => value.push('\t'),
        'a' => value.push('\u{7}'),
        'b' => value.push('\u{8}'),
        'f' => value.push('\u{c}'),
        'v' => value.push('\u{b}'),
        '\\' => value.push('\\'),
        // The one spelling of a dollar sign that survives the replacing of variables.
        '$' => value.push_str("$$"),
        other => value.extend(['\\', other]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &[(&str, Value)]) {
        let found = parse(text).unwrap();
        let found: Vec<(&str, &Value)> = found.iter().map(|it| (it.name.as_str(), &it.value)).collect();
        let expect: Vec<(&str, &Value)> = expect.iter().map(|(name, value)| (*name, value)).collect();
        assert_eq!(found, expect, "{text:?}");
    }

    fn template(text: &str) -> Value {
        Value::Template(text.to_owned())
    }

    fn literal(text: &str) -> Value {
        Value::Literal(text.to_owned())
    }

    #[test]
    fn a_line_sets_a_variable() {
        check("", &[]);
        check("\n  \n# note\n   # another\n", &[]);
        check("A=1", &[("A", template("1"))]);
        check("\u{feff}A=1\r\nB=2\r\n", &[("A", template("1")), ("B", template("2"))]);
        check("  A = b c  \n", &[("A", template("b c"))]);
        check("A.b-c: yaml", &[("A.b-c", template("yaml"))]);
        check("A==b", &[("A", template("=b"))]);
        check("A=\nB=", &[("A", template("")), ("B", template(""))]);
        check("A\nB =1", &[("A", Value::Inherited), ("B", template("1"))]);
        check(
            "export A=1\nexport\tB=2\nexported=3",
            &[("A", template("1")), ("B", template("2")), ("exported", template("3"))],
        );
    }

    #[test]
    fn comments_need_a_space_before_them() {
        check("A=a#b", &[("A", template("a#b"))]);
        check("A=a #b", &[("A", template("a"))]);
        check("A= # nothing", &[("A", template(""))]);
        check("A='a #b' # c", &[("A", literal("a #b"))]);
    }

    #[test]
    fn quotes_keep_spaces_and_lines() {
        check("A=\" a \"\nB=' b '", &[("A", template(" a ")), ("B", literal(" b "))]);
        check("A=\"one\ntwo\"\nB=1", &[("A", template("one\ntwo")), ("B", template("1"))]);
        check("  export  A='one\n# no comment\n'\n", &[("A", literal("one\n# no comment\n"))]);
        check("A=it's \"so\"", &[("A", template("it's \"so\""))]);
        check("A=''\nB=\"\"", &[("A", literal("")), ("B", template(""))]);
    }

    #[test]
    fn backslashes_mean_something_in_double_quotes() {
        check(r#"A="a\nb\t\"c\" \\ \$D \d""#, &[("A", template("a\nb\t\"c\" \\ $$D \\d"))]);
        check(r"A='a\nb \'c\' \\'", &[("A", literal(r"a\nb 'c' \\"))]);
        check(r"A=a\nb", &[("A", template(r"a\nb"))]);
    }

    #[track_caller]
    fn check_refused(text: &str, line: usize, problem: &str) {
        let refused = parse(text).unwrap_err();
        assert!(refused.line == line && refused.problem.contains(problem), "{text:?}: {refused:?}");
    }

    #[test]
    fn what_is_no_assignment_is_refused_with_its_line() {
        check_refused("A=1\n\n!x=2", 3, "name of a variable");
        check_refused("=1", 1, "name of a variable");
        check_refused("A B=1", 1, "name of a variable");
        check_refused("A=1\nB='x\ny\n", 2, "quote is not closed");
        check_refused("A=\"x\\", 1, "quote is not closed");
        check_refused("A='x' y", 1, "follows its closing quote");
    }

    #[test]
    fn an_assignment_knows_its_line() {
        let lines: Vec<usize> = parse("A=1\nB='\n\n'\n\nC=3").unwrap().iter().map(|it| it.line).collect();
        assert_eq!(lines, [1, 2, 6]);
    }
}
