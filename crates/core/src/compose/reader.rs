//! What every part of the file is read with: the report, the variables, the zones, and the shapes that recur in compose
//! (a text, a list of texts, a map that may also be written as a list of `KEY=VALUE`).

use std::{collections::BTreeSet, fmt::Display};

use jiff::tz::TimeZoneDatabase;

use super::{
    diagnostic::Position,
    env_files::EnvFiles,
    host_files::HostFiles,
    interpolate::Interpolator,
    keys::{Known, Status},
    report::{Place, Report, quote},
    yaml::{Entry, Item, Scalar, Value},
};

/// Longest list of a service's names, rights and the like. Nobody writes half as many, and each is stored with every run.
const LIST_MAX: usize = 100;

/// Reads values and collects what is wrong with them.
#[derive(Debug)]
pub(super) struct Reader<'f> {
    pub(super) report: Report,
    pub(super) interpolator: Interpolator<'f>,
    pub(super) env_files: EnvFiles<'f>,
    /// Secrets and configs that services may name.
    pub(super) host_files: HostFiles,
    /// Names of the volumes that the file declares; `None`: it declares none, and need not.
    pub(super) volumes: Option<BTreeSet<String>>,
    pub(super) zones: &'f TimeZoneDatabase,
}

/// The text of a scalar with its variables replaced.
#[derive(Debug, Clone)]
pub(super) struct Text {
    /// The text.
    pub(super) value: String,
    /// Where the scalar is.
    place: Place,
    /// Where the text's first character is, if text and file agree character by character.
    verbatim_at: Option<Position>,
}

impl Text {
    /// Where it is.
    pub(super) fn place(&self) -> Place {
        self.place.clone()
    }

    /// Where the character with this index is; or the text, if only that can be told.
    pub(super) fn place_of(&self, index: usize) -> Place {
        let position = self.verbatim_at.map_or(self.place.position, |start| start.moved_by(index));
        Place { position, path: self.place.path.clone() }
    }

    /// Without space around it.
    pub(super) fn trimmed(&self) -> Self {
        let start = self.value.len() - self.value.trim_start().len();
        self.part(start, self.value.trim())
    }

    /// Both sides of the first `separator`.
    pub(super) fn split_once(&self, separator: char) -> Option<(Self, Self)> {
        let (before, after) = self.value.split_once(separator)?;
        Some((self.part(0, before), self.part(before.len() + separator.len_utf8(), after)))
    }

    /// The pieces between separators. Each costs a walk over the text for its place: check their number first.
    pub(super) fn split(&self, separator: char) -> Vec<Self> {
        let mut start = 0;
        let piece = |value: &str| {
            let piece = self.part(start, value);
            start += value.len() + separator.len_utf8();
            piece
        };
        self.value.split(separator).map(piece).collect()
    }

    fn part(&self, start: usize, value: &str) -> Self {
        let skipped = self.value[..start].chars().count();
        let verbatim_at = self.verbatim_at.map(|position| position.moved_by(skipped));
        Self { value: value.to_owned(), place: self.place.clone(), verbatim_at }
    }
}

/// An entry of a map, or `KEY=VALUE` of a list.
#[derive(Debug)]
pub(super) struct Pair {
    /// The key.
    pub(super) name: String,
    /// Where the key is.
    pub(super) place: Place,
    /// The value; `None`: the key stands alone.
    pub(super) value: Option<Text>,
}

