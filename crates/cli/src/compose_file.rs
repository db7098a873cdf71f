//! Compose files as the command line knows them: where they are read from, and what belongs to
//! them. What they mean is up to `tickmesh_core::compose`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use jiff::tz::TimeZoneDatabase;
use tickmesh_client::edit::File;
use tickmesh_core::{
    compose::{Outline, PROJECT_FILES_MAX, Project, Reading, SOURCE_BYTES_MAX, join_paths, shown_path},
    message::AppSource,
    name::AppName,
};

use crate::{
    env_files,
    exit::BadInput,
    inputs::Input,
    naming,
    variables::{VariableArgs, Variables},
};

/// Stands for stdin.
pub(crate) const STDIN: &str = "-";
/// How messages call stdin.
const STDIN_NAME: &str = "<stdin>";

/// What compose files are read with.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ProjectArgs {
    /// Folder in which relative paths begin, instead of that of the compose file
    #[arg(long, value_name = "DIR")]
    project_directory: Option<PathBuf>,
    /// Profile whose services are taken, too; may be repeated
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,
    #[command(flatten)]
    variables: VariableArgs,
}

impl ProjectArgs {
    /// For a file that is part of this program: nothing on this machine belongs to it.
    pub(crate) fn nothing() -> Self {
        Self { variables: VariableArgs::nothing(), ..Self::default() }
    }
}

/// Files that are read as one, not yet understood.
#[derive(Debug)]
pub(crate) struct Source {
    /// The first file, as it was given.
    pub path: PathBuf,
    /// For messages.
    pub name: String,
    /// All of it, or as much as shows that it is too long.
    pub text: String,
    overrides: Vec<PathBuf>,
}

impl Source {
    /// Reads the first file, or stdin if its path is `-`.
    pub(crate) fn read(input: &Input) -> anyhow::Result<Self> {
        let path = input.first.as_path();
        let name = if path == Path::new(STDIN) { STDIN_NAME.to_owned() } else { path.display().to_string() };
        let text = text_of(path, &name)?;
        Ok(Self { path: path.to_owned(), name, text, overrides: input.overrides.clone() })
    }

    /// A file that is part of this program.
    pub(crate) fn built_in(name: &str, text: &str) -> Self {
        Self { path: PathBuf::from(name), name: name.to_owned(), text: text.to_owned(), overrides: Vec::new() }
    }

    /// Understands the file as apps, as far as that is possible. `name`: what somebody calls the
    /// app, or the project of a stack.
    pub(crate) fn understand(
        &self,
        args: &ProjectArgs,
        name: Option<&AppName>,
        zones: &TimeZoneDatabase,
    ) -> anyhow::Result<Understood> {
        let folder = args.project_directory.as_deref().unwrap_or_else(|| self.folder());
        let Variables { values: variables, warnings } = args.variables.of_folder(folder)?;
        let folder = lexical(folder)?;
        let (overrides, files) = self.overrides(&folder)?;
        let project = Project {
            folder: Some(folder.clone()),
            overrides,
            files,
            profiles: args.profiles.iter().cloned().collect(),
            ..Project::default()
        };
        let (name_of_file, text) = (self.name.clone(), self.text.clone());
        let file = File { name: name_of_file, text, variables, env_files: BTreeMap::new(), project };
        let mut understood = Understood { apps: Vec::new(), left: Vec::new(), notes: warnings, file };
        if !self.overrides.is_empty() {
            let names: Vec<String> = self.overrides.iter().map(|path| path.display().to_string()).collect();
            understood.notes.push(format!("{}: merged with {}", self.name, names.join(" and ")));
        }
        let outline = understood.complete(&folder, zones)?;
        // The name that somebody gives is that of the app, if the file is one.
        let given = name.filter(|_| !outline.scheduled.is_empty());
        let named = naming::of_project(&understood.file.variables, outline.name.as_deref(), given, &folder);
        if let Ok(project) = &named {
            understood.file.call_project(project);
        }
        if outline.scheduled.is_empty() {
            let named = naming::of_file(&self.path, outline.name.as_deref(), name)?;
            understood.notes.extend(named.note.map(|note| format!("{}: {note}", self.name)));
            let file = understood.file.clone();
            understood.apps.push(App::read(named.app, file, &folder, zones)?);
            return Ok(understood);
        }
        let named = named?;
        for job in naming::of_services(&named, &outline.scheduled, &self.name)? {
            let project = Project {
                name: Some(named.clone()),
                service: Some(job.service.clone()),
                ..understood.file.project.clone()
            };
            let file = File { project, ..understood.file.clone() };
            understood.apps.push(App::read(Some(job.app), file, &folder, zones)?);
        }
        understood.left = outline.left;
        understood.notes.push(self.about_stack(&understood));
        Ok(understood)
    }

