//! Collects the diagnostics of one file, so that its reader can go on after a problem and show all of them at once.

use std::sync::Arc;

use super::diagnostic::{Diagnostic, Position, SOURCE_FIRST, Severity, SourceId};

/// Most diagnostics kept of one severity: nobody reads more, and a hostile file must not make more.
pub(super) const DIAGNOSTICS_MAX: usize = 100;

/// Longest message. Some hold text of the file, such as that of `${VAR:?text}`.
const MESSAGE_CHARACTERS_MAX: usize = 500;

/// Most characters of the file that a message repeats.
const QUOTED_CHARACTERS_MAX: usize = 60;

/// A place in the file, in both spellings.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// As line and column.
    pub(super) position: Position,
    /// As path of keys.
    pub(super) path: String,
}

impl Place {
    /// The file as a whole.
    pub(super) fn file() -> Self {
        Self { position: Position::START, path: String::new() }
    }
}

/// The diagnostics so far.
#[derive(Debug)]
pub(super) struct Report {
    files: Vec<Arc<str>>,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    notes: Vec<Diagnostic>,
    left_out: usize,
    /// Unknown names that were compared with all known ones: the only work here that is not small.
    comparisons: usize,
}

impl Report {
    pub(super) fn new(file: &str) -> Self {
        Self {
            files: vec![file.into()],
            errors: Vec::new(),
            warnings: Vec::new(),
            notes: Vec::new(),
            left_out: 0,
            comparisons: 0,
        }
    }

    /// Takes note of one more file, whose places have the number that is returned. `None`: there
    /// are too many.
    pub(super) fn add_file(&mut self, name: &str) -> Option<SourceId> {
        let id = SourceId::try_from(self.files.len()).ok()?;
        self.files.push(name.into());
        Some(id)
    }

    /// Returns the name of a file.
    pub(super) fn file(&self, source: SourceId) -> Arc<str> {
        self.files.get(usize::from(source)).unwrap_or(&self.files[0]).clone()
    }

    pub(super) fn error(&mut self, place: Place, message: impl Into<String>) {
        self.push(Severity::Error, place, message.into(), None);
    }

    pub(super) fn error_with_hint(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Error, place, message.into(), Some(hint.into()));
    }

    pub(super) fn warning(&mut self, place: Place, message: impl Into<String>) {
        self.push(Severity::Warning, place, message.into(), None);
    }

    pub(super) fn warning_with_hint(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Warning, place, message.into(), Some(hint.into()));
    }

    pub(super) fn note_with_hint(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Note, place, message.into(), Some(hint.into()));
    }

    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// The name most like `text`, if one is so near that a slip of the hand explains it.
    pub(super) fn nearest<'n>(&mut self, text: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
        if self.comparisons >= DIAGNOSTICS_MAX {
            return None;
        }
        self.comparisons += 1;
        nearest(text, names)
    }

    /// All of them in the order of the file.
    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let file = self.file(SOURCE_FIRST);
        let Self { files: _, errors, warnings, notes, left_out, comparisons: _ } = self;
        let mut all = errors;
        all.extend(warnings);
        all.extend(notes);
        all.sort_by_key(|diagnostic| (diagnostic.position, diagnostic.severity));
        if left_out > 0 {
            let Place { position, path } = Place::file();
            let message = format!("{left_out} more problems are not shown");
            all.push(Diagnostic { file, severity: Severity::Warning, position, path, message, hint: None });
        }
        all
    }

    fn push(&mut self, severity: Severity, place: Place, message: String, hint: Option<String>) {
        let Place { position, path } = place;
        let file = self.file(position.source);
        let message = printable(&message);
        let hint = hint.as_deref().map(printable);
        let kept = match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
            Severity::Note => &mut self.notes,
        };
        // A value that aliases repeat is read once for each of them, but is wrong in one place only.
        if kept.iter().any(|other| other.position == position && other.message == message) {
            return;
        }
        if kept.len() >= DIAGNOSTICS_MAX {
            self.left_out += 1;
            return;
        }
        kept.push(Diagnostic { file, severity, position, path: printable(&path), message, hint });
    }
}

/// The text, shortened, and with control characters spelled out: a file must not be able to steer the terminal that shows
/// its errors.
fn printable(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars().take(MESSAGE_CHARACTERS_MAX) {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// A piece of the file as a message repeats it: in backquotes, and not all of it if it is long.
pub(super) fn quote(text: &str) -> String {
    let mut characters = text.chars();
    let head: String = characters.by_ref().take(QUOTED_CHARACTERS_MAX).collect();
    let rest = if characters.next().is_some() { "..." } else { "" };
    format!("`{head}{rest}`")
}

/// The names as a sentence lists them: `a`, `b` or `c`.
pub(super) fn one_of<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

fn nearest<'n>(text: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    /// No name is as long; and the time that comparing takes grows with the length.
    const LENGTH_MAX: usize = 40;
    if text.len() > LENGTH_MAX {
        return None;
    }
    let text = text.to_lowercase().replace('-', "_");
    let allowed = (text.len() / 3).max(1);
    names
        .into_iter()
        // The distance is at least the difference in length, and costs far more to compute.
        .filter(|name| name.len().abs_diff(text.len()) <= allowed)
        .map(|name| (strsim::osa_distance(&text, &name.replace('-', "_")), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}
