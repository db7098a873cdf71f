//! Everything that can be typed. What each command takes is next to what it does, in `commands`.

use clap::{Parser, Subcommand};

use crate::{
    build::BUILD,
    commands::{
        agent, agents, apply, backup, cancel, completions, config, context, demo, diff, doctor, events, explain,
        history, internal_exec, internal_guard, internal_man, leader, logs, ls, next, notify, pause, queue, restore,
        resume, retry, rm, rollback, run, runs, scheduler, schema, show, up, validate, version, web,
    },
    connect::MeshFlags,
    settings::FileFlag,
};

/// Distributed cron for compose files on Docker hosts
#[derive(Debug, Parser)]
#[command(name = "tickmesh", version = BUILD, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Where the mesh is.
    #[command(flatten)]
    pub mesh: MeshFlags,
    /// Settings of this host.
    #[command(flatten)]
    pub settings: FileFlag,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 ok; 1 failed (a run failed); 2 bad input (a bad file, an unknown app); 3 the mesh cannot be reached.
A request that no leader answers within 5 s is stored, and will be carried out: that is 0, and said on stderr.
`run --wait` of a run with one container exits with the container's code.";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try it: run the sample app three times, in one process
    Demo(demo::Args),
    /// Run a whole mesh in one process, until Ctrl-C
    Up(up::Args),
    /// Run a scheduler: one leads, the others stand by
    Scheduler(scheduler::Args),
    /// Run the agent of this Docker host, or manage an agent
    Agent(agent::Args),
    /// Serve the web page, the HTTP API and the metrics
    #[command(aliases = ["page", "ui"])]
    Web(web::Args),
    /// Check compose files, and report every problem
    #[command(aliases = ["lint", "check"])]
    Validate(validate::Args),
    /// Show what `apply` would change; exit code 1: something
    #[command(alias = "plan")]
    Diff(diff::Args),
    /// Create or update apps
    #[command(aliases = ["create", "deploy"])]
    Apply(apply::Args),
    /// List apps
    #[command(aliases = ["ps", "list", "get", "status", "jobs", "apps"])]
    Ls(ls::Args),
    /// Show an app or a run in detail
    #[command(aliases = ["describe", "inspect", "info"])]
    Show(show::Args),
    /// Start a run now
    #[command(aliases = ["start", "trigger"])]
    Run(run::Args),
    /// List the recent runs of an app
    Runs(runs::Args),
    /// Show the output of containers
    #[command(alias = "log")]
    Logs(logs::Args),
    /// Stop a run
    #[command(aliases = ["stop", "kill"])]
    Cancel(cancel::Args),
    /// Run the replicas of a run that failed again
    #[command(alias = "rerun")]
    Retry(retry::Args),
    /// List or flush the queue of an app
    Queue(queue::Args),
    /// Pause the schedules of apps
    #[command(aliases = ["suspend", "disable"])]
    Pause(pause::Args),
    /// Resume paused apps
    #[command(aliases = ["unpause", "enable"])]
    Resume(resume::Args),
    /// Remove apps
    #[command(aliases = ["remove", "delete"])]
    Rm(rm::Args),
    /// List agents
    #[command(aliases = ["nodes", "hosts"])]
    Agents(agents::Args),
    /// List schedulers; `step-down` hands over leadership
    #[command(alias = "schedulers")]
    Leader(leader::Args),
    /// Show ticks, results and finished runs as they come
    Events(events::Args),
    /// List the revisions of an app, or show what one changed
    #[command(alias = "revisions")]
    History(history::Args),
    /// Restore an earlier revision of an app
    Rollback(rollback::Args),
    /// Show when a schedule is due
    #[command(alias = "upcoming")]
    Next(next::Args),
    /// Describe a schedule in words
    Explain(explain::Args),
    /// Print the JSON schema of `x-tickmesh`
    Schema(schema::Args),
    /// List, choose, add or remove named meshes
    #[command(aliases = ["contexts", "ctx"])]
    Context(context::Args),
    /// Show the settings of this host and their origin
    #[command(alias = "settings")]
    Config(config::Args),
    /// List the targets of notices, or try one
    Notify(notify::Args),
    /// Check a mesh for problems
    Doctor(doctor::Args),
    /// Copy everything that counts into a file
    Backup(backup::Args),
    /// Make a mesh of a backup
    Restore(restore::Args),
    /// Show the builds of this program and of the mesh
    Version(version::Args),
    /// Print a shell completion script
    #[command(alias = "completion")]
    Completions(completions::Args),
    /// Internal: run a program that ends with this one
    #[command(hide = true)]
    InternalExec(internal_exec::Args),
    /// Internal: end the containers of an agent that is cut off or dead
    #[command(hide = true)]
    InternalGuard(internal_guard::Args),
    /// Internal: write the manual pages
    #[command(hide = true)]
    InternalMan(internal_man::Args),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_makes_sense() {
        super::Cli::command().debug_assert();
    }
}
