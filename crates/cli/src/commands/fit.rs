//! Whether any agent that is there would ever take what an app asks for: better said when it is applied than found out when it
//! is due.

use anyhow::Context as _;
use tickmesh_client::{stored::understand_stored, views::agent::fleet, zones};
use tickmesh_core::{fleet::Fleet, message::AppSource, name::AppName, placement::Placement, spec::AppSpec};
use tickmesh_messaging::Mesh;

use crate::output::Output;

/// Warns of each service that no agent would take, however idle all are. Nothing is refused: an agent may yet come.
pub(super) async fn warn(mesh: &Mesh, output: Output, app: &AppName, source: &AppSource) -> anyhow::Result<()> {
    let Some(spec) = understand_stored(app, source, &zones::database()).spec else { return Ok(()) };
    let agents = mesh.agents().list().await.context("failed to look whether an agent would take the app")?;
    let now = mesh.agents().clock().await?;
    // What runs now is over when the app is due.
    for line in unfit(app, &spec, &fleet(&agents, [], now)) {
        output.talk(&line);
    }
    Ok(())
}

fn unfit(app: &AppName, spec: &AppSpec, fleet: &Fleet) -> Vec<String> {
    let placement = Placement::new(fleet);
    let run = spec.run();
    let unfit = run.services.iter().filter_map(|service| {
        let why = match service.global {
            true => placement.explain_unmatched(&service.constraints)?,
            false => placement.explain_never(placement.wanted(service))?,
        };
        Some(format!("warning: app {app}: service {} would wait: {why}", service.name))
    });
    unfit.collect()
}

#[cfg(test)]
mod tests {
    use tickmesh_core::{
        fleet::{AgentView, Readiness, Traits},
        message::Capacity,
        name::AgentName,
        policy::HostPolicy,
    };

    use super::*;

    const FILE: &str = "labels: {tickmesh.schedule: \"0 * * * * *\"}\nservices:\n  s:\n    image: busybox\n    \
                        volumes: [\"/srv/data:/m\"]\n    mem_limit: 512m\n";

    #[track_caller]
    fn check(readiness: Readiness, path: &str, memory_bytes: u64, expected: &[&str]) {
        let app = AppName::new("backup").unwrap();
        let stored = serde_json::json!({"compose": FILE, "file_name": "b.yml", "variables": {}, "timezone": "UTC"});
        let source: AppSource = serde_json::from_value(stored).unwrap();
        let spec = understand_stored(&app, &source, &zones::database()).spec.unwrap();
        let policy = HostPolicy { host_paths: vec![path.into()], ..HostPolicy::default() };
        let traits = Traits { policy: Some(policy), ..Traits::default() };
        let capacity = Capacity { slots: 1, cpu_millis: 1_000, memory_bytes, gpus: None };
        let mut fleet = Fleet::default();
        let view = AgentView { readiness, capacity, traits: traits.into() };
        fleet.see(&AgentName::new("h1").unwrap(), Some(view));
        assert_eq!(unfit(&app, &spec, &fleet), expected);
    }

    #[test]
    fn service_that_no_agent_would_take_is_named_with_the_reason() {
        check(Readiness::Ready, "/srv", 1 << 30, &[]);
        let forbidden = "warning: app backup: service s would wait: 0 of 1 agents allow /srv/data: start one with \
                         --allow-path /srv/data";
        check(Readiness::Ready, "/data", 1 << 30, &[forbidden]);
        let small = "warning: app backup: service s would wait: 0 of 1 agents fit: 1 too small for 512.0MiB of memory";
        check(Readiness::Ready, "/srv", 1 << 28, &[small]);
        let dead = "warning: app backup: service s would wait: 0 of 1 agents fit: 1 without an engine that answers";
        check(Readiness::NoEngine, "/srv", 1 << 30, &[dead]);
    }
}
