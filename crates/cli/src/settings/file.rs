//! The file: read, and checked key by key.

use std::{
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use tickmesh_webhook::NOTIFY_TABLE;
use toml_edit::{Document, Item, Key as TomlKey, TableLike, Value};

use super::{
    FILE_DEFAULT, FILE_VARIABLE,
    keys::{self, Key, MESH, SECTIONS},
    problem::Problem,
};
use crate::exit::BadInput;

/// Largest file that is read.
const BYTES_MAX: u64 = 1024 * 1024;
/// Letters that may be wrong in a key that is suggested.
const TYPING_ERRORS_MAX: usize = 2;

/// What the file says, or nothing if there is none.
#[derive(Debug, Default)]
pub(crate) struct SettingsFile {
    path: PathBuf,
    stated: Vec<Stated>,
    problems: Vec<(String, Problem)>,
}

/// One key that the file has.
#[derive(Debug)]
struct Stated {
    section: String,
    key: String,
    values: Vec<String>,
    line: usize,
}

impl SettingsFile {
    /// Reads the file, which must be there if it was named.
    pub(crate) fn read(named: Option<&PathBuf>) -> anyhow::Result<Self> {
        let path = named.map_or(Path::new(FILE_DEFAULT), PathBuf::as_path);
        let unreadable = |error: io::Error| {
            let hint = format!("say with --config or {FILE_VARIABLE} where it is");
            BadInput::new(format!("cannot read {}: {error}", path.display())).hint(hint)
        };
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => return Ok(Self::default()),
            Err(error) => return Err(unreadable(error).into()),
            Ok(found) if found.len() > BYTES_MAX => {
                let problem = format!("cannot use {}: it is larger than 1 MiB", path.display());
                return Err(BadInput::new(problem).into());
            }
            Ok(_) => {}
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(path, &text)
    }

    /// Reads a text. What is no TOML is an error; what is wrong with a section is kept for whoever goes by it.
    fn parse(path: &Path, text: &str) -> anyhow::Result<Self> {
        let document = match Document::parse(text) {
            Ok(document) => document,
            Err(error) => {
                let offset = error.span().map_or(0, |span| span.start);
                return Err(refusal(&[Problem::at(path.to_owned(), text, offset, error.message().trim())]));
            }
        };
        let mut reader = Reader { text, file: Self { path: path.to_owned(), ..Self::default() } };
        reader.document(document.as_table());
        Ok(reader.file)
    }

    /// Refuses what is wrong with the file as a whole, with `[mesh]` or with that section. A mistake elsewhere must not
    /// end a process that has nothing to do with it: `tickmesh config` reports it.
    pub(crate) fn ensure_valid(&self, section: &str) -> anyhow::Result<()> {
        let counts = |of: &str| of.is_empty() || of == MESH || of == section;
        self.refuse(counts)
    }

    /// Refuses whatever is wrong.
    pub(crate) fn ensure_all_valid(&self) -> anyhow::Result<()> {
        self.refuse(|_| true)
    }

    fn refuse(&self, counts: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        let problems = self.problems.iter().filter(|(section, _)| counts(section));
        let problems: Vec<Problem> = problems.map(|(_, problem)| problem.clone()).collect();
        if problems.is_empty() { Ok(()) } else { Err(refusal(&problems)) }
    }

    /// Returns what the file says for a key.
    pub(crate) fn values(&self, section: &str, key: &str) -> Option<Vec<String>> {
        self.stated(section, key).map(|stated| stated.values.clone())
    }

    /// Returns the only value of a key.
    pub(crate) fn value(&self, section: &str, key: &str) -> Option<&str> {
        self.stated(section, key)?.values.first().map(String::as_str)
    }

    /// Returns where the file says it, as `FILE:LINE`.
    pub(crate) fn place(&self, section: &str, key: &str) -> Option<String> {
        self.stated(section, key).map(|stated| format!("{}:{}", self.path.display(), stated.line))
    }

    fn stated(&self, section: &str, key: &str) -> Option<&Stated> {
        self.stated.iter().find(|stated| stated.section == section && stated.key == key)
    }
}

fn refusal(problems: &[Problem]) -> anyhow::Error {
    let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
    BadInput::new(text.join("\n")).into()
}

struct Reader<'a> {
    text: &'a str,
    file: SettingsFile,
}

