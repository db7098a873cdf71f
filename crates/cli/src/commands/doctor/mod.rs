//! `tickmesh doctor`: what is wrong with a mesh, and what to do about it; `--accept-loss`: go on with what is left of its data.

mod loss;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tickmesh_agent::engine::ContainerEngine as _;
use tickmesh_client::{
    read,
    views::scheduler::{SchedulerState, SchedulerView},
    when, zones,
};
use tickmesh_core::{message::MeshEvent, timing::Timing};
use tickmesh_messaging::{self as messaging, Mesh};
use tickmesh_scheduler::process::DEVIATION_MAX;
use tokio::time::timeout;

use super::Session;
use crate::{
    connect::who,
    exit::{Exit, Judgement, chain},
    output::FormatArgs,
    parts,
    views::doctor::{Check, DoctorView, Finding},
};

const MISSING: &str = "a running scheduler makes it anew within seconds; what was in it is lost";
/// How long this host's engine may take to answer.
const ENGINE_WITHIN: Duration = Duration::from_secs(5);
const START: &str = "start `tickmesh scheduler`";
const UNREADABLE: &str = "a later release has written it: use that, or one that is later still";

/// What `doctor` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Go on with what is left after stored data was lost (a stream was restored from an older copy, emptied or made anew)
    ///
    /// While data is lost, nobody leads. This moves the numbers of runs ahead by 1000, stops what runs somewhere and is not
    /// known any more, and lets a scheduler lead again. What was due since the copy was made is decided as after any outage: by
    /// the label `misfire` of each app, even if it had run before the loss.
    #[arg(long)]
    accept_loss: bool,
    #[command(flatten)]
    form: FormatArgs,
}

/// Looks at everything, and fails if something is wrong.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    if args.accept_loss {
        loss::accept(session, &session.mesh.open().await?).await?;
        return Ok(Exit::Success);
    }
    let (mut checks, exit) = match session.mesh.open().await {
        Ok(mesh) => {
            let checks = examine(&mesh).await?;
            let well = checks.iter().all(|check| check.finding != Finding::Wrong);
            (checks, if well { Exit::Success } else { Exit::Failed })
        }
        Err(error) => unreachable_mesh(error.into())?,
    };
    checks.extend([engine().await, Check::good("zones", zones::in_words())]);
    session.output.show(&DoctorView(checks), args.form.format)?;
    Ok(exit)
}

/// That there is no mesh to look at is a finding, too: whoever asks for data gets it.
fn unreachable_mesh(error: anyhow::Error) -> anyhow::Result<(Vec<Check>, Exit)> {
    let Judgement { exit, hint } = Judgement::of(&error);
    if exit != Exit::Unreachable {
        return Err(error);
    }
    let hint = hint.unwrap_or_else(|| "look after the NATS server".to_owned());
    Ok((vec![Check::wrong("nats", chain(&error), hint)], exit))
}

/// The engine of this host. A mesh may well be looked after from where there is none.
async fn engine() -> Check {
    let looked = async { parts::docker().await?.describe().await.map_err(anyhow::Error::new) };
    let text = match timeout(ENGINE_WITHIN, looked).await {
        Ok(Ok(engine)) => return Check::good("docker", format!("the engine of this host is {}", engine.version)),
        Ok(Err(error)) => format!("no agent can run on this host: {}", chain(&error)),
        Err(_) => format!("no agent can run on this host: its engine has not answered within {ENGINE_WITHIN:?}"),
    };
    Check::unsure("docker", text, "if one is to run here, start Docker, or say with DOCKER_HOST where it is")
}

async fn examine(mesh: &Mesh) -> anyhow::Result<Vec<Check>> {
    let mut checks = vec![
        server(mesh).await?,
        storage(mesh).await,
        looked("clock", clock(mesh).await)?,
        looked("streams", settings(mesh).await)?,
        looked("data", loss::check(mesh).await)?,
    ];
    match leadership(mesh).await {
        Ok(found) => checks.extend(found),
        Err(error) => checks.push(looked("leader", Err(error))?),
    }
    checks.push(looked("agents", agents(mesh).await)?);
    Ok(checks)
}

