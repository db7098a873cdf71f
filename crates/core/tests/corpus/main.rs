//! Compose files of every shape that people have, and what must come of each.
//!
//! `files/` has a file for each, or a folder with `compose.yml` and what belongs to it. Beside it, in
//! `expected/`, is what is said about it and, if it is accepted, the app as JSON. With
//! `CORPUS_WRITE=1` the expectations are written anew: read the diff.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]
#![expect(clippy::disallowed_methods, reason = "the files are on a disk; what reads them is pure")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, tz::TimeZoneDatabase};
use serde_json::{Value, json};
use tickmesh_core::{
    compose::{
        ComposeFile, Dialect, Outline, PROJECT_FILES_MAX, Project, Reading, TIMEZONE_DEFAULT, outline, project_name,
        read_in, read_variables_file,
    },
    name::{AppName, ServiceName},
    spec::{AppSpec, RunSpec},
};

/// Fewest files of the corpus: whoever moves it must not lose it.
const FILES_MIN: usize = 120;
/// The instant after which the next ones of an app are told.
const NOW: &str = "2026-03-01T00:00:00Z";
/// Folder in which all files are said to be.
const HOME: &str = "/srv/me";

/// A file of the corpus with what belongs to it.
struct Case {
    name: String,
    text: String,
    project: Project,
    variables: BTreeMap<String, String>,
    /// Files beside it, by their paths.
    beside: BTreeMap<String, String>,
    zones: TimeZoneDatabase,
}

impl Case {
    fn load(path: &Path) -> Self {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut beside = BTreeMap::new();
        let text = if path.is_dir() {
            collect(path, path, &mut beside);
            beside.remove("compose.yml").unwrap_or_else(|| panic!("{name} has no compose.yml"))
        } else {
            fs::read_to_string(path).unwrap()
        };
        let home = BTreeMap::from([("HOME".to_owned(), HOME.to_owned())]);
        let dotenv = beside.get(".env").map(|text| read_variables_file(text, &home).unwrap().values);
        let variables = dotenv.unwrap_or_default().into_iter().chain(home).collect();
        let overrides: Vec<String> = beside.keys().filter(|path| *path == "compose.override.yml").cloned().collect();
        let files = overrides.iter().map(|path| (path.clone(), beside[path].clone())).collect();
        let folder = Some(format!("{HOME}/{name}"));
        let project = Project { folder, overrides, files, ..Project::default() };
        Self { name, text, project, variables, beside, zones: TimeZoneDatabase::bundled() }
    }

    fn with_file<T>(
        &self,
        app: &str,
        project: &Project,
        env_files: &BTreeSet<String>,
        read: impl FnOnce(&ComposeFile<'_>, &Project) -> T,
    ) -> T {
        let app = AppName::new(app).unwrap();
        let on_disk = |path: &String| Some((path.clone(), self.beside.get(path)?.clone()));
        let env_files = env_files.iter().filter_map(on_disk).collect();
        let file = ComposeFile {
            app: &app,
            dialect: Dialect::PRESENT,
            file_name: "compose.yml",
            text: &self.text,
            variables: &self.variables,
            env_files: &env_files,
            timezone_default: TIMEZONE_DEFAULT,
        };
        read(&file, project)
    }

    /// The outline, once every file that belongs to it was found or is known not to be there.
    fn outline(&mut self) -> Outline {
        let mut env_files = BTreeSet::new();
        for _ in 0..PROJECT_FILES_MAX {
            let read = |file: &ComposeFile<'_>, project: &Project| outline(file, project, &self.zones);
            let found = self.with_file("app", &self.project, &env_files, read);
            let new: Vec<String> = found.files.iter().filter(|path| self.beside.contains_key(*path)).cloned().collect();
            let before = (self.project.files.len(), env_files.len());
            self.project.files.extend(new.into_iter().map(|path| (path.clone(), self.beside[&path].clone())));
            env_files.extend(found.env_files.iter().cloned());
            if before == (self.project.files.len(), env_files.len()) {
                return found;
            }
        }
        panic!("{}: files without an end", self.name)
    }

    fn read(&self, app: &str, project: &Project) -> Reading {
        let read = |file: &ComposeFile<'_>, project: &Project| read_in(file, project, &self.zones);
        let first = self.with_file(app, project, &BTreeSet::new(), read);
        self.with_file(app, project, &first.env_files, read)
    }

    /// What comes of it.
    fn outcome(&mut self) -> String {
        let outline = self.outline();
        if outline.scheduled.is_empty() {
            let reading = self.read(&self.name, &self.project);
            return told(&self.name, &reading);
        }
        let folder = project_name(&self.name);
        let project_name = outline.name.as_deref().map(project_name).unwrap_or(folder);
        let left = if outline.left.is_empty() { "nothing".to_owned() } else { outline.left.join(" ") };
        let mut said = format!("stack {project_name}, left to docker compose: {left}\n");
        for scheduled in &outline.scheduled {
            let Ok(service) = ServiceName::new(scheduled.service.as_str()) else { continue };
            let app = format!("{project_name}-{service}").replace(['.', '_'], "-");
            let (name, service) = (Some(project_name.clone()), Some(service));
            let project = Project { name, service, ..self.project.clone() };
            said.push_str(&told(&app, &self.read(&app, &project)));
        }
        said
    }
}

/// All files below a folder, by their paths from `root`.
fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, found);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

