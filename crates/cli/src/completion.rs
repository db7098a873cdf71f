//! What shells ask while somebody types: names of apps and agents.

use std::{ffi::OsStr, time::Duration};

use clap::Parser as _;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use tickmesh_messaging::{Error, Mesh};
use tokio::{runtime::Builder, time::timeout};

use crate::{
    connect::{Looks, MeshFlags},
    contexts::Contexts,
    settings::FileFlag,
};

/// How long somebody who types waits.
const PATIENCE: Duration = Duration::from_millis(800);
/// Names that are offered at most.
const OFFERED_MAX: usize = 200;

/// What tells a shell's own words from what was typed so far.
const TYPED_AFTER: &str = "--";
/// The options that say where the mesh is.
const MESH_OPTIONS: [&str; 5] = ["--nats", "--creds", "--namespace", "--context", "--config"];

/// Completes the name of an app.
pub(crate) fn apps() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| offered(typed, Names::Apps))
}

/// Completes the name of an agent.
pub(crate) fn agents() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| offered(typed, Names::Agents))
}

/// Completes the name of a context.
pub(crate) fn contexts() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let (Some(typed), Ok(contexts)) = (typed.to_str(), Contexts::read()) else { return Vec::new() };
        let names = contexts.names().into_iter().filter(|name| name.starts_with(typed));
        names.take(OFFERED_MAX).map(CompletionCandidate::new).collect()
    })
}

/// What is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Apps,
    Agents,
}

/// Where the mesh is: as the line says that is being typed, else as the environment does.
#[derive(Debug, clap::Parser)]
struct Whereabouts {
    #[command(flatten)]
    mesh: MeshFlags,
    #[command(flatten)]
    settings: FileFlag,
}

/// The names that begin so; none where there is no mesh.
fn offered(typed: &OsStr, names: Names) -> Vec<CompletionCandidate> {
    let line = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let line = line.skip_while(|word| word != TYPED_AFTER).skip(1);
    let (Some(typed), Ok(place)) = (typed.to_str(), Whereabouts::try_parse_from(whereabouts(line))) else {
        return Vec::new();
    };
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let Ok(mesh) = place.mesh.resolve(&place.settings, Looks::ContextsFirst) else { return Vec::new() };
    let listing = async { listed(&mesh.open().await?, names).await };
    let listed = runtime.block_on(async { timeout(PATIENCE, listing).await });
    let listed = listed.ok().and_then(Result::ok).unwrap_or_default();
    listed.into_iter().filter(|name| name.starts_with(typed)).take(OFFERED_MAX).map(CompletionCandidate::new).collect()
}

async fn listed(mesh: &Mesh, names: Names) -> Result<Vec<String>, Error> {
    Ok(match names {
        Names::Apps => {
            let apps = mesh.apps().list().await?.into_iter().filter(|entry| entry.value.source.is_some());
            apps.map(|entry| entry.key).collect()
        }
        Names::Agents => {
            let agents = mesh.agents().list().await?.into_iter().filter(|entry| !entry.value.forgotten);
            agents.map(|entry| entry.key).collect()
        }
    })
}

/// Of a line that nobody has finished, the program and what says where the mesh is.
fn whereabouts(line: impl Iterator<Item = String>) -> Vec<String> {
    let mut line = line;
    let mut words: Vec<String> = line.next().into_iter().collect();
    while let Some(word) = line.next() {
        let option = word.split_once('=').map_or(word.as_str(), |(option, _)| option);
        if !MESH_OPTIONS.contains(&option) {
            continue;
        }
        let value = if word.contains('=') { None } else { line.next() };
        words.push(word);
        words.extend(value);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let found = whereabouts(line.split(' ').map(str::to_owned));
        assert_eq!(found.join(" "), expected, "{line}");
    }

    #[test]
    fn what_is_typed_before_says_where_the_mesh_is() {
        check("tickmesh show", "tickmesh");
        check("tickmesh --namespace other show n", "tickmesh --namespace other");
        check("tickmesh show --nats=nats://n:1 -o json n", "tickmesh --nats=nats://n:1");
        check("tickmesh --creds my.creds --nats n agent drain h", "tickmesh --creds my.creds --nats n");
    }
}
