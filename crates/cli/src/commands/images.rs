//! Images that docker compose builds: `apply --build` has it build them, on this host.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::Context as _;
use tickmesh_client::{stored::understand_stored, zones};
use tickmesh_core::spec::PullPolicy;

use super::{Session, prepare::Prepared};
use crate::{exit::BadInput, inputs::Input};

/// An image that a file has docker compose build.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Built {
    /// What compose calls the files.
    project: String,
    service: String,
    image: String,
}

/// Builds the images that stand for `build` alone in these apps. Other hosts do not get them.
pub(super) fn build(session: &Session, inputs: &[Input], apps: &[Prepared]) -> anyhow::Result<()> {
    let [input] = inputs else { return Err(BadInput::new("--build is for one compose file").into()) };
    if !input.first.is_file() {
        return Err(BadInput::new("--build takes a compose file, not stdin").into());
    }
    let images: BTreeSet<Built> = apps.iter().flat_map(built).collect();
    if images.is_empty() {
        session.output.talk("no service has `build` without an `image`: nothing is built");
    }
    for built in &images {
        docker_compose_build(session, input, built)?;
        let image = &built.image;
        session.output.talk(&format!(
            "built {image} on this host: every other host of the app needs it too (run the same build there, or name \
             an `image`, push it, and leave out --build)"
        ));
    }
    Ok(())
}

fn built(app: &Prepared) -> Vec<Built> {
    let Some(spec) = understand_stored(&app.app, &app.source, &zones::database()).spec else { return Vec::new() };
    let run = spec.run();
    let images = run.services.iter().filter_map(|service| {
        let image = &service.container.image;
        let project = image.strip_suffix(&format!("-{}", service.name)).filter(|project| !project.is_empty())?;
        let is_built = service.container.pull_policy == PullPolicy::Never;
        is_built.then(|| Built { project: project.to_owned(), service: service.name.to_string(), image: image.clone() })
    });
    images.collect()
}

/// Compose 2 is a command of docker, and names images with a hyphen; compose 1 is a program of its
/// own, and has an underscore there.
fn docker_compose_build(session: &Session, input: &Input, built: &Built) -> anyhow::Result<()> {
    let is_plugin = succeeds(Command::new("docker").args(["compose", "version"]));
    let mut command = if is_plugin { Command::new("docker") } else { Command::new("docker-compose") };
    if is_plugin {
        command.arg("compose");
    }
    let files = std::iter::once(&input.first).chain(&input.overrides);
    let files = files.flat_map(|file| [PathBuf::from("-f"), file.clone()]);
    command.args(files).args(["-p", &built.project, "build", &built.service]);
    session.output.talk(&format!("building {} with docker compose", built.image));
    // What it says is talk: the results of this command are on stdout.
    let output = command.stdin(Stdio::null()).output();
    let output = output.context("failed to run docker compose: is it installed on this host?")?;
    session.output.talk(String::from_utf8_lossy(&output.stdout).trim_end());
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        anyhow::bail!("docker compose could not build {}: {said}", built.image);
    }
    if !is_plugin {
        let made = format!("{}_{}", built.project, built.service);
        let is_tagged = succeeds(Command::new("docker").args(["tag", &made, &built.image]));
        anyhow::ensure!(is_tagged, "docker compose has built {made}, which cannot be called {}", built.image);
    }
    Ok(())
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
