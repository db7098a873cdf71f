//! Named places of meshes, kept in a file of the user, so that no command needs `--nats` or an `export`.
//!
//! ```toml
//! current = "production"
//!
//! [contexts.production]
//! nats = "nats://nats-1:4222,nats://nats-2:4222"
//! namespace = "tickmesh"
//! creds = "/etc/tickmesh/production.creds"
//! ```

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use tickmesh_core::name::Namespace;
use toml_edit::{DocumentMut, Item, Table, value};

use crate::{exit::BadInput, login::LoginParts};

/// Names another file.
const FILE_VARIABLE: &str = "TICKMESH_CONTEXTS";
/// Longest file that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

const CURRENT: &str = "current";
const CONTEXTS: &str = "contexts";
const NATS: &str = "nats";
const NAMESPACE: &str = "namespace";

/// Where a mesh is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// NATS server, or several separated by commas.
    pub nats: String,
    /// Prefix of every NATS name; `None`: the default one.
    pub namespace: Option<Namespace>,
    /// Who commands are to NATS.
    pub login: LoginParts,
}

/// The user's file.
#[derive(Debug)]
pub(crate) struct Contexts {
    path: PathBuf,
    document: DocumentMut,
}

impl Contexts {
    /// Reads the user's file. One that does not exist is empty.
    pub(crate) fn read() -> anyhow::Result<Self> {
        Self::read_from(file()?)
    }

    /// Returns the current context and its place. Who has neither a home directory nor a context has none.
    pub(crate) fn current_place() -> anyhow::Result<Option<(String, Place)>> {
        let Ok(path) = file() else { return Ok(None) };
        let contexts = Self::read_from(path)?;
        contexts.current().map(|name| Ok((name.to_owned(), contexts.place(name)?))).transpose()
    }

    fn read_from(path: PathBuf) -> anyhow::Result<Self> {
        let text = match fs::metadata(&path) {
            Ok(found) if found.len() > FILE_BYTES_MAX => {
                let problem =
                    format!("{} has {} bytes: at most {FILE_BYTES_MAX} are read", path.display(), found.len());
                return Err(BadInput::new(problem).into());
            }
            Ok(_) => fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("failed to read {}", path.display())),
        };
        let document = text.parse::<DocumentMut>();
        let document = document.map_err(|error| BadInput::new(format!("{}: {error}", path.display())))?;
        Ok(Self { path, document })
    }

    /// Returns the name of the context that counts if none is named.
    pub(crate) fn current(&self) -> Option<&str> {
        self.document.get(CURRENT)?.as_str().filter(|name| !name.is_empty())
    }

    /// Returns the names of all contexts, in the order of the file.
    pub(crate) fn names(&self) -> Vec<&str> {
        let contexts = self.document.get(CONTEXTS).and_then(Item::as_table_like);
        contexts.map(|contexts| contexts.iter().map(|(name, _)| name).collect()).unwrap_or_default()
    }

    /// Returns the place of a context.
    pub(crate) fn place(&self, name: &str) -> anyhow::Result<Place> {
        let context = self.document.get(CONTEXTS).and_then(|contexts| contexts.get(name));
        let context = context.and_then(Item::as_table_like).ok_or_else(|| self.unknown(name))?;
        let text = |key: &str| -> anyhow::Result<Option<String>> {
            let Some(item) = context.get(key) else { return Ok(None) };
            let text = item.as_str().ok_or_else(|| self.bad(name, &format!("`{key}` is not a text")))?;
            Ok(Some(text.to_owned()))
        };
        let nats = text(NATS)?.ok_or_else(|| self.bad(name, "`nats` is missing"))?;
        let namespace = text(NAMESPACE)?.map(Namespace::new).transpose();
        let namespace = namespace.map_err(|error| self.bad(name, &error.to_string()))?;
        Ok(Place { nats, namespace, login: LoginParts::read(text)? })
    }

    /// Adds a context, or changes it. The first one becomes the current one.
    pub(crate) fn set(&mut self, name: &str, place: &Place) -> anyhow::Result<()> {
        let Place { nats, namespace, login } = place;
        let mut context = Table::new();
        context.insert(NATS, value(nats));
        if let Some(namespace) = namespace {
            context.insert(NAMESPACE, value(namespace.as_str()));
        }
        for (key, stated) in &login.0 {
            context.insert(key.name(), value(stated));
        }
        let contexts = self.document.entry(CONTEXTS).or_insert_with(implicit_table);
        let contexts = contexts.as_table_like_mut();
        let contexts =
            contexts.ok_or_else(|| BadInput::new(format!("{}: `contexts` is no table", self.path.display())))?;
        contexts.insert(name, Item::Table(context));
        if self.current().is_none() {
            self.make_current(name);
        }
        self.write()
    }

    /// Makes a context the current one.
    pub(crate) fn choose(&mut self, name: &str) -> anyhow::Result<()> {
        self.place(name)?;
        self.make_current(name);
        self.write()
    }

    /// Removes a context. If it is the current one, none is.
    pub(crate) fn remove(&mut self, name: &str) -> anyhow::Result<()> {
        let contexts = self.document.get_mut(CONTEXTS).and_then(Item::as_table_like_mut);
        if contexts.and_then(|contexts| contexts.remove(name)).is_none() {
            return Err(self.unknown(name));
        }
        if self.current() == Some(name) {
            // The key stays, with the comments above it.
            self.make_current("");
        }
        self.write()
    }

    fn make_current(&mut self, name: &str) {
        // By index, which leaves the comments above the key alone.
        self.document[CURRENT] = value(name);
    }

    /// Writes the file in one step, for its user alone: a NATS address may hold a password.
    fn write(&self) -> anyhow::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let written = fs::create_dir_all(folder).and_then(|()| {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            io::Write::write_all(&mut file, self.document.to_string().as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&self.path).map_err(|error| error.error)
        });
        written.map(drop).with_context(|| format!("failed to write {}", self.path.display()))
    }

    fn unknown(&self, name: &str) -> anyhow::Error {
        let names = self.names();
        let hint = match names.is_empty() {
            true => format!("`tickmesh context add {name} --nats URL` adds it"),
            false => format!("there are: {}", names.join(", ")),
        };
        BadInput::new(format!("there is no context `{name}` in {}", self.path.display())).hint(hint).into()
    }

    fn bad(&self, name: &str, problem: &str) -> anyhow::Error {
        BadInput::new(format!("context `{name}` in {}: {problem}", self.path.display())).into()
    }
}

