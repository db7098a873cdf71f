//! `tickmesh web`: the page, the HTTP API and the metrics of a mesh.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tickmesh_web::{BIND_DEFAULT, Server};

use super::Session;
use crate::{
    exit::{BadInput, Exit},
    logging::LogArgs,
    parts, secret_file,
};

/// Shortest token: what can be guessed is none.
const TOKEN_BYTES_MIN: usize = 16;

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
    let token = token_for(args.bind, args.token_file.as_deref())?;
    let shutdown = parts::stop_on_signal()?;
    let mesh = session.mesh.open().await?;
    let server = Server::bind(parts::page_settings(args.bind, token)).await?;
    session.output.line(&format!("http://{}", server.address()))?;
    session.output.flush()?;
    server.serve(mesh, shutdown).await;
    Ok(Exit::Success)
}

/// Returns the token for a page at that address, which other hosts may only reach with one.
pub(super) fn token_for(bind: SocketAddr, file: Option<&Path>) -> anyhow::Result<Option<String>> {
    let token = file.map(token).transpose()?;
    if token.is_none() && !bind.ip().is_loopback() {
        return Err(BadInput::new(format!("{bind} can be reached from other hosts"))
            .hint("give the page a token with --token-file, or an address such as 127.0.0.1:8420")
            .into());
    }
    Ok(token)
}

/// The token that a file has.
fn token(path: &Path) -> anyhow::Result<String> {
    let token = secret_file::read(path, "a token", TOKEN_BYTES_MIN)?;
    String::from_utf8(token)
        .map_err(|_| BadInput::new(format!("cannot use {} as a token: it is no text", path.display())).into())
}
