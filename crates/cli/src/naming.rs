//! What apps are called: after their file, what the file says under `name`, or their folder; and in
//! a stack after their project and service, as docker compose calls containers.

use std::{collections::BTreeMap, ffi::OsStr, path::Path};

use tickmesh_client::{
    edit::PROJECT_VARIABLE,
    stack::{self, Job, NoJob},
};
use tickmesh_core::{
    compose::{Scheduled, project_name},
    name::AppName,
};

use crate::{compose_file::STDIN, exit::BadInput, inputs::DEFAULT_STEMS};

/// An app's name, and where it comes from if that is not plain to see.
#[derive(Debug)]
pub(crate) struct Named {
    /// `None`: nothing says what it is called.
    pub app: Option<AppName>,
    pub note: Option<String>,
}

/// Names the app of a file. `said`: what the file has under `name`; `given`: what somebody calls
/// it.
pub(crate) fn of_file(path: &Path, said: Option<&str>, given: Option<&AppName>) -> anyhow::Result<Named> {
    if let Some(given) = given {
        return Ok(Named { app: Some(given.clone()), note: None });
    }
    if path == Path::new(STDIN) && said.is_none() {
        return Ok(Named { app: None, note: None });
    }
    let Some(text) = own_name(path).or_else(|| said.map(ToOwned::to_owned)).or_else(|| folder_name(path)) else {
        let problem = format!("{}: nothing says what the app is called", path.display());
        return Err(BadInput::new(problem).hint("give it a name with --name").into());
    };
    let Some(app) = AppName::like(&text) else {
        let problem = format!("{}: no name of an app can be made of `{text}`", path.display());
        return Err(BadInput::new(problem).hint("give it a name with --name").into());
    };
    let note = (app.as_str() != text)
        .then(|| format!("the app is called {app}: a name has letters, digits and hyphens, and `{text}` has others"));
    Ok(Named { app: Some(app), note })
}

/// The name that a file has of its own: `docker-compose.backup.yml` is `backup`, and `compose.yml`
/// has none.
fn own_name(path: &Path) -> Option<String> {
    if path == Path::new(STDIN) {
        return None;
    }
    let stem = path.file_stem().and_then(OsStr::to_str)?;
    if DEFAULT_STEMS.contains(&stem) {
        return None;
    }
    let after = DEFAULT_STEMS.iter().find_map(|default| stem.strip_prefix(default)?.strip_prefix('.'));
    Some(after.unwrap_or(stem).to_owned())
}

fn folder_name(path: &Path) -> Option<String> {
    let path = std::path::absolute(path).ok()?;
    Some(path.parent()?.file_name()?.to_str()?.to_owned())
}

/// Names the project of a stack, as docker compose does.
pub(crate) fn of_project(
    variables: &BTreeMap<String, String>,
    said: Option<&str>,
    given: Option<&AppName>,
    folder: &str,
) -> anyhow::Result<String> {
    let of_folder = folder.rsplit('/').next().unwrap_or_default();
    let variable = variables.get(PROJECT_VARIABLE).map(String::as_str).filter(|name| !name.is_empty());
    let text = given.map(AppName::as_str).or(variable).or(said).unwrap_or(of_folder);
    let name = project_name(text);
    if name.is_empty() {
        let problem = format!("docker compose can make no name of a project of `{text}`");
        return Err(BadInput::new(problem).hint("write a `name` at the top of the file").into());
    }
    Ok(name)
}

/// Names the apps of a stack. Two services that would make one app are an error.
pub(crate) fn of_services(project: &str, services: &[Scheduled], file: &str) -> anyhow::Result<Vec<Job>> {
    stack::jobs(project, services).map_err(|NoJob { position, problem, hint }| {
        let refused = BadInput::new(format!("{file}:{position}: {problem}"));
        match hint {
            Some(hint) => refused.hint(hint).into(),
            None => refused.into(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, said: Option<&str>, expect: Result<(&str, bool), &str>) {
        let found = of_file(Path::new(path), said, None).map_err(|error| error.to_string());
        let found = found.map(|named| (named.app.unwrap().to_string(), named.note.is_some()));
        let found = found.as_ref().map(|(app, noted)| (app.as_str(), *noted)).map_err(String::as_str);
        assert_eq!(found, expect, "{path}");
    }

    #[test]
    fn an_app_is_called_like_its_file_or_else_as_it_says_or_like_its_directory() {
        check("nightly.yml", None, Ok(("nightly", false)));
        check("/etc/tickmesh/nightly.yaml", Some("other"), Ok(("nightly", false)));
        check("nightly", None, Ok(("nightly", false)));
        check("/srv/shop/compose.yml", None, Ok(("shop", false)));
        check("/srv/shop/docker-compose.yaml", Some("store"), Ok(("store", false)));
        check("docker-compose.backup.yml", Some("store"), Ok(("backup", false)));
        check("compose.backup.yml", None, Ok(("backup", false)));
        check("docker-compose.my.job.yml", None, Ok(("my-job", true)));
        check("my_job.yml", None, Ok(("my-job", true)));
        check("job.v2.yml", None, Ok(("job-v2", true)));
        check("/srv/my.shop/compose.yml", None, Ok(("my-shop", true)));
        check("-", Some("of_stdin"), Ok(("of-stdin", true)));
        check("/compose.yml", None, Err("/compose.yml: nothing says what the app is called"));
        check("天.yml", None, Err("天.yml: no name of an app can be made of `天`"));
    }

    #[test]
    fn a_relative_default_file_is_called_like_the_current_directory() {
        let here = std::env::current_dir().unwrap();
        check("compose.yml", None, Ok((here.file_name().unwrap().to_str().unwrap(), false)));
    }

    #[test]
    fn a_project_is_called_as_docker_compose_calls_it() {
        let none = BTreeMap::new();
        let variable = BTreeMap::from([(PROJECT_VARIABLE.to_owned(), "Env".to_owned())]);
        let given = AppName::new("Given").unwrap();
        let named = |variables, said, given| of_project(variables, said, given, "/srv/My.Shop_2").unwrap();
        assert_eq!(named(&none, None, None), "myshop_2");
        assert_eq!(named(&none, Some("Said"), None), "said");
        assert_eq!(named(&variable, Some("Said"), None), "env");
        assert_eq!(named(&variable, Some("Said"), Some(&given)), "given");
        assert!(of_project(&none, None, None, "/").is_err());
    }
}
