//! `tickmesh agent forget`: a host that will not come back. Its agent leaves the lists, and what may go on there without the mesh
//! (`on_disconnect: continue`) is not waited for any more.

use jiff::Timestamp;
use tickmesh_client::when;
use tickmesh_core::{
    message::{AgentRecord, MeshEvent},
    name::AgentName,
    timing::Timing,
};
use tickmesh_messaging::Entry;

use super::{
    Session,
    agent_key::{Wish, write},
};
use crate::{
    exit::{BadInput, Exit},
    output::FormatArgs,
    views::done::{Done, DoneView},
};

/// What `agent forget` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct ForgetArgs {
    /// The agent
    #[arg(add = crate::completion::agents())]
    name: AgentName,
    #[command(flatten)]
    form: FormatArgs,
}

/// Writes a last heartbeat in an agent's place: one that has seen every result, and holds nothing.
pub(crate) async fn forget(session: &Session, args: &ForgetArgs) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    // Claims that are stored later are not judged by it. An agent that still claims would not have been silent.
    let results_seen = mesh.results().last_sequence().await?;
    // Not this machine's clock: one that is a minute ahead would declare a live agent lost, and its containers would run twice.
    let now = mesh.agents().clock().await?;
    write(&mesh, &args.name, |current| forgotten(current, results_seen, now)).await?;
    mesh.events().publish(&MeshEvent::AgentForgotten { agent: args.name.clone() }).await;
    let text = format!("agent {} is forgotten", args.name);
    session.output.show(&DoneView::agent(Done::Forgotten, &args.name, text), args.form.format)?;
    Ok(Exit::Success)
}

fn forgotten(current: &Entry<AgentRecord>, results_seen: u64, now: Timestamp) -> anyhow::Result<Wish> {
    let (record, lost) = (&current.value, Timing::default().lost);
    let is_over = record.stopped && record.held.is_empty();
    let silent_for = when::between(current.at, now);
    if !is_over && silent_for < lost {
        let refusal =
            format!("agent `{}` was heard of {} ago: its containers may run", record.agent, when::took(silent_for));
        let hint = format!("drain and stop it, or wait until it has been silent for {} s", lost.as_secs());
        return Err(BadInput::new(refusal).hint(hint).into());
    }
    Ok(Wish::Write(Box::new(record.clone().into_forgotten(results_seen))))
}
