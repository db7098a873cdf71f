//! What every part of the file is read with: the report, the variables, the zones, and the shapes that recur in compose
//! (a text, a list of texts, a map that may also be written as a list of `KEY=VALUE`).

use std::{collections::BTreeSet, fmt::Display};

use jiff::tz::TimeZoneDatabase;

use super::{
    diagnostic::{Position, SourceId},
    dialect::Dialect,
    env_files::EnvFiles,
    host_files::HostFiles,
    interpolate::Interpolator,
    keys::{Known, Status},
    labels::{ALIYUN, AppLabels, Labels, TICKMESH},
    networks::Networks,
    project::{Project, Sources},
    report::{Place, Report, quote},
    source::ComposeFile,
    volumes::Volumes,
    yaml::{Entry, Item, Node, Scalar, Value},
};

/// Longest list of a service's names, rights and the like. Nobody writes half as many, and each is stored with every run.
const LIST_MAX: usize = 100;

/// Keys of other tools and what compose calls them, where the nearest name is another one.
const OTHER_WORDS: [(&str, &str); 3] = [("network", "network_mode"), ("env", "environment"), ("cmd", "command")];

/// Says whether a key that is not read has one of the values that say nothing.
fn says_nothing(nothing: &[&str], node: &Node) -> bool {
    match &node.value {
        Value::Scalar(scalar) => nothing.contains(&scalar.text.trim()),
        Value::Sequence(_) | Value::Mapping(_) => false,
    }
}

/// Reads values and collects what is wrong with them.
#[derive(Debug)]
pub(super) struct Reader<'f> {
    pub(super) dialect: Dialect,
    pub(super) report: Report,
    /// The files that the app is read from.
    pub(super) sources: Sources<'f>,
    /// Labels of the app among those of the service of a stack that the app is; `None`: the app is
    /// the whole file.
    pub(super) stack_labels: Option<Labels<AppLabels>>,
    pub(super) unset: UnsetNames,
    pub(super) interpolator: Interpolator<'f>,
    pub(super) env_files: EnvFiles<'f>,
    /// Secrets and configs that services may name.
    pub(super) host_files: HostFiles,
    /// Volumes that the file declares; `None`: it declares none, and need not.
    pub(super) volumes: Option<Volumes>,
    /// Networks that the file declares.
    pub(super) networks: Networks,
    /// Whether the file has labels of the original, and so means what it meant there.
    pub(super) is_original: bool,
    /// Services whose `extends` came to nothing, which was told: what they lack may have come from there.
    pub(super) unextended: BTreeSet<String>,
    /// Whether every service of a stack is an app, so that nothing is left to compose.
    pub(super) has_jobs_only: bool,
    /// Whether the file says when the app runs: at its top, or in the service of a stack that the app is.
    pub(super) is_scheduled: bool,
    /// What compose calls everything that it makes for this file.
    pub(super) project: String,
    pub(super) zones: &'f TimeZoneDatabase,
}

/// Variables that were found without a value, and how much depends on the next one.
#[derive(Debug, Default)]
pub(super) struct UnsetNames {
    reported: BTreeSet<String>,
    refused: BTreeSet<String>,
    mode: Unset,
}

