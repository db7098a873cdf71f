//! The look for containers that can go, as production's executor does it.

use std::{collections::BTreeSet, time::Duration};

use tickmesh_agent::{
    adopt::{Adoption, decide_adoption},
    agent_core::Event,
    clean::is_forgotten,
    engine::{ContainerId, ContainerStatus, ContainerView},
    labels::Tag as ContainerTag,
};
use tickmesh_core::{id::AttemptId, message::AttemptEvent};

use super::{
    agent::{Agent, Tag},
    requests::{EngineTag, Op, Reply},
};
use crate::sim::{
    context::SimContext,
    net::{Answer, Call, Kind},
};

/// A container that may have outlived its attempt.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Stray {
    tag: ContainerTag,
    container: ContainerId,
    doubt: Doubt,
}

/// Why a container may go.
#[derive(Debug, Clone)]
enum Doubt {
    /// It ended; its run may have left the history.
    Forgotten,
    /// It did not end; its attempt may have, as its last message says.
    Outlived(Option<AttemptEvent>),
}

impl Agent {
    pub(super) fn clean(&mut self, context: &mut SimContext, held: BTreeSet<AttemptId>) {
        self.held_when_cleaning = held;
        let list = Op::List(self.ownership.filter());
        context.ask_engine(self.host, Duration::ZERO, self.address, EngineTag::Clean, list);
    }

    /// All containers are listed: what is known of each is read.
    pub(super) fn look_through(&mut self, context: &mut SimContext, containers: Vec<ContainerView>) {
        for view in containers {
            let Some(tag) = self.ownership.tag_of(&view) else { continue };
            if self.held_when_cleaning.contains(&tag.attempt) {
                continue;
            }
            let (doubt, kind, subject) = match view.status {
                ContainerStatus::Exited(_) => (Doubt::Forgotten, Kind::Ledger, tag.attempt.app.as_str().into()),
                ContainerStatus::Created | ContainerStatus::Running => {
                    let subject = context.net.result_subject(&tag.attempt, &self.ownership.owner().agent);
                    (Doubt::Outlived(None), Kind::Results, subject)
                }
                ContainerStatus::Removing => continue,
            };
            let stray = Box::new(Stray { tag, container: view.id, doubt });
            context.call(self.address, Tag::Stray(stray).into(), Call::Last { kind, subject });
        }
    }

    /// What is known of a container was read.
    pub(super) fn looked_up(
        &mut self,
        context: &mut SimContext,
        mut stray: Box<Stray>,
        answer: Answer,
    ) -> Option<Event> {
        let Answer::Last(last) = answer else { return None };
        match &mut stray.doubt {
            Doubt::Forgotten => {
                let ledger = last.as_ref().and_then(|last| last.record.ledger());
                let forgotten = is_forgotten(&stray.tag.attempt, ledger.map(|ledger| &**ledger));
                forgotten.then_some(Event::Leftover { attempt: stray.tag.attempt, container: stray.container })
            }
            Doubt::Outlived(event) => {
                *event = last.and_then(|last| last.record.report().map(|report| report.event.clone()));
                let inspect = Op::Inspect(stray.container.clone());
                context.ask_engine(self.host, Duration::ZERO, self.address, EngineTag::Stray(stray), inspect);
                None
            }
        }
    }

    /// A stray was looked at once more: an end that was stored before, and a container that has not ended, do not belong
    /// together.
    pub(super) fn inspected(&mut self, stray: Stray, reply: Reply) -> Option<Event> {
        let (Reply::Container(view), Doubt::Outlived(last)) = (reply, stray.doubt) else { return None };
        let runs = matches!(view.status, ContainerStatus::Created | ContainerStatus::Running);
        let goes = runs && decide_adoption(&stray.tag, &view.status, last.as_ref()) == Adoption::Remove;
        goes.then_some(Event::Leftover { attempt: stray.tag.attempt, container: stray.container })
    }
}
