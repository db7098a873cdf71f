//! `tickmesh doctor`: what is wrong with a mesh, and what to do about it; `--accept-loss`: go on with what is left of its
//! data; `--repair`: mend a record that cannot be read.

mod builds;
mod consequences;
mod copies;
mod dialects;
mod foreign_settings;
mod hosts;
pub(super) mod loss;
mod lost_apps;
mod nodes;
mod records;
mod store;
mod unwritten;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tickmesh_agent::engine::ContainerEngine as _;
use tickmesh_client::{
    read,
    views::scheduler::{SchedulerState, SchedulerView},
    when, zones,
};
use tickmesh_core::message::MeshEvent;
use tickmesh_messaging::{self as messaging, ConnectOptions, Mesh};
use tickmesh_scheduler::process::DEVIATION_MAX;
use tokio::time::timeout;

use self::nodes::Nodes;
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
/// How long NATS may take for each question. All that is looked at is to be said within 10 s.
const ANSWER_WITHIN: Duration = Duration::from_millis(2_500);
/// How long it may take to store an event.
const STORED_WITHIN: Duration = Duration::from_secs(4);
/// What to do about a store that is lost.
pub(super) const STORE_CHOICES: &str = "wait for its restore, after which schedulers go on by themselves within seconds; or give \
                                        up what was in it: `tickmesh doctor --accept-loss`";
const START: &str = "start `tickmesh scheduler`";
/// What to do where nothing else says it.
const UNANSWERED: &str = "look again; if it stays so, look into the log of the NATS server";
/// What to do about a server that stores nothing.
const STORAGE_HINT: &str = "look into the server's log: after a full disk it must be restarted once there is room";
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
    // Beside the rest: an engine that does not answer takes its time.
    let ((mut checks, exit), engine) = tokio::join!(look(session), engine());
    checks.extend([engine, Check::ok("zones", zones::in_words())]);
    consequences::mark(&mut checks);
    session.output.show(&DoctorView(checks), args.form.format)?;
    Ok(exit)
}

/// Looks at the servers first: what a mesh does not answer has its reason there.
async fn look(session: &Session) -> (Vec<Check>, Exit) {
    let nodes = Nodes::look(&session.mesh.options("doctor")).await;
    let options = ConnectOptions { request_timeout: ANSWER_WITHIN, ..session.mesh.options("doctor") };
    let connected = Mesh::connect(&options).await.map_err(anyhow::Error::from);
    let hint = connected.as_ref().err().and_then(|error| Judgement::of(error).hint).unwrap_or_default();
    let mut checks = nodes.findings(&hint);
    let found = async {
        let mesh = connected?;
        match store::examine(&mesh).await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Ok(examine(&mesh, nodes.seen.len()).await),
            // Streams that nobody leads are no lost store, and there is more to say of them.
            Err(error) if is_unanswered(&error) => Ok(examine(&mesh, nodes.seen.len()).await),
            Err(error) => Err(error),
        }
    };
    let exit = match found.await {
        Ok(found) => {
            checks.extend(found);
            if checks.iter().all(|check| check.finding != Finding::Wrong) { Exit::Success } else { Exit::Failed }
        }
        Err(error) => {
            let Judgement { exit, hint } = Judgement::of(&error);
            // That is said already, with the server's name.
            if nodes.serve() {
                let hint = hint.unwrap_or_else(|| "look into the log of the NATS server".to_owned());
                checks.push(Check::wrong("nats", chain(&error), hint));
            }
            exit
        }
    };
    (checks, exit)
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

/// Looks at everything at once: where one thing is not answered, the others are.
async fn examine(mesh: &Mesh, servers: usize) -> Vec<Check> {
    let of_store = async {
        tokio::join!(
            Box::pin(server(mesh)),
            Box::pin(storage(mesh)),
            Box::pin(copies::check(mesh, servers)),
            Box::pin(copies::writes(mesh)),
            Box::pin(copies::room(mesh)),
            Box::pin(clock(mesh)),
            Box::pin(foreign_settings::check(mesh)),
        )
    };
    let of_records = async {
        tokio::join!(
            Box::pin(loss::check(mesh)),
            Box::pin(read::schedulers(mesh)),
            Box::pin(hosts::check(mesh)),
            Box::pin(records::check(mesh)),
            Box::pin(dialects::check(mesh)),
        )
    };
    let (of_store, of_records) = tokio::join!(Box::pin(of_store), Box::pin(of_records));
    let (server, storage, copies, writes, room, clock, streams) = of_store;
    let (data, schedulers, hosts, records, dialects) = of_records;
    let mut checks = vec![looked("nats", server), storage];
    checks.extend(copies);
    checks.extend([
        writes,
        looked("room", room),
        looked("clock", clock),
        looked("streams", streams),
        looked("data", data),
    ]);
    let schedulers = match schedulers {
        Ok(view) => {
            let stored = checks.iter_mut().find(|check| check.name == "storage" && check.finding == Finding::Ok);
            if let Some(stored) = stored
                && let Some(found) = unwritten::check(mesh, &view.0).await
            {
                *stored = found;
            }
            checks.extend(of_schedulers(&view.0, Timestamp::now()));
            view.0
        }
        Err(error) => {
            checks.push(looked("leader", Err(error.into())));
            Vec::new()
        }
    };
    let mut builds = Vec::new();
    match hosts {
        Ok(found) => {
            checks.extend(found);
            builds.push(looked("builds", builds::check(mesh, &schedulers).await));
        }
        // Which builds there are cannot be read either.
        Err(error) => checks.push(looked("agents", Err(error))),
    }
    match records {
        Ok(found) => checks.extend(found),
        // Which stream is missing is said above, and all records are looked at once it is there.
        Err(error) if is_stream_gone(&error) => {}
        Err(error) => checks.push(looked("records", Err(error))),
    }
    checks.extend(builds);
    checks.push(looked("dialects", dialects));
    checks
}

/// What a look found. That it could not be made is a finding, too, and the others are made.
fn looked(name: &'static str, check: anyhow::Result<Check>) -> Check {
    let error = match check {
        Ok(check) => return check,
        Err(error) => error,
    };
    if is_stream_gone(&error) {
        return Check::wrong(name, chain(&error), MISSING);
    }
    match error.downcast_ref::<messaging::Error>() {
        Some(messaging::Error::Unreadable { .. }) => Check::wrong(name, chain(&error), UNREADABLE),
        Some(_) | None => {
            let hint = Judgement::of(&error).hint.unwrap_or_else(|| UNANSWERED.to_owned());
            Check::wrong(name, chain(&error), hint)
        }
    }
}

fn is_unanswered(error: &anyhow::Error) -> bool {
    error.downcast_ref::<messaging::Error>().is_some_and(messaging::Error::is_unanswered)
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
    let event = MeshEvent::Examined { by: who() };
    let problem = match timeout(STORED_WITHIN, mesh.events().try_publish(&event)).await {
        Ok(Ok(())) => return Check::ok("storage", "the server stores what it is given"),
        Ok(Err(error)) => chain(&error.into()),
        Err(_) => format!("nothing is stored within {STORED_WITHIN:?}"),
    };
    Check::wrong("storage", problem, STORAGE_HINT)
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

#[cfg(test)]
mod tests {
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
