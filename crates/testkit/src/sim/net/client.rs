//! The client's side of a call: tries, time-outs, and reading back what may have been stored.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use tickmesh_messaging::{
    Cas, Entry, Judgement, StreamKind, judge,
    lease::{Presence, StreamMarks},
};
use tickmesh_scheduler::process::Ends;

use super::{Kind, Record, Stored};
use crate::sim::{
    context::SimContext,
    event::{SimEvent, Tag},
    faults::Fault,
    process_table::Address,
};

/// How long a client waits for one answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two tries.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// A compare-and-set.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Write {
    pub(in crate::sim) kind: Kind,
    pub(in crate::sim) subject: Arc<str>,
    pub(in crate::sim) record: Record,
    pub(in crate::sim) expected: u64,
}

/// Something that a process asks of the server.
#[derive(Debug, Clone)]
pub(in crate::sim) enum Call {
    Write(Write),
    /// Stores a message without a condition.
    Publish {
        kind: Kind,
        subject: Arc<str>,
        record: Record,
    },
    /// Reads the last message on a subject, from the stream's leader.
    Last {
        kind: Kind,
        subject: Arc<str>,
    },
    /// Reads all messages on a subject.
    OnSubject {
        kind: Kind,
        subject: Arc<str>,
    },
    /// Reads the identity of the mesh.
    OpenMesh,
    /// Asks which streams are not there.
    FindStreams,
    /// Makes those that are not there.
    MakeStreams,
    /// Reads where a stream ends.
    End(Kind),
    /// Reads where each stream ends that the lease notes.
    Ends,
    /// Reads where the ledgers, heartbeats and apps end.
    StateEnds,
    /// Reads the server's clock.
    Clock,
    /// Asks a scheduler for a sign of life.
    AskHolder {
        holder: String,
    },
    /// Asks whether another scheduler stands by whose clock is not in doubt.
    SeekSuccessor,
    /// Reads where the commands begin.
    CommandsBegin,
    /// Makes the consumer of commands this process's own.
    ReceiveCommands,
    /// Removes a command, if the consumer that it was delivered by still exists.
    Confirm {
        consumer: u64,
        sequence: u64,
    },
    PurgeResults {
        below: u64,
    },
}

/// What comes of a call in the end.
#[derive(Debug)]
pub(in crate::sim) enum Answer {
    Written(Cas<Record>),
    Published,
    Messages(Vec<Stored>),
    Last(Option<Stored>),
    Sequence(u64),
    Ends(StreamMarks),
    State(Ends),
    Clock(Timestamp),
    Presence(Presence),
    /// Whether there is one.
    Successor(bool),
    Done,
    /// There is no mesh.
    NoMesh,
    /// Streams that are not there.
    Missing(BTreeSet<StreamKind>),
    /// The stream is not there.
    Gone,
    /// Nobody knows.
    Unavailable,
}

impl Answer {
    pub(in crate::sim) fn written(self) -> Option<Cas<Record>> {
        if let Self::Written(written) = self { Some(written) } else { None }
    }

    pub(in crate::sim) fn last(self) -> Option<Option<Stored>> {
        if let Self::Last(last) = self { Some(last) } else { None }
    }

    pub(in crate::sim) fn sequence(&self) -> Option<u64> {
        if let Self::Sequence(sequence) = self { Some(*sequence) } else { None }
    }

    pub(in crate::sim) fn clock(&self) -> Option<Timestamp> {
        if let Self::Clock(at) = self { Some(*at) } else { None }
    }
}

/// What a client hears of one request.
#[derive(Debug)]
pub(in crate::sim) enum Said {
    Answer(Answer),
    /// Wrong last sequence, or no such consumer.
    Refused,
    Nothing,
}

/// A call under way.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Flight {
    pub(in crate::sim) from: Address,
    pub(in crate::sim) tag: Tag,
    pub(in crate::sim) call: Call,
    stage: Stage,
    /// When its caller has no patience any more; `None`: never.
    deadline: Option<Duration>,
    /// How often the server had been started when it left.
    starts: u32,
    /// Its sender does not wait for it any more.
    pub(in crate::sim) given_up: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Going,
    ReadingBack,
}

impl Flight {
    /// What the server is asked in this stage.
    pub(in crate::sim) fn request(&self) -> Call {
        if let (Call::Write(write), Stage::ReadingBack) = (&self.call, self.stage) {
            return Call::Last { kind: write.kind, subject: write.subject.clone() };
        }
        self.call.clone()
    }

    /// Whether its sender is told that a stream is not there. Others go on asking.
    pub(in crate::sim) fn is_tried_once(&self) -> bool {
        matches!(self.tag, Tag::Scheduler(_)) && self.deadline.is_some()
    }

    /// The stream that is asked.
    pub(in crate::sim) fn stream(&self) -> Option<Kind> {
        match self.request() {
            Call::Write(Write { kind, .. })
            | Call::Publish { kind, .. }
            | Call::Last { kind, .. }
            | Call::OnSubject { kind, .. }
            | Call::End(kind) => Some(kind),
            Call::PurgeResults { .. } => Some(Kind::Results),
            Call::CommandsBegin | Call::ReceiveCommands | Call::Confirm { .. } => Some(Kind::Commands),
            Call::OpenMesh
            | Call::FindStreams
            | Call::MakeStreams
            | Call::Ends
            | Call::StateEnds
            | Call::Clock
            | Call::AskHolder { .. }
            | Call::SeekSuccessor => None,
        }
    }

