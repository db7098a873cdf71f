//! The server's side of a call.

use std::{sync::Arc, time::Duration};

use tickmesh_messaging::Cas;

use super::{Answer, Call, Flight, Kind, Record, Said};
use crate::sim::{census::Address, faults::Fault, ground::Ground};

impl Ground {
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

    fn read(&mut self, call: Call, from: Address) -> Answer {
        match call {
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
            Call::AskHolder { holder } => Answer::Presence(self.census.presence(&holder)),
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
        let sequence = self.net.stream_mut(kind).append(subject, record.clone(), at, expected).ok()?;
        tracing::debug!(now = ?self.now, ?kind, %subject, sequence, record = %record.brief(), "stored");
        // On a stream that lost messages everything can come again; what counts is that nobody leads.
        if !self.net.regressed {
            let seen = self.witness.stored(subject, &record, sequence, at);
            self.judge(seen);
        }
        self.announce(kind, subject);
        Some(sequence)
    }

    /// Restores a stream from a copy.
    pub(in crate::sim) fn regress(&mut self, kind: Kind, copy: super::Stream) {
        self.count(Fault::StreamRegressed);
        self.net.regressed = true;
        *self.net.stream_mut(kind) = copy;
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
