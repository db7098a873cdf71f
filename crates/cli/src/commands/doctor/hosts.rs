//! The hosts as their agents tell of them: who is heard, whose engine answers, whose clock is right, and which are copies of each
//! other.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tickmesh_client::when;
use tickmesh_core::{
    message::{AgentRecord, EngineTrouble},
    timing::Timing,
};
use tickmesh_messaging::{Entry, Mesh};
use tickmesh_scheduler::process::DEVIATION_MAX;
use tokio::time::sleep;

use crate::views::doctor::Check;

/// What to do about an engine that does not answer its agent.
const ENGINE_HINT: &str = "on that host: `docker info` says what its engine lacks; start it (`systemctl restart docker`), make room \
                           on its disk, or let the agent's user use its socket (group docker)";
const CLOCK_HINT: &str = "set its host's clock right, and keep it so (chrony, timesyncd)";

/// Looks at all agents; twice if a clock looks wrong: a heartbeat may have been under way for long.
pub(super) async fn check(mesh: &Mesh) -> anyhow::Result<Vec<Check>> {
    let (agents, now) = mesh.agents().look().await?;
    let clocks = if wrong_clocks(&agents).is_empty() {
        of_clocks(&[])
    } else {
        sleep(Timing::default().heartbeat + Duration::from_millis(500)).await;
        let (again, _) = mesh.agents().look().await?;
        of_clocks(&wrong_twice(&wrong_clocks(&agents), &wrong_clocks(&again)))
    };
    let mut checks = vec![of_agents(&agents, now), clocks];
    checks.extend(of_stopped(&agents));
    checks.extend(of_copied(&agents, now));
    Ok(checks)
}

fn is_heard(agent: &Entry<AgentRecord>, now: Timestamp) -> bool {
    when::between(agent.at, now) < Timing::default().stale
}

fn of_agents(agents: &[Entry<AgentRecord>], now: Timestamp) -> Check {
    let expected = agents.iter().filter(|agent| !agent.value.stopped && !agent.value.forgotten);
    let (heard, silent): (Vec<_>, Vec<_>) = expected.partition(|agent| is_heard(agent, now));
    let names: Vec<_> = silent.iter().map(|agent| agent.value.agent.as_str()).collect();
    if !names.is_empty() {
        let text = format!("{} of {} are silent: {}", silent.len(), silent.len() + heard.len(), names.join(", "));
        Check::wrong(
            "agents",
            text,
            "look after their hosts; `tickmesh agent forget` for those that will not come back",
        )
    } else if let Some(check) = engines(&heard, now) {
        check
    } else if heard.is_empty() {
        Check::wrong("agents", "none is alive: no run can start", "start `tickmesh agent` on a Docker host")
    } else {
        let (count, verb) = (heard.len(), if heard.len() == 1 { "agent is" } else { "agents are" });
        Check::ok("agents", format!("{count} {verb} alive"))
    }
}

/// Names the agents that are heard and whose engines do not answer: nothing is placed there.
fn engines(heard: &[&Entry<AgentRecord>], now: Timestamp) -> Option<Check> {
    let troubles: Vec<String> = heard
        .iter()
        .filter_map(|entry| {
            let EngineTrouble { since, reason, .. } = entry.value.lasting_trouble()?;
            Some(format!("{} since {} ({reason})", entry.value.agent, when::relative(*since, now)))
        })
        .collect();
    let text = format!(
        "the engines of {} of {} do not answer, and nothing is placed there: {}",
        troubles.len(),
        heard.len(),
        troubles.join(", ")
    );
    (!troubles.is_empty()).then(|| Check::wrong("agents", text, ENGINE_HINT))
}

/// Agents that somebody stopped: nothing is wrong with them, and nothing runs there.
fn of_stopped(agents: &[Entry<AgentRecord>]) -> Option<Check> {
    let stopped = agents.iter().filter(|agent| agent.value.stopped && !agent.value.forgotten);
    let names: Vec<_> = stopped.map(|agent| agent.value.agent.as_str()).collect();
    let text = format!("stopped, and nothing runs there: {}", names.join(", "));
    let hint = "start `tickmesh agent` there again; or `tickmesh agent forget` for those that will not come back";
    (!names.is_empty()).then(|| Check::warning("agents", text, hint))
}

/// An agent whose clock is wrong, and by how much it is ahead of the server's.
type WrongClock = (String, SignedDuration);

/// The clocks that were wrong when the last heartbeats were written. Each has its host's time in it, and the server its own.
fn wrong_clocks(agents: &[Entry<AgentRecord>]) -> Vec<WrongClock> {
    let expected = agents.iter().filter(|agent| !agent.value.stopped && !agent.value.forgotten);
    let clocks = expected.map(|agent| (agent.key.clone(), agent.at.duration_until(agent.value.at)));
    clocks.filter(|(_, ahead)| ahead.abs() > DEVIATION_MAX).collect()
}

/// Clocks that were wrong both times, each by the smaller of both.
fn wrong_twice(first: &[WrongClock], again: &[WrongClock]) -> Vec<WrongClock> {
    let both = again.iter().filter_map(|(agent, ahead)| {
        let (_, before) = first.iter().find(|(other, _)| other == agent)?;
        Some((agent.clone(), if before.abs() < ahead.abs() { *before } else { *ahead }))
    });
    both.collect()
}

