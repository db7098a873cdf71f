//! `tickmesh agent`: runs containers on this host.

use std::{
    collections::BTreeSet,
    ops::RangeInclusive,
    path::{Component, PathBuf},
};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use tickmesh_agent::{
    default_limits::DefaultLimits,
    policy::{Grant, HostPolicy},
};
use tickmesh_core::{compose, name::AgentName};

use super::{
    Session, agents,
    drain::{self, DrainArgs, UndrainArgs},
    forget::{self, ForgetArgs},
    install::{self, InstallArgs, UninstallArgs},
    prune::{self, PruneArgs},
};
use crate::{
    connect::host,
    exit::Exit,
    logging::LogArgs,
    parts::{self, AgentConnections, AgentSettings},
    process_metrics::MetricsArgs,
    variables::assignment,
};

/// What `agent` takes.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// What is to be done with an agent, if not running one.
    #[command(subcommand)]
    pub action: Option<Action>,
    #[command(flatten)]
    settings: AgentArgs,
    #[command(flatten)]
    metrics: MetricsArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

/// What can be done with an agent that runs somewhere.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Action {
    /// List agents, as `tickmesh agents` does
    #[command(alias = "list")]
    Ls(agents::Args),
    /// Show agents, as `tickmesh agents` does
    #[command(aliases = ["inspect", "describe"])]
    Show(agents::Args),
    /// Let an agent take no new work; what runs there goes on to its end, or to a deadline
    Drain(DrainArgs),
    /// Let an agent take new work again
    Undrain(UndrainArgs),
    /// Forget an agent whose host will not come back
    Forget(ForgetArgs),
    /// Install the agent on this host: settings, unit, start
    Install(InstallArgs),
    /// Stop the agent of this host, and remove its unit
    Uninstall(UninstallArgs),
    /// Remove the containers that the agent of this host has kept
    Prune(PruneArgs),
}

/// What can be said about an agent.
#[derive(Debug, clap::Args)]
pub(crate) struct AgentArgs {
    /// Name of the agent [default: the host's]
    #[arg(long, value_name = "NAME")]
    name: Option<AgentName>,
    /// Containers that may run at once [default: 4 for each core]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    slots: Option<u32>,
    /// GPUs that containers may have: counted like memory, and as good as `--allow gpus`
    #[arg(long, value_name = "COUNT")]
    gpus: Option<u32>,
    /// Label that constraints can ask for; may be repeated
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = assignment)]
    labels: Vec<(String, String)>,
    /// What is kept of the output of one attempt: its beginning, and of more the end too, in a quarter of it
    #[arg(long, value_name = "SIZE", value_parser = output_size, default_value = "4m")]
    output_max: usize,
    /// Memory that a container has at most if its file sets no limit [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = memory_size)]
    default_memory: Option<u64>,
    /// Processes and threads that a container has at most if its file sets no limit; 0: no limit
    #[arg(long, value_name = "COUNT", default_value_t = parts::PIDS_DEFAULT)]
    default_pids: u64,
    /// Path of this host that containers may mount, with everything below it; may be repeated
    ///
    /// A symbolic link counts for where it leads when the container is created, if the engine is one of this host. A job that
    /// swaps one just then is not seen: list nothing below which jobs may write that you do not trust.
    #[arg(long = "allow-path", value_name = "PATH", value_parser = absolute_path)]
    host_paths: Vec<PathBuf>,
    /// Device of this host that containers may have, or a directory of them; may be repeated
    #[arg(long = "allow-device", value_name = "PATH", value_parser = absolute_path)]
    devices: Vec<PathBuf>,
    /// Capability that containers may have beside the engine's default ones, or ALL; may be repeated
    #[arg(long = "allow-cap", value_name = "CAPABILITY", value_parser = capability)]
    capabilities: Vec<String>,
    /// What else of this host containers may have; may be repeated
    #[arg(long = "allow", value_name = "RIGHT", value_parser = grants())]
    grants: Vec<Grant>,
}

