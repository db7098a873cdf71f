//! Wishes about agents, which the leader carries out: people do not write the key of an agent.

use std::time::Duration;

use anyhow::bail;
use tickmesh_core::{
    agent_wish::{AgentWish, WishAnswer},
    name::AgentName,
    timing::Timing,
};
use tickmesh_messaging::{Mesh, WishReply};
use tokio::time::{Instant, sleep};

/// How long a leader is looked for and asked. A leader that was killed is replaced within half of it.
pub const ASK_WITHIN: Duration = Duration::from_secs(8);
/// How long one scheduler has for its answer. It takes milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long schedulers have to say which of them leads.
const LEADER_WITHIN: Duration = Duration::from_millis(500);
/// Between two tries: a scheduler that begins to lead takes some hundred milliseconds.
const PAUSE: Duration = Duration::from_millis(100);

/// What came of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wished {
    /// It is on the agent's key, and the agent reads it there.
    Granted {
        /// Sequence of the record that says so.
        sequence: u64,
        /// The agent was stopped in order.
        stopped: bool,
        /// Attempts that the agent held at its last heartbeat.
        held: usize,
    },
    /// No agent has this name.
    UnknownAgent,
    /// The wish makes no sense now.
    Refused {
        /// Why, for people.
        reason: String,
        /// What they can do.
        hint: String,
    },
}

/// Asks the leader to carry out a wish. While none leads or answers, the wish is asked for again for
/// [`ASK_WITHIN`]: a wish that is carried out twice does no harm.
pub async fn ask(mesh: &Mesh, agent: &AgentName, wish: AgentWish) -> anyhow::Result<Wished> {
    let deadline = Instant::now() + ASK_WITHIN;
    let mut outcome = Unanswered::Nothing;
    loop {
        let answer = match ask_leader(mesh, agent, wish).await? {
            Some(WishReply::Answer(answer)) => Some(answer),
            Some(WishReply::Card(card)) if card.leads() => {
                // The release before this one: its schedulers do not know the question, and its command line and
                // page write the key. To be removed once no neighbouring release does.
                Some(mesh.carry_out_wish(agent, wish, Timing::default().lost, || true).await)
            }
            Some(WishReply::Card(_) | WishReply::Absent) | None => None,
            Some(WishReply::Silence) => {
                outcome.note_unsure(format!("the leader did not answer within {} s", ANSWER_WITHIN.as_secs()));
                None
            }
            Some(WishReply::Unknown) => {
                bail!("failed to understand what the leader said about agent `{agent}`: upgrade this program")
            }
        };
        match answer {
            Some(WishAnswer::Granted { sequence, stopped, held }) => {
                return Ok(Wished::Granted { sequence, stopped, held });
            }
            // Forgotten by a try of ours whose answer was lost.
            Some(WishAnswer::UnknownAgent { forgotten: true })
                if wish == AgentWish::Forget && matches!(outcome, Unanswered::Unsure(_)) =>
            {
                return Ok(Wished::Granted { sequence: 0, stopped: true, held: 0 });
            }
            Some(WishAnswer::UnknownAgent { .. }) => return Ok(Wished::UnknownAgent),
            Some(WishAnswer::Refused { reason, hint }) => return Ok(Wished::Refused { reason, hint }),
            Some(WishAnswer::Busy) => outcome.note_busy(),
            Some(WishAnswer::Failed { reason }) => outcome.note_unsure(reason),
            Some(WishAnswer::NotLeading) | None => {}
        }
        if Instant::now() + PAUSE >= deadline {
            return Err(outcome.error(agent));
        }
        sleep(PAUSE).await;
    }
}

/// Asks whoever says that it leads. `None`: nobody does.
async fn ask_leader(mesh: &Mesh, agent: &AgentName, wish: AgentWish) -> anyhow::Result<Option<WishReply>> {
    let schedulers = mesh.schedulers();
    let Some(leader) = schedulers.leader(LEADER_WITHIN).await? else { return Ok(None) };
    Ok(Some(schedulers.wish(&leader.id, agent, wish, ANSWER_WITHIN).await?))
}

/// What is known of a wish that was not answered.
#[derive(Debug)]
enum Unanswered {
    /// Nobody who leads has taken it in.
    Nothing,
    /// The leader had no time for it.
    Busy,
    /// It may have been carried out.
    Unsure(String),
}

impl Unanswered {
    fn note_busy(&mut self) {
        if let Self::Nothing = self {
            *self = Self::Busy;
        }
    }

    fn note_unsure(&mut self, reason: String) {
        *self = Self::Unsure(reason);
    }

    fn error(self, agent: &AgentName) -> anyhow::Error {
        let seconds = ASK_WITHIN.as_secs();
        match self {
            Self::Nothing => anyhow::anyhow!(
                "no scheduler has led for {seconds} s, and agent `{agent}` is as it was: start one with `tickmesh \
                 scheduler`, and try again (`tickmesh leader` shows who is there)"
            ),
            Self::Busy => anyhow::anyhow!(
                "the leader has been busy with other wishes for {seconds} s, and agent `{agent}` is as it was: try again"
            ),
            Self::Unsure(reason) => anyhow::anyhow!(
                "failed to ask the leader about agent `{agent}` for {seconds} s: {reason}. `tickmesh agents` shows \
                 whether it was done; asking again does no harm"
            ),
        }
    }
}