fn of_clocks(wrong: &[WrongClock]) -> Check {
    let list = wrong.iter().map(|(agent, ahead)| {
        let direction = if ahead.is_negative() { "behind" } else { "ahead" };
        format!("{agent} is {:.1} s {direction}", ahead.abs().as_secs_f64())
    });
    match list.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => Check::ok("clocks", "those of all agents agree with the server's"),
        some => Check::wrong("clocks", format!("clocks of agents differ from the server's: {some}"), CLOCK_HINT),
    }
}

/// Hosts that are copies of one image: they say that they are one machine.
fn of_copied(agents: &[Entry<AgentRecord>], now: Timestamp) -> Option<Check> {
    let mut by_machine: BTreeMap<&str, Vec<&AgentRecord>> = BTreeMap::new();
    for agent in agents.iter().filter(|agent| !agent.value.stopped && is_heard(agent, now)) {
        let machine = agent.value.machine.0.split('/').next().unwrap_or_default();
        if !machine.is_empty() {
            by_machine.entry(machine).or_default().push(&agent.value);
        }
    }
    // Several agents of one host are in one boot of it.
    let is_copied = |agents: &[&AgentRecord]| agents.iter().any(|agent| agent.boot != agents[0].boot);
    let copied: Vec<String> = by_machine
        .values()
        .filter(|agents| is_copied(agents))
        .map(|agents| agents.iter().map(|agent| agent.agent.as_str()).collect::<Vec<_>>().join(" and "))
        .collect();
    let text = format!("hosts with one machine id, as copies of one image have it: {}", copied.join("; "));
    let hint = "give each its own: `rm /etc/machine-id && systemd-machine-id-setup`, then restart it";
    (!copied.is_empty()).then(|| Check::warning("machines", text, hint))
}

#[cfg(test)]
mod tests {
    use tickmesh_core::{message::MachineId, name::AgentName};
    use tickmesh_testkit::records;

    use super::*;
    use crate::views::doctor::Finding;

    fn agent(name: &str) -> Entry<AgentRecord> {
        let mut entry = records::heartbeat(std::iter::empty());
        entry.key = name.to_owned();
        entry.value.agent = AgentName::new(name).unwrap();
        (entry.at, entry.value.at) = (records::now(), records::now());
        entry
    }

    #[test]
    fn engine_that_does_not_answer_is_wrong_and_named() {
        let mut heard = records::heartbeat(std::iter::empty());
        let since = records::now();
        let trouble = |lasting| Some(EngineTrouble { since, reason: "permission denied".to_owned(), lasting });
        heard.value.engine_trouble = trouble(false);
        assert_eq!(of_agents(std::slice::from_ref(&heard), since).finding, Finding::Ok, "it may be a hiccup");
        heard.value.engine_trouble = trouble(true);
        let check = of_agents(&[heard], since);
        assert_eq!((check.finding, check.hint.as_deref()), (Finding::Wrong, Some(ENGINE_HINT)));
        assert!(check.text.contains("permission denied"), "{}", check.text);
    }

    #[test]
    fn clock_is_wrong_if_two_heartbeats_say_so() {
        let mut ahead = agent("a1");
        ahead.value.at += SignedDuration::from_secs(30);
        let mut late = agent("a2");
        late.value.at -= SignedDuration::from_secs(9);
        let found = wrong_clocks(&[ahead.clone(), late, agent("a3")]);
        assert_eq!(found.len(), 2);
        let twice = wrong_twice(&found, &wrong_clocks(&[ahead, agent("a2"), agent("a3")]));
        let check = of_clocks(&twice);
        assert_eq!(check.text, "clocks of agents differ from the server's: a1 is 30.0 s ahead");
        assert_eq!((check.finding, of_clocks(&[]).finding), (Finding::Wrong, Finding::Ok));
    }

    #[test]
    fn stopped_agent_is_no_agent_that_is_well() {
        let mut stopped = agent("a1");
        stopped.value.stopped = true;
        let agents = [stopped.clone(), agent("a2")];
        assert_eq!(of_agents(&agents, records::now()).text, "1 agent is alive");
        assert_eq!(of_stopped(&agents).unwrap().text, "stopped, and nothing runs there: a1");
        stopped.value.forgotten = true;
        assert_eq!(of_stopped(&[stopped]), None);
    }

    #[test]
    fn copies_of_one_image_are_named() {
        let of = |name: &str, machine: &str, boot: &str| {
            let mut entry = agent(name);
            (entry.value.machine, entry.value.boot) = (MachineId(machine.to_owned()), boot.to_owned());
            entry
        };
        let two = [of("a1", "m/e1", "b1"), of("a2", "m/e2", "b2")];
        assert!(of_copied(&two, records::now()).unwrap().text.ends_with(": a1 and a2"));
        let one_host = [of("a1", "m/e1", "b1"), of("a2", "m/e1", "b1"), of("a3", "n", "b2")];
        assert_eq!(of_copied(&one_host, records::now()), None);
    }
}
