//! The server's side of a call.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use rand::RngExt as _;
use tickmesh_core::name::AppName;
use tickmesh_messaging::{Cas, StreamKind};

use super::{Answer, Call, Flight, Kind, Record, Said};
use crate::sim::{checkers::Witness, context::SimContext, faults::Fault, process_table::Address};

impl SimContext {
    /// Does what a request asks for.
    pub(super) fn serve(&mut self, flight: &Flight) -> Said {
        if flight.given_up {
            self.count(Fault::ActDelayed);
        }
        match flight.request() {
            Call::Write(write) => match self.store(write.kind, &write.subject, write.record, Some(write.expected)) {
                Some(sequence) => Said::Answer(Answer::Written(Cas::Stored { sequence })),
                None => Said::Refused,
            },
            Call::Publish { kind, subject, record } => {
                self.store(kind, &subject, record, None);
                Said::Answer(Answer::Published)
            }
            call => Said::Answer(self.read(call, flight.from)),
        }
    }

    /// What a server says that has come back with an empty store. Nobody may fill it.
    pub(super) fn serve_without_store(&mut self, flight: &Flight) -> Said {
        Said::Answer(match flight.request() {
            Call::OpenMesh => Answer::NoMesh,
            Call::FindStreams => Answer::Missing(StreamKind::ALL.into()),
            Call::MakeStreams => {
                self.judge(Err(anyhow::anyhow!(
                    "a scheduler fills a store that is lost: it cannot be restored any more"
                )));
                Answer::Unavailable
            }
            Call::AskHolder { holder } => Answer::Presence(self.processes.presence(&holder)),
            Call::SeekSuccessor => Answer::Successor(self.processes.has_successor(flight.from.place)),
            Call::Write(_)
            | Call::Publish { .. }
            | Call::Last { .. }
            | Call::OnSubject { .. }
            | Call::End(_)
            | Call::Ends
            | Call::StateEnds
            | Call::Clock
            | Call::CommandsBegin
            | Call::ReceiveCommands
            | Call::Confirm { .. }
            | Call::PurgeResults { .. } => {
                return if flight.is_tried_once() { Said::Answer(Answer::Gone) } else { Said::Nothing };
            }
        })
    }

    fn read(&mut self, call: Call, from: Address) -> Answer {
        match call {
            Call::OpenMesh | Call::MakeStreams => Answer::Done,
            Call::FindStreams => Answer::Missing(BTreeSet::new()),
            Call::Last { kind, subject } => Answer::Last(self.net.stream(kind).last(&subject).cloned()),
            Call::OnSubject { kind, subject } => {
                let stream = self.net.stream(kind);
                Answer::Messages(stream.on_subject(&subject))
            }
            Call::End(kind) => Answer::Sequence(self.net.stream(kind).last_sequence()),
            Call::Ends => Answer::Ends(self.net.stream_marks()),
            Call::StateEnds => {
                let end = |kind: Kind| (kind.production(), self.net.stream(kind).last_sequence());
                Answer::State([Kind::Ledger, Kind::Agents, Kind::Apps].map(end).into())
            }
            Call::Clock => Answer::Clock(self.server_time()),
            Call::AskHolder { holder } => Answer::Presence(self.processes.presence(&holder)),
            Call::SeekSuccessor => Answer::Successor(self.processes.has_successor(from.place)),
            Call::CommandsBegin => Answer::Sequence(self.net.stream(Kind::Commands).first_sequence()),
            Call::ReceiveCommands => Answer::Sequence(self.begin_to_receive(from)),
            Call::Confirm { consumer, sequence } => {
                if self.net.queue.confirm(consumer, sequence) {
                    self.net.stream_mut(Kind::Commands).remove(sequence);
                    Answer::Done
                } else {
                    Answer::Unavailable
                }
            }
            Call::PurgeResults { below } => {
                self.net.stream_mut(Kind::Results).purge_below(below);
                Answer::Done
            }
            Call::Write(_) | Call::Publish { .. } => Answer::Unavailable,
        }
    }

    /// Stores a message, unless its condition does not hold; the witness sees it, and followers will.
    pub(in crate::sim) fn store(
        &mut self,
        kind: Kind,
        subject: &Arc<str>,
        record: Record,
        expected: Option<u64>,
    ) -> Option<u64> {
        let at = self.server_time();
        let is_forgotten = record.agent().is_some_and(|record| record.forgotten);
        let before = if is_forgotten { self.net.stream(kind).last(subject).cloned() } else { None };
        let sequence = self.net.stream_mut(kind).append(subject, record.clone(), at, expected).ok()?;
        tracing::debug!(now = ?self.now, ?kind, %subject, sequence, record = %record.brief(), "stored");
        // On a stream that lost messages everything can come again; what counts is that nobody leads.
        if let (true, Record::Report(report)) = (self.net.regressed, &record) {
            self.witness.reported_in_loss(report);
        }
        if !self.net.regressed {
            let seen = self.witness.stored(subject, &record, sequence, at);
            self.judge(seen);
            if is_forgotten {
                let seen = Witness::forgotten(before.as_ref(), at, self.timing.lost);
                self.judge(seen);
            }
        }
        self.announce(kind, subject);
        Some(sequence)
    }

    /// Somebody stores what nobody can read.
    pub(in crate::sim) fn damage(&mut self, kind: Kind, subject: &Arc<str>) {
        let number = self.random.random();
        self.store(kind, subject, Record::Unreadable(number), None);
        if kind == Kind::Agents {
            self.witness.agent_damaged(subject);
        }
    }

    /// Restores a stream from a copy.
    pub(in crate::sim) fn regress(&mut self, kind: Kind, copy: super::Stream) {
        self.count(Fault::StreamRegressed);
        (self.net.regressed, self.net.is_ending) = (true, true);
        self.witness.wishes_lost();
        *self.net.stream_mut(kind) = copy;
    }

    /// Restores the whole store from a copy. Whoever follows goes on where the streams end now, and what was under
    /// way to the server is lost with the connections.
    pub(in crate::sim) fn restore(&mut self, copy: BTreeMap<Kind, super::Stream>) {
        self.count(Fault::StoreRestored);
        self.net.regressed = true;
        self.net.restores += 1;
        self.net.starts += 1;
        self.net.is_lost = false;
        self.witness.wishes_lost();
        self.net.streams = copy;
        self.net.queue.forget();
        self.net.end_followers_early();
    }

    /// Somebody removes an app from its bucket, without a record that says so.
    pub(in crate::sim) fn lose_app(&mut self, app: &AppName) {
        self.count(Fault::AppLost);
        self.net.regressed = true;
        self.net.starts += 1;
        self.net.stream_mut(Kind::Apps).purge_subject(app.as_str());
        self.net.queue.forget();
    }

    /// The server comes back with an empty store.
    pub(in crate::sim) fn lose_store(&mut self) {
        self.count(Fault::StoreLost);
        self.net.starts += 1;
        self.net.is_lost = true;
        self.net.queue.forget();
    }

    /// The server comes back with the store that it had.
    pub(in crate::sim) fn find_store(&mut self) {
        self.net.starts += 1;
        self.net.is_lost = false;
        self.bring_all(None);
    }

    /// The leader of a stream lags, or does so no more.
    pub(in crate::sim) fn lag(&mut self, kind: Option<Kind>) {
        self.net.lagging = kind;
        if kind.is_none() {
            self.bring_all(None);
        }
    }

    /// How long an order lives.
    pub(in crate::sim) const ORDER_AGE: Duration = Duration::from_secs(20);
}
