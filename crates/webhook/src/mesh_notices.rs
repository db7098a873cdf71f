//! Which events of the mesh are told. A new leader says again what it finds: of that, only what is news is told. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tickmesh_core::{message::MeshEvent, name::AgentName};

use crate::{Notice, kind::Kind};

/// What people know of the mesh.
#[derive(Debug, Default)]
pub(crate) struct MeshNotices {
    lost: BTreeSet<AgentName>,
    without_engine: BTreeSet<AgentName>,
    is_leader_doubted: bool,
}

impl MeshNotices {
    /// Takes an event, stored at that sequence, and returns what there is to tell.
    pub(crate) fn take(&mut self, event: &MeshEvent, at: Timestamp, sequence: u64) -> Option<Notice> {
        let notice = |kind, incident: String, text| {
            let message = serde_json::to_value(event).unwrap_or_default();
            Some(Notice { message, ..Notice::of_mesh(kind, format!("mesh-{sequence}"), at, incident, text) })
        };
        match event {
            MeshEvent::AgentLost { agent } if self.lost.insert(agent.clone()) => notice(
                Kind::AgentLost,
                format!("agent-{agent}"),
                format!("agent {agent} fell silent: it gets no work until it is back"),
            ),
            MeshEvent::AgentBack { agent } | MeshEvent::AgentJoined { agent } if self.lost.remove(agent) => {
                notice(Kind::AgentBack, format!("agent-{agent}"), format!("agent {agent} is back"))
            }
            MeshEvent::EngineLost { agent, reason } if self.without_engine.insert(agent.clone()) => notice(
                Kind::EngineLost,
                format!("engine-{agent}"),
                format!("agent {agent} has no container engine that answers, and gets no work: {reason}"),
            ),
            MeshEvent::EngineBack { agent } if self.without_engine.remove(agent) => {
                let text = format!("agent {agent} has a container engine that answers again");
                notice(Kind::EngineBack, format!("engine-{agent}"), text)
            }
            MeshEvent::LeaderDoubted { host, reason } if !self.is_leader_doubted => {
                self.is_leader_doubted = true;
                let text = format!("no tick is decided: the leader on {host} does not trust its clock: {reason}");
                notice(Kind::LeaderDoubted, "leader".to_owned(), text)
            }
            MeshEvent::LeaderTrusted { host } | MeshEvent::LeaderChanged { host, .. } if self.is_leader_doubted => {
                self.is_leader_doubted = false;
                let text = format!("ticks are decided again: the leader on {host} trusts its clock");
                notice(Kind::LeaderTrusted, "leader".to_owned(), text)
            }
            MeshEvent::AppUnreadable { app, reason } => {
                let text = format!("app {app} is frozen, its ledger cannot be read: {reason}: see `tickmesh doctor`");
                let notice = notice(Kind::AppUnreadable, format!("unreadable-{app}"), text);
                notice.map(|notice| Notice { app: Some(app.to_string()), ..notice })
            }
            MeshEvent::AgentForgotten { agent } | MeshEvent::AgentStopped { agent } => {
                self.lost.remove(agent);
                self.without_engine.remove(agent);
                None
            }
            MeshEvent::LeaderChanged { .. }
            | MeshEvent::Examined { .. }
            | MeshEvent::AgentJoined { .. }
            | MeshEvent::AgentLost { .. }
            | MeshEvent::AgentBack { .. }
            | MeshEvent::LeaderDoubted { .. }
            | MeshEvent::LeaderTrusted { .. }
            | MeshEvent::EngineLost { .. }
            | MeshEvent::EngineBack { .. }
            | MeshEvent::AgentDraining { .. }
            | MeshEvent::AgentDrained { .. }
            | MeshEvent::AgentUndrained { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_core::id::Epoch;
    use tickmesh_testkit::records;

    use super::*;

    #[test]
    fn what_a_new_leader_says_again_is_no_news() {
        let (mut notices, agent, mut told) = (MeshNotices::default(), records::agent(), Vec::new());
        let leader =
            |epoch| MeshEvent::LeaderChanged { leader: "p".to_owned(), host: "h2".to_owned(), epoch: Epoch(epoch) };
        let (host, reason) = ("h1".to_owned(), "2 s ahead".to_owned());
        let events = [
            MeshEvent::AgentJoined { agent: agent.clone() },
            MeshEvent::AgentLost { agent: agent.clone() },
            leader(2),
            MeshEvent::AgentLost { agent: agent.clone() },
            MeshEvent::AgentBack { agent: agent.clone() },
            MeshEvent::AgentJoined { agent: agent.clone() },
            MeshEvent::EngineLost { agent: agent.clone(), reason: "no answer".to_owned() },
            MeshEvent::EngineBack { agent: agent.clone() },
            MeshEvent::LeaderDoubted { host, reason },
            leader(3),
            MeshEvent::AgentLost { agent: agent.clone() },
            MeshEvent::AgentForgotten { agent: agent.clone() },
            MeshEvent::AgentJoined { agent },
        ];
        for (sequence, event) in (1..).zip(&events) {
            told.extend(notices.take(event, records::now(), sequence).map(|it| (it.id, it.kind, it.text)));
        }
        let kinds: Vec<_> = told.iter().map(|(id, kind, _)| (id.as_str(), *kind)).collect();
        use Kind::{AgentBack, AgentLost, EngineBack, EngineLost, LeaderDoubted, LeaderTrusted};
        let expected = [
            ("mesh-2", AgentLost),
            ("mesh-5", AgentBack),
            ("mesh-7", EngineLost),
            ("mesh-8", EngineBack),
            ("mesh-9", LeaderDoubted),
            ("mesh-10", LeaderTrusted),
            ("mesh-11", AgentLost),
        ];
        assert_eq!(kinds, expected);
        assert_eq!(told[0].2, format!("agent {} fell silent: it gets no work until it is back", records::agent()));
    }
}