impl AgentArgs {
    /// All that an agent needs to know.
    pub(crate) fn settings(&self, lock_dir: PathBuf) -> anyhow::Result<AgentSettings> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => parts::agent_name_from(&host())?,
        };
        Ok(AgentSettings {
            slots: self.slots,
            gpus: self.gpus,
            output_max: Some(self.output_max),
            labels: self.labels.iter().cloned().collect(),
            policy: HostPolicy {
                host_paths: self.host_paths.clone(),
                devices: self.devices.clone(),
                capabilities: self.capabilities.iter().cloned().collect(),
                grants: self.grants(),
            },
            default_limits: DefaultLimits {
                memory_bytes: self.default_memory,
                pids: (self.default_pids > 0).then_some(self.default_pids),
            },
            ..AgentSettings::new(name, lock_dir)
        })
    }

    /// What else containers may have. A host that offers GPUs lets containers have them.
    fn grants(&self) -> BTreeSet<Grant> {
        let by_count = self.gpus.is_some_and(|count| count > 0).then_some(Grant::Gpus);
        self.grants.iter().copied().chain(by_count).collect()
    }
}

/// Runs an agent until it is told to stop, or does something with one. Containers go on, and the next agent of this name takes them over.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    match &args.action {
        Some(Action::Ls(args) | Action::Show(args)) => return agents::run(session, args).await,
        Some(Action::Drain(args)) => return drain::drain(session, args).await,
        Some(Action::Undrain(args)) => return drain::undrain(session, args).await,
        Some(Action::Forget(args)) => return forget::forget(session, args).await,
        Some(Action::Install(args)) => return install::install(session, args),
        Some(Action::Uninstall(args)) => return install::uninstall(session, args),
        Some(Action::Prune(args)) => return prune::prune(session, args).await,
        None => {}
    }
    let shutdown = parts::stop_on_signal()?;
    let metrics = args.metrics.listen().await?;
    let settings = args.settings.settings(parts::data_directory().join("locks"))?;
    let engine = parts::docker().await?;
    parts::ensure_on_host(&engine).await?;
    let connections = AgentConnections::open(&session.mesh).await?;
    parts::run_agent(connections, settings, engine, metrics, shutdown).await?;
    Ok(Exit::Success)
}

/// The least that docker takes.
const MEMORY_MIN: u64 = 6 * 1024 * 1024;
/// Between what one batch may have, and what four tails in memory may cost the host.
const OUTPUT_SIZES: RangeInclusive<u64> = 64 * 1024..=256 * 1024 * 1024;

fn output_size(text: &str) -> Result<usize, String> {
    let bytes = compose::size(text).map_err(|error| error.to_string())?;
    if !OUTPUT_SIZES.contains(&bytes) {
        return Err("the size must be between 64k and 256m".to_owned());
    }
    usize::try_from(bytes).map_err(|error| error.to_string())
}

/// What docker refuses as a limit would refuse every job without one of its own.
fn memory_size(text: &str) -> Result<u64, String> {
    let bytes = compose::size(text).map_err(|error| error.to_string())?;
    if bytes < MEMORY_MIN { Err("the size must be 6m or more".to_owned()) } else { Ok(bytes) }
}

/// As compose files have it: without `CAP_`, in upper case.
fn capability(text: &str) -> Result<String, String> {
    compose::capability(text).map_err(|error| error.to_string())
}

fn grants() -> impl TypedValueParser<Value = Grant> {
    let names = PossibleValuesParser::new(Grant::ALL.map(Grant::as_str));
    names.try_map(|name| Grant::ALL.into_iter().find(|grant| grant.as_str() == name).ok_or("there is no such right"))
}

fn absolute_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if !path.is_absolute() {
        return Err("the path must be absolute".to_owned());
    }
    // No path of a compose file has it, so nothing would ever be below this one.
    if path.components().any(|part| part == Component::ParentDir) {
        return Err("the path must not have `..` in it".to_owned());
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_a_path_without_detours() {
        let check = |text: &str, expect: Result<(), &str>| {
            assert_eq!(absolute_path(text).map(drop), expect.map_err(str::to_owned), "{text}");
        };
        check("/srv/jobs", Ok(()));
        check("/srv/..jobs", Ok(()));
        check("srv", Err("the path must be absolute"));
        check("/srv/../etc", Err("the path must not have `..` in it"));
        check("/srv/..", Err("the path must not have `..` in it"));
    }
}