/// What a look found. Where what it looks at is missing or cannot be read, that is its finding, and the others are made, too.
fn looked(name: &'static str, check: anyhow::Result<Check>) -> anyhow::Result<Check> {
    let error = match check {
        Ok(check) => return Ok(check),
        Err(error) => error,
    };
    let cause = error.downcast_ref::<messaging::Error>();
    if cause.is_some_and(|it| matches!(it, messaging::Error::StreamGone { .. })) {
        return Ok(Check::wrong(name, chain(&error), MISSING));
    }
    if cause.is_some_and(|it| matches!(it, messaging::Error::Unreadable { .. })) {
        return Ok(Check::wrong(name, chain(&error), UNREADABLE));
    }
    Err(error)
}

async fn server(mesh: &Mesh) -> anyhow::Result<Check> {
    let took = mesh.round_trip().await?;
    Ok(Check::good("nats", format!("{} answers in {:.1} ms", mesh.server_version(), took.as_secs_f64() * 1_000.0)))
}

/// A server whose disk is full answers every question, and stores nothing.
async fn storage(mesh: &Mesh) -> Check {
    match mesh.events().try_publish(&MeshEvent::Examined { by: who() }).await {
        Ok(()) => Check::good("storage", "the server stores what it is given"),
        Err(error) => Check::wrong(
            "storage",
            chain(&error.into()),
            "look into the server's log: after a full disk it must be restarted once there is room",
        ),
    }
}

async fn clock(mesh: &Mesh) -> anyhow::Result<Check> {
    let asked = Timestamp::now();
    let server = mesh.lease().clock().await?;
    let half = asked.duration_until(Timestamp::now()) / 2;
    let ahead = asked.duration_since(server) + half;
    let text = format!("this host is {} the server", difference(ahead));
    Ok(if ahead.abs() > DEVIATION_MAX {
        Check::wrong(
            "clock",
            text,
            "mend the clock of this host, or of the NATS server's: a scheduler here decides no ticks",
        )
    } else {
        Check::good("clock", text)
    })
}

fn difference(ahead: SignedDuration) -> String {
    let direction = if ahead.is_negative() { "behind" } else { "ahead of" };
    format!("{} ms {direction}", ahead.abs().as_millis())
}

async fn settings(mesh: &Mesh) -> anyhow::Result<Check> {
    match mesh.check_streams().await {
        Ok(()) => Ok(Check::good("streams", "all exist, with settings that lose nothing")),
        Err(error) if error.is_unavailable() || matches!(error, messaging::Error::StreamGone { .. }) => {
            Err(error.into())
        }
        Err(error) => Ok(Check::wrong("streams", error.to_string(), "nobody leads until that is mended")),
    }
}

async fn leadership(mesh: &Mesh) -> anyhow::Result<Vec<Check>> {
    Ok(of_schedulers(&read::schedulers(mesh).await?.0, Timestamp::now()))
}

fn of_schedulers(schedulers: &[SchedulerView], now: Timestamp) -> Vec<Check> {
    let in_state = |state| schedulers.iter().filter(move |scheduler| scheduler.state == state);
    let leader = in_state(SchedulerState::Leading).chain(in_state(SchedulerState::Doubting)).next();
    let troubled: Vec<Check> = schedulers.iter().filter_map(|scheduler| trouble(scheduler, now)).collect();
    let mut checks = vec![match leader {
        Some(leader) => {
            let since = when::relative(leader.since, now);
            Check::good("leader", format!("{} on {} since {since}", leader.id, leader.host))
        }
        None => {
            let hint = if troubled.is_empty() { START.to_owned() } else { format!("{START}; see below") };
            Check::wrong("leader", "nobody leads: no tick is decided", hint)
        }
    }];
    checks.push(match (in_state(SchedulerState::StandingBy).count(), leader) {
        (0, Some(_)) => Check::unsure("standby", "no other scheduler stands by", "run a second `tickmesh scheduler`"),
        (0, None) => Check::wrong("standby", "no scheduler stands by, so that none takes over", START),
        (count, Some(_) | None) => Check::good("standby", format!("{count} stand by")),
    });
    checks.extend(troubled);
    checks
}