    /// Says which services became apps.
    fn about_stack(&self, understood: &Understood) -> String {
        let app = |app: &App| {
            let service = app.file.project.service.as_ref().map(ToString::to_string).unwrap_or_default();
            let name = app.app.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("service {service} is app {name}")
        };
        let apps: Vec<String> = understood.apps.iter().map(app).collect();
        let mut said = format!("{}: {}", self.name, apps.join(", "));
        match understood.left.as_slice() {
            [] => {}
            left => said.push_str(&format!("; left to docker compose: {}", left.join(", "))),
        }
        said
    }

    /// The files that are merged over the first one: their paths as seen from the folder, and what
    /// is in them.
    fn overrides(&self, folder: &str) -> anyhow::Result<(Vec<String>, BTreeMap<String, String>)> {
        let (mut paths, mut files) = (Vec::new(), BTreeMap::new());
        for path in &self.overrides {
            let seen = seen_from(folder, &lexical(path)?);
            files.insert(seen.clone(), text_of(path, &path.display().to_string())?);
            paths.push(seen);
        }
        Ok((paths, files))
    }

    /// Where relative paths in the file begin.
    fn folder(&self) -> &Path {
        // Of stdin, which is called `-`, that is the working directory.
        self.path.parent().unwrap_or(Path::new(""))
    }
}

/// Files that were read as one, with what was read with them.
#[derive(Debug)]
pub(crate) struct Understood {
    /// The app that the file is, or the apps of a stack.
    pub apps: Vec<App>,
    /// The services of a stack that are left to docker compose.
    pub left: Vec<String>,
    /// What is to be told to people about files and names.
    pub notes: Vec<String>,
    file: File,
}

impl Understood {
    /// Brings the files that belong to the first one, and returns what they come to.
    fn complete(&mut self, folder: &str, zones: &TimeZoneDatabase) -> anyhow::Result<Outline> {
        let mut tried = BTreeSet::new();
        let mut outline = self.file.outline(zones)?;
        // Each round brings at least one file.
        for _ in 0..PROJECT_FILES_MAX {
            let missing = |path: &&String| !self.file.project.files.contains_key(*path);
            let wanted: Vec<String> = outline.files.iter().filter(missing).cloned().collect();
            let wanted_env = &outline.env_files;
            let before = tried.len();
            tried.extend(wanted.iter().chain(wanted_env).cloned());
            if tried.len() == before {
                break;
            }
            for path in wanted {
                let on_disk = join_paths(folder, &path);
                let on_disk = Path::new(&on_disk);
                // Whoever names a file that is not there is told so with everything else.
                if on_disk.exists() {
                    let shown = shown_path(&self.file.name, &path);
                    self.file.project.files.insert(path, text_of(on_disk, &shown)?);
                }
            }
            self.file.env_files = env_files::read(wanted_env, Path::new(folder))?;
            outline = self.file.outline(zones)?;
        }
        Ok(outline)
    }

    /// Whether all apps can be applied.
    pub(crate) fn is_valid(&self) -> bool {
        self.apps.iter().all(|app| app.reading.spec.is_some())
    }

    /// Returns the text of a file that a finding names.
    pub(crate) fn text(&self, name: &str) -> &str {
        let files = &self.file.project.files;
        let found = files.iter().find(|(path, _)| shown_path(&self.file.name, path) == name);
        found.map_or(self.file.text.as_str(), |(_, text)| text.as_str())
    }
}

