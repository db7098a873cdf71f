//! What a command is about, as people type it: `APP`, `APP/RUN`, `APP/RUN/SERVICE/REPLICA`.

use std::{fmt, str::FromStr};

use tickmesh_core::{
    id::RunNumber,
    name::{AppName, InvalidName, ServiceName},
};

/// An app, or one run of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunTarget {
    /// The app.
    pub app: AppName,
    /// The run, if one was named.
    pub run: Option<RunNumber>,
}

/// An app, or one run, service or replica of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputTarget {
    /// The app.
    pub app: AppName,
    /// The run, if one was named.
    pub run: Option<RunNumber>,
    /// The service, if one was named.
    pub service: Option<ServiceName>,
    /// Index of the replica, if one was named.
    pub replica: Option<u32>,
}

/// Why a text names nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidTarget {
    /// A name is not one.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Runs have numbers from 1.
    #[error("`{0}` is not the number of a run")]
    Run(String),
    /// Replicas have numbers from 0.
    #[error("`{0}` is not the index of a replica")]
    Replica(String),
    /// It is the name of a file.
    #[error("`{file}` is a file: did you mean the app `{app}`, or `tickmesh run -f {file}`?")]
    File {
        /// The file.
        file: String,
        /// The app that is named after it.
        app: String,
    },
    /// There is more in it than can be named.
    #[error("`{text}` has more parts than {form}")]
    TooLong {
        /// The text.
        text: String,
        /// What was expected.
        form: &'static str,
    },
}

impl FromStr for RunTarget {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let mut parts = text.split('/');
        let target = Self { app: app(&mut parts)?, run: parts.next().map(run).transpose()? };
        end(parts, text, "APP/RUN")?;
        Ok(target)
    }
}

impl FromStr for OutputTarget {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let mut parts = text.split('/');
        let target = Self {
            app: app(&mut parts)?,
            run: parts.next().map(run).transpose()?,
            service: parts.next().map(ServiceName::new).transpose()?,
            replica: parts.next().map(replica).transpose()?,
        };
        end(parts, text, "APP/RUN/SERVICE/REPLICA")?;
        Ok(target)
    }
}

impl fmt::Display for RunTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.run {
            Some(run) => write!(formatter, "{}/{run}", self.app),
            None => self.app.fmt(formatter),
        }
    }
}

fn app<'a>(parts: &mut impl Iterator<Item = &'a str>) -> Result<AppName, InvalidTarget> {
    let typed = parts.next().unwrap_or_default();
    match typed.strip_suffix(".yml").or(typed.strip_suffix(".yaml")) {
        Some(app) => Err(InvalidTarget::File { file: typed.to_owned(), app: app.to_owned() }),
        None => Ok(AppName::new(typed)?),
    }
}

fn run(text: &str) -> Result<RunNumber, InvalidTarget> {
    match text.parse() {
        Ok(0) | Err(_) => Err(InvalidTarget::Run(text.to_owned())),
        Ok(number) => Ok(number),
    }
}

fn replica(text: &str) -> Result<u32, InvalidTarget> {
    text.parse().map_err(|_| InvalidTarget::Replica(text.to_owned()))
}

fn end<'a>(mut parts: impl Iterator<Item = &'a str>, text: &str, form: &'static str) -> Result<(), InvalidTarget> {
    match parts.next() {
        None => Ok(()),
        Some(_) => Err(InvalidTarget::TooLong { text: text.to_owned(), form }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_run(text: &str, expected: Result<(&str, Option<RunNumber>), &str>) {
        let found = text.parse::<RunTarget>().map_err(|error| error.to_string());
        let found = found.as_ref().map(|target| (target.app.as_str(), target.run)).map_err(String::as_str);
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn runs_are_named_after_their_app() {
        check_run("nightly", Ok(("nightly", None)));
        check_run("nightly/42", Ok(("nightly", Some(42))));
        check_run("nightly/", Err("`` is not the number of a run"));
        check_run("a.yml", Err("`a.yml` is a file: did you mean the app `a`, or `tickmesh run -f a.yml`?"));
        check_run("nightly/0", Err("`0` is not the number of a run"));
        check_run("nightly/last", Err("`last` is not the number of a run"));
        check_run("nightly/1/s1", Err("`nightly/1/s1` has more parts than APP/RUN"));
        let rule = "letters, digits and hyphens, beginning with a letter or digit, at most 63";
        check_run("a.b", Err(&format!("app name `a.b` is not valid: {rule}")));
        check_run("", Err(&format!("app name `` is not valid: {rule}")));
    }

    #[track_caller]
    fn check_output(text: &str, expected: Option<(Option<RunNumber>, Option<&str>, Option<u32>)>) {
        let found = text.parse::<OutputTarget>().ok();
        let found = found.as_ref().map(|it| (it.run, it.service.as_ref().map(ServiceName::as_str), it.replica));
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn output_is_named_down_to_the_replica() {
        check_output("nightly", Some((None, None, None)));
        check_output("nightly/42", Some((Some(42), None, None)));
        check_output("nightly/42/db.main", Some((Some(42), Some("db.main"), None)));
        check_output("nightly/42/db.main/0", Some((Some(42), Some("db.main"), Some(0))));
        check_output("nightly/42/db/-1", None);
        check_output("nightly/42/db/0/1", None);
        check_output("nightly/db", None);
    }
}