/// What is wrong with one scheduler.
fn trouble(scheduler: &SchedulerView, now: Timestamp) -> Option<Check> {
    let SchedulerView { id, host, since, reason, .. } = scheduler;
    let why = || reason.clone().unwrap_or_else(|| "it does not say why".to_owned());
    let (text, hint) = match scheduler.state {
        SchedulerState::Leading | SchedulerState::Preparing | SchedulerState::StandingBy => return None,
        SchedulerState::Doubting => (why(), "mend its clock, or let another one lead: `tickmesh leader step-down`"),
        SchedulerState::Refusing => (why(), "if data was lost: `tickmesh doctor --accept-loss`"),
        SchedulerState::Silent => {
            let since = when::relative(*since, now);
            let text = format!("it has the lease, which it renewed last {since}, and does not answer");
            (text, "look after it: a scheduler that stands by takes over within seconds")
        }
    };
    Some(Check::wrong("scheduler", format!("{id} on {host}: {text}"), hint))
}

async fn agents(mesh: &Mesh) -> anyhow::Result<Check> {
    let (agents, now) = (mesh.agents().list().await?, mesh.agents().clock().await?);
    let expected = agents.iter().filter(|agent| !agent.value.stopped && !agent.value.forgotten);
    let is_silent = |at: Timestamp, patience: Duration| when::between(at, now) >= patience;
    let (silent, heard): (Vec<_>, Vec<_>) = expected.partition(|agent| is_silent(agent.at, Timing::default().stale));
    let names: Vec<_> = silent.iter().map(|agent| agent.value.agent.as_str()).collect();
    Ok(if !names.is_empty() {
        let text = format!("{} of {} are silent: {}", silent.len(), silent.len() + heard.len(), names.join(", "));
        Check::wrong(
            "agents",
            text,
            "look after their hosts; `tickmesh agent forget` for those that will not come back",
        )
    } else if heard.is_empty() {
        Check::unsure("agents", "there is none: no run can start", "run `tickmesh agent` on a Docker host")
    } else {
        Check::good("agents", format!("{} are heard", heard.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheduler(state: SchedulerState) -> SchedulerView {
        let (id, host, since) = ("p1".to_owned(), "h1".to_owned(), Timestamp::UNIX_EPOCH);
        SchedulerView { id, host, state, since, epoch: None, version: None, reason: None }
    }

    #[track_caller]
    fn check(states: &[SchedulerState], expected: &[(&str, Finding)], hint: Option<&str>) {
        let schedulers: Vec<_> = states.iter().map(|state| scheduler(*state)).collect();
        let checks = of_schedulers(&schedulers, Timestamp::UNIX_EPOCH);
        let found: Vec<_> = checks.iter().map(|check| (check.name, check.finding)).collect();
        assert_eq!((found.as_slice(), checks[0].hint.as_deref()), (expected, hint));
    }

    #[test]
    fn what_is_said_to_be_below_is_below_and_nobody_is_called_well_who_is_not_there() {
        use Finding::{Good, Unsure, Wrong};
        use SchedulerState::{Leading, Silent, StandingBy};
        check(&[], &[("leader", Wrong), ("standby", Wrong)], Some(START));
        let below = Some("start `tickmesh scheduler`; see below");
        check(&[Silent], &[("leader", Wrong), ("standby", Wrong), ("scheduler", Wrong)], below);
        check(&[Silent, StandingBy], &[("leader", Wrong), ("standby", Good), ("scheduler", Wrong)], below);
        check(&[Leading], &[("leader", Good), ("standby", Unsure)], None);
        check(&[Leading, StandingBy], &[("leader", Good), ("standby", Good)], None);
    }
}