impl<'f> Reader<'f> {
    /// The entries of a map; none if it is empty or not a map.
    pub(super) fn entries<'t>(&mut self, item: &Item<'t>) -> &'t [Entry] {
        match &item.node.value {
            Value::Mapping(entries) => entries,
            Value::Scalar(scalar) if scalar.is_null() => &[],
            Value::Scalar(_) | Value::Sequence(_) => {
                self.expected("a map", item);
                &[]
            }
        }
    }

    /// The text of a scalar.
    pub(super) fn text(&mut self, item: &Item<'_>) -> Option<Text> {
        match &item.node.value {
            Value::Scalar(scalar) if !scalar.is_null() => {
                let text = self.interpolated(scalar, item)?;
                if text.value.contains('\0') {
                    // Ends a text for the system: what follows would be lost without a word.
                    self.report.error(text.place(), "the text contains a NUL character");
                    return None;
                }
                Some(text)
            }
            Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_) => {
                self.expected("a text", item);
                None
            }
        }
    }

    /// What the text of a scalar means.
    pub(super) fn parsed<T, E: Display>(
        &mut self,
        item: &Item<'_>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(item)?;
        match parse(&text.value) {
            Ok(value) => Some(value),
            Err(error) => {
                self.report.error(text.place(), error.to_string());
                None
            }
        }
    }

    /// The texts of a list.
    pub(super) fn texts(&mut self, item: &Item<'_>) -> Option<Vec<Text>> {
        let Value::Sequence(nodes) = &item.node.value else {
            self.expected("a list", item);
            return None;
        };
        let texts = nodes.iter().enumerate().map(|(index, node)| self.text(&item.element(index, node)));
        // Two steps: every item is read, so that every bad one is reported.
        let texts: Vec<Option<Text>> = texts.collect();
        texts.into_iter().collect()
    }

    /// What each text of a list means: of those that mean something.
    pub(super) fn many<T, E: Display>(&mut self, item: &Item<'_>, parse: impl Fn(&str) -> Result<T, E>) -> Vec<T> {
        let texts = if item.is_null() { Vec::new() } else { self.texts(item).unwrap_or_default() };
        if texts.len() > LIST_MAX {
            let message = format!("the list has {} items, at most {LIST_MAX} are allowed", texts.len());
            self.report.error(item.place(), message);
            return Vec::new();
        }
        let mut values = Vec::new();
        for text in texts {
            match parse(&text.value) {
                Ok(value) => values.push(value),
                Err(error) => self.report.error(text.place(), error.to_string()),
            }
        }
        values
    }

    /// The same, where a text may stand for a list of one.
    pub(super) fn one_or_many<T, E: Display>(
        &mut self,
        item: &Item<'_>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        match &item.node.value {
            Value::Scalar(scalar) if !scalar.is_null() => self.parsed(item, parse).into_iter().collect(),
            Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_) => self.many(item, parse),
        }
    }

    /// The entries of a map, or of a list of `KEY=VALUE`.
    pub(super) fn pairs(&mut self, item: &Item<'_>) -> Vec<Pair> {
        match &item.node.value {
            Value::Mapping(entries) => entries.iter().filter_map(|entry| self.map_pair(item, entry)).collect(),
            Value::Sequence(nodes) => nodes
                .iter()
                .enumerate()
                .filter_map(|(index, node)| self.list_pair(&item.element(index, node)))
                .collect(),
            Value::Scalar(scalar) if scalar.is_null() => Vec::new(),
            Value::Scalar(_) => {
                self.expected("a map or a list of `KEY=VALUE`", item);
                Vec::new()
            }
        }
    }

    /// Says that something else is needed.
    pub(super) fn expected(&mut self, what: &str, item: &Item<'_>) {
        let found = item.node.kind();
        self.report.error(item.place(), format!("{what} is needed here, but this is {found}"));
    }

    /// The meaning of a key of the compose format, if it has one here; else the report says why not.
    pub(super) fn known_key<K: Copy>(&mut self, table: &[Known<K>], item: &Item<'_>, entry: &Entry) -> Option<K> {
        let name = entry.key.text.as_str();
        let place = item.key_place(&entry.key);
        let known = table.iter().find(|known| known.name == name);
        match known.map(|known| &known.status) {
            Some(Status::Supported(key)) => return Some(*key),
            Some(Status::Ignored { why }) => self.report.warning(place, format!("`{name}` has no effect: {why}")),
            Some(Status::Unsupported { why, hint }) => {
                self.report.error_with_hint(place, format!("`{name}` is not supported: {why}"), *hint);
            }
            None if name.starts_with("x-") => {}
            None => self.unknown_key(name, place, table.iter().map(|known| known.name)),
        }
        None
    }

    /// Says that a key is not known, and which one may have been meant.
    pub(super) fn unknown_key<'n>(&mut self, name: &str, place: Place, names: impl IntoIterator<Item = &'n str>) {
        let near = self.report.nearest(name, names);
        let message = format!("unknown key {}", quote(name));
        match near {
            Some(near) => self.report.error_with_hint(place, message, format!("did you mean `{near}`?")),
            None => self.report.error(place, message),
        }
    }

    fn map_pair(&mut self, item: &Item<'_>, entry: &Entry) -> Option<Pair> {
        let child = item.child(entry);
        let value = if child.is_null() { None } else { Some(self.text(&child)?) };
        Some(Pair { name: entry.key.text.clone(), place: item.key_place(&entry.key), value })
    }

    fn list_pair(&mut self, item: &Item<'_>) -> Option<Pair> {
        let text = self.text(item)?;
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        Some(Pair { place: name.place(), name: name.value, value })
    }

    fn interpolated(&mut self, scalar: &Scalar, item: &Item<'_>) -> Option<Text> {
        let written = Text { value: scalar.text.clone(), place: item.place(), verbatim_at: scalar.verbatim_at };
        if !scalar.text.contains('$') {
            return Some(written);
        }
        match self.interpolator.interpolate(&scalar.text) {
            Ok(result) => {
                for name in result.unset {
                    let message = format!("the variable {} is not set: nothing is put in its place", quote(&name));
                    self.report.warning(item.place(), message);
                }
                Some(Text { value: result.text, verbatim_at: None, ..written })
            }
            Err(error) => {
                let place = written.place_of(error.offset());
                match error.hint() {
                    Some(hint) => self.report.error_with_hint(place, error.to_string(), hint),
                    None => self.report.error(place, error.to_string()),
                }
                None
            }
        }
    }
}
