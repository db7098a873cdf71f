//! The NATS servers, each looked at by itself: a mesh that does not answer has a cause, and each cause has its own way out.

use std::time::Duration;

use tickmesh_messaging::{ConnectOptions, NodeSeen, NodeState, look_at_nodes};
use tokio::time::{Instant, sleep};

use crate::views::doctor::Check;

const NAME: &str = "nats";
/// How long a cluster without a leader may take to elect one: some 4 s. One look more takes up to 4 s, so that all of it is said
/// within 10 s.
const ELECTION_MAX: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How NATS servers of a cluster reach each other, unless somebody has chosen another port.
const ROUTES: &str = "let the servers reach each other (port 6222 of each, unless their settings say otherwise)";
/// What to do about a server without JetStream.
const JETSTREAM: &str = "start nats-server with --jetstream; if its disk was full, make room and restart it";

/// What the servers are good for.
pub(super) struct Nodes {
    pub(super) seen: Vec<NodeSeen>,
    /// How long it took until one heard a leader, if none did at first.
    election: Option<Duration>,
}

impl Nodes {
    /// Looks at the servers until one of them serves, and otherwise for as long as an election may take.
    pub(super) async fn look(options: &ConnectOptions) -> Self {
        let begun = Instant::now();
        loop {
            let waited = begun.elapsed();
            let seen = look_at_nodes(options).await;
            let is_electing =
                !serve(&seen) && seen.iter().any(|node| matches!(node.state, NodeState::Leaderless { .. }));
            if !is_electing || begun.elapsed() >= ELECTION_MAX {
                let election = (serve(&seen) && !waited.is_zero() && waited >= LOOK_AGAIN).then_some(waited);
                return Self { seen, election };
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Whether the mesh can be looked at.
    pub(super) fn serve(&self) -> bool {
        serve(&self.seen)
    }

    /// Returns what is wrong with servers. `hint` is for one that is the only one and is down.
    pub(super) fn findings(&self, hint: &str) -> Vec<Check> {
        let mut checks = if self.serve() { beside_others(&self.seen) } else { vec![none_serves(&self.seen, hint)] };
        if let Some(took) = self.election {
            let text = format!("no leader of JetStream was known for {:.0} s: an election", took.as_secs_f64());
            checks.push(Check::warning(NAME, text, "if that comes again: look after the links between the servers"));
        }
        checks.extend(open(&self.seen));
        checks
    }
}

fn serve(seen: &[NodeSeen]) -> bool {
    seen.iter().any(|node| matches!(node.state, NodeState::Serves { .. }))
}

/// What people call a server.
fn name(node: &NodeSeen) -> String {
    match &node.name {
        Some(name) => format!("{name} ({})", node.address),
        None => node.address.clone(),
    }
}

fn names<'a>(nodes: impl IntoIterator<Item = &'a NodeSeen>) -> String {
    nodes.into_iter().map(name).collect::<Vec<_>>().join(", ")
}

/// What is wrong with servers whose cluster works.
fn beside_others(seen: &[NodeSeen]) -> Vec<Check> {
    let findings = seen.iter().filter_map(|node| {
        let name = name(node);
        Some(match &node.state {
            NodeState::Serves { .. } => return None,
            NodeState::Down { reason } => Check::wrong(
                NAME,
                format!("server {name} is down: {reason}"),
                "start nats-server there; until then no other one may fail",
            ),
            NodeState::Leaderless { .. } => {
                Check::wrong(NAME, format!("server {name} is cut off from the others of its cluster"), ROUTES)
            }
            NodeState::WithoutJetStream => {
                Check::wrong(NAME, format!("server {name} runs without JetStream, and has no copies"), JETSTREAM)
            }
        })
    });
    findings.collect()
}

/// Why no server serves.
fn none_serves(seen: &[NodeSeen], hint: &str) -> Check {
    let leaderless: Vec<_> = seen.iter().filter(|node| matches!(node.state, NodeState::Leaderless { .. })).collect();
    let away = seen.iter().filter(|node| !matches!(node.state, NodeState::Leaderless { .. }));
    let away: Vec<_> = away.collect();
    let is_down = |node: &&NodeSeen| matches!(node.state, NodeState::Down { .. });
    match (leaderless.as_slice(), away.as_slice()) {
        ([], [only]) => match &only.state {
            NodeState::Down { reason } => Check::wrong(NAME, reason.clone(), hint),
            NodeState::Serves { .. } | NodeState::Leaderless { .. } | NodeState::WithoutJetStream => {
                Check::wrong(NAME, format!("server {} offers no JetStream to this account", name(only)), JETSTREAM)
            }
        },
        ([], all) if all.iter().all(is_down) => {
            let text = format!("all {} servers are down: {}", all.len(), names(all.iter().copied()));
            Check::wrong(NAME, text, "start nats-server on them")
        }
        ([], all) => {
            let text = format!("no server has JetStream: {}", names(all.iter().copied()));
            Check::wrong(NAME, text, JETSTREAM)
        }
        ([alone], []) => Check::wrong(
            NAME,
            format!("server {} is cut off from the others of its cluster, or they are down", name(alone)),
            "name the others, too (--nats URL,URL): then the command takes one that works, and `tickmesh doctor` says which are down",
        ),
        (all, []) => {
            let text = format!("no server hears the others of its cluster: {}", names(all.iter().copied()));
            Check::wrong(NAME, text, ROUTES)
        }
        (left, away) => {
            let (left, away) = (names(left.iter().copied()), names(away.iter().copied()));
            let text = format!("too few servers are left to elect a leader: {left}; without JetStream or down: {away}");
            Check::wrong(NAME, text, "start nats-server on those: the cluster elects a leader within seconds")
        }
    }
}

/// Whether anybody may connect from another host.
fn open(seen: &[NodeSeen]) -> Option<Check> {
    let is_open = |node: &&NodeSeen| node.name.is_some() && !node.asks_login && !is_loopback(&node.address);
    let open: Vec<&NodeSeen> = seen.iter().filter(is_open).collect();
    (!open.is_empty()).then(|| {
        let text = format!("whoever reaches {} may do everything: it asks for no login", names(open));
        Check::warning(NAME, text, "give it users and TLS: docs/how-to/nats-login.md")
    })
}

fn is_loopback(address: &str) -> bool {
    let host = address.rsplit("://").next().unwrap_or(address);
    ["127.", "localhost", "[::1]"].iter().any(|own| host.starts_with(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, state: NodeState) -> NodeSeen {
        let is_up = !matches!(state, NodeState::Down { .. });
        let name_told = is_up.then(|| name.to_owned());
        NodeSeen { address: format!("nats://{name}:4222"), name: name_told, in_cluster: true, asks_login: true, state }
    }

    fn serves() -> NodeState {
        NodeState::Serves { version: "2.15.1".to_owned() }
    }

    fn down() -> NodeState {
        NodeState::Down { reason: "connection refused".to_owned() }
    }

    fn leaderless() -> NodeState {
        NodeState::Leaderless { reason: "10008".to_owned() }
    }

    #[track_caller]
    fn check(states: Vec<NodeState>, expected: &[(&str, &str)]) {
        let seen = states.into_iter().zip(1..).map(|(state, number)| node(&format!("n{number}"), state)).collect();
        let found = Nodes { seen, election: None }.findings("start it");
        let found: Vec<_> =
            found.iter().map(|check| (check.text.as_str(), check.hint.as_deref().unwrap_or_default())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_cause_has_its_own_way_out() {
        use NodeState::WithoutJetStream;
        check(vec![serves()], &[]);
        check(vec![down()], &[("connection refused", "start it")]);
        let all = "all 2 servers are down: nats://n1:4222, nats://n2:4222";
        check(vec![down(), down()], &[(all, "start nats-server on them")]);
        let off = "server n1 (nats://n1:4222) offers no JetStream to this account";
        check(vec![WithoutJetStream], &[(off, JETSTREAM)]);
        let alone = "server n1 (nats://n1:4222) is cut off from the others of its cluster, or they are down";
        let more = "name the others, too (--nats URL,URL): then the command takes one that works, and `tickmesh doctor` says which are down";
        check(vec![leaderless()], &[(alone, more)]);
        let apart = "no server hears the others of its cluster: n1 (nats://n1:4222), n2 (nats://n2:4222)";
        check(vec![leaderless(), leaderless()], &[(apart, ROUTES)]);
        let few = "too few servers are left to elect a leader: n1 (nats://n1:4222); without JetStream or down: nats://n2:4222";
        check(
            vec![leaderless(), down()],
            &[(few, "start nats-server on those: the cluster elects a leader within seconds")],
        );
    }

    #[test]
    fn server_beside_others_that_work_is_named() {
        let gone = "server nats://n2:4222 is down: connection refused";
        check(vec![serves(), down()], &[(gone, "start nats-server there; until then no other one may fail")]);
        let apart = "server n2 (nats://n2:4222) is cut off from the others of its cluster";
        check(vec![serves(), leaderless()], &[(apart, ROUTES)]);
        let off = "server n2 (nats://n2:4222) runs without JetStream, and has no copies";
        check(vec![serves(), NodeState::WithoutJetStream], &[(off, JETSTREAM)]);
    }

    #[test]
    fn server_of_another_host_without_logins_is_open() {
        let mut seen = node("n1", serves());
        seen.asks_login = false;
        assert!(open(&[seen.clone()]).unwrap().text.contains("n1 (nats://n1:4222) may do everything"));
        seen.address = "nats://127.0.0.1:4222".to_owned();
        assert_eq!(open(&[seen]), None);
    }
}
