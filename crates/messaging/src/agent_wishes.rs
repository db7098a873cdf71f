//! Carries out what people wish of an agent, on its key. The leader does; see [`tickmesh_core::agent_wish`].

use std::time::Duration;

use tickmesh_core::{
    agent_wish::{AgentKey, AgentWish, StepDone, WishAnswer, WishStep, WishWork},
    id::Nonce,
    message::MeshEvent,
    name::AgentName,
};

use crate::{
    compare_and_set::Cas,
    error::{Error, chain},
    mesh::Mesh,
};

impl Mesh {
    /// Carries out a wish about an agent, and publishes that an agent was forgotten. `lost` is the silence
    /// after which an agent is lost. `is_trusted` says whether the caller may still write: it is asked after each
    /// read of the key.
    pub async fn carry_out_wish(
        &self,
        agent: &AgentName,
        wish: AgentWish,
        lost: Duration,
        is_trusted: impl Fn() -> bool,
    ) -> WishAnswer {
        let nonce = Nonce::from_random(rand::random());
        let mut work = WishWork::new(agent.clone(), wish, lost, nonce);
        let answer = loop {
            if let WishStep::Done(answer) = work.step() {
                break answer.clone();
            }
            let done = self.carry_out_step(agent, work.step(), &is_trusted).await;
            work.done(done.unwrap_or_else(|error| StepDone::Failed(chain(&error))));
        };
        if let (AgentWish::Forget, WishAnswer::Granted { .. }) = (wish, &answer) {
            self.events().publish(&MeshEvent::AgentForgotten { agent: agent.clone() }).await;
        }
        answer
    }

    async fn carry_out_step(
        &self,
        agent: &AgentName,
        step: &WishStep,
        is_trusted: &impl Fn() -> bool,
    ) -> Result<StepDone, Error> {
        let agents = self.agents();
        Ok(match step {
            WishStep::ReadResultsEnd => StepDone::ResultsEnd(self.results().last_sequence().await?),
            WishStep::ReadClock => StepDone::Clock(agents.clock().await?),
            WishStep::ReadKey => {
                let key = match agents.read_listed(agent.as_str()).await? {
                    None => AgentKey::Absent,
                    Some(Ok(entry)) => {
                        AgentKey::Record { record: Box::new(entry.value), sequence: entry.sequence, at: entry.at }
                    }
                    Some(Err(unreadable)) => AgentKey::Unreadable {
                        sequence: unreadable.sequence,
                        at: unreadable.at,
                        is_newer: unreadable.error.is_newer(),
                    },
                };
                StepDone::Key { key, is_trusted: is_trusted() }
            }
            WishStep::Write { record, expected } => {
                match agents.compare_and_set(agent.as_str(), record, *expected).await {
                    Ok(Cas::Stored { sequence }) => StepDone::Stored(sequence),
                    // Whatever is there now is read again, with the time at which it was stored.
                    Ok(Cas::Refused { .. }) | Err(Error::Unreadable { .. }) => StepDone::Overtaken,
                    Err(error) => return Err(error),
                }
            }
            WishStep::Done(_) => StepDone::Overtaken,
        })
    }
}
