//! `tickmesh leader`: who leads, since when, and who stands by; `leader step-down`: let somebody else lead.

use std::time::Duration;

use anyhow::bail;
use tickmesh_client::{
    leadership::Leadership,
    read::{self, ROLL_PATIENCE},
    views::scheduler::SchedulerState,
};
use tickmesh_messaging::{Error, Mesh, SchedulerCard, SchedulerRole};
use tokio::time::{Instant, sleep};

use super::{Session, doctor::STORE_CHOICES};
use crate::{escape, exit::Exit, output::FormatArgs};

/// How long another scheduler has to take over. It takes a fraction of a second.
const HAND_OVER_MAX: Duration = Duration::from_secs(15);

/// What `leader` takes.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// What is to be done, if not looking.
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    form: FormatArgs,
}

/// What can be done with the leader.
#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Let another scheduler lead, before this one's host is maintained
    StepDown,
}

/// Shows the schedulers, or lets the leader step down.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mesh = match session.mesh.open().await {
        // Those who say so are shown.
        Err(Error::StoreLost { .. }) => session.mesh.connect("cli").await?,
        mesh => mesh?,
    };
    match args.action {
        None => show(session, &mesh, args.form).await,
        Some(Action::StepDown) => step_down(session, &mesh).await,
    }
}

async fn show(session: &Session, mesh: &Mesh, form: FormatArgs) -> anyhow::Result<Exit> {
    let view = read::schedulers(mesh).await?;
    let leads = [SchedulerState::Leading, SchedulerState::Doubting];
    let led = view.0.iter().any(|scheduler| leads.contains(&scheduler.state));
    session.output.show(&view, form.format)?;
    if view.0.iter().any(|scheduler| scheduler.state == SchedulerState::StoreLost) {
        session.output.talk(&format!("nobody leads, since the store is lost: {STORE_CHOICES}"));
    } else if !led {
        session.output.talk("nobody leads: no tick is decided until a scheduler does");
    }
    Ok(if led { Exit::Success } else { Exit::Failed })
}

/// Says with a list or an app that nobody decides ticks, if so.
pub(super) fn warn_of(session: &Session, leadership: &Leadership) {
    if let Some(problem) = leadership.problem() {
        session.output.talk(&escape::text(&format!("{problem}: see `tickmesh leader`")));
    }
}

async fn step_down(session: &Session, mesh: &Mesh) -> anyhow::Result<Exit> {
    let schedulers = mesh.schedulers();
    let cards = schedulers.roll(ROLL_PATIENCE).await?;
    let Some(leader) = cards.iter().find(|card| is_leading(card)) else {
        bail!("no leader answers: `tickmesh leader` shows who does");
    };
    if !cards.iter().any(|card| card.stands_by()) {
        bail!("scheduler {} on {} leads, and no other one stands by: start one first", leader.id, leader.host);
    }
    let is_in_doubt = matches!(leader.role, SchedulerRole::Leading { doubt: Some(_), .. });
    if !is_in_doubt && !cards.iter().any(SchedulerCard::could_lead) {
        bail!("no scheduler that stands by trusts its clock: `tickmesh leader` says why");
    }
    if schedulers.step_down(&leader.id, HAND_OVER_MAX).await?.is_none() {
        bail!("scheduler {} on {} did not answer", leader.id, leader.host);
    }
    let asked = Instant::now();
    while asked.elapsed() < HAND_OVER_MAX {
        let cards = schedulers.roll(ROLL_PATIENCE).await?;
        if let Some(next) = cards.iter().find(|card| is_leading(card) && card.id != leader.id) {
            let text = format!("scheduler {} on {} leads now", next.id, next.host);
            session.output.line(&escape::text(&text))?;
            return Ok(Exit::Success);
        }
        sleep(Duration::from_millis(50)).await;
    }
    bail!("scheduler {} was asked to step down, and nobody else leads after {HAND_OVER_MAX:?}", leader.id);
}

fn is_leading(card: &SchedulerCard) -> bool {
    matches!(card.role, SchedulerRole::Leading { .. })
}
