//! What is wrong with a compose file, and where: one line for a compiler-minded reader, one more with the way out.
//!
//! ```text
//! nightly.yaml:5:5: error: unknown key `imge`
//!   hint: did you mean `image`?
//! ```

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but something in it has no effect or may not be what was meant.
    Warning,
    /// The file is fine, and says less than a reader may want to know.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// Number of a file among those that one app is read from.
pub(super) type SourceId = u16;
/// The file that was named first.
pub(super) const SOURCE_FIRST: SourceId = 0;

/// A place in the file. Both numbers count from 1, and columns count characters, as editors do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The file of several that the app is read from. A finding names it.
    #[serde(skip)]
    pub(super) source: SourceId,
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
}

impl Position {
    /// Where a file begins: the place of what concerns all of it.
    pub const START: Self = Self { source: SOURCE_FIRST, line: 1, column: 1 };

    /// The place so many characters further on the same line.
    pub(super) fn moved_by(self, characters: usize) -> Self {
        Self { column: self.column + characters, ..self }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Name of the file, as it was given.
    pub file: Arc<str>,
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub position: Position,
    /// Where it is as a path of keys, such as `services.s1.labels`; empty for the file itself.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// Whether the file cannot be used because of it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}: {}", self.file, self.position, self.severity, self.message)?;
        if let Some(hint) = &self.hint {
            write!(formatter, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}
