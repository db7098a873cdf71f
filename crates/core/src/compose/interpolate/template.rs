//! The syntax of variables in a value: text to parts.

/// Deepest nesting of `${A:-${B:-...}}`.
const DEPTH_MAX: usize = 8;

/// A piece of a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Text as it is.
    Text(String),
    /// A variable.
    Reference(Reference),
}

/// A variable, and what to do if it is set or not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) name: String,
    /// What follows the name, and the text that belongs to it.
    pub(super) operator: Option<(Operator, Vec<Part>)>,
}

/// What follows a variable's name in braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    /// `-`: use the text instead if the variable is not set.
    Default(Empty),
    /// `?`: fail with the text if the variable is not set.
    Required(Empty),
    /// `+`: use the text if the variable is set, and nothing if not.
    Alternative(Empty),
}

/// Whether a variable that is set to nothing is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Empty {
    /// `-`, `?`, `+`: it is.
    IsSet,
    /// `:-`, `:?`, `:+`: it is not.
    IsUnset,
}

impl Operator {
    /// All of them as they are written, longest first.
    const ALL: [(&'static str, Self); 6] = [
        (":-", Self::Default(Empty::IsUnset)),
        (":?", Self::Required(Empty::IsUnset)),
        (":+", Self::Alternative(Empty::IsUnset)),
        ("-", Self::Default(Empty::IsSet)),
        ("?", Self::Required(Empty::IsSet)),
        ("+", Self::Alternative(Empty::IsSet)),
    ];

    /// What an empty variable counts as.
    pub(super) fn empty(self) -> Empty {
        match self {
            Self::Default(empty) | Self::Required(empty) | Self::Alternative(empty) => empty,
        }
    }
}

/// Text that breaks the syntax.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub(crate) struct Malformed {
    /// Where, in characters from 0.
    pub(super) offset: usize,
    problem: Problem,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("`${{` is not followed by a variable's name")]
    NoName,
    #[error("`${{` has no closing `}}`")]
    NotClosed,
    #[error("in `${{...}}` a name is followed by `}}`, `:-`, `-`, `:?`, `?`, `:+` or `+`")]
    UnknownOperator,
    #[error("variables are nested more than {DEPTH_MAX} deep")]
    TooDeep,
}

impl Malformed {
    /// What to do about it.
    pub(super) fn hint(&self) -> &'static str {
        match self.problem {
            Problem::NoName | Problem::NotClosed | Problem::UnknownOperator => "a dollar sign itself is written `$$`",
            Problem::TooDeep => "give the inner variables another way",
        }
    }
}

/// The parts of a value.
pub(super) fn parse(text: &str) -> Result<Vec<Part>, Malformed> {
    Scanner { text, at: 0 }.parts(Until::End, 0)
}

/// Where a sequence of parts ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// At the end of the text.
    End,
    /// At the brace that closes a variable.
    Brace {
        /// Byte at which the variable began.
        opened_at: usize,
    },
}

struct Scanner<'t> {
    text: &'t str,
    /// Byte offset of what comes next.
    at: usize,
}

impl Scanner<'_> {
    fn parts(&mut self, until: Until, depth: usize) -> Result<Vec<Part>, Malformed> {
        let mut parts = Vec::new();
        let stops: &[char] = match until {
            Until::End => &['$'],
            Until::Brace { .. } => &['$', '}'],
        };
        loop {
            let rest = &self.text[self.at..];
            let text_length = rest.find(stops).unwrap_or(rest.len());
            if text_length > 0 {
                parts.push(Part::Text(rest[..text_length].to_owned()));
                self.at += text_length;
            }
            match (self.text[self.at..].chars().next(), until) {
                (Some('$'), _) => parts.push(self.dollar(depth)?),
                (None, Until::Brace { opened_at }) => return Err(self.malformed(opened_at, Problem::NotClosed)),
                (Some(_) | None, _) => return Ok(parts),
            }
        }
    }

    fn dollar(&mut self, depth: usize) -> Result<Part, Malformed> {
        let dollar_at = self.at;
        self.at += 1;
        if self.skip("$") {
            return Ok(Part::Text("$".to_owned()));
        }
        let braced = self.skip("{");
        let Some(name) = self.name() else {
            // As docker compose has it since version 2: so shell code such as `$(date)` and `$1` stays as it is.
            return if braced {
                Err(self.malformed(dollar_at, Problem::NoName))
            } else {
                Ok(Part::Text("$".to_owned()))
            };
        };
        let operator = if braced { self.operator(dollar_at, depth)? } else { None };
        Ok(Part::Reference(Reference { name, operator }))
    }

    /// What stands between a name and the closing brace.
    fn operator(&mut self, dollar_at: usize, depth: usize) -> Result<Option<(Operator, Vec<Part>)>, Malformed> {
        if self.skip("}") {
            return Ok(None);
        }
        if self.at == self.text.len() {
            return Err(self.malformed(dollar_at, Problem::NotClosed));
        }
        if depth == DEPTH_MAX {
            return Err(self.malformed(dollar_at, Problem::TooDeep));
        }
        let found = Operator::ALL.into_iter().find(|(written, _)| self.skip(written));
        let (_, operator) = found.ok_or_else(|| self.malformed(self.at, Problem::UnknownOperator))?;
        let parts = self.parts(Until::Brace { opened_at: dollar_at }, depth + 1)?;
        // `parts` stops before the brace.
        self.at += 1;
        Ok(Some((operator, parts)))
    }

    fn name(&mut self) -> Option<String> {
        let rest = &self.text[self.at..];
        let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let length = rest.find(|character| !is_part(character)).unwrap_or(rest.len());
        let name = &rest[..length];
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        self.at += length;
        Some(name.to_owned())
    }

    fn skip(&mut self, expected: &str) -> bool {
        let found = self.text[self.at..].starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    fn malformed(&self, at: usize, problem: Problem) -> Malformed {
        Malformed { offset: self.text[..at].chars().count(), problem }
    }
}
