//! A store that is lost as a whole, or was never made whole: found, and given up.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tickmesh_client::{read::ROLL_PATIENCE, views::scheduler::SchedulerView};
use tickmesh_core::id::MeshId;
use tickmesh_messaging::{Error, Mesh, Provisioning, SchedulerCard, StreamKind, StreamsThere, is_store_lost};

use super::{STORE_CHOICES, loss, of_schedulers, server};
use crate::{commands::Session, views::doctor::Check};

const NAME: &str = "store";

/// What there is of a mesh.
struct Store {
    /// The identity of the mesh is there.
    is_named: bool,
    /// The identity, if it is there and can be read.
    id: Option<MeshId>,
    streams: StreamsThere,
    /// Schedulers that answer, if something is missing.
    cards: Vec<SchedulerCard>,
}

impl Store {
    async fn look(mesh: &Mesh) -> Result<Self, Error> {
        let (is_named, id) = match mesh.open().await {
            Ok(id) => (true, Some(id)),
            // A scheduler writes it anew, and others say so.
            Err(error) if error.unreadable_at().is_some() => (true, None),
            Err(Error::NotProvisioned { .. }) => (false, None),
            Err(error) => return Err(error),
        };
        let streams = mesh.find_streams().await?;
        // Where nothing is missing nobody need be asked.
        let is_whole = is_named && streams.missing.is_empty();
        let cards = if is_whole { Vec::new() } else { mesh.schedulers().roll(ROLL_PATIENCE).await? };
        Ok(Self { is_named, id, streams, cards })
    }

    fn is_lost(&self) -> bool {
        if self.is_named {
            return is_store_lost(&self.streams.missing);
        }
        self.streams.were_used() || self.cards.iter().any(|card| card.role.store_lost().is_some())
    }

    /// The identity that the mesh had, as far as anybody knows.
    fn known_id(&self) -> Option<MeshId> {
        self.id.or_else(|| self.cards.iter().find_map(|card| card.role.store_lost()?.mesh))
    }
}

/// Findings about a store that is lost or half made; `None`: it is neither, and everything can be looked at.
pub(super) async fn examine(mesh: &Mesh) -> anyhow::Result<Option<Vec<Check>>> {
    let store = Store::look(mesh).await?;
    if store.is_lost() {
        let mut checks = vec![server(mesh).await?, lost(&store.streams)];
        let schedulers: Vec<_> = store.cards.iter().map(SchedulerView::of).collect();
        checks.extend(of_schedulers(&schedulers, Timestamp::now()));
        return Ok(Some(checks));
    }
    if store.is_named {
        return Ok(None);
    }
    if store.streams.found.is_empty() {
        // There is no mesh, which has its own error.
        return mesh.open().await.map(|_| None).map_err(Into::into);
    }
    Ok(Some(vec![server(mesh).await?, half_made(&store.streams)]))
}

fn lost(streams: &StreamsThere) -> Check {
    let text = match (streams.found.len(), streams.missing.len()) {
        (0, _) => "the store is lost: none of the mesh's streams is there".to_owned(),
        (_, 0) => "the store is lost: its streams are there, but not the identity of the mesh".to_owned(),
        (_, _) => format!("the store is lost: there {}", there(streams)),
    };
    Check::wrong(NAME, text, STORE_CHOICES)
}

fn half_made(streams: &StreamsThere) -> Check {
    let text = format!("the mesh is half made: there {}", there(streams));
    Check::wrong(NAME, text, "make room on the NATS server, and start `tickmesh scheduler`: it makes the others")
}

/// Which streams are there, and which are not.
fn there(streams: &StreamsThere) -> String {
    let found = names(streams.found.keys());
    format!("is {found}, and there is no {}", names(&streams.missing))
}

fn names<'a>(kinds: impl IntoIterator<Item = &'a StreamKind>) -> String {
    kinds.into_iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
}

/// Goes on with what is left of the stored data. The identity of a mesh whose store is lost is stored last: until then no
/// new scheduler takes the streams for a mesh.
pub(super) async fn accept_loss(session: &Session, mesh: &Mesh) -> anyhow::Result<()> {
    let store = Store::look(mesh).await?;
    if !store.is_lost() {
        mesh.open().await?;
        return loss::accept(session, mesh, false).await;
    }
    loss::ensure_unled(&store.cards)?;
    for kind in &store.streams.missing {
        session.output.talk(&format!("stream {} is made anew: {}", kind.as_str(), gone(*kind)));
    }
    let made: BTreeSet<_> = store.streams.missing.iter().copied().filter(|kind| *kind != StreamKind::Meta).collect();
    mesh.make_missing(&made).await?;
    loss::accept(session, mesh, true).await?;
    match store.known_id() {
        Some(id) => mesh.provision_missing(id, &[StreamKind::Meta].into()).await?,
        None => mesh.provision(&Provisioning::default()).await?,
    };
    Ok(())
}

/// What goes with a stream.
fn gone(kind: StreamKind) -> &'static str {
    match kind {
        StreamKind::Meta => "the mesh keeps its identity if a scheduler that answers knows it",
        StreamKind::Lease => "nothing that is missed",
        StreamKind::Apps => "every app is gone; apply their files again",
        StreamKind::Ledger => "active runs, queues, pauses and counters are gone; what is active is stopped",
        StreamKind::Agents => "agents that live report again",
        StreamKind::Commands => "commands that no leader had taken up are gone",
        StreamKind::Ticks => "past decisions of the clock are gone",
        StreamKind::Orders => "nothing that is missed",
        StreamKind::Results => "claims and ends of attempts are gone",
        StreamKind::History => "finished runs are gone; run numbers begin anew with the ledgers",
        StreamKind::Notices => "notices that were not delivered are gone",
        StreamKind::Logs => "output is gone",
        StreamKind::Mesh => "past events are gone",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(missing: &[StreamKind], text: &str) {
        let missing: BTreeSet<_> = missing.iter().copied().collect();
        let found = StreamKind::ALL.into_iter().filter(|kind| !missing.contains(kind)).map(|kind| (kind, 1));
        assert_eq!(lost(&StreamsThere { found: found.collect(), missing }).text, text);
    }

    #[test]
    fn what_is_left_of_a_lost_store_is_named() {
        check(&StreamKind::ALL, "the store is lost: none of the mesh's streams is there");
        check(&[], "the store is lost: its streams are there, but not the identity of the mesh");
        check(
            &StreamKind::ALL[2..],
            "the store is lost: there is lease, apps, and there is no meta, ledger, agents, commands, ticks, orders, results, \
             history, notices, logs, mesh",
        );
    }
}
