//! Images that docker compose builds: `apply --build` has it build them, on this host, and with `--push` puts
//! them where every host gets them.

use std::{
    collections::{BTreeMap, BTreeSet},
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

/// What is merged over the files of an app whose images were pushed, by the path that it is stored with.
const PUSHED_FILE: &str = ".tickmesh-pushed-images.yml";

/// Builds the images that stand for `build` alone in these apps. Other hosts do not get them, unless they are pushed
/// to a registry: then the apps have them from there, by their digests.
pub(super) fn build(
    session: &Session,
    inputs: &[Input],
    apps: &mut [Prepared],
    registry: Option<&str>,
) -> anyhow::Result<()> {
    let [input] = inputs else { return Err(BadInput::new("--build is for one compose file").into()) };
    if !input.first.is_file() {
        return Err(BadInput::new("--build takes a compose file, not stdin").into());
    }
    let registry = registry.map(checked).transpose()?;
    let images: BTreeSet<Built> = apps.iter().flat_map(built).collect();
    if images.is_empty() {
        session.output.talk("no service has `build` without an `image`: nothing is built");
    }
    let mut pushed = BTreeMap::new();
    for built in images {
        docker_compose_build(session, input, &built)?;
        let image = &built.image;
        match registry {
            None => session.output.talk(&format!(
                "built {image} on this host: every other host of the app needs it too (run the same build there, or push \
                 it with --push REGISTRY)"
            )),
            Some(registry) => {
                let by_digest = push(image, registry)?;
                session.output.talk(&format!("built {image}, and pushed it as {by_digest}"));
                pushed.insert(built, by_digest);
            }
        }
    }
    apps.iter_mut().try_for_each(|app| take_from_registry(app, &pushed))
}

/// The beginning of an image's name, such as `registry.example.com/team`.
fn checked(registry: &str) -> anyhow::Result<&str> {
    let name = registry.trim_end_matches('/');
    if name.is_empty() || name.contains("://") || name.contains('@') {
        let problem = format!("`{registry}` is no registry to push to");
        return Err(BadInput::new(problem).hint("write it as in an image's name: `registry.example.com/team`").into());
    }
    Ok(name)
}

/// Pushes an image, and returns the name by which every host gets this one, whatever is pushed later.
fn push(image: &str, registry: &str) -> anyhow::Result<String> {
    let target = format!("{registry}/{image}");
    docker(&["tag", image, &target])?;
    docker(&["push", &target])?;
    let digests = docker(&["image", "inspect", "--format", "{{range .RepoDigests}}{{println .}}{{end}}", &target])?;
    // Docker leaves out the name of its own registry.
    let names = [target.as_str(), target.strip_prefix("docker.io/").unwrap_or(&target)];
    let is_it = |name: &&str| name.split_once('@').is_some_and(|(name, _)| names.contains(&name));
    let found = digests.lines().find(is_it);
    Ok(found.with_context(|| format!("docker does not say by which digest it has pushed {target}"))?.to_owned())
}

/// Runs docker, and returns what it says.
fn docker(arguments: &[&str]) -> anyhow::Result<String> {
    let attempted = || format!("failed to run docker {}", arguments.join(" "));
    let output = Command::new("docker").args(arguments).stdin(Stdio::null()).output().with_context(attempted)?;
    if !output.status.success() {
        anyhow::bail!("{}: {}", attempted(), String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Has an app take the images that were pushed: a file that names them is merged over its own.
fn take_from_registry(app: &mut Prepared, pushed: &BTreeMap<Built, String>) -> anyhow::Result<()> {
    let own = built(app).into_iter().filter_map(|built| Some((built.service.clone(), pushed.get(&built)?)));
    let services: String = own
        .map(|(service, image)| format!("  \"{service}\": {{image: \"{image}\", pull_policy: missing}}\n"))
        .collect();
    if services.is_empty() {
        return Ok(());
    }
    let project = &mut app.source.project;
    project.overrides.push(PUSHED_FILE.to_owned());
    project.files.insert(PUSHED_FILE.to_owned(), format!("services:\n{services}"));
    let reading = understand_stored(&app.app, &app.source, &zones::database());
    if reading.spec.is_none() {
        let first = reading.diagnostics.iter().find(|it| it.is_error()).map(ToString::to_string).unwrap_or_default();
        anyhow::bail!("app {} cannot have the images that were pushed: {first}", app.app);
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
