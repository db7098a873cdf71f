//! Edits of apps: a compose file is understood, and stored or removed under an app's name.

use std::collections::BTreeMap;

use jiff::tz::TimeZoneDatabase;
use tickmesh_core::{
    compose::{self, ComposeFile, Reading, TIMEZONE_DEFAULT},
    message::{AppRecord, AppSource, SCHEMA},
    name::AppName,
};
use tickmesh_messaging::{Cas, Entry, Error};

use crate::requests::Asker;

/// Tries to write. Whoever lost against another writer once sees his file and may well overwrite it; twice is a fight that
/// people should know about.
const TRIES: usize = 2;

/// A compose file with what belongs to it.
#[derive(Debug, Clone, Default)]
pub struct File {
    /// Its name, for messages.
    pub name: String,
    /// All of it.
    pub text: String,
    /// Values of the variables that it may use.
    pub variables: BTreeMap<String, String>,
    /// What is in its env files, by the names that it has for them.
    pub env_files: BTreeMap<String, String>,
}

impl File {
    /// Understands it, as far as that is possible.
    pub fn read(&self, app: &AppName, zones: &TimeZoneDatabase) -> Reading {
        let Self { name: file_name, text, variables, env_files } = self;
        compose::read(
            &ComposeFile { app, file_name, text, variables, env_files, timezone_default: TIMEZONE_DEFAULT },
            zones,
        )
    }

    /// What is stored of it: with the variables that it uses, and no others.
    pub fn into_source(self, reading: Reading) -> AppSource {
        AppSource {
            compose: self.text,
            file_name: self.name,
            variables: reading.variables_used,
            env_files: self.env_files,
            timezone: reading.timezone,
        }
    }
}

/// What became of an edit.
#[derive(Debug)]
pub enum Edited {
    /// It is stored now.
    Stored {
        /// Its revision.
        revision: u64,
    },
    /// It was there already.
    Unchanged {
        /// The revision that was.
        revision: u64,
    },
    /// Others edit the app at the same time, and were faster.
    Contended {
        /// What they have stored.
        current: Option<Entry<AppRecord>>,
    },
}

/// Stores a source, unless it is there already. What runs goes on as it began.
pub async fn apply(asker: &Asker, app: &AppName, source: AppSource) -> Result<Edited, Error> {
    let edits = asker.mesh.edits();
    let record = AppRecord { schema: SCHEMA, by: asker.by.clone(), source: Some(source.clone()) };
    let mut current = edits.current(app).await?;
    for _ in 0..TRIES {
        if let Some(entry) = &current
            && entry.value.source.as_ref().is_some_and(|stored| stored.same_content(&source))
        {
            return Ok(Edited::Unchanged { revision: entry.sequence });
        }
        match edits.write(app, &record, current.as_ref()).await? {
            Cas::Stored { sequence } => return Ok(Edited::Stored { revision: sequence }),
            Cas::Refused { current: newer } => current = newer,
        }
    }
    Ok(Edited::Contended { current })
}

/// Writes the tombstone of an app; `None`: there never was such an app. What is active of it is stopped, what waits is thrown away.
pub async fn remove(asker: &Asker, app: &AppName) -> Result<Option<Edited>, Error> {
    let edits = asker.mesh.edits();
    let tombstone = AppRecord { schema: SCHEMA, by: asker.by.clone(), source: None };
    let mut current = edits.current(app).await?;
    for _ in 0..TRIES {
        let Some(entry) = current else { return Ok(None) };
        if entry.value.source.is_none() {
            return Ok(Some(Edited::Unchanged { revision: entry.sequence }));
        }
        match edits.write(app, &tombstone, Some(&entry)).await? {
            Cas::Stored { sequence } => return Ok(Some(Edited::Stored { revision: sequence })),
            Cas::Refused { current: newer } => current = newer,
        }
    }
    Ok(Some(Edited::Contended { current }))
}
