//! Compose files: text in, [`AppSpec`] out, or everything that is wrong with the text.
//!
//! ```text
//! text --yaml--> tree of (place, raw scalar) --file, labels, service--> AppSpec
//!                              |                       |
//!                        interpolate                report --> all diagnostics, in the order of the file
//! ```
//!
//! Nothing in a file is silently without effect: `keys` and `labels` have a table each that says what becomes of every key
//! and label. The reader of a stored file is the scheduler, which reads it again and trusts no parsed form: so reading is
//! a pure function of the text, the variables, the env files and the zone database, and every cost has a limit.

mod app;
mod constraint;
mod diagnostic;
mod dialect;
mod dotenv;
mod env_files;
mod external;
mod file;
mod host_files;
mod interpolate;
mod keys;
mod labels;
mod networks;
mod project;
mod reader;
mod report;
mod schedule;
mod service;
mod source;
mod value;
mod variables;
mod volumes;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZoneDatabase;

pub use self::{
    diagnostic::{Diagnostic, Position, Severity},
    dialect::{DIALECT_FIRST, Dialect, DialectNumber, UnknownDialect},
    file::ENV_FILES_BYTES_MAX,
    keys::service_keys,
    labels::{is_target_name, schema},
    project::{Outline, PROJECT_FILES_MAX, Project, Scheduled, join_paths, outline, project_name, shown_path},
    service::capability,
    source::{ComposeFile, TIMEZONE_DEFAULT},
    value::{Refused, duration, size},
    variables::{VARIABLES_FILE_BYTES_MAX, VariablesFile, VariablesFileError, read_variables_file},
    yaml::SOURCE_BYTES_MAX,
};
use self::{
    file::{Contents, read_file},
    reader::Reader,
};
use crate::spec::AppSpec;

/// What reading a file gave.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The app; `None` if and only if a diagnostic is an error.
    pub spec: Option<AppSpec>,
    /// Errors and warnings in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// The variables that the file uses, with their values. With these alone the file reads the same.
    pub variables_used: BTreeMap<String, String>,
    /// The env files that the file names, whether they are there or not. Relative paths begin where the file is.
    pub env_files: BTreeSet<String>,
    /// The further files that the app is read from, whether they are there or not. Paths begin in
    /// the folder of the project.
    pub files: BTreeSet<String>,
    /// Paths of the hosts that are relative in the file, and what they are on every host.
    pub host_paths: BTreeMap<String, String>,
    /// IANA name of the schedule's time zone, as the database spells it.
    pub timezone: String,
}

impl Reading {
    /// The reading of a stored app whose rules this release does not know.
    pub(crate) fn refused(file_name: &str, timezone: &str, unknown: &UnknownDialect) -> Self {
        let diagnostic = Diagnostic {
            file: file_name.into(),
            severity: Severity::Error,
            position: Position::START,
            path: String::new(),
            message: unknown.to_string(),
            hint: Some("run the release that applied it, or apply the file again with this one".to_owned()),
        };
        Self {
            spec: None,
            diagnostics: vec![diagnostic],
            variables_used: BTreeMap::new(),
            env_files: BTreeSet::new(),
            files: BTreeSet::new(),
            host_paths: BTreeMap::new(),
            timezone: timezone.to_owned(),
        }
    }
}

/// Reads a compose file that stands alone.
pub fn read(file: &ComposeFile<'_>, zones: &TimeZoneDatabase) -> Reading {
    read_in(file, Project::ALONE, zones)
}

/// Reads a compose file with what belongs to it.
pub fn read_in(file: &ComposeFile<'_>, project: &Project, zones: &TimeZoneDatabase) -> Reading {
    let mut reader = Reader::new(file, project, zones);
    let tree = yaml::parse(0, file.text, &mut reader.report);
    let tree = tree.and_then(|tree| project::assemble(&mut reader, &tree));
    let contents = match &tree {
        Some(root) => read_file(&mut reader, file, root),
        None => Contents { spec: None, timezone: file.timezone_default.to_owned() },
    };
    let Reader { report, interpolator, env_files, sources, .. } = reader;
    let (files, host_paths) = sources.into_named();
    Reading {
        spec: contents.spec.filter(|_| !report.has_errors()),
        diagnostics: report.into_diagnostics(),
        variables_used: interpolator.into_used(),
        env_files: env_files.into_named(),
        files,
        host_paths,
        timezone: contents.timezone,
    }
}

#[cfg(test)]
mod tests;
