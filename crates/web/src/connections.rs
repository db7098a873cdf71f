//! Connections: how many there may be, and how long a visitor may take to say what he wants. Whoever opens hundreds and says nothing
//! must not keep others out.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Most connections at once: every viewer of a page has two or three.
const CONNECTIONS_MAX: usize = 512;
/// Most connections from one address. Visitors behind one proxy share its address; a proxy on this host is not limited.
const CONNECTIONS_PER_ADDRESS_MAX: usize = 128;
/// How long a visitor may take for the head of a request, from the connection or from the answer before.
const HEAD_TIME_MAX: Duration = Duration::from_secs(15);
/// How long answers under way may take when the process is to stop.
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);
/// After an error of the listener, such as too many open files.
const PAUSE: Duration = Duration::from_millis(200);

/// From where a request comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

impl Peer {
    /// Whether it is this host, where a proxy may speak for many visitors.
    pub(crate) fn is_this_host(self) -> bool {
        self.0.is_loopback()
    }
}

/// Serves until `shutdown`, and then what is under way.
pub(crate) async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let visitors = Visitors::new(CONNECTIONS_PER_ADDRESS_MAX);
    let graceful = GracefulShutdown::new();
    while let Some((place, stream, address)) = next(&listener, &places, &shutdown).await {
        // A socket for both families calls this host `::ffff:127.0.0.1`.
        let peer = Peer(address.ip().to_canonical());
        let Some(visit) = visitors.enter(peer) else {
            debug!(%address, "too many connections from one address");
            continue;
        };
        let service = TowerToHyperService::new(router.clone().layer(Extension(peer)));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%address, %error, "a connection ended");
            }
            drop((place, visit));
        });
    }
    // Whoever does not come to an end is cut off with the process.
    let _late = timeout(SHUTDOWN_MAX, graceful.shutdown()).await;
}

/// The next connection, once there is a place for it; `None`: the process is to stop.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(OwnedSemaphorePermit, tokio::net::TcpStream, SocketAddr)> {
    let accepted = async {
        let place = places.clone().acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, address)) => return Some((place, stream, address)),
                Err(error) => {
                    warn!(%error, "no connection can be accepted");
                    sleep(PAUSE).await;
                }
            }
        }
    };
    shutdown.run_until_cancelled(accepted).await.flatten()
}

/// How many of something each address has, and how many it may have. This host may have any number.
#[derive(Debug, Clone)]
pub(crate) struct Visitors {
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
    limit: usize,
}

/// One of an address, as long as it exists.
#[derive(Debug)]
pub(crate) struct Visit {
    visitors: Visitors,
    address: IpAddr,
}

impl Visitors {
    /// Nobody yet.
    pub(crate) fn new(limit: usize) -> Self {
        Self { counts: Arc::default(), limit }
    }

    /// Counts one more; `None`: its address has as many as it may.
    pub(crate) fn enter(&self, peer: Peer) -> Option<Visit> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(peer.0).or_default();
        if *count >= self.limit && !peer.is_this_host() {
            return None;
        }
        *count += 1;
        Some(Visit { visitors: self.clone(), address: peer.0 })
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut counts = self.visitors.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_limit_that_this_host_has_not() {
        let visitors = Visitors::new(3);
        let [far, other, here] = ["192.0.2.1", "192.0.2.2", "127.0.0.1"].map(|it| Peer(it.parse().unwrap()));
        let mut visits: Vec<_> = (0..3).map(|_| visitors.enter(far).unwrap()).collect();
        assert!(visitors.enter(far).is_none() && visitors.enter(other).is_some());
        visits.pop();
        assert!(visitors.enter(far).is_some(), "one has gone");
        let _local: Vec<_> = (0..9).map(|_| visitors.enter(here).unwrap()).collect();
        drop(visits);
        assert!(!visitors.counts.lock().unwrap().contains_key(&far.0), "nothing is kept of whoever has gone");
    }
}
