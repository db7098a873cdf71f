//! Edits of apps: a compose file is understood, and stored or removed under an app's name.

use std::collections::BTreeMap;

use jiff::tz::TimeZoneDatabase;
use tickmesh_core::{
    compose::{self, ComposeFile, Dialect, Outline, Project, Reading, TIMEZONE_DEFAULT},
    message::{AppRecord, AppSource, SCHEMA},
    name::{AppName, InvalidName},
};
use tickmesh_messaging::{Current, Edit, Error};

use crate::requests::Asker;

/// Tries to write. Whoever lost against another writer once sees his file and may well overwrite it; twice is a fight that
/// people should know about.
const TRIES: usize = 2;

/// The variable by which docker compose is told the name of the project, and tells it to the file.
pub const PROJECT_VARIABLE: &str = "COMPOSE_PROJECT_NAME";

/// A compose file with what belongs to it.
#[derive(Debug, Clone, Default)]
pub struct File {
    /// Its name, for messages.
    pub name: String,
    pub text: String,
    /// Values of the variables that it may use.
    pub variables: BTreeMap<String, String>,
    /// What is in its env files, by the names that it has for them.
    pub env_files: BTreeMap<String, String>,
    /// What else belongs to it.
    pub project: Project,
}

impl File {
    /// Understands it, as far as that is possible.
    pub fn read(&self, app: &AppName, zones: &TimeZoneDatabase) -> Reading {
        compose::read_in(&self.compose_file(app), &self.project, zones)
    }

    /// Says whether it is an app or a stack of some, and what belongs to it.
    pub fn outline(&self, zones: &TimeZoneDatabase) -> Result<Outline, InvalidName> {
        // No outline has the name of an app in it.
        let app = AppName::new("app")?;
        Ok(compose::outline(&self.compose_file(&app), &self.project, zones))
    }

    /// Tells the file what docker compose calls its project, unless a variable does.
    pub fn call_project(&mut self, name: &str) {
        let variable = self.variables.entry(PROJECT_VARIABLE.to_owned()).or_default();
        if variable.is_empty() {
            name.clone_into(variable);
        }
    }

    fn compose_file<'a>(&'a self, app: &'a AppName) -> ComposeFile<'a> {
        let Self { name: file_name, text, variables, env_files, project: _ } = self;
        ComposeFile {
            app,
            dialect: Dialect::PRESENT,
            file_name,
            text,
            variables,
            env_files,
            timezone_default: TIMEZONE_DEFAULT,
        }
    }

    /// What is stored of it: with the variables and files that it uses, and no others.
    pub fn into_source(self, reading: Reading) -> AppSource {
        let mut project = self.project;
        project.files.retain(|path, _| reading.files.contains(path));
        if reading.host_paths.is_empty() {
            // An app that has no relative path is the same wherever its file is.
            project.folder = None;
        }
        AppSource {
            compose: self.text,
            file_name: self.name,
            variables: reading.variables_used,
            env_files: self.env_files,
            timezone: reading.timezone,
            dialect: Dialect::PRESENT.number(),
            project,
        }
    }
}

/// What became of an edit.
#[derive(Debug)]
pub enum Edited {
    /// It is stored now.
    Stored {
        /// Its revision in the bucket.
        revision: u64,
        /// Its number among those of the app.
        number: u64,
    },
    /// It was there already.
    Unchanged {
        /// Its revision in the bucket.
        revision: u64,
        /// Its number among those of the app.
        number: u64,
    },
    /// Others edit the app at the same time, and were faster.
    Contended {
        /// What they have stored.
        current: Current,
    },
}

/// Stores a source, unless it is there already. What runs goes on as it began.
pub async fn apply(asker: &Asker, app: &AppName, source: AppSource) -> Result<Edited, Error> {
    let edits = asker.mesh.edits();
    let record = AppRecord { schema: SCHEMA, by: asker.by.clone(), number: None, source: Some(source.clone()) };
    let mut current = edits.current(app).await?;
    for _ in 0..TRIES {
        let stored = current.record().and_then(|record| record.source.as_ref());
        if stored.is_some_and(|stored| stored.same_content(&source)) {
            let number = edits.number(app, &current).await?;
            return Ok(Edited::Unchanged { revision: current.revision(), number });
        }
        match edits.write(app, &record, &current).await? {
            Edit::Stored { revision, number } => return Ok(Edited::Stored { revision, number }),
            Edit::Refused { current: newer } => current = newer,
        }
    }
    Ok(Edited::Contended { current })
}

/// Writes the tombstone of an app; `None`: there never was such an app. What is active of it is stopped, what waits is thrown away.
pub async fn remove(asker: &Asker, app: &AppName) -> Result<Option<Edited>, Error> {
    let edits = asker.mesh.edits();
    let tombstone = AppRecord { schema: SCHEMA, by: asker.by.clone(), number: None, source: None };
    let mut current = edits.current(app).await?;
    for _ in 0..TRIES {
        if let Current::Absent = current {
            return Ok(None);
        }
        if current.record().is_some_and(|record| record.source.is_none()) {
            let number = edits.number(app, &current).await?;
            return Ok(Some(Edited::Unchanged { revision: current.revision(), number }));
        }
        match edits.write(app, &tombstone, &current).await? {
            Edit::Stored { revision, number } => return Ok(Some(Edited::Stored { revision, number })),
            Edit::Refused { current: newer } => current = newer,
        }
    }
    Ok(Some(Edited::Contended { current }))
}
