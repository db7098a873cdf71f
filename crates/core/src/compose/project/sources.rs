//! The files that an app is read from: their texts, where their paths begin, and which variables
//! they have of their own.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use super::{
    super::{
        diagnostic::SourceId,
        report::{Place, Report, quote},
        yaml::{self, Node, SOURCE_BYTES_MAX},
    },
    PROJECT_FILES_MAX, Project,
    paths::{folder, join, shown},
};

/// Variables of a file that is included, below those of the project.
pub(crate) type OwnVariables = Rc<BTreeMap<String, String>>;

/// One file.
#[derive(Debug, Default)]
struct Source {
    /// Where its paths begin, as seen from the folder of the project.
    base: String,
    variables: OwnVariables,
}

/// The files of an app while they are read.
#[derive(Debug)]
pub(crate) struct Sources<'f> {
    project: &'f Project,
    /// Name of the first file, as it was given.
    first: &'f str,
    list: Vec<Source>,
    /// Trees by path and base: a file that is both extended and included is read once for each.
    trees: BTreeMap<(String, String), Option<Rc<Node>>>,
    wanted: BTreeSet<String>,
    bytes: usize,
    /// Host paths that were relative, by how they are written, and what they are on every host.
    resolved: BTreeMap<String, String>,
}

impl<'f> Sources<'f> {
    /// The first file is there, and its paths begin in the folder of the project.
    pub(crate) fn new(project: &'f Project, first: &'f str, text: &str) -> Self {
        Self {
            project,
            first,
            list: vec![Source::default()],
            trees: BTreeMap::new(),
            wanted: BTreeSet::new(),
            bytes: text.len(),
            resolved: BTreeMap::new(),
        }
    }

    pub(crate) fn project(&self) -> &'f Project {
        self.project
    }

    /// Where paths of a file begin, as seen from the folder of the project.
    pub(crate) fn base(&self, source: SourceId) -> &str {
        self.list.get(usize::from(source)).map_or("", |source| source.base.as_str())
    }

    /// Variables that a file has besides those of the project.
    pub(crate) fn variables(&self, source: SourceId) -> OwnVariables {
        self.list.get(usize::from(source)).map(|source| source.variables.clone()).unwrap_or_default()
    }

    /// Files that were named and are not there, or are: whoever brings files brings these.
    pub(crate) fn into_named(self) -> (BTreeSet<String>, BTreeMap<String, String>) {
        (self.wanted, self.resolved)
    }

    /// What a path of the hosts in this file is on every host. `home` is where `~` is.
    pub(crate) fn on_hosts(&mut self, source: SourceId, path: &str, home: Option<&str>) -> Option<String> {
        let written = path;
        let (base, path) = match path.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/')) {
            Some(rest) => (home?.to_owned(), rest.trim_start_matches('/')),
            None if path.starts_with('/') => return None,
            None => (join(self.project.folder.as_deref()?, self.base(source)), path),
        };
        let resolved = join(&base, path);
        self.resolved.insert(written.to_owned(), resolved.clone());
        Some(resolved)
    }

    /// The tree of a file. `None`: the report says why. `base`: where its paths begin, if not in
    /// its own folder.
    pub(super) fn tree(
        &mut self,
        report: &mut Report,
        path: &str,
        base: Option<&str>,
        variables: OwnVariables,
        place: &Place,
    ) -> Option<Rc<Node>> {
        let base = base.unwrap_or_else(|| folder(path)).to_owned();
        let key = (path.to_owned(), base.clone());
        if let Some(tree) = self.trees.get(&key) {
            return tree.clone();
        }
        let tree = self.read(report, path, base, variables, place);
        self.trees.insert(key, tree.clone());
        tree
    }

    fn read(
        &mut self,
        report: &mut Report,
        path: &str,
        base: String,
        variables: OwnVariables,
        place: &Place,
    ) -> Option<Rc<Node>> {
        if self.list.len() >= PROJECT_FILES_MAX {
            let message = format!("the app is read from more than {PROJECT_FILES_MAX} files");
            report.error(place.clone(), message);
            return None;
        }
        self.wanted.insert(path.to_owned());
        let Some(text) = self.project.files.get(path) else {
            let message = format!("there is no file {}", quote(path));
            report.error_with_hint(place.clone(), message, "paths begin where the file is that names them");
            return None;
        };
        self.bytes += text.len();
        if self.bytes > SOURCE_BYTES_MAX {
            let message = format!("the files of the app have more than {SOURCE_BYTES_MAX} bytes together");
            report.error(place.clone(), message);
            return None;
        }
        let id = report.add_file(&shown(self.first, path))?;
        self.list.push(Source { base, variables });
        yaml::parse(id, text, report)
    }
}
