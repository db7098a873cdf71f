//! `tickmesh demo`: see it work. A mesh of its own, the sample app, three runs; it ends by itself and leaves nothing behind.

mod clean_up;
mod story;

use std::time::Duration;

use anyhow::Context;
use jiff::tz::TimeZone;
use tickmesh_agent::{
    engine::{ContainerEngine, Image, docker::Docker},
    labels::Owner,
};
use tickmesh_client::{
    read,
    views::run::{RunView, RunsView},
    zones,
};
use tickmesh_core::{
    message::AppSource,
    name::{AgentName, AppName, Namespace},
    spec::AppSpec,
};
use tickmesh_messaging::Mesh;
use tickmesh_web::BIND_DEFAULT;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use self::{clean_up::clean_up, story::Story};
use super::{Session, apply};
use crate::{
    compose_file::{ProjectArgs, Source},
    connect::MeshArgs,
    exit::{Exit, Missing},
    local::{Local, Settings},
    nats_server::{Port, in_checkout},
    output::{Format, Output},
    parts::{self, AgentSettings},
};

/// The sample app.
const SAMPLE: &str = include_str!("../../../../../examples/demo.yml");
/// Its name, and the agent's.
const NAME: &str = "demo";
/// Runs to be seen.
const RUNS: usize = 3;
/// The demo ends after this time, whatever was to be seen.
const TIME_MAX: Duration = Duration::from_secs(60);

/// `demo` takes nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the demo.
pub(crate) async fn run(session: &Session, _args: &Args) -> anyhow::Result<Exit> {
    let shutdown = parts::stop_on_signal()?;
    let deadline = Instant::now() + TIME_MAX;
    let (app, source) = (AppName::new(NAME)?, sample());
    let understood = source.understand(&ProjectArgs::nothing(), Some(&app), &zones::database())?.apps.remove(0);
    let spec = understood.reading.spec.clone().context("the sample app is not valid")?;
    let engine = parts::docker().await?;
    check_images(&engine, &spec).await?;

    let data = tempfile::Builder::new().prefix("tickmesh-demo-").tempdir().context("failed to make a directory")?;
    let settings = Settings {
        data: data.path(),
        port: Port::Any,
        mesh: MeshArgs { namespace: namespace()?, ..session.mesh.clone() },
        agent: AgentSettings::new(AgentName::new(NAME)?, data.path().join("locks")),
        page: parts::page_settings(BIND_DEFAULT, None),
    };
    let mut local = Local::start(settings, engine.clone()).await?;
    let mesh = local.mesh.open().await?;
    let owner =
        Owner { mesh: mesh.open().await?, namespace: local.mesh.namespace.clone(), agent: AgentName::new(NAME)? };
    session.output.talk(&local.page_text());
    session.output.line(&opening(&local.mesh, &spec))?;
    let stage = Stage { output: session.output, app, deadline, shutdown };
    let zone = spec.schedule.as_ref().map_or(TimeZone::UTC, |schedule| schedule.zone().clone());
    let shown = tokio::select! {
        shown = stage.show(&mesh, zone, understood.into_source()) => shown,
        error = local.failed() => Err(error),
    };
    let cleaned = clean_up(&mesh, &stage.app, &engine, &owner).await;
    mesh.close().await;
    local.stop().await?;
    let exit = shown?;
    cleaned?;
    Ok(exit)
}

/// What the demo plays with.
struct Stage {
    output: Output,
    app: AppName,
    deadline: Instant,
    shutdown: CancellationToken,
}

impl Stage {
    /// Applies the app, tells what happens, and then shows its history.
    async fn show(&self, mesh: &Mesh, zone: TimeZone, source: AppSource) -> anyhow::Result<Exit> {
        let mut story = Story::begin(mesh, &self.app, zone).await?;
        apply::store(mesh, &self.app, source).await?;
        let told = timeout_at(self.deadline, self.shutdown.run_until_cancelled(story.tell(self.output, RUNS))).await;
        match told {
            Ok(Some(told)) => told?,
            Ok(None) => self.output.talk("stopped before the end"),
            Err(_) => self.output.talk(&format!("{}s are over", TIME_MAX.as_secs())),
        }
        let runs = read::finished(mesh, &self.app).await?;
        self.output.line("")?;
        self.output.show(&RunsView(runs.clone()), Format::Table)?;
        Ok(if enough_succeeded(&runs) { Exit::Success } else { Exit::Failed })
    }
}

fn opening(mesh: &MeshArgs, spec: &AppSpec) -> String {
    let schedule = spec.schedule.as_ref().map(ToString::to_string).unwrap_or_default();
    let run = spec.run();
    let services = run.services.iter();
    let services: Vec<String> =
        services.map(|service| format!("{} x {}", service.scale, service.container.image)).collect();
    format!(
        "nats-server at {}, namespace {}\napp {}: {schedule}, {}; ends after {RUNS} runs\n",
        mesh.url,
        mesh.namespace,
        spec.name,
        services.join(", ")
    )
}

fn enough_succeeded(runs: &[RunView]) -> bool {
    runs.iter().filter(|run| run.has_succeeded()).count() >= RUNS
}

fn sample() -> Source {
    Source::built_in("demo.yml", SAMPLE)
}

/// Its own for every demo, so that two on one engine do not meet.
fn namespace() -> anyhow::Result<Namespace> {
    Ok(Namespace::new(format!("{NAME}-{:08x}", rand::random::<u32>()))?)
}

/// A demo that would have to pull an image first would show nothing for a minute, and on a machine without network fail.
async fn check_images(engine: &Docker, spec: &AppSpec) -> anyhow::Result<()> {
    for service in &spec.run().services {
        let image = Image::of(&service.container);
        if !engine.image_present(&image).await? {
            let problem = format!("the Docker engine does not have the image {image}");
            let pull = format!("`docker pull {image}`");
            let way = if in_checkout() { "run `make setup`, which brings it".to_owned() } else { pull };
            return Err(Missing::new(problem, way).into());
        }
    }
    Ok(())
}