/// What is said of a variable that is not set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Unset {
    /// A warning.
    #[default]
    Warned,
    /// Nothing: whoever reads the text says it, by [`Reader::report_unset`].
    Deferred,
    /// An error: with the variable left out the value means something else, such as another user or
    /// another folder.
    Refused,
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
    /// Variables that are not set, of which nothing has been said.
    unset: Vec<String>,
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

    /// Whether it has variables that are not set, of which nothing has been said.
    pub(super) fn is_unset(&self) -> bool {
        !self.unset.is_empty()
    }

    /// Several texts as one, with a separator between them.
    pub(super) fn joined(texts: &[Self], separator: &str, place: Place) -> Self {
        let values: Vec<&str> = texts.iter().map(|text| text.value.as_str()).collect();
        let unset = texts.iter().flat_map(|text| text.unset.clone()).collect();
        Self { value: values.join(separator), place, verbatim_at: None, unset }
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
        Self { value: value.to_owned(), place: self.place.clone(), verbatim_at, unset: self.unset.clone() }
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
    /// A reader that has read nothing yet.
    pub(super) fn new(file: &ComposeFile<'f>, project: &'f Project, zones: &'f TimeZoneDatabase) -> Self {
        Self {
            dialect: file.dialect,
            report: Report::new(file.file_name),
            sources: Sources::new(project, file.file_name, file.text),
            stack_labels: project.service.is_some().then(Labels::default),
            unset: UnsetNames::default(),
            interpolator: Interpolator::new(file.variables),
            env_files: EnvFiles::new(file.env_files),
            host_files: HostFiles::default(),
            volumes: None,
            networks: Networks::default(),
            is_original: false,
            unextended: BTreeSet::new(),
            has_jobs_only: false,
            is_scheduled: false,
            project: project.name.clone().unwrap_or_else(|| file.app.to_string()),
            zones,
        }
    }

    /// Returns the name of the stack of which the app is a service: compose made its networks and
    /// volumes by that.
    pub(super) fn stack_project(&self) -> Option<String> {
        let project = self.sources.project();
        project.service.as_ref().map(|_| project.name.clone().unwrap_or_default())
    }

    /// Returns that name only where compose runs services of the stack: where all are apps, nobody
    /// made a network or a volume, and nobody is there to be found.
    pub(super) fn running_stack(&self) -> Option<String> {
        self.stack_project().filter(|_| !self.has_jobs_only)
    }

    /// Returns the name of one of our labels, with the prefix that the file has.
    pub(super) fn label_name(&self, name: &str) -> String {
        let prefix = if self.is_original { ALIYUN } else { TICKMESH };
        format!("{prefix}{name}")
    }

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

    /// Reads a list, or a text that stands for a list of one.
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

    /// The text of a scalar of this file with its variables replaced, of which nothing is said.
    /// `None`: they cannot be.
    pub(super) fn replaced(&mut self, scalar: &Scalar, source: SourceId) -> Option<String> {
        if scalar.is_replaced || !scalar.text.contains('$') {
            return Some(scalar.text.clone());
        }
        let own = self.sources.variables(source);
        self.interpolator.interpolate_beside(&scalar.text, &own).ok().map(|replaced| replaced.text)
    }

    /// A path of the hosts: a relative one begins in the folder of its file. Whoever reads it says
    /// what is wrong with it.
    pub(super) fn on_hosts(&mut self, path: &str, source: SourceId) -> Option<String> {
        let home = if path.starts_with('~') { self.interpolator.variable("HOME") } else { None };
        self.sources.on_hosts(source, path, home)
    }

    /// Reads something for which variables that are not set mean more than a warning.
    pub(super) fn with_unset<T>(&mut self, mode: Unset, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.unset.mode, mode);
        let read = read(self);
        self.unset.mode = before;
        read
    }

    /// Says which variables of a text are not set: an error where nothing is left of its value.
    pub(super) fn report_unset(&mut self, text: &Text) {
        if text.value.is_empty() {
            self.refuse_unset(text, "; `${NAME:-}` says that it may be empty")
        } else {
            self.warn_unset(text)
        }
    }

    /// Whether nothing was said before about this variable, which is not set.
    pub(super) fn is_first_unset(&mut self, name: &str) -> bool {
        self.unset.reported.insert(name.to_owned())
    }

    pub(super) fn warn_unset(&mut self, text: &Text) {
        for name in &text.unset {
            if self.is_first_unset(name) {
                let message = format!("the variable {} is not set: nothing is put in its place", quote(name));
                self.report.warning_with_hint(text.place(), message, hint_for_unset(name));
            }
        }
    }

    /// Refuses a text of which nothing is left without a variable.
    pub(super) fn refuse_unset(&mut self, text: &Text, way_out: &str) {
        match self.dialect {
            // There it was a warning, and the apps run.
            Dialect::First => return self.warn_unset(text),
            Dialect::Second => {}
        }
        for name in &text.unset {
            self.unset.reported.insert(name.clone());
            if self.unset.refused.insert(name.clone()) {
                let message = format!("the variable {} is not set, and nothing stands in for it", quote(name));
                let hint = format!("{}{}", hint_for_unset(name), way_out.replace("NAME", name));
                self.report.error_with_hint(text.place(), message, hint);
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
        if known.is_some_and(|known| says_nothing(known.nothing, &entry.value)) {
            return None;
        }
        match known.map(|known| &known.status) {
            Some(Status::Supported(key)) => return Some(*key),
            Some(Status::Ignored { why }) => self.report.warning(place, format!("`{name}` has no effect: {why}")),
            Some(Status::Unsupported { why, hint }) => {
                self.report.error_with_hint(place, format!("`{name}` is not supported: {why}"), *hint);
            }
            None => self.unknown_key(name, place, table.iter().map(|known| known.name)),
        }
        None
    }

    /// Says that a key is not known, and which one may have been meant. Keys with `x-` are for
    /// other programs, at every level.
    pub(super) fn unknown_key<'n>(&mut self, name: &str, place: Place, names: impl IntoIterator<Item = &'n str>) {
        if name.starts_with("x-") {
            return;
        }
        let other_word = OTHER_WORDS.iter().find(|(other, _)| *other == name).map(|(_, key)| *key);
        let near = other_word.or_else(|| self.report.nearest(name, names));
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
        let written = Text {
            value: scalar.text.clone(),
            place: item.place(),
            verbatim_at: scalar.verbatim_at,
            unset: Vec::new(),
        };
        if scalar.is_replaced || !scalar.text.contains('$') {
            return Some(written);
        }
        let own = self.sources.variables(item.node.position.source);
        match self.interpolator.interpolate_beside(&scalar.text, &own) {
            Ok(result) => {
                let text = Text { value: result.text, verbatim_at: None, unset: result.unset, ..written };
                match self.unset.mode {
                    Unset::Warned => self.warn_unset(&text),
                    Unset::Refused => self.refuse_unset(&text, ""),
                    Unset::Deferred => {}
                }
                Some(text)
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

fn hint_for_unset(name: &str) -> String {
    format!("add a line `{name}=...` to the file `.env` beside the compose file, or set it with `--var {name}=...`")
}
