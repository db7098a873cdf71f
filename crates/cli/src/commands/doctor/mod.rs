//! `tickmesh doctor`: what is wrong with a mesh, and what to do about it; `--accept-loss`: go on with what is left of its
//! data; `--repair`: mend a record that cannot be read.

mod builds;
mod dialects;
mod foreign_settings;
pub(super) mod loss;
mod lost_apps;
mod records;
mod store;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tickmesh_agent::engine::ContainerEngine as _;
use tickmesh_client::{
    read,
    views::scheduler::{SchedulerState, SchedulerView},
    when, zones,
};
use tickmesh_core::{
    message::{AgentRecord, EngineTrouble, MeshEvent},
    timing::Timing,
};
use tickmesh_messaging::{self as messaging, Entry, Mesh};
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
/// What to do about a store that is lost.
pub(super) const STORE_CHOICES: &str = "wait for its restore, after which schedulers go on by themselves within seconds; or give \
                                        up what was in it: `tickmesh doctor --accept-loss`";
const START: &str = "start `tickmesh scheduler`";
/// What to do about an engine that does not answer its agent.
const ENGINE_HINT: &str = "on that host: `docker info` says what its engine lacks; start it (`systemctl restart docker`), make room \
                           on its disk, or let the agent's user use its socket (group docker)";
const UNREADABLE: &str = "a later release has written it: use that, or one that is later still";

/// What `doctor` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Go on with what is left after stored data was lost (a stream was restored from an older copy, emptied or made anew)
    ///
    /// While data is lost, nobody leads. This moves the numbers of runs ahead by 1000, stops what runs somewhere and is not
    /// known any more, and lets a scheduler lead again. What was due since the copy was made is decided as after any outage: by
    /// the label `misfire` of each app, even if it had run before the loss. Streams that are gone are made anew, and those of a
    /// store that is lost as a whole: nothing that was in them comes back.
    #[arg(long)]
    accept_loss: bool,
    /// Mend a record that cannot be read, such as `ledger/nightly`: `doctor` names them
    ///
    /// A ledger is written anew from what the other streams have of its app; a file is taken back to the newest revision that
    /// can be read. No other app is concerned.
    #[arg(long, value_name = "KEY", conflicts_with = "accept_loss")]
    repair: Option<String>,
    /// Do not ask
    #[arg(long, requires = "repair")]
    yes: bool,
    #[command(flatten)]
    form: FormatArgs,
}

/// Looks at everything, and fails if something is wrong.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    if args.accept_loss {
        store::accept_loss(session, &session.mesh.connect("cli").await?).await?;
        return Ok(Exit::Success);
    }
    if let Some(key) = &args.repair {
        records::repair(session, &session.mesh.open().await?, key, args.yes).await?;
        return Ok(Exit::Success);
    }
    let found = async {
        let mesh = session.mesh.connect("cli").await?;
        match store::examine(&mesh).await? {
            Some(checks) => Ok(checks),
            None => examine(&mesh).await,
        }
    };
    let (mut checks, exit) = match found.await {
        Ok(checks) => {
            let well = checks.iter().all(|check| check.finding != Finding::Wrong);
            (checks, if well { Exit::Success } else { Exit::Failed })
        }
        Err(error) => unreachable_mesh(error)?,
    };
    checks.extend([engine().await, Check::ok("zones", zones::in_words())]);
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
        Ok(Ok(engine)) => return Check::ok("docker", format!("the engine of this host is {}", engine.version)),
        Ok(Err(error)) => format!("no agent can run on this host: {}", chain(&error)),
        Err(_) => format!("no agent can run on this host: its engine has not answered within {ENGINE_WITHIN:?}"),
    };
    Check::warning("docker", text, "if one is to run here, start Docker, or say with DOCKER_HOST where it is")
}

async fn examine(mesh: &Mesh) -> anyhow::Result<Vec<Check>> {
    let mut checks = vec![
        server(mesh).await?,
        storage(mesh).await,
        looked("clock", clock(mesh).await)?,
        looked("streams", foreign_settings::check(mesh).await)?,
        looked("data", loss::check(mesh).await)?,
    ];
    let schedulers = match read::schedulers(mesh).await {
        Ok(view) => {
            checks.extend(of_schedulers(&view.0, Timestamp::now()));
            view.0
        }
        Err(error) => {
            checks.push(looked("leader", Err(error.into()))?);
            Vec::new()
        }
    };
    checks.push(looked("agents", agents(mesh).await)?);
    match records::check(mesh).await {
        Ok(found) => checks.extend(found),
        // Which stream is missing is said above, and all records are looked at once it is there.
        Err(error) if is_stream_gone(&error) => {}
        Err(error) => return Err(error),
    }
    checks.push(looked("builds", builds::check(mesh, &schedulers).await)?);
    checks.push(looked("dialects", dialects::check(mesh).await)?);
    Ok(checks)
}

/// What a look found. Where what it looks at is missing or cannot be read, that is its finding, and the others are made, too.
fn looked(name: &'static str, check: anyhow::Result<Check>) -> anyhow::Result<Check> {
    let error = match check {
        Ok(check) => return Ok(check),
        Err(error) => error,
    };
    if is_stream_gone(&error) {
        return Ok(Check::wrong(name, chain(&error), MISSING));
    }
    let cause = error.downcast_ref::<messaging::Error>();
    if cause.is_some_and(|it| matches!(it, messaging::Error::Unreadable { .. })) {
        return Ok(Check::wrong(name, chain(&error), UNREADABLE));
    }
    Err(error)
}

