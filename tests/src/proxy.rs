//! A network that can be cut: a port of the loopback interface that passes everything on, or nothing.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

/// Bytes passed on at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// A port that leads to another one. Dropped, all its connections end.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    whole: watch::Sender<bool>,
    _acceptor: AbortOnDropHandle<()>,
}

impl Proxy {
    /// A port that leads to `target`.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("the port's number");
        let (whole, watched) = watch::channel(true);
        let acceptor = tokio::spawn(accept(listener, target, watched));
        Self { address, whole, _acceptor: AbortOnDropHandle::new(acceptor) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing passes, and nobody is told: as if a cable were pulled.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// What was held back passes, and what comes.
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, whole: watch::Receiver<bool>) {
    // The connections end with this task.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let whole = whole.clone();
        connections.spawn(async move {
            let Ok(server) = TcpStream::connect(target).await else { return };
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            // Whichever side ends first ends the connection.
            tokio::select! {
                () = pass(from_client, to_server, whole.clone()) => {}
                () = pass(from_server, to_client, whole) => {}
            }
        });
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut whole: watch::Receiver<bool>) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        if whole.wait_for(|whole| *whole).await.is_err() || to.write_all(&chunk[..length]).await.is_err() {
            return;
        }
    }
    // An end does not pass a cut either.
    let _ = whole.wait_for(|whole| *whole).await;
}
