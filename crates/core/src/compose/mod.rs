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
mod env_files;
mod file;
mod host_files;
mod interpolate;
mod keys;
mod labels;
mod reader;
mod report;
mod service;
mod source;
mod value;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZoneDatabase;

pub use self::{
    diagnostic::{Diagnostic, Position, Severity},
    file::ENV_FILES_BYTES_MAX,
    keys::service_keys,
    service::capability,
    source::{ComposeFile, TIMEZONE_DEFAULT},
    value::{Refused, duration, size},
    yaml::SOURCE_BYTES_MAX,
};
use self::{
    env_files::EnvFiles,
    file::{Contents, read_file},
    host_files::HostFiles,
    interpolate::Interpolator,
    reader::Reader,
    report::Report,
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
    /// IANA name of the schedule's time zone, as the database spells it.
    pub timezone: String,
}

/// Reads a compose file.
pub fn read(file: &ComposeFile<'_>, zones: &TimeZoneDatabase) -> Reading {
    let mut report = Report::new(file.file_name);
    let tree = yaml::parse(file.text, &mut report);
    let mut reader = Reader {
        report,
        interpolator: Interpolator::new(file.variables),
        env_files: EnvFiles::new(file.env_files),
        host_files: HostFiles::default(),
        volumes: None,
        zones,
    };
    let contents = match &tree {
        Some(root) => read_file(&mut reader, file, root),
        None => Contents { spec: None, timezone: file.timezone_default.to_owned() },
    };
    let Reader { report, interpolator, env_files, host_files: _, volumes: _, zones: _ } = reader;
    Reading {
        spec: contents.spec.filter(|_| !report.has_errors()),
        diagnostics: report.into_diagnostics(),
        variables_used: interpolator.into_used(),
        env_files: env_files.into_named(),
        timezone: contents.timezone,
    }
}

#[cfg(test)]
mod tests;