impl Reader<'_> {
    fn document(&mut self, table: &dyn TableLike) {
        let names = SECTIONS.into_iter().chain([MESH]).collect::<Vec<_>>();
        for (name, item) in table.iter() {
            let place = place_of(table, name, item);
            match item.as_table_like() {
                // Targets of notices, for whoever is given the file with `--notify-file`.
                _ if name == NOTIFY_TABLE => {}
                _ if !names.contains(&name) => {
                    let list = format!("there are [{}]", names.join("], ["));
                    let hint = near(name, names.iter().copied()).unwrap_or(list);
                    self.problem("", place, format!("unknown section `{name}`"), Some(hint));
                }
                Some(section) => self.section(name, section),
                None => self.problem("", place, format!("`{name}` is a section: write [{name}]"), None),
            }
        }
    }

    fn section(&mut self, section: &str, table: &dyn TableLike) {
        let keys = keys::of(section);
        for (name, item) in table.iter() {
            let place = place_of(table, name, item);
            let Some(key) = keys.iter().find(|key| key.name == name) else {
                let hint = near(name, keys.iter().map(|key| key.name.as_str()));
                self.problem(section, place, format!("unknown key `{name}` in [{section}]"), hint);
                continue;
            };
            if let Some(values) = self.values(section, key, item) {
                let line = self.text[..place].matches('\n').count() + 1;
                let stated = Stated { section: section.to_owned(), key: name.to_owned(), values, line };
                self.file.stated.push(stated);
            }
        }
    }

    /// The values of a key as texts, or `None`: one of them is wrong.
    fn values(&mut self, section: &str, key: &Key, item: &Item) -> Option<Vec<String>> {
        let items: Vec<&Value> = match item.as_value() {
            Some(Value::Array(array)) if key.is_list() => array.iter().collect(),
            Some(value) => vec![value],
            None => Vec::new(),
        };
        let (name, before) = (&key.name, self.file.problems.len());
        let mut values = Vec::new();
        for value in items {
            let place = start(value.span());
            let Some(text) = plain(value) else {
                let kind = if key.is_list() { "a text, or a list of texts" } else { "one value" };
                self.problem(section, place, format!("`{name}` is {kind}"), None);
                continue;
            };
            if let Some(problem) = key.problem(&text) {
                self.problem(section, place, format!("`{name}`: {problem}"), None);
            }
            values.push(text);
        }
        if item.as_value().is_none() {
            self.problem(section, start(item.span()), format!("`{name}` is no section"), None);
        }
        (self.file.problems.len() == before).then_some(values)
    }

    fn problem(&mut self, section: &str, offset: usize, message: String, hint: Option<String>) {
        let problem = Problem::at(self.file.path.clone(), self.text, offset, message).hint(hint);
        self.file.problems.push((section.to_owned(), problem));
    }
}

/// A value as a flag has it.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.value().clone()),
        Value::Integer(number) => Some(number.value().to_string()),
        Value::Boolean(switch) => Some(switch.value().to_string()),
        Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::InlineTable(_) => None,
    }
}

fn place_of(table: &dyn TableLike, name: &str, item: &Item) -> usize {
    let of_key = table.get_key_value(name).and_then(|(key, _): (&TomlKey, _)| key.span());
    start(of_key.or_else(|| item.span()))
}

fn start(span: Option<Range<usize>>) -> usize {
    span.map_or(0, |span| span.start)
}

fn near<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let distance = |known: &&str| strsim::damerau_levenshtein(known, name);
    let nearest = known.min_by_key(distance).filter(|known| distance(known) <= TYPING_ERRORS_MAX)?;
    Some(format!("did you mean `{nearest}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, said: &[&str]) {
        let read = SettingsFile::parse(Path::new("t.toml"), text).and_then(|file| file.ensure_all_valid());
        let problems = read.err().map(|error| error.to_string()).unwrap_or_default();
        let places: Vec<&str> = problems.lines().filter(|line| line.starts_with("t.toml:")).collect();
        assert_eq!(places, said, "{problems}");
    }

    #[test]
    fn every_problem_is_reported_with_its_place() {
        check("[agent]\nslots = 8\nlabel = [\"disk=ssd\"]\nallow = \"gpus\"\n[mesh]\nnats = \"nats://a\"", &[]);
        check("[notify.ops]\ntype = \"slack\"\n[agent]\nslots = 8\n", &[]);
        check("[agent]\nslots = 0\n", &["t.toml:2:9: `slots`: 0 is not in 1..=4294967295"]);
        check(
            "[agent]\nslot = 8\n[wbe]\n",
            &["t.toml:2:1: unknown key `slot` in [agent]", "t.toml:3:2: unknown section `wbe`"],
        );
        check(
            "[agent]\nlabel = [\"disk\"]\nslots = [1]\n",
            &["t.toml:2:10: `label`: it must be NAME=VALUE", "t.toml:3:9: `slots` is one value"],
        );
        check("[web]\nbind = 5.5\n", &["t.toml:2:8: `bind` is one value"]);
        check("[up]\nlog_format = \"xml\"\n", &["t.toml:2:14: `log_format`: it is one of text, json"]);
        check(
            "agent = 1\n[mesh.nats]\n",
            &["t.toml:1:1: `agent` is a section: write [agent]", "t.toml:2:1: `nats` is no section"],
        );
        check("[agent\n", &["t.toml:1:7: unclosed table, expected `]`"]);
    }

    #[test]
    fn a_mistake_elsewhere_does_not_end_a_process() {
        let file = SettingsFile::parse(Path::new("t.toml"), "[web]\nbnd = 1\n[agent]\nslots = 3\n").unwrap();
        assert_eq!(file.value("agent", "slots"), Some("3"));
        assert_eq!(file.place("agent", "slots").as_deref(), Some("t.toml:4"));
        assert!(file.ensure_valid("agent").is_ok());
        assert!(file.ensure_valid("web").unwrap_err().to_string().contains("did you mean `bind`?"));
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none.toml");
        let error = SettingsFile::read(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("none.toml"), "{error}");
    }
}