    fn changes_something(&self) -> bool {
        match self.request() {
            Call::Write(_) | Call::Publish { .. } | Call::Confirm { .. } | Call::PurgeResults { .. } => true,
            Call::Last { .. }
            | Call::OnSubject { .. }
            | Call::OpenMesh
            | Call::FindStreams
            | Call::MakeStreams
            | Call::End(_)
            | Call::Ends
            | Call::StateEnds
            | Call::Clock
            | Call::AskHolder { .. }
            | Call::SeekSuccessor
            | Call::CommandsBegin
            | Call::ReceiveCommands => false,
        }
    }
}

impl SimContext {
    /// Begins a call that goes on until it is answered.
    pub(in crate::sim) fn call(&mut self, from: Address, tag: Tag, call: Call) {
        self.depart(Flight { from, tag, call, stage: Stage::Going, deadline: None, starts: 0, given_up: false });
    }

    /// Begins a call that is given up after a while.
    pub(in crate::sim) fn call_for(&mut self, patience: Duration, from: Address, tag: Tag, call: Call) {
        let deadline = Some(self.now + patience);
        self.depart(Flight { from, tag, call, stage: Stage::Going, deadline, starts: 0, given_up: false });
    }

    /// A request leaves its sender.
    pub(in crate::sim) fn depart(&mut self, flight: Flight) {
        let flight = Flight { starts: self.net.starts, ..flight };
        if self.processes.hears_nothing(flight.from.place) || self.mishap(Fault::RequestLost) {
            self.later(REQUEST_TIMEOUT, SimEvent::Back(Box::new(flight), Said::Nothing));
        } else if flight.changes_something() && self.mishap(Fault::ActDelayed) {
            let delay = self.some_delay();
            self.later(delay, SimEvent::Arrive(Box::new(Flight { given_up: true, ..flight.clone() })));
            self.later(REQUEST_TIMEOUT, SimEvent::Back(Box::new(flight), Said::Nothing));
        } else {
            let latency = self.latency();
            self.later(latency, SimEvent::Arrive(Box::new(flight)));
        }
    }

    /// Whether the server has not been started anew since a request was sent.
    pub(in crate::sim) fn is_same_connection(&self, flight: &Flight) -> bool {
        flight.starts == self.net.starts
    }

    /// A request reaches the server.
    pub(in crate::sim) fn arrive(&mut self, flight: Box<Flight>) {
        let is_away = !self.is_same_connection(&flight)
            || self.processes.server_down
            || flight.stream().is_some_and(|kind| self.net.lagging == Some(kind));
        let said = match is_away {
            true => Said::Nothing,
            false if self.net.is_lost => self.serve_without_store(&flight),
            false => self.serve(&flight),
        };
        if flight.given_up {
            return;
        }
        let heard = !matches!(said, Said::Nothing) && !self.processes.hears_nothing(flight.from.place);
        if heard && flight.changes_something() && matches!(said, Said::Answer(_)) && self.mishap(lost_answer(&flight)) {
            self.later(REQUEST_TIMEOUT, SimEvent::Back(flight, Said::Nothing));
        } else if heard {
            let latency = self.latency();
            self.later(latency, SimEvent::Back(flight, said));
        } else {
            self.later(REQUEST_TIMEOUT, SimEvent::Back(flight, Said::Nothing));
        }
    }

    /// What a client makes of what it heard; `None`: the call goes on.
    pub(in crate::sim) fn heard(&mut self, mut flight: Box<Flight>, said: Said) -> Option<(Tag, Answer)> {
        let answer = match (said, flight.stage) {
            (Said::Answer(Answer::Last(last)), Stage::ReadingBack) => self.judged(&flight, last),
            (Said::Answer(answer), _) => Some(answer),
            // A confirmation is not tried again: what is not confirmed is delivered again.
            (Said::Refused | Said::Nothing, Stage::Going) if matches!(flight.call, Call::Confirm { .. }) => {
                Some(Answer::Unavailable)
            }
            (Said::Refused | Said::Nothing, _) => None,
        };
        if let Some(answer) = answer {
            return Some((flight.tag, answer));
        }
        if flight.deadline.is_some_and(|deadline| deadline <= self.now) {
            return Some((flight.tag, Answer::Unavailable));
        }
        flight.stage = match (&flight.call, flight.stage) {
            (Call::Write(_), Stage::Going) => Stage::ReadingBack,
            (_, _) => Stage::Going,
        };
        self.later(RETRY_PAUSE, SimEvent::Depart(flight));
        None
    }

    fn judged(&mut self, flight: &Flight, last: Option<Stored>) -> Option<Answer> {
        let Call::Write(write) = &flight.call else { return None };
        match judge(&write.record, write.expected, last.as_ref().map(|last| (last.sequence, &last.record))) {
            Judgement::Open => None,
            Judgement::Stored { sequence } => Some(Answer::Written(Cas::Stored { sequence })),
            Judgement::Refused => {
                self.count(Fault::WriteRefused);
                Some(Answer::Written(Cas::Refused { current: last.map(entry) }))
            }
        }
    }
}

/// The fault that it is when an answer is lost.
fn lost_answer(flight: &Flight) -> Fault {
    if matches!(flight.call, Call::Confirm { .. }) { Fault::ConfirmationLost } else { Fault::AcknowledgementLost }
}

fn entry(stored: Stored) -> Entry<Record> {
    Entry { key: stored.subject.to_string(), sequence: stored.sequence, at: stored.at, value: stored.record }
}
