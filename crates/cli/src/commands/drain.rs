//! `tickmesh agent drain` and `undrain`: whether an agent takes new attempts. The leader writes the wish into the agent's key, between
//! two heartbeats; the agent repeats it from then on, and so does its next process.

use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::StreamExt as _;
use tickmesh_core::{agent_wish::AgentWish, compose, message::AgentRecord, name::AgentName, timing::Timing};
use tickmesh_messaging::{Change, Following};
use tokio::time::timeout;

use super::{
    Session,
    agent_wish::{Granted, ask},
};
use crate::{
    exit::Exit,
    output::FormatArgs,
    views::done::{Done, DoneView},
};

/// What `agent drain` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct DrainArgs {
    /// The agent
    #[arg(add = crate::completion::agents())]
    name: AgentName,
    /// Stop what still runs after this long, to run elsewhere: 30s, 10m, 2h, 1d
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    deadline: Option<Duration>,
    /// Wait until nothing runs there any more
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    form: FormatArgs,
}

/// What `agent undrain` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct UndrainArgs {
    /// The agent
    #[arg(add = crate::completion::agents())]
    name: AgentName,
    #[command(flatten)]
    form: FormatArgs,
}

/// Lets an agent take no new attempts. What runs there goes on to its end, or to the deadline.
pub(crate) async fn drain(session: &Session, args: &DrainArgs) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let name = &args.name;
    let mut heartbeats = mesh.agents().follow_key(name.as_str()).await?;
    let Granted { sequence: wish, is_gone } = ask(&mesh, name, AgentWish::drain(args.deadline)).await?;
    if is_gone {
        let text = format!("agent {name} is stopped, and will be draining when it is back");
        session.output.show(&DoneView::agent(Done::Draining, name, text), args.form.format)?;
        return Ok(Exit::Success);
    }
    // What was held when it was written may be two seconds old; only the agent itself knows what it took since.
    let answer = timeout(Timing::default().stale, heartbeat(&mut heartbeats, name, wish)).await;
    let held = match answer {
        Ok(record) => Some(record?.held.len()),
        Err(_) => None,
    };
    let text = format!("agent {name} is draining: {}", what_runs(held));
    let draining = DoneView { held, ..DoneView::agent(Done::Draining, name, text) };
    let is_awaited = args.wait && held != Some(0);
    if !is_awaited || args.form.format.is_for_people() {
        session.output.show(&draining, args.form.format)?;
    }
    if is_awaited {
        session.output.flush()?;
        while !heartbeat_within(&mut heartbeats, name, wish, Timing::default().lost).await?.held.is_empty() {}
        let drained = DoneView::agent(Done::Drained, name, format!("agent {name} has nothing left"));
        session.output.show(&DoneView { held: Some(0), ..drained }, args.form.format)?;
    }
    Ok(Exit::Success)
}

/// Lets an agent take new attempts again.
pub(crate) async fn undrain(session: &Session, args: &UndrainArgs) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    ask(&mesh, &args.name, AgentWish::Undrain).await?;
    let text = format!("agent {} takes new work", args.name);
    session.output.show(&DoneView::agent(Done::Undrained, &args.name, text), args.form.format)?;
    Ok(Exit::Success)
}

/// Waits for the next heartbeat after the one with that sequence.
async fn heartbeat(
    heartbeats: &mut Following<Change<AgentRecord>>,
    name: &AgentName,
    after: u64,
) -> anyhow::Result<AgentRecord> {
    while let Some(change) = heartbeats.next().await {
        match change? {
            Change::Entry(entry) if entry.sequence > after => return Ok(entry.value),
            Change::Entry(_) | Change::SnapshotEnd { .. } => {}
            Change::Unreadable { error, .. } => {
                return Err(error).with_context(|| format!("failed to read the heartbeat of agent `{name}`"));
            }
        }
    }
    bail!("the heartbeats of agent `{name}` are not told any more")
}

/// Waits for the next heartbeat. An agent that is silent for `silence` counts as lost: its attempts run elsewhere.
async fn heartbeat_within(
    heartbeats: &mut Following<Change<AgentRecord>>,
    name: &AgentName,
    after: u64,
    silence: Duration,
) -> anyhow::Result<AgentRecord> {
    match timeout(silence, heartbeat(heartbeats, name, after)).await {
        Ok(heartbeat) => heartbeat,
        Err(_) => {
            bail!("agent `{name}` has been silent for {} s: nobody knows what still runs there", silence.as_secs())
        }
    }
}

fn what_runs(held: Option<usize>) -> String {
    match held {
        None => "it has not answered, and will find out when it does".to_owned(),
        Some(0) => "nothing runs there".to_owned(),
        Some(1) => "1 container still runs there".to_owned(),
        Some(count) => format!("{count} containers still run there"),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    compose::duration(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_read_as_the_durations_of_a_compose_file() {
        let check = |text: &str, seconds: u64| assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        check("10m", 600);
        check("1h30m", 5_400);
        check("1d", 86_400);
        check("0s", 0);
        for text in ["", "10", "-1m", "1 fortnight"] {
            let expect = format!("`{text}` is not a duration such as `10s`, `1m30s` or `500ms`");
            assert_eq!(duration(text), Err(expect));
        }
    }
}
