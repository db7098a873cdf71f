//! Stacks: compose files in which each service with a schedule is an app of its own. The command
//! line and the HTTP API name, check and compare them alike.

use std::collections::BTreeSet;

use tickmesh_core::{
    compose::{Position, Scheduled},
    message::AppSource,
    name::{AppName, ServiceName},
};
use tickmesh_messaging::{Error, Mesh};

/// A service of a stack that is an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The service.
    pub service: ServiceName,
    /// The app that it is.
    pub app: AppName,
}

/// Why a service of a stack cannot be an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoJob {
    /// Where the service stands in the file.
    pub position: Position,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub hint: Option<&'static str>,
}

/// Names the apps of a stack. Two services that would make one app are an error.
pub fn jobs(project: &str, services: &[Scheduled]) -> Result<Vec<Job>, NoJob> {
    let mut jobs: Vec<Job> = Vec::new();
    for Scheduled { service, position } in services {
        let refused = |problem: String, hint| NoJob { position: *position, problem, hint };
        let service = ServiceName::new(service).map_err(|error| refused(error.to_string(), None))?;
        let text = format!("{project}-{service}");
        let Some(app) = AppName::like(&text) else {
            return Err(refused(format!("no name of an app can be made of `{text}`"), Some("rename the service")));
        };
        if let Some(twin) = jobs.iter().find(|job| job.app == app) {
            let problem = format!("the services `{}` and `{service}` would both be the app {app}", twin.service);
            return Err(refused(problem, Some("rename one of them")));
        }
        jobs.push(Job { service, app });
    }
    Ok(jobs)
}

/// Returns the apps of these projects that are not among those that are kept, by their names.
pub async fn vanished(mesh: &Mesh, projects: &BTreeSet<&str>, kept: &BTreeSet<&str>) -> Result<Vec<AppName>, Error> {
    if projects.is_empty() {
        return Ok(Vec::new());
    }
    let mut vanished = Vec::new();
    for entry in mesh.apps().list().await? {
        let project = entry.value.source.as_ref().and_then(|source| source.project.name.as_deref());
        if project.is_some_and(|project| projects.contains(project)) && !kept.contains(entry.key.as_str()) {
            vanished.extend(AppName::new(entry.key).ok());
        }
    }
    vanished.sort();
    Ok(vanished)
}

/// What to do about a [`clash`].
pub const CLASH_HINT: &str = "rename the service, or call the project otherwise with --name";

/// Says whose an app is, if a source would make it that of another service of another stack: `a-b` and
/// `c` make the same name as `a` and `b-c`.
pub async fn clash(mesh: &Mesh, app: &AppName, source: &AppSource) -> Result<Option<String>, Error> {
    let of = |source: &AppSource| Some((source.project.name.clone(), source.project.service.clone()?));
    let Some(wanted) = of(source) else { return Ok(None) };
    let stored = mesh.apps().read(app.as_str()).await?.and_then(|entry| entry.value.source);
    let Some(present) = stored.as_ref().and_then(of).filter(|present| *present != wanted) else { return Ok(None) };
    let whose = |(project, service): (Option<String>, ServiceName)| {
        format!("service {service} of project {}", project.unwrap_or_default())
    };
    Ok(Some(format!("app `{app}` is {}, and would become {}", whose(present), whose(wanted))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_whose_apps_would_be_one_are_refused() {
        let service = |name: &str| Scheduled { service: name.to_owned(), position: Position::START };
        let apps = |names: &[&str]| {
            let services: Vec<Scheduled> = names.iter().map(|name| service(name)).collect();
            let jobs = jobs("my_shop", &services).map_err(|no| no.problem)?;
            Ok::<_, String>(jobs.into_iter().map(|job| job.app.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(apps(&["db.backup", "clean"]).unwrap(), ["my-shop-db-backup", "my-shop-clean"]);
        let refused = apps(&["a.b", "a-b"]).unwrap_err();
        assert_eq!(refused, "the services `a.b` and `a-b` would both be the app my-shop-a-b");
    }
}
