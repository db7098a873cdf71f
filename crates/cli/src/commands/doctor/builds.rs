//! Which members of a mesh run which build. While a mesh is upgraded there are two, and that is no
//! fault.

use std::collections::BTreeMap;

use tickmesh_client::views::scheduler::SchedulerView;
use tickmesh_core::{build::Build, message::AgentRecord};
use tickmesh_messaging::Mesh;

use crate::{build::build, views::doctor::Check};

/// Members of one build that are named: who upgrades a large mesh looks at `tickmesh agents`
/// anyway.
const NAMED_MAX: usize = 8;

/// Looks at the schedulers that answered, at the agents that were not stopped, and at this program.
pub(super) async fn check(mesh: &Mesh, schedulers: &[SchedulerView]) -> anyhow::Result<Check> {
    let (agents, _) = mesh.agents().look().await?;
    let agents = agents.iter().map(|entry| &entry.value).filter(|agent| !agent.stopped && !agent.forgotten);
    let members = schedulers.iter().filter_map(of_scheduler).chain(agents.map(of_agent));
    Ok(of_members(members.collect(), &build()))
}

/// A member of the mesh, and what it says of its build.
type Member = (String, String);

/// A scheduler that does not answer says nothing of its build.
fn of_scheduler(scheduler: &SchedulerView) -> Option<Member> {
    Some((scheduler.build.clone()?, format!("scheduler {}", scheduler.host)))
}

fn of_agent(agent: &AgentRecord) -> Member {
    (agent.build.shown_with(&agent.version), format!("agent {}", agent.agent))
}

fn of_members(members: Vec<Member>, this: &Build) -> Check {
    let mut by_build: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (build, member) in members {
        by_build.entry(build).or_default().push(member);
    }
    by_build.entry(this.to_string()).or_default().push("this command".to_owned());
    if by_build.len() == 1 {
        return Check::ok("builds", format!("every member runs {this}"));
    }
    let builds: Vec<String> = by_build.iter().map(|(build, members)| format!("{build}: {}", named(members))).collect();
    Check::warning(
        "builds",
        format!("{} builds work together: {}", by_build.len(), builds.join("; ")),
        "finish the upgrade, or roll it back: docs/how-to/upgrade.md",
    )
}

fn named(members: &[String]) -> String {
    let mut shown: Vec<String> = members.iter().take(NAMED_MAX).cloned().collect();
    if members.len() > NAMED_MAX {
        shown.push(format!("{} more", members.len() - NAMED_MAX));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use tickmesh_testkit::records;

    use super::*;
    use crate::views::doctor::Finding;

    #[track_caller]
    fn check(members: &[(&str, &str)], finding: Finding, text: &str) {
        let members = members.iter().map(|(build, member)| ((*build).to_owned(), (*member).to_owned())).collect();
        let check = of_members(members, &Build::new("0.1.0+b"));
        assert_eq!((check.finding, check.text.as_str()), (finding, text));
    }

    #[test]
    fn mixed_builds_are_listed_and_are_no_fault() {
        check(&[], Finding::Ok, "every member runs 0.1.0+b");
        check(&[("0.1.0+b", "scheduler h1"), ("0.1.0+b", "agent a")], Finding::Ok, "every member runs 0.1.0+b");
        check(
            &[("0.1.0+a", "scheduler h1"), ("0.1.0+b", "scheduler h2"), ("0.1.0+a", "agent a")],
            Finding::Warning,
            "2 builds work together: 0.1.0+a: scheduler h1, agent a; 0.1.0+b: scheduler h2, this command",
        );
    }

    #[test]
    fn member_from_before_builds_had_names_is_unknown() {
        let agent = records::heartbeat(std::iter::empty()).value;
        let text = "2 builds work together: 0.1.0+b: this command; 1 (build unknown): agent host-1";
        let (build, member) = of_agent(&agent);
        check(&[(&build, &member)], Finding::Warning, text);
    }

    #[test]
    fn many_members_of_one_build_are_counted() {
        let agents: Vec<String> = (0..100).map(|number| format!("agent a{number}")).collect();
        let members: Vec<_> = agents.iter().map(|agent| ("0.1.0+a", agent.as_str())).collect();
        let names = agents[..NAMED_MAX].join(", ");
        let text = format!("2 builds work together: 0.1.0+a: {names}, 92 more; 0.1.0+b: this command");
        check(&members, Finding::Warning, &text);
    }
}
