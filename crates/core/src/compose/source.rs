//! A compose file as text, and what it is read with.

use std::collections::BTreeMap;

use super::dialect::Dialect;
use crate::name::AppName;

/// Time zone of schedules that name none: the original's only one.
pub const TIMEZONE_DEFAULT: &str = "Asia/Shanghai";

/// A compose file, and what it is read with.
#[derive(Debug, Clone, Copy)]
pub struct ComposeFile<'a> {
    /// The app that the file describes.
    pub app: &'a AppName,
    /// The rules by which it is read.
    pub dialect: Dialect,
    /// Name of the file, for diagnostics.
    pub file_name: &'a str,
    /// The file.
    pub text: &'a str,
    /// Values of the variables that the file may use.
    pub variables: &'a BTreeMap<String, String>,
    /// What is in the env files that the file names, by the paths that it has for them. One that is not among them is not there.
    pub env_files: &'a BTreeMap<String, String>,
    /// Time zone of the schedule if the file names none, such as [`TIMEZONE_DEFAULT`].
    pub timezone_default: &'a str,
}
