//! One file for each command: what it takes (`Args`) and what it does (`run`).

pub(crate) mod agent;
mod agent_wish;
pub(crate) mod agents;
pub(crate) mod apply;
mod apps;
pub(crate) mod backup;
pub(crate) mod cancel;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod context;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod drain;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod fit;
mod forget;
pub(crate) mod history;
mod images;
mod install;
pub(crate) mod internal_exec;
pub(crate) mod internal_guard;
pub(crate) mod internal_man;
pub(crate) mod leader;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod next;
pub(crate) mod notify;
pub(crate) mod pause;
mod prepare;
mod progress;
pub(crate) mod prune;
pub(crate) mod queue;
pub(crate) mod restore;
pub(crate) mod resume;
pub(crate) mod retry;
pub(crate) mod rm;
pub(crate) mod rollback;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod scheduler;
pub(crate) mod schema;
pub(crate) mod show;
pub(crate) mod up;
pub(crate) mod validate;
pub(crate) mod version;
mod watch;
pub(crate) mod web;
mod which_app;

use std::time::Duration;

use anyhow::Context;
use tickmesh_client::requests::{self, Watch, unanswered};
use tickmesh_core::{id::RequestId, ledger::Verdict, message::CommandKind, name::AppName};
use tickmesh_messaging::Mesh;
use tokio::runtime::Runtime;

use crate::{
    cli::{Cli, Command},
    connect::{Looks, MeshArgs, asker},
    escape,
    exit::{Exit, Judgement, chain},
    logging::{self, LogFormat, Verbosity},
    output::Output,
};

/// How long work that nobody waits for (a file being read) may hold up the end of a command.
const WIND_UP: Duration = Duration::from_millis(200);

/// What every command has.
#[derive(Debug)]
pub(crate) struct Session {
    /// Where the mesh is.
    pub mesh: MeshArgs,
    /// Where the answer goes.
    pub output: Output,
}

/// Carries out what was typed.
pub(crate) fn run(cli: Cli) -> Exit {
    if let Command::InternalExec(args) = &cli.command {
        return judged(internal_exec::run(args));
    }
    judged(run_async(cli))
}

/// Says what went wrong, and how the command ended.
pub(crate) fn judged(result: anyhow::Result<Exit>) -> Exit {
    let error = match result {
        Ok(exit) => return exit,
        Err(error) => error,
    };
    let Judgement { exit, hint } = Judgement::of(&error);
    // What others have written is among it: why a leader refuses something, who was faster.
    if exit != Exit::Success {
        Output.talk(&format!("error: {}", escape::lines(&chain(&error))));
    }
    if let Some(hint) = hint {
        Output.talk(&format!("  hint: {}", escape::lines(&hint)));
    }
    exit
}

/// Asks the leader, and returns what it made of the request. `None`: none has answered in time, which is said here. That is no
/// failure of any command: the request is stored, and the next leader carries it out.
async fn ask(
    session: &Session,
    mesh: &Mesh,
    app: &AppName,
    revision: u64,
    kind: CommandKind,
) -> anyhow::Result<(RequestId, Option<Verdict>)> {
    let request = asker(mesh).send(app, revision, kind).await?;
    let verdict = requests::answer(&mut Watch::begin(mesh, app).await?, request).await?;
    if verdict.is_none() {
        session.output.talk(&unanswered());
    }
    Ok((request, verdict))
}

fn run_async(cli: Cli) -> anyhow::Result<Exit> {
    let (verbosity, format) = log_settings(&cli.command);
    logging::init(verbosity, format)?;
    let session = Session { mesh: mesh_of(&cli)?, output: Output };
    let runtime = Runtime::new().context("failed to start the async runtime")?;
    // On this thread, which lives as long as the process: a supervised child ends with the thread that started it.
    let result = runtime.block_on(dispatch(&session, &cli));
    runtime.shutdown_timeout(WIND_UP);
    result
}

