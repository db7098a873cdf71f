//! Three servers that keep copies of each other's streams, and of which a test may take any away.
//!
//! Each is a [`Server`] with a store of its own; what makes them one cluster is a few more arguments. All listen on the
//! loopback interface only.

use std::{future::Future, net::TcpListener, time::Duration};

use anyhow::{Context as _, ensure};
use async_nats::jetstream::{self, stream};
use tokio::time::{Instant, sleep};

use super::Server;
use crate::proxy::Proxy;

/// Servers of a cluster: the fewest of which one may be lost.
pub const NODES: usize = 3;
/// A cluster elects its first leaders in some 2 s; this much only on a machine under extreme load.
const READY_MAX: Duration = Duration::from_secs(60);
/// How long one question may take: a cluster that elects does not answer at all.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Pause between two looks at something that takes a second.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// Tries to find free ports: another process may take one before a server has.
const TRIES_MAX: usize = 5;
/// A stream that is made to see whether streams can be made.
const PROBE: &str = "testkit_probe";

/// A cluster with JetStream. Dropped, it is gone with all its stores.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
    cables: Vec<Cable>,
}

/// The way from one node to another one, for whatever the first one begins to say.
#[derive(Debug)]
struct Cable {
    from: usize,
    to: usize,
    proxy: Proxy,
}

impl Cluster {
    /// Starts one, and waits until it stores streams with a copy on each node.
    ///
    /// # Panics
    ///
    /// If that fails: a test cannot go on without.
    pub async fn start() -> Self {
        let cluster = tokio::task::block_in_place(Self::launch);
        cluster.wait_until_ready().await;
        cluster
    }

    fn launch() -> Self {
        let mut problems = Vec::new();
        for _ in 0..TRIES_MAX {
            match Self::try_launch() {
                Ok(cluster) => return cluster,
                Err(problem) => problems.push(format!("{problem:#}")),
            }
        }
        panic!("no cluster came up: {problems:#?}");
    }

    fn try_launch() -> anyhow::Result<Self> {
        let ports = free_ports()?;
        let routes: Vec<_> = ports.iter().map(|port| route(*port)).collect();
        let routes = routes.join(",");
        let node = |(index, port): (usize, &u16)| start_node(index, *port, &routes, &[]);
        let nodes = ports.iter().enumerate().map(node).collect::<anyhow::Result<_>>()?;
        Ok(Self { nodes, cables: Vec::new() })
    }