fn is_stream_gone(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(|cause| matches!(cause, messaging::Error::StreamGone { .. }))
}

async fn server(mesh: &Mesh) -> anyhow::Result<Check> {
    let took = mesh.round_trip().await?;
    Ok(Check::ok("nats", format!("{} answers in {:.1} ms", mesh.server_version(), took.as_secs_f64() * 1_000.0)))
}

/// A server whose disk is full answers every question, and stores nothing.
async fn storage(mesh: &Mesh) -> Check {
    match mesh.events().try_publish(&MeshEvent::Examined { by: who() }).await {
        Ok(()) => Check::ok("storage", "the server stores what it is given"),
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
        Check::ok("clock", text)
    })
}

fn difference(ahead: SignedDuration) -> String {
    let direction = if ahead.is_negative() { "behind" } else { "ahead of" };
    format!("{} ms {direction}", ahead.abs().as_millis())
}

fn of_schedulers(schedulers: &[SchedulerView], now: Timestamp) -> Vec<Check> {
    let in_state = |state| schedulers.iter().filter(move |scheduler| scheduler.state == state);
    let leader = in_state(SchedulerState::Leading).chain(in_state(SchedulerState::Doubting)).next();
    let troubled: Vec<Check> = schedulers.iter().filter_map(|scheduler| trouble(scheduler, now)).collect();
    let mut checks = vec![match leader {
        Some(leader) => {
            let since = when::relative(leader.since, now);
            Check::ok("leader", format!("{} on {} since {since}", leader.id, leader.host))
        }
        None => {
            let hint = if troubled.is_empty() { START.to_owned() } else { format!("{START}; see below") };
            Check::wrong("leader", "nobody leads: no tick is decided", hint)
        }
    }];
    checks.push(match (in_state(SchedulerState::StandingBy).count(), leader) {
        (0, Some(_)) => Check::warning("standby", "no other scheduler stands by", "run a second `tickmesh scheduler`"),
        (0, None) => Check::wrong("standby", "no scheduler stands by, so that none takes over", START),
        (count, Some(_) | None) => Check::ok("standby", format!("{count} stand by")),
    });
    checks.extend(troubled);
    checks
}

/// What is wrong with one scheduler.
fn trouble(scheduler: &SchedulerView, now: Timestamp) -> Option<Check> {
    let SchedulerView { id, host, since, reason, .. } = scheduler;
    let why = || reason.clone().unwrap_or_else(|| "it does not say why".to_owned());
    let (text, hint) = match scheduler.state {
        SchedulerState::Leading | SchedulerState::Preparing => return None,
        SchedulerState::StandingBy => {
            let doubt = reason.as_deref()?;
            let text = format!("{id} on {host} stands by, and would decide no tick: {doubt}");
            return Some(Check::warning(
                "scheduler",
                text,
                "set its host's clock right, and keep it so (chrony, timesyncd)",
            ));
        }
        SchedulerState::Doubting => (
            why(),
            "set its host's clock right, and keep it so (chrony, timesyncd); a scheduler that stands by with a right clock takes over",
        ),
        SchedulerState::StoreLost => (why(), STORE_CHOICES),
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
    let agents = mesh.agents().list().await?;
    let now = mesh.agents().clock().await?;
    Ok(of_agents(&agents, now))
}

fn of_agents(agents: &[Entry<AgentRecord>], now: Timestamp) -> Check {
    let expected = agents.iter().filter(|agent| !agent.value.stopped && !agent.value.forgotten);
    let is_silent = |at: Timestamp, patience: Duration| when::between(at, now) >= patience;
    let (silent, heard): (Vec<_>, Vec<_>) = expected.partition(|agent| is_silent(agent.at, Timing::default().stale));
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

#[cfg(test)]
mod tests {
    use tickmesh_testkit::records;

    use super::*;

    fn scheduler(state: SchedulerState) -> SchedulerView {
        let (id, host, since) = ("p1".to_owned(), "h1".to_owned(), Timestamp::UNIX_EPOCH);
        SchedulerView { id, host, state, since, epoch: None, version: None, build: None, reason: None }
    }

    #[track_caller]
    fn check(states: &[SchedulerState], expected: &[(&str, Finding)], hint: Option<&str>) {
        let schedulers: Vec<_> = states.iter().map(|state| scheduler(*state)).collect();
        let checks = of_schedulers(&schedulers, Timestamp::UNIX_EPOCH);
        let found: Vec<_> = checks.iter().map(|check| (check.name, check.finding)).collect();
        assert_eq!((found.as_slice(), checks[0].hint.as_deref()), (expected, hint));
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
    fn what_is_said_to_be_below_is_below_and_nobody_is_called_well_who_is_not_there() {
        use Finding::{Warning, Wrong};
        use SchedulerState::{Leading, Silent, StandingBy};
        check(&[], &[("leader", Wrong), ("standby", Wrong)], Some(START));
        let below = Some("start `tickmesh scheduler`; see below");
        check(&[Silent], &[("leader", Wrong), ("standby", Wrong), ("scheduler", Wrong)], below);
        check(&[Silent, StandingBy], &[("leader", Wrong), ("standby", Finding::Ok), ("scheduler", Wrong)], below);
        check(&[Leading], &[("leader", Finding::Ok), ("standby", Warning)], None);
        check(&[Leading, StandingBy], &[("leader", Finding::Ok), ("standby", Finding::Ok)], None);
    }
}
