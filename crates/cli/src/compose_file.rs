//! Compose files as the command line knows them: where one is read from, what its app is called, and which variables it
//! sees. What it means is up to `tickmesh_core::compose`.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use jiff::tz::TimeZoneDatabase;
use tickmesh_client::edit::File;
use tickmesh_core::{
    compose::{Reading, SOURCE_BYTES_MAX},
    message::AppSource,
    name::AppName,
};

use crate::{env_files, exit::BadInput};

/// Stands for stdin.
const STDIN: &str = "-";
/// How messages call stdin.
const STDIN_NAME: &str = "<stdin>";
/// File names that say nothing: compose's own defaults. The directory has the name then.
const DEFAULT_STEMS: [&str; 2] = ["compose", "docker-compose"];
/// A file, not yet understood.
#[derive(Debug)]
pub(crate) struct Source {
    /// As it was given.
    pub path: PathBuf,
    /// For messages.
    pub name: String,
    /// All of it, or as much as shows that it is too long.
    pub text: String,
}

impl Source {
    /// Reads a file, or stdin if `path` is `-`.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = if path == Path::new(STDIN) { STDIN_NAME.to_owned() } else { path.display().to_string() };
        let refused = |error: io::Error| BadInput::new(format!("cannot read {name}: {error}"));
        let bytes = read_bytes(path).map_err(refused)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let place = error.utf8_error().valid_up_to();
            BadInput::new(format!("cannot read {name}: byte {} is not UTF-8", place + 1))
        })?;
        Ok(Self { path: path.to_owned(), name, text })
    }

    /// The name that an app from this file gets unless another one is given.
    pub(crate) fn app_name(&self) -> anyhow::Result<AppName> {
        let text = name_from_path(&self.path).unwrap_or_default();
        AppName::new(&text).map_err(|error| {
            let problem =
                if text.is_empty() { "nothing says what the app is called".to_owned() } else { error.to_string() };
            BadInput::new(problem).hint("give it a name with --name").into()
        })
    }

    /// Understands the file, as far as that is possible.
    pub(crate) fn understand(
        &self,
        app: &AppName,
        variables: &BTreeMap<String, String>,
        zones: &TimeZoneDatabase,
    ) -> anyhow::Result<Understood> {
        let (name, text, variables) = (self.name.clone(), self.text.clone(), variables.clone());
        let mut file = File { name, text, variables, env_files: BTreeMap::new() };
        // Only a reading tells which env files there are: their names may have variables.
        let first = file.read(app, zones);
        if first.env_files.is_empty() {
            return Ok(Understood { reading: first, file });
        }
        file.env_files = env_files::read(&first.env_files, self.folder())?;
        Ok(Understood { reading: file.read(app, zones), file })
    }

    /// Where relative paths in the file begin.
    fn folder(&self) -> &Path {
        // Of stdin, which is called `-`, that is the working directory.
        self.path.parent().unwrap_or(Path::new(""))
    }
}

/// A file that was read, with what was read with it.
#[derive(Debug)]
pub(crate) struct Understood {
    /// What it says.
    pub reading: Reading,
    file: File,
}

impl Understood {
    /// What is stored of it.
    pub(crate) fn into_source(self) -> AppSource {
        self.file.into_source(self.reading)
    }
}

/// Where the variables of files come from.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct VariableArgs {
    /// Value of a variable that the file uses, before the environment's; may be repeated
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = assignment)]
    variables: Vec<(String, String)>,
}

impl VariableArgs {
    /// All variables that a file may use.
    pub(crate) fn all(&self) -> BTreeMap<String, String> {
        // A variable that is not UTF-8 cannot be put into a file that is.
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
            Some((name, value))
        });
        environment.chain(self.variables.iter().cloned()).collect()
    }
}

/// `NAME=VALUE`, as environment variables are given.
pub(crate) fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !name.contains('\0') && !value.contains('\0') => {
            Ok((name.to_owned(), value.to_owned()))
        }
        Some(_) | None => Err("it must be NAME=VALUE".to_owned()),
    }
}

/// At most one byte more than a file may have: enough to see that it is too long.
fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let limit = SOURCE_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::new();
    if path == Path::new(STDIN) {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    }
    // The limit may have cut a character in two. The file is too long either way, and that is what is to be said of it.
    if bytes.len() > SOURCE_BYTES_MAX
        && let Err(error) = std::str::from_utf8(&bytes)
        && error.error_len().is_none()
    {
        let cut = error.valid_up_to();
        bytes[cut..].fill(b'\n');
    }
    Ok(bytes)
}

fn name_from_path(path: &Path) -> Option<String> {
    if path == Path::new(STDIN) {
        return None;
    }
    let stem = path.file_stem().and_then(OsStr::to_str)?;
    if !DEFAULT_STEMS.contains(&stem) {
        return Some(stem.to_owned());
    }
    let directory = std::path::absolute(path).ok()?;
    Some(directory.parent()?.file_name()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_name(path: &str, expected: Result<&str, &str>) {
        let source = Source { path: PathBuf::from(path), name: path.to_owned(), text: String::new() };
        let found = source.app_name().map_err(|error| error.to_string());
        assert_eq!(found.as_ref().map(AppName::as_str).map_err(String::as_str), expected, "{path}");
    }

    #[test]
    fn an_app_is_called_like_its_file_or_else_like_its_directory() {
        check_name("nightly.yml", Ok("nightly"));
        check_name("/etc/tickmesh/nightly.yaml", Ok("nightly"));
        check_name("nightly", Ok("nightly"));
        check_name("/srv/shop/compose.yml", Ok("shop"));
        check_name("/srv/shop/docker-compose.yaml", Ok("shop"));
        check_name("-", Err("nothing says what the app is called"));
        check_name("/compose.yml", Err("nothing says what the app is called"));
        let rule = "letters, digits and hyphens, beginning with a letter or digit, at most 63";
        check_name("my app.yml", Err(&format!("app name `my app` is not valid: {rule}")));
        check_name("/srv/my.shop/compose.yml", Err(&format!("app name `my.shop` is not valid: {rule}")));
    }

    #[test]
    fn a_relative_default_file_is_called_like_the_current_directory() {
        let here = std::env::current_dir().unwrap();
        check_name("compose.yml", Ok(here.file_name().unwrap().to_str().unwrap()));
    }

    #[test]
    fn assignments_need_a_name() {
        assert_eq!(assignment("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert_eq!(assignment("A="), Ok(("A".to_owned(), String::new())));
        assert!(assignment("A").is_err());
        assert!(assignment("=b").is_err());
    }

    #[test]
    fn a_file_that_is_too_long_is_read_no_further_and_stays_text() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("long.yml");
        // Three bytes each, so that the limit falls into the middle of one.
        std::fs::write(&path, "天".repeat(SOURCE_BYTES_MAX)).unwrap();
        let source = Source::read(&path).unwrap();
        assert_eq!(source.text.len(), SOURCE_BYTES_MAX + 1);
        let app = AppName::new("long").unwrap();
        let understood = source.understand(&app, &BTreeMap::new(), &TimeZoneDatabase::bundled()).unwrap();
        let reading = understood.reading;
        assert!(reading.diagnostics[0].message.contains("bytes"), "{:?}", reading.diagnostics);
    }

    #[test]
    fn files_that_are_not_text_say_where() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("binary.yml");
        std::fs::write(&path, b"ab\xff\xfe").unwrap();
        let error = Source::read(&path).unwrap_err().to_string();
        assert!(error.ends_with("byte 3 is not UTF-8"), "{error}");
    }
}
