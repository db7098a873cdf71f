//! A network that can be cut or slow: a port of the loopback interface that passes everything on, later, or not at all.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tokio_util::task::AbortOnDropHandle;

/// Bytes passed on at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks on their way, each direction.
const CHUNKS_MAX: usize = 1_024;

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
        Self::far_to(target, Duration::ZERO).await
    }

    /// One that leads to a `target` that is so far away that everything takes that long to get there, and as long to come back.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub async fn far_to(target: SocketAddr, each_way: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("the port's number");
        let (whole, watched) = watch::channel(true);
        let acceptor = tokio::spawn(accept(listener, target, each_way, watched));
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

async fn accept(listener: TcpListener, target: SocketAddr, each_way: Duration, whole: watch::Receiver<bool>) {
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
                () = pass(from_client, to_server, each_way, whole.clone()) => {}
                () = pass(from_server, to_client, each_way, whole) => {}
            }
        });
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, takes: Duration, mut whole: watch::Receiver<bool>) {
    let (depart, mut arrive) = mpsc::channel(CHUNKS_MAX);
    let departures = async move {
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Ok(length @ 1..) = from.read(&mut chunk).await {
            if depart.send((Instant::now() + takes, chunk[..length].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let arrivals = async {
        while let Some((at, chunk)) = arrive.recv().await {
            sleep_until(at).await;
            if whole.wait_for(|whole| *whole).await.is_err() || to.write_all(&chunk).await.is_err() {
                return;
            }
        }
        // An end does not pass a cut either.
        let _ = whole.wait_for(|whole| *whole).await;
    };
    // What has departed arrives, also when nothing else will.
    tokio::select! {
        () = arrivals => {}
        () = async { departures.await; std::future::pending().await } => {}
    }
}