/// An app that was read from a file.
#[derive(Debug)]
pub(crate) struct App {
    /// Its name; `None`: nothing says what it is called.
    pub app: Option<AppName>,
    /// What the file says.
    pub reading: Reading,
    /// With what belongs to it.
    pub file: File,
}

/// Stands in for the name of an app whose file does not tell one: nothing but `apply` needs it.
const NAME_UNKNOWN: &str = "app";

impl App {
    fn read(app: Option<AppName>, mut file: File, folder: &str, zones: &TimeZoneDatabase) -> anyhow::Result<Self> {
        let name = app.clone().map_or_else(|| AppName::new(NAME_UNKNOWN), Ok)?;
        let mut reading = file.read(&name, zones);
        // Only a reading tells which env files there are: their names may have variables.
        if !reading.env_files.is_empty() {
            file.env_files = env_files::read(&reading.env_files, Path::new(folder))?;
            reading = file.read(&name, zones);
        }
        Ok(Self { app, reading, file })
    }

    /// What is stored of it.
    pub(crate) fn into_source(self) -> AppSource {
        self.file.into_source(self.reading)
    }
}

/// The absolute path, as text and without `.` and `..`.
fn lexical(path: &Path) -> anyhow::Result<String> {
    let refused = |problem: String| BadInput::new(format!("cannot use the path {}: {problem}", path.display()));
    let path = if path == Path::new("") { Path::new(".") } else { path };
    let absolute = std::path::absolute(path).map_err(|error| refused(error.to_string()))?;
    let text = absolute.to_str().ok_or_else(|| refused("it is not UTF-8".to_owned()))?;
    Ok(join_paths("", text))
}

/// A file as seen from a folder.
fn seen_from(folder: &str, path: &str) -> String {
    let (folder, path): (Vec<&str>, Vec<&str>) = (folder.split('/').collect(), path.split('/').collect());
    let folder: Vec<&str> = folder.into_iter().filter(|part| !part.is_empty()).collect();
    let path: Vec<&str> = path.into_iter().filter(|part| !part.is_empty()).collect();
    let common = folder.iter().zip(&path).take_while(|(one, other)| one == other).count();
    let up = std::iter::repeat_n("..", folder.len() - common);
    up.chain(path[common..].iter().copied()).collect::<Vec<_>>().join("/")
}

fn text_of(path: &Path, name: &str) -> anyhow::Result<String> {
    let refused = |error: io::Error| BadInput::new(format!("cannot read {name}: {error}"));
    let bytes = read_bytes(path).map_err(refused)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        BadInput::new(format!("cannot read {name}: byte {} is not UTF-8", place + 1))
    })?;
    Ok(text)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn understand(source: &Source) -> Understood {
        source.understand(&ProjectArgs::default(), None, &TimeZoneDatabase::bundled()).unwrap()
    }

    #[test]
    fn a_file_that_is_too_long_is_read_no_further_and_stays_text() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("long.yml");
        // Three bytes each, so that the limit falls into the middle of one.
        std::fs::write(&path, "天".repeat(SOURCE_BYTES_MAX)).unwrap();
        let source = Source::read(&Input::alone(&path)).unwrap();
        assert_eq!(source.text.len(), SOURCE_BYTES_MAX + 1);
        let reading = understand(&source).apps.remove(0).reading;
        assert!(reading.diagnostics[0].message.contains("bytes"), "{:?}", reading.diagnostics);
    }

    #[test]
    fn files_that_are_not_text_say_where() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("binary.yml");
        std::fs::write(&path, b"ab\xff\xfe").unwrap();
        let error = Source::read(&Input::alone(&path)).unwrap_err().to_string();
        assert!(error.ends_with("byte 3 is not UTF-8"), "{error}");
    }

    #[test]
    fn a_file_is_seen_from_the_folder_of_the_project() {
        for (folder, path, expect) in [
            ("/srv/x", "/srv/x/a.yml", "a.yml"),
            ("/srv/x", "/srv/y/a.yml", "../y/a.yml"),
            ("/srv/x/y", "/srv/a.yml", "../../a.yml"),
            ("/", "/srv/a.yml", "srv/a.yml"),
        ] {
            assert_eq!(seen_from(folder, path), expect);
            assert_eq!(join_paths(folder, expect), path);
        }
    }
}
