//! Gives the program its build: the version and, if it is known, the commit.
//!
//! A packager names the version in `TICKMESH_VERSION` (`scripts/dist` takes it from git's tag) and the
//! commit in `TICKMESH_COMMIT`; a build in the repository asks git for the commit; any other build,
//! from a tarball say, has the version alone. This is the only crate with a build script, so
//! that a commit does not rebuild the others: they are told the build at run time.

use std::{error::Error, path::Path, process::Command};

/// Longest commit that a packager may name: as many digits as git has.
const COMMIT_CHARS_MAX: usize = 40;
/// Longest version that a packager may name.
const VERSION_CHARS_MAX: usize = 40;
/// Digits of a commit that git is asked for: enough for any repository, and a table has room for
/// them.
const DIGITS: &str = "--short=12";
/// Where this crate is in the repository, as git says it.
const FOLDER: &str = "crates/cli/";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=TICKMESH_COMMIT");
    println!("cargo::rerun-if-env-changed=TICKMESH_VERSION");
    println!("cargo::rerun-if-changed=build.rs");
    let commit = match std::env::var("TICKMESH_COMMIT") {
        Ok(named) => Some(checked("TICKMESH_COMMIT", named, COMMIT_CHARS_MAX)?),
        Err(_) => from_git(),
    };
    // Every commit, checkout and rebase adds a line there.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| Path::new(log).exists()) {
        println!("cargo::rerun-if-changed={log}");
    }
    let version = match std::env::var("TICKMESH_VERSION") {
        Ok(named) => checked("TICKMESH_VERSION", named, VERSION_CHARS_MAX)?,
        Err(_) => std::env::var("CARGO_PKG_VERSION")?,
    };
    let build = commit.map_or_else(|| version.clone(), |commit| format!("{version}+{commit}"));
    println!("cargo::rustc-env=TICKMESH_BUILD={build}");
    Ok(())
}

fn checked(variable: &str, named: String, chars_max: usize) -> Result<String, Box<dyn Error>> {
    let is_plain = named.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '.' | '-'));
    if named.is_empty() || named.len() > chars_max || !is_plain {
        let rule = format!("1 to {chars_max} letters, digits, dots and hyphens");
        return Err(format!("{variable} is `{named}`: it must have {rule}, or not be set").into());
    }
    Ok(named)
}

/// The commit, unless the sources are a copy inside of somebody else's repository.
fn from_git() -> Option<String> {
    git(&["rev-parse", "--show-prefix"]).filter(|prefix| prefix == FOLDER)?;
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    git(&["rev-parse", DIGITS, "HEAD"])
}

/// What git answers. `None`: there is no git, or no repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then_some(())?;
    let answer = String::from_utf8(output.stdout).ok()?;
    Some(answer.trim().to_owned())
}
