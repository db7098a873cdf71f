//! What shells ask while somebody types: names of apps.

use std::{ffi::OsStr, time::Duration};

use clap::Parser as _;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use tokio::{runtime::Builder, time::timeout};

use crate::connect::MeshArgs;

/// How long somebody who types waits.
const PATIENCE: Duration = Duration::from_millis(800);
/// Names that are offered at most.
const OFFERED_MAX: usize = 200;

/// Completes the name of an app.
pub(crate) fn apps() -> ArgValueCompleter {
    ArgValueCompleter::new(apps_that_begin)
}

/// Where the mesh is, as the environment says: what is typed before is not known here.
#[derive(Debug, clap::Parser)]
struct FromEnvironment {
    #[command(flatten)]
    mesh: MeshArgs,
}

/// The apps whose names begin so; none where there is no mesh.
fn apps_that_begin(typed: &OsStr) -> Vec<CompletionCandidate> {
    let (Some(typed), Ok(environment)) = (typed.to_str(), FromEnvironment::try_parse_from(["tickmesh"])) else {
        return Vec::new();
    };
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let listing = async {
        let apps = environment.mesh.open().await.ok()?.apps().list().await.ok()?;
        let present = apps.into_iter().filter(|entry| entry.value.source.is_some());
        Some(present.map(|entry| entry.key).filter(|name| name.starts_with(typed)).collect::<Vec<_>>())
    };
    let names = runtime.block_on(async { timeout(PATIENCE, listing).await.ok().flatten() }).unwrap_or_default();
    names.into_iter().take(OFFERED_MAX).map(CompletionCandidate::new).collect()
}