    /// Starts a cluster whose nodes can be isolated, and waits until it stores streams with a copy on each node.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub async fn start_with_cables() -> Self {
        let ports = free_ports().expect("free ports");
        let mut cables = Vec::new();
        for (from, to) in
            (0..NODES).flat_map(|from| (0..NODES).map(move |to| (from, to))).filter(|(from, to)| from != to)
        {
            let target = ([127, 0, 0, 1], ports[to]).into();
            cables.push(Cable { from, to, proxy: Proxy::to(target).await });
        }
        let node = |index: usize| {
            let to_others = cables.iter().filter(|cable| cable.from == index);
            let routes: Vec<_> = to_others.map(|cable| route(cable.proxy.address().port())).collect();
            // Nobody is told of a way around the cables.
            start_node(index, ports[index], &routes.join(","), &["--cluster_advertise", "127.0.0.1:1"])
        };
        let starting = || (0..NODES).map(node).collect::<anyhow::Result<Vec<_>>>();
        let nodes = tokio::task::block_in_place(starting).expect("start the nodes");
        let cluster = Self { nodes, cables };
        cluster.wait_until_ready().await;
        cluster
    }

    /// Cuts a node off from the others, which its clients do not notice: it answers them as before.
    ///
    /// # Panics
    ///
    /// If the cluster was not started with cables.
    pub fn isolate(&self, node: usize) {
        assert!(!self.cables.is_empty(), "this cluster has no cables");
        self.cables_of(node).for_each(Proxy::cut);
    }

    /// Ends that.
    pub fn rejoin(&self, node: usize) {
        self.cables_of(node).for_each(Proxy::mend);
    }

    fn cables_of(&self, node: usize) -> impl Iterator<Item = &Proxy> {
        self.cables.iter().filter(move |cable| cable.from == node || cable.to == node).map(|cable| &cable.proxy)
    }

    /// Where the servers listen, separated by commas.
    pub fn urls(&self) -> String {
        self.nodes.iter().map(Server::url).collect::<Vec<_>>().join(",")
    }

    /// A node, from 0 to [`NODES`] - 1.
    pub fn node(&self, index: usize) -> &Server {
        &self.nodes[index]
    }

    /// A node, to kill it, stop it or start it again. A restart does not wait for the cluster: see
    /// [`Self::wait_until_ready`].
    pub fn node_mut(&mut self, index: usize) -> &mut Server {
        &mut self.nodes[index]
    }

    /// Its servers, for whoever takes none of them away.
    pub fn into_nodes(self) -> Vec<Server> {
        self.nodes
    }

    /// Waits until the nodes that run have elected their leader, and store streams with as many copies as there are of them.
    ///
    /// # Panics
    ///
    /// If they do not, or too few run.
    pub async fn wait_until_ready(&self) {
        let copies = self.nodes.iter().filter(|node| node.runs()).count();
        let making = || async {
            let context = self.context().await?;
            let config = stream::Config { name: PROBE.to_owned(), num_replicas: copies, ..stream::Config::default() };
            // It may be left over from a try whose answer did not come.
            let _ = context.delete_stream(PROBE).await;
            context.create_stream(config).await.context("make a stream")?;
            context.delete_stream(PROBE).await.context("delete a stream").map(drop)
        };
        self.ask("a cluster that stores streams", making).await;
    }

    /// The node that leads a stream, by its whole name on the server.
    ///
    /// # Panics
    ///
    /// If no node comes to lead it.
    pub async fn leader_of(&self, stream: &str) -> usize {
        let asking = || async {
            let info = self.context().await?.get_stream(stream).await.context("ask for the stream")?;
            let cluster = info.cached_info().cluster.as_ref().context("a cluster")?;
            let leader = cluster.leader.as_deref().context("a leader")?;
            let index = (0..NODES).find(|index| name(*index) == leader).context("a node of this cluster")?;
            // A leader that was just killed is named until the others notice.
            ensure!(self.nodes[index].runs(), "{leader} leads, and does not run");
            Ok(index)
        };
        self.ask(&format!("a leader of {stream}"), asking).await
    }

    /// The node that leads the cluster itself: it makes streams and consumers.
    ///
    /// # Panics
    ///
    /// If no node comes to lead it.
    pub async fn meta_leader(&self) -> usize {
        let asking = || async {
            let running = self.nodes.iter().find(|node| node.runs()).context("a node that runs")?;
            let state = tokio::task::block_in_place(|| running.monitor("/jsz"))?;
            let leader = state["meta_cluster"]["leader"].as_str().context("a leader")?;
            let index = (0..NODES).find(|index| name(*index) == leader).context("a node of this cluster")?;
            ensure!(self.nodes[index].runs(), "{leader} leads, and does not run");
            Ok(index)
        };
        self.ask("a leader of the cluster", asking).await
    }

    /// Makes other nodes lead what this one leads, of these streams.
    ///
    /// # Panics
    ///
    /// If it does not let go.
    pub async fn relieve(&self, node: usize, streams: &[String]) {
        for stream in streams {
            let handing_over = || async {
                if self.leader_of(stream).await == node {
                    let client = self.context().await?.client();
                    let other = name((node + 1) % NODES);
                    let wish = format!(r#"{{"placement":{{"preferred":"{other}"}}}}"#);
                    let subject = format!("$JS.API.STREAM.LEADER.STEPDOWN.{stream}");
                    client.request(subject, wish.into()).await.context("ask the leader to step down")?;
                }
                ensure!(self.leader_of(stream).await != node, "it still leads");
                Ok(())
            };
            self.ask(&format!("another leader of {stream}"), handing_over).await;
        }
    }

    /// A context on a new connection to the nodes that run.
    async fn context(&self) -> anyhow::Result<jetstream::Context> {
        let urls: Vec<_> = self.nodes.iter().filter(|node| node.runs()).map(Server::url).collect();
        let client = async_nats::ConnectOptions::new()
            .connection_timeout(ANSWER_MAX)
            .request_timeout(Some(ANSWER_MAX))
            .connect(urls)
            .await
            .context("connect")?;
        let mut context = jetstream::new(client);
        context.set_timeout(ANSWER_MAX);
        Ok(context)
    }

    /// Asks until there is an answer.
    async fn ask<T, F: Future<Output = anyhow::Result<T>>>(&self, what: &str, mut question: impl FnMut() -> F) -> T {
        let deadline = Instant::now() + READY_MAX;
        loop {
            match question().await {
                Ok(answer) => return answer,
                Err(problem) => assert!(Instant::now() < deadline, "waited {READY_MAX:?} for {what}: {problem:#}"),
            }
            sleep(LOOK_PAUSE).await;
        }
    }
}

