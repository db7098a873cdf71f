//! The NATS servers of a mesh, each looked at by itself: which one answers, and which of them could store anything.

use std::{collections::BTreeSet, time::Duration};

use async_nats::jetstream::{
    ErrorCode,
    context::{AccountError, AccountErrorKind},
};
use futures_util::future::join_all;

use crate::{
    connect::{ConnectOptions, Link, redacted},
    denials,
    error::{Error, NoAnswer, Source, chain},
};

/// How long one server may take to answer. A person waits, and may be far away.
const NODE_TIME: Duration = Duration::from_secs(2);
/// Servers that are looked at: more than any cluster has.
const NODES_MAX: usize = 16;

/// A NATS server, looked at by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSeen {
    /// Its address, without credentials.
    pub address: String,
    /// What the server calls itself, if it answers.
    pub name: Option<String>,
    /// Whether it belongs to a cluster.
    pub in_cluster: bool,
    /// Whether it asks who connects.
    pub asks_login: bool,
    pub state: NodeState,
}

/// What a NATS server is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeState {
    /// It stores what it is given, or passes it on to servers that do.
    Serves {
        /// Its version.
        version: String,
    },
    /// It answers, and has no JetStream itself.
    WithoutJetStream,
    /// It answers, and hears no leader of JetStream: the cluster elects one, or this server is cut off from the others.
    Leaderless {
        /// What it said.
        reason: String,
    },
    /// It does not answer, or lets nobody in.
    Down {
        /// What came instead of an answer.
        reason: String,
    },
}

/// Looks at every server that the address names, and at those that they tell of.
pub async fn look_at_nodes(options: &ConnectOptions) -> Vec<NodeSeen> {
    let named: Vec<String> = options.url.split(',').map(|url| url.trim().to_owned()).collect();
    let found = join_all(named.iter().take(NODES_MAX).map(|url| look_at(options, url))).await;
    let told: BTreeSet<String> = found.iter().flat_map(|(_, told)| told.iter().cloned()).collect();
    let mut seen: Vec<NodeSeen> = found.into_iter().map(|(seen, _)| seen).collect();
    let scheme = named.first().and_then(|url| url.split_once("://")).map_or("nats", |(scheme, _)| scheme);
    let is_named = |address: &String| named.iter().any(|url| url.ends_with(address.as_str()));
    let others: Vec<String> = told
        .iter()
        .filter(|address| !is_named(address))
        .map(|address| format!("{scheme}://{address}"))
        .take(NODES_MAX.saturating_sub(seen.len()))
        .collect();
    for (other, _) in join_all(others.iter().map(|url| look_at(options, url))).await {
        let is_known = other.name.is_some() && seen.iter().any(|known| known.name == other.name);
        // An address that nobody named may be one that only its neighbours reach.
        if !is_known && !matches!(other.state, NodeState::Down { .. }) {
            seen.push(other);
        }
    }
    seen
}

/// Looks at one server; returns the addresses that it tells of, too.
async fn look_at(options: &ConnectOptions, url: &str) -> (NodeSeen, Vec<String>) {
    let options = ConnectOptions { url: url.to_owned(), request_timeout: NODE_TIME, ..options.clone() };
    let mut seen = NodeSeen {
        address: redacted(url),
        name: None,
        in_cluster: false,
        asks_login: false,
        state: NodeState::WithoutJetStream,
    };
    let link = match Link::connect(&options).await {
        Ok(link) => link,
        Err(error) => {
            seen.state = NodeState::Down { reason: chain(&error) };
            return (seen, Vec::new());
        }
    };
    let info = link.client.server_info();
    let answer = denials::within(NODE_TIME, link.context.query_account(), &link.denials, "$JS.API.INFO").await;
    let said: Result<(), Source> = match answer {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.into()),
        Err(late) => Err(late.into()),
    };
    seen.state = match said {
        Ok(()) if info.jetstream => NodeState::Serves { version: info.version },
        // Another server of its cluster has answered.
        Ok(()) => NodeState::WithoutJetStream,
        Err(source) if is_leaderless(&source) => NodeState::Leaderless { reason: source.to_string() },
        Err(source) => without(source),
    };
    (seen.name, seen.in_cluster, seen.asks_login) =
        (Some(info.server_name), info.cluster.is_some(), info.auth_required);
    let _ended = link.client.drain().await;
    (seen, info.connect_urls)
}

/// A login that may not ask says nothing of the server.
fn without(source: Source) -> NodeState {
    if let Error::Denied { denial, .. } = Error::no_jetstream(String::new(), source) {
        return NodeState::Down { reason: denial };
    }
    NodeState::WithoutJetStream
}

/// Whether the answer to a question about JetStream, or its absence, tells of a server that hears no leader.
pub(crate) fn is_leaderless(source: &Source) -> bool {
    let Some(error) = source.downcast_ref::<AccountError>() else {
        // Nothing came in time.
        return source.downcast_ref::<NoAnswer>().is_some_and(|answer| !answer.is_denial());
    };
    match error.kind() {
        AccountErrorKind::TimedOut => true,
        AccountErrorKind::JetStream(problem) => problem.error_code() == ErrorCode::CLUSTER_NOT_AVAILABLE,
        AccountErrorKind::JetStreamUnavailable | AccountErrorKind::Other => false,
    }
}