/// What is said about an app, and the app.
fn told(app: &str, reading: &Reading) -> String {
    let warned = !reading.diagnostics.is_empty();
    let verdict = match (&reading.spec, warned) {
        (Some(_), false) => "accepted",
        (Some(_), true) => "accepted, with a word",
        (None, _) => "refused",
    };
    let said: String = reading.diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n")).collect();
    let spec = reading.spec.as_ref().map(|spec| format!("{:#}\n", as_json(spec))).unwrap_or_default();
    format!("{app}: {verdict}\n{said}{spec}")
}

/// The app without what every app has that says nothing.
fn as_json(spec: &AppSpec) -> Value {
    let bare = AppSpec::new(spec.name.clone(), RunSpec::new(Vec::new()));
    let mut app = serde_json::Map::new();
    if let Some(schedule) = &spec.schedule {
        let now: Timestamp = NOW.parse().unwrap();
        let next = std::iter::successors(schedule.next_after(now), |instant| schedule.next_after(*instant));
        let next: Vec<String> = next.take(2).map(|instant| instant.to_string()).collect();
        app.insert("schedule".to_owned(), json!({"text": schedule.to_string(), "next": next}));
    }
    let mut differs = |name: &str, own: String, default: String| {
        if own != default {
            app.insert(name.to_owned(), json!(own));
        }
    };
    differs("overlap", format!("{:?}", spec.overlap), format!("{:?}", bare.overlap));
    differs("queue_limit", spec.queue_limit.to_string(), bare.queue_limit.to_string());
    differs("misfire", format!("{:?}", spec.misfire), format!("{:?}", bare.misfire));
    differs("start_deadline", format!("{:?}", spec.start_deadline), format!("{:?}", bare.start_deadline));
    differs("jitter", format!("{:?}", spec.jitter), format!("{:?}", bare.jitter));
    differs("paused", spec.paused.to_string(), bare.paused.to_string());
    let mut run = serde_json::to_value(&*spec.run()).unwrap();
    without_defaults(&mut run);
    app.insert("run".to_owned(), run);
    Value::Object(app)
}

/// Leaves out what stored services say although it is the default.
fn without_defaults(run: &mut Value) {
    let defaults = json!({
        "scale": 1,
        "retry": {"count": 3, "delay_ms": 1000, "factor": 2, "delay_ms_max": 60000},
        "remove_containers": "remove-finished",
    });
    let run = run.as_object_mut().unwrap();
    run.retain(|key, value| !(key == "on_disconnect" && value == "stop" || key == "on_lost" && value == "retry"));
    for service in run["services"].as_array_mut().unwrap() {
        let service = service.as_object_mut().unwrap();
        service.retain(|key, value| defaults.get(key) != Some(value));
        let container = service["container"].as_object_mut().unwrap();
        let grace = json!({"secs": 10, "nanos": 0});
        container.retain(|key, value| {
            !(key == "stop_grace" && *value == grace || key == "engine_init" || key == "init" && value == false)
        });
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name)
}

#[test]
fn every_file_of_the_corpus_comes_to_what_is_expected() {
    let is_written = std::env::var_os("CORPUS_WRITE").is_some();
    let mut paths: Vec<PathBuf> = fs::read_dir(folder("files")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= FILES_MIN, "{} files", paths.len());
    let mut wrong = Vec::new();
    let mut known = BTreeSet::new();
    for path in &paths {
        let mut case = Case::load(path);
        let outcome = case.outcome();
        let expected = folder("expected").join(format!("{}.txt", case.name));
        known.insert(expected.clone());
        if is_written {
            fs::write(&expected, &outcome).unwrap();
        } else if fs::read_to_string(&expected).ok().as_deref() != Some(outcome.as_str()) {
            wrong.push(format!("{} comes to this, and not to what {} says:\n{outcome}", case.name, expected.display()));
        }
    }
    let found = fs::read_dir(folder("expected")).unwrap().map(|entry| entry.unwrap().path());
    let orphans: Vec<PathBuf> = found.filter(|path| !known.contains(path)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(orphans, Vec::<PathBuf>::new(), "expectations without a file");
}
