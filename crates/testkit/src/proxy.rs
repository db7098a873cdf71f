//! A network that can be cut or slow: a port of the loopback interface that passes everything on, later, or not at all.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

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
    turns: Arc<Turns>,
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
        let turns = Arc::new(Turns::default());
        let acceptor = tokio::spawn(accept(listener, target, each_way, watched, turns.clone()));
        Self { address, whole, turns, _acceptor: AbortOnDropHandle::new(acceptor) }
    }

    /// How often an answer was waited for before something else was asked, by the clients of this port together. What is asked
    /// side by side is one round trip, however many answers it has.
    pub fn round_trips(&self) -> u64 {
        self.turns.at_client.load(Relaxed)
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

/// The longest chain of questions each of which was asked with the answer to the one before. Each end knows what has arrived
/// there, and what departs there may rest on all of it.
#[derive(Debug, Default)]
struct Turns {
    /// Answers, one resting on the other, that have arrived at a client.
    at_client: AtomicU64,
    /// Questions, one resting on the answer to the other, that have arrived at the target.
    at_target: AtomicU64,
}

/// Which way something goes.
#[derive(Debug, Clone, Copy)]
enum Way {
    There,
    Back,
}

impl Turns {
    /// What departs now rests on so many answers, or answers so many questions.
    fn depart(&self, way: Way) -> u64 {
        match way {
            Way::There => self.at_client.load(Relaxed) + 1,
            Way::Back => self.at_target.load(Relaxed),
        }
    }

    fn arrive(&self, way: Way, turns: u64) {
        let end = match way {
            Way::There => &self.at_target,
            Way::Back => &self.at_client,
        };
        end.fetch_max(turns, Relaxed);
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    each_way: Duration,
    whole: watch::Receiver<bool>,
    turns: Arc<Turns>,
) {
    // The connections end with this task.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let (whole, turns) = (whole.clone(), turns.clone());
        connections.spawn(async move {
            let Ok(server) = TcpStream::connect(target).await else { return };
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            // Whichever side ends first ends the connection.
            tokio::select! {
                () = pass(from_client, to_server, (each_way, Way::There), whole.clone(), &turns) => {}
                () = pass(from_server, to_client, (each_way, Way::Back), whole, &turns) => {}
            }
        });
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    (takes, way): (Duration, Way),
    mut whole: watch::Receiver<bool>,
    turns: &Turns,
) {
    let (depart, mut arrive) = mpsc::channel(CHUNKS_MAX);
    let departures = async move {
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Ok(length @ 1..) = from.read(&mut chunk).await {
            if depart.send((Instant::now() + takes, turns.depart(way), chunk[..length].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let arrivals = async {
        while let Some((at, turn, chunk)) = arrive.recv().await {
            sleep_until(at).await;
            // Before it is there: the answer may come at once.
            turns.arrive(way, turn);
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
