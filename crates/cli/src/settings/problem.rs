//! What is wrong with the file, and where, as problems of compose files are shown.

use std::{fmt, path::PathBuf};

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
    /// The line itself.
    pub excerpt: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem at this byte of the text.
    pub(crate) fn at(file: PathBuf, text: &str, offset: usize, message: impl Into<String>) -> Self {
        let offset = (0..=offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let before = &text[..offset];
        let begin = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            file,
            line: before.matches('\n').count() + 1,
            column: text[begin..offset].chars().count() + 1,
            excerpt: text[begin..].lines().next().unwrap_or_default().to_owned(),
            message: message.into(),
            hint: None,
        }
    }

    /// Adds the way out.
    pub(crate) fn hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, excerpt, message, hint } = self;
        write!(formatter, "{}:{line}:{column}: {message}", file.display())?;
        // A caret below a long line would stand anywhere.
        if excerpt.len() <= EXCERPT_BYTES_MAX {
            write!(formatter, "\n{line:>5} | {excerpt}\n{:>5} | {:>column$}", "", "^")?;
        }
        match hint {
            Some(hint) => write!(formatter, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Longest line that is shown.
const EXCERPT_BYTES_MAX: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_is_counted_in_lines_and_characters() {
        let text = "[agent]\nlabel = [\"ä=1\", 2]\n";
        let problem = Problem::at("a.toml".into(), text, text.find('2').unwrap(), "no text");
        assert_eq!((problem.line, problem.column), (2, 17));
        let shown = "a.toml:2:17: no text\n    2 | label = [\"ä=1\", 2]\n      |                 ^";
        assert_eq!(problem.to_string(), shown);
        assert_eq!(Problem::at("a.toml".into(), "", 9, "x").line, 1);
    }
}