/// Says where the mesh is. Commands that make a mesh of their own, change the contexts or ask no mesh look at no context and no
/// file: above all a guard must not depend on whether one can be read. Processes of this host go by its settings before
/// any context, which is a person's.
fn mesh_of(cli: &Cli) -> anyhow::Result<MeshArgs> {
    match cli.command {
        Command::Up(_)
        | Command::Demo(_)
        | Command::Context(_)
        | Command::Notify(_)
        | Command::Validate(_)
        | Command::Explain(_)
        | Command::Schema(_)
        | Command::Completions(_)
        | Command::InternalExec(_)
        | Command::InternalGuard(_)
        | Command::InternalMan(_) => cli.mesh.resolve_without_context(),
        Command::Scheduler(_) | Command::Agent(_) | Command::Web(_) | Command::Config(_) => {
            cli.mesh.resolve(&cli.settings, Looks::SettingsFirst)
        }
        Command::Diff(_)
        | Command::Apply(_)
        | Command::Ls(_)
        | Command::Show(_)
        | Command::Run(_)
        | Command::Runs(_)
        | Command::Logs(_)
        | Command::Cancel(_)
        | Command::Retry(_)
        | Command::Queue(_)
        | Command::Pause(_)
        | Command::Resume(_)
        | Command::Rm(_)
        | Command::Agents(_)
        | Command::Leader(_)
        | Command::Events(_)
        | Command::History(_)
        | Command::Rollback(_)
        | Command::Next(_)
        | Command::Doctor(_)
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::Version(_) => cli.mesh.resolve(&cli.settings, Looks::ContextsFirst),
    }
}

fn log_settings(command: &Command) -> (Verbosity, LogFormat) {
    match command {
        Command::Up(args) => (Verbosity::Events, args.log.log_format),
        Command::Web(args) => (Verbosity::Events, args.log.log_format),
        Command::Scheduler(args) => (Verbosity::Events, args.log.log_format),
        Command::Agent(args) if args.action.is_some() => (Verbosity::Errors, LogFormat::Text),
        Command::Agent(args) => (Verbosity::Events, args.log.log_format),
        Command::InternalGuard(_) => (Verbosity::Events, LogFormat::Text),
        Command::Demo(_)
        | Command::Validate(_)
        | Command::Diff(_)
        | Command::Explain(_)
        | Command::Schema(_)
        | Command::Context(_)
        | Command::Config(_)
        | Command::Notify(_)
        | Command::Events(_)
        | Command::History(_)
        | Command::Rollback(_)
        | Command::Completions(_)
        | Command::Apply(_)
        | Command::Ls(_)
        | Command::Show(_)
        | Command::Run(_)
        | Command::Runs(_)
        | Command::Logs(_)
        | Command::Cancel(_)
        | Command::Retry(_)
        | Command::Queue(_)
        | Command::Pause(_)
        | Command::Resume(_)
        | Command::Rm(_)
        | Command::Agents(_)
        | Command::Leader(_)
        | Command::Next(_)
        | Command::Doctor(_)
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::Version(_)
        | Command::InternalExec(_)
        | Command::InternalMan(_) => (Verbosity::Errors, LogFormat::Text),
    }
}

async fn dispatch(session: &Session, cli: &Cli) -> anyhow::Result<Exit> {
    match &cli.command {
        Command::Demo(args) => demo::run(session, args).await,
        Command::Up(args) => up::run(session, args).await,
        Command::Scheduler(args) => scheduler::run(session, args).await,
        Command::Agent(args) => agent::run(session, args).await,
        Command::Web(args) => web::run(session, args).await,
        Command::Validate(args) => validate::run(session, args),
        Command::Diff(args) => diff::run(session, args).await,
        Command::Apply(args) => apply::run(session, args).await,
        Command::Ls(args) => ls::run(session, args).await,
        Command::Show(args) => show::run(session, args).await,
        Command::Run(args) => run::run(session, args).await,
        Command::Runs(args) => runs::run(session, args).await,
        Command::Logs(args) => logs::run(session, args).await,
        Command::Cancel(args) => cancel::run(session, args).await,
        Command::Retry(args) => retry::run(session, args).await,
        Command::Queue(args) => queue::run(session, args).await,
        Command::Pause(args) => pause::run(session, args).await,
        Command::Resume(args) => resume::run(session, args).await,
        Command::Rm(args) => rm::run(session, args).await,
        Command::Agents(args) => agents::run(session, args).await,
        Command::Leader(args) => leader::run(session, args).await,
        Command::Events(args) => events::run(session, args).await,
        Command::History(args) => history::run(session, args).await,
        Command::Rollback(args) => rollback::run(session, args).await,
        Command::Context(args) => context::run(session, args),
        Command::Config(args) => config::run(session, &cli.settings, args),
        Command::Notify(args) => notify::run(session, args).await,
        Command::Explain(args) => explain::run(session, args),
        Command::Schema(args) => schema::run(session, args),
        Command::Completions(args) => completions::run(session, args),
        Command::Next(args) => next::run(session, args).await,
        Command::Doctor(args) => doctor::run(session, args).await,
        Command::Backup(args) => backup::run(session, args).await,
        Command::Restore(args) => restore::run(session, args).await,
        Command::Version(args) => version::run(session, args).await,
        Command::InternalExec(args) => internal_exec::run(args),
        Command::InternalGuard(args) => internal_guard::run(args).await,
        Command::InternalMan(args) => internal_man::run(args),
    }
}
