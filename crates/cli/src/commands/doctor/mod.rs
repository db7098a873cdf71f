//! `tickmesh doctor`: what is wrong with a mesh, and what to do about it; `--accept-loss`: go on with what is left of its data.

mod loss;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tickmesh_client::{read, views::scheduler::SchedulerState, when};
use tickmesh_core::{message::MeshEvent, timing::Timing};
use tickmesh_messaging::{self as messaging, Mesh};
use tickmesh_scheduler::clock::DEVIATION_MAX;

use super::Session;
use crate::{
    connect::who,
    exit::{Exit, chain},
    output::FormatArgs,
    views::doctor::{Check, DoctorView, Finding},
};

const MISSING: &str = "a running scheduler makes it anew within seconds; what was in it is lost";
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
    let mesh = session.mesh.open().await?;
    if args.accept_loss {
        loss::accept(session, &mesh).await?;
        return Ok(Exit::Success);
    }
    let view = examine(&mesh).await?;
    let well = view.0.iter().all(|check| check.finding != Finding::Wrong);
    session.output.show(&view, args.form.format)?;
    Ok(if well { Exit::Success } else { Exit::Failed })
}

async fn examine(mesh: &Mesh) -> anyhow::Result<DoctorView> {
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
    Ok(DoctorView(checks))
}

/// What a look found. Where what it looks at is missing or cannot be read, that is its finding, and the others are made, too.
fn looked(name: &'static str, check: anyhow::Result<Check>) -> anyhow::Result<Check> {
    check.or_else(|error| match error.downcast_ref::<messaging::Error>() {
        Some(messaging::Error::StreamGone { .. }) => Ok(Check::wrong(name, chain(&error), MISSING)),
        Some(messaging::Error::Unreadable { .. }) => Ok(Check::wrong(name, chain(&error), UNREADABLE)),
        _ => Err(error),
    })
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
    let schedulers = read::schedulers(mesh).await?.0;
    let in_state = |state| schedulers.iter().filter(move |scheduler| scheduler.state == state);
    let leader = in_state(SchedulerState::Leading).chain(in_state(SchedulerState::Doubting)).next();
    let mut checks = vec![match leader {
        Some(leader) => {
            let since = when::relative(leader.since, Timestamp::now());
            Check::good("leader", format!("{} on {} since {since}", leader.id, leader.host))
        }
        None => Check::wrong("leader", "nobody leads: no tick is decided", "start `tickmesh scheduler`; see below"),
    }];
    let standbys = in_state(SchedulerState::StandingBy).count();
    checks.push(match (standbys, leader) {
        (0, Some(_)) => Check::unsure("standby", "no other scheduler stands by", "run a second `tickmesh scheduler`"),
        (count, _) => Check::good("standby", format!("{count} stand by")),
    });
    for scheduler in schedulers.iter().filter(|scheduler| scheduler.reason.is_some()) {
        let reason = scheduler.reason.as_deref().unwrap_or_default();
        let text = format!("{} on {}: {reason}", scheduler.id, scheduler.host);
        let hint = match scheduler.state {
            SchedulerState::Doubting => "mend its clock, or let another one lead: `tickmesh leader step-down`",
            SchedulerState::Leading
            | SchedulerState::Preparing
            | SchedulerState::StandingBy
            | SchedulerState::Refusing
            | SchedulerState::Silent => "if data was lost: `tickmesh doctor --accept-loss`",
        };
        checks.push(Check::wrong("scheduler", text, hint));
    }
    Ok(checks)
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
