//! `tickmesh web`: the page, the HTTP API and the metrics of a mesh.

use std::{
    fs::File,
    io::Read as _,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tickmesh_web::{BIND_DEFAULT, Server};

use super::Session;
use crate::{
    exit::{BadInput, Exit},
    logging::LogArgs,
    parts,
};

/// Shortest token: what can be guessed is none.
const TOKEN_BYTES_MIN: usize = 16;
const TOKEN_BYTES_MAX: u64 = 4_096;

/// What `web` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen; other hosts get in with a token only
    #[arg(long, value_name = "ADDRESS", default_value_t = BIND_DEFAULT)]
    bind: SocketAddr,
    /// File with what visitors must know, at least 16 bytes. It travels as it is: put something with TLS in front
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    pub log: LogArgs,
}

/// Serves until it is told to stop.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let token = args.token_file.as_deref().map(token).transpose()?;
    if token.is_none() && !args.bind.ip().is_loopback() {
        return Err(BadInput::new(format!("{} can be reached from other hosts", args.bind))
            .hint("give it a token with --token-file, or an address such as 127.0.0.1:8420")
            .into());
    }
    let shutdown = parts::stop_on_signal()?;
    let mesh = session.mesh.open().await?;
    let server = Server::bind(parts::page_settings(args.bind, token)).await?;
    session.output.line(&format!("http://{}", server.address()))?;
    session.output.flush()?;
    server.serve(mesh, shutdown).await?;
    Ok(Exit::Success)
}

/// What a file has, without the newline that editors leave behind.
fn token(path: &Path) -> anyhow::Result<String> {
    let refused = |problem: &str| BadInput::new(format!("cannot use {} as a token: {problem}", path.display()));
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(TOKEN_BYTES_MAX).read_to_string(&mut text));
    read.map_err(|error| refused(&error.to_string()))?;
    let token = text.trim().to_owned();
    if token.len() < TOKEN_BYTES_MIN {
        return Err(refused("it is shorter than 16 bytes").into());
    }
    Ok(token)
}