fn implicit_table() -> Item {
    let mut table = Table::new();
    table.set_implicit(true);
    Item::Table(table)
}

/// The user's file, by the XDG base directory specification.
fn file() -> anyhow::Result<PathBuf> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(file) = variable(FILE_VARIABLE) {
        return Ok(file);
    }
    let config = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")));
    let config =
        config.ok_or_else(|| BadInput::new("there is no home directory for contexts").hint("set TICKMESH_CONTEXTS"))?;
    Ok(config.join("tickmesh/config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::LoginKey;

    fn place(nats: &str) -> Place {
        Place { nats: nats.to_owned(), namespace: None, login: LoginParts::default() }
    }

    #[test]
    fn contexts_are_added_chosen_and_removed_and_comments_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/config.toml");
        let read = || Contexts::read_from(path.clone()).unwrap();
        assert_eq!((read().names(), read().current()), (Vec::new(), None));
        read().set("one", &place("nats://one:4222")).unwrap();
        let second = Place {
            namespace: Some(Namespace::new("other").unwrap()),
            login: LoginParts([(LoginKey::Creds, "/etc/two.creds".to_owned())].into()),
            ..place("nats://two:4222")
        };
        read().set("two", &second).unwrap();
        fs::write(&path, format!("# mine\n{}", fs::read_to_string(&path).unwrap())).unwrap();
        assert_eq!((read().names(), read().current()), (vec!["one", "two"], Some("one")));
        read().choose("two").unwrap();
        assert_eq!((read().place("two").unwrap(), read().current()), (second, Some("two")));
        read().remove("two").unwrap();
        assert_eq!((read().names(), read().current()), (vec!["one"], None));
        assert!(fs::read_to_string(&path).unwrap().starts_with("# mine\n"));
    }

    #[test]
    fn a_context_that_is_not_there_is_named_with_those_that_are() {
        let folder = tempfile::tempdir().unwrap();
        let mut contexts = Contexts::read_from(folder.path().join("config.toml")).unwrap();
        assert!(contexts.choose("one").unwrap_err().to_string().contains("there is no context `one`"));
        contexts.set("two", &place("nats://two:4222")).unwrap();
        assert!(contexts.remove("one").is_err());
        assert_eq!(contexts.names(), ["two"]);
    }

    #[test]
    fn a_file_that_is_damaged_is_named_with_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, "current = \n").unwrap();
        let error = Contexts::read_from(path.clone()).unwrap_err().to_string();
        assert!(error.contains("config.toml") && error.contains("line 1"), "{error}");
        fs::write(&path, "[contexts.a]\nnats = 5\n").unwrap();
        let error = Contexts::read_from(path).unwrap().place("a").unwrap_err().to_string();
        assert!(error.contains("`nats` is not a text"), "{error}");
    }
}
