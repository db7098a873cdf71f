//! `tickmesh up`: a mesh in one process, which keeps its data and goes on until it is told to stop.

use std::{
    fs::{self, File, TryLockError},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use anyhow::Context;
use tickmesh_web::BIND_DEFAULT;

use super::{Session, agent::AgentArgs, web};
use crate::{
    connect::{MeshArgs, NAMESPACE_DEFAULT},
    contexts::{Contexts, Place},
    exit::{self, BadInput, Exit},
    local::{Local, Settings},
    logging::LogArgs,
    login::LoginParts,
    nats_server::Port,
    parts,
};

/// What `up` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of everything that is kept [default: ~/.local/share/tickmesh]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Port of the nats-server, on the loopback interface [default: the last one, or any that is free]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    nats_port: Option<u16>,
    /// Where the page listens
    #[arg(long, value_name = "ADDRESS", default_value_t = BIND_DEFAULT)]
    page: SocketAddr,
    /// File with the token of the page, for --page at an address that other hosts reach
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    agent: AgentArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

/// Runs until it is told to stop, or a part of it fails.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let token = web::token_for(args.page, args.token_file.as_deref())?;
    let shutdown = parts::stop_on_signal()?;
    let data = args.data.clone().unwrap_or_else(parts::data_directory);
    let _lock = lock(&data)?;
    let engine = parts::docker().await?;
    let settings = Settings {
        data: &data,
        port: args.nats_port.map_or_else(|| last_port(&data), Port::Number),
        mesh: session.mesh.clone(),
        agent: args.agent.settings(data.join("locks"))?,
        page: parts::page_settings(args.page, token),
    };
    let mut local = Local::start(settings, engine).await?;
    keep_port(&data, local.port())?;
    keep_context(session, &local.mesh);
    announce(session, &local.mesh, &data)?;
    session.output.talk(&local.page_text());
    let failure = shutdown.run_until_cancelled(local.failed()).await;
    let stopped = local.stop().await;
    match failure {
        None => stopped.map(|()| Exit::Success),
        // What failed first is what matters: stopping the rest may fail because of it.
        Some(error) => Err(error),
    }
}

/// The file of the port that the server had last.
const PORT_FILE: &str = "nats-port";
/// The context that other commands find the mesh by.
const CONTEXT: &str = "local";

/// Returns the port that the server had last, so that addresses that were given out stay good. If somebody else has it now, or
/// there was none, any port will do.
fn last_port(data: &Path) -> Port {
    let last = fs::read_to_string(data.join(PORT_FILE)).ok().and_then(|text| text.trim().parse().ok());
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    last.filter(is_free).map_or(Port::Any, Port::Number)
}

fn keep_port(data: &Path, port: u16) -> anyhow::Result<()> {
    let path = data.join(PORT_FILE);
    fs::write(&path, format!("{port}\n")).with_context(|| format!("failed to write {}", path.display()))
}

/// Writes the context of this mesh. Without one, commands need what is printed.
fn keep_context(session: &Session, mesh: &MeshArgs) {
    let namespace = Some(mesh.namespace.clone()).filter(|namespace| namespace.as_str() != NAMESPACE_DEFAULT);
    let place = Place { nats: mesh.url.clone(), namespace, login: LoginParts::default() };
    let kept = Contexts::read().and_then(|mut contexts| contexts.set(CONTEXT, &place));
    if let Err(error) = kept {
        session.output.talk(&format!("no context is written for this mesh: {}", exit::chain(&error)));
    }
}

/// Says how other commands get here, in a form that a shell can read.
fn announce(session: &Session, mesh: &MeshArgs, data: &Path) -> anyhow::Result<()> {
    session.output.talk(&format!("mesh is running (data: {}); Ctrl-C stops it", data.display()));
    session.output.talk(&format!("other commands find it by context `{CONTEXT}`, or in another shell with"));
    session.output.line(&format!("export TICKMESH_NATS_URL={}", mesh.url))?;
    if mesh.namespace.as_str() != NAMESPACE_DEFAULT {
        session.output.line(&format!("export TICKMESH_NAMESPACE={}", mesh.namespace))?;
    }
    session.output.flush()
}

/// Takes the data directory. The kernel gives it back, however this process ends.
fn lock(data: &Path) -> anyhow::Result<File> {
    let path = data.join("lock");
    fs::create_dir_all(data).with_context(|| format!("failed to make {}", data.display()))?;
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("failed to open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let problem = format!("another `tickmesh up` uses {}", data.display());
            Err(BadInput::new(problem).hint("stop it, or give this one another directory with --data").into())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("failed to lock {}", path.display())),
    }
}
