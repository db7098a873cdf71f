//! Everything that can be typed. What each command takes is next to what it does, in `commands`.

use clap::{Parser, Subcommand};

use crate::{
    commands::{
        agent, agents, apply, cancel, completions, demo, diff, doctor, events, explain, history, internal_exec,
        internal_guard, leader, logs, ls, next, pause, queue, resume, retry, rm, rollback, run, runs, scheduler, show,
        up, validate, web,
    },
    connect::MeshArgs,
};

/// Distributed cron for compose files on Docker hosts
#[derive(Debug, Parser)]
#[command(name = "tickmesh", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Where the mesh is.
    #[command(flatten)]
    pub mesh: MeshArgs,
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
    /// See it work: everything in one process, the sample app, three runs
    Demo(demo::Args),
    /// Everything in one process, for your own use, until Ctrl-C
    Up(up::Args),
    /// Run a scheduler; one of many leads
    Scheduler(scheduler::Args),
    /// Run the agent of this Docker host; `drain` and `undrain` one
    Agent(agent::Args),
    /// Serve the page, the HTTP API and the metrics of a mesh
    Web(web::Args),
    /// Check compose files: all problems at once
    Validate(validate::Args),
    /// Show what `apply` would change; exits with 1 if anything
    Diff(diff::Args),
    /// Put apps under control of the mesh, or change them
    Apply(apply::Args),
    /// List apps
    Ls(ls::Args),
    /// Show everything about an app or a run
    Show(show::Args),
    /// Run an app, or a file, now
    Run(run::Args),
    /// List the last runs of an app
    Runs(runs::Args),
    /// Show what containers wrote
    Logs(logs::Args),
    /// Stop a run
    Cancel(cancel::Args),
    /// Run again what did not succeed in a run
    Retry(retry::Args),
    /// List what waits for its start, or throw it away
    Queue(queue::Args),
    /// Let no ticks of an app start anything
    Pause(pause::Args),
    /// Let a paused app go on
    Resume(resume::Args),
    /// Remove apps
    Rm(rm::Args),
    /// List agents
    Agents(agents::Args),
    /// Show who leads and who stands by; `step-down` lets another one lead
    Leader(leader::Args),
    /// List ticks, results and ends of runs as they come
    Events(events::Args),
    /// List the revisions of an app, or show what one changed
    History(history::Args),
    /// Go back to an earlier revision of an app
    Rollback(rollback::Args),
    /// Show when a schedule is due
    Next(next::Args),
    /// Say in words what a schedule means
    Explain(explain::Args),
    /// Look for what is wrong with a mesh
    Doctor(doctor::Args),
    /// Print what makes a shell complete commands and names of apps
    Completions(completions::Args),
    /// Part of the machinery: runs a program that ends with this one
    #[command(hide = true)]
    InternalExec(internal_exec::Args),
    /// Part of the machinery: ends the containers of an agent that is cut off or dead
    #[command(hide = true)]
    InternalGuard(internal_guard::Args),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_makes_sense() {
        super::Cli::command().debug_assert();
    }
}