/// Starts a node whose route port is `port`, and which knows the others by `routes`.
fn start_node(index: usize, port: u16, routes: &str, more: &[&str]) -> anyhow::Result<Server> {
    let (name, cluster) = (name(index), route(port));
    let own = ["--server_name", &name, "--cluster_name", "testkit", "--cluster", &cluster, "--routes", routes];
    Server::try_start(&[&own[..], &["--http_port", "-1"], more].concat())
}

fn name(index: usize) -> String {
    format!("n{index}")
}

fn route(port: u16) -> String {
    format!("nats://127.0.0.1:{port}")
}

/// Ports on which nobody listens: each node has to know those of the others before they run.
fn free_ports() -> anyhow::Result<[u16; NODES]> {
    let mut ports = [0; NODES];
    // All are held until all are known, so that no two are alike.
    let listeners = ports.map(|_| TcpListener::bind("127.0.0.1:0"));
    for (port, listener) in ports.iter_mut().zip(listeners) {
        *port = listener.context("find a free port")?.local_addr().context("read a port's number")?.port();
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    async fn store(cluster: &Cluster, text: &'static str) {
        let storing = || async {
            let context = cluster.context().await?;
            let stored = context.publish("test.a", Bytes::from_static(text.as_bytes())).await.context("send")?;
            stored.await.context("store").map(drop)
        };
        cluster.ask("a stored message", storing).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_cluster_outlives_the_leader_of_a_stream() {
        let mut cluster = Cluster::start().await;
        assert_eq!(cluster.urls().split(',').count(), NODES);
        let context = cluster.context().await.unwrap();
        let config = stream::Config {
            name: "test".to_owned(),
            subjects: vec!["test.>".to_owned()],
            num_replicas: NODES,
            ..stream::Config::default()
        };
        context.create_stream(config).await.unwrap();
        store(&cluster, "before").await;
        let first = cluster.leader_of("test").await;
        assert!(cluster.meta_leader().await < NODES);
        let relieved = first;
        cluster.relieve(relieved, &["test".to_owned()]).await;
        let first = cluster.leader_of("test").await;
        assert_ne!(first, relieved);

        cluster.node_mut(first).kill();
        let second = cluster.leader_of("test").await;
        assert_ne!(first, second);
        store(&cluster, "after").await;

        cluster.node_mut(first).restart();
        cluster.wait_until_ready().await;
        let mut stream = cluster.context().await.unwrap().get_stream("test").await.unwrap();
        assert!(stream.info().await.unwrap().state.messages >= 2);
    }
}
