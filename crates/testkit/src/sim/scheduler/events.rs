//! What a scheduler is told: messages of the streams that it follows, and answers to its calls.

use std::time::Duration;

use tickmesh_core::{id::MeshId, name::AppName};
use tickmesh_messaging::{Cas, Entry, Error, LeaseRecord, StreamKind, lease::Presence};
use tickmesh_scheduler::{
    Failure,
    dispatcher::{self, StateChange},
    effect::Effect,
    process::{Event, LeaseWritten, Reading},
    publication::Progress,
};

use super::{Scheduler, effects::Tag};
use crate::sim::{
    faults::Fault,
    ground::Ground,
    net::{Answer, Kind, Record, Stored},
};

/// How long a standby takes a holder that answers for gone: longer than it takes to believe it.
const DEAF_FOR: Duration = Duration::from_millis(800);

impl Scheduler {
    /// A message of a stream that it follows.
    pub(in crate::sim) fn hear(&mut self, ground: &mut Ground, kind: Kind, stored: &Stored) {
        if let Some(event) = event_of(stored) {
            self.tell(ground, event);
        } else if kind != Kind::Lease {
            self.tell(ground, Event::Passed { stream: kind.production(), sequence: stored.sequence });
        }
    }

    /// All that was stored when it began to follow a stream has been told.
    pub(in crate::sim) fn snapshot_ended(&mut self, ground: &mut Ground, kind: Kind, sequence: u64) {
        let event = match kind.production() {
            StreamKind::Results => Event::Mesh(dispatcher::Event::ReportSeen { sequence, report: None }),
            stream => Event::SnapshotEnd { stream, sequence },
        };
        self.tell(ground, event);
    }

    /// Somebody else receives the commands: there may be another leader.
    pub(in crate::sim) fn superseded(&mut self, ground: &mut Ground, consumer: u64) {
        if self.deliveries.are_from(consumer) {
            self.deliveries.after = None;
            let error = Error::Superseded { stream: "commands".to_owned() };
            self.tell(ground, Event::FollowEnded(Failure::new(error)));
        }
    }

    /// Commands are delivered.
    pub(in crate::sim) fn take_commands(&mut self, ground: &mut Ground, consumer: u64, commands: &[Stored]) {
        if !self.deliveries.are_from(consumer) {
            return;
        }
        for stored in commands {
            let Record::Command(command) = &stored.record else { continue };
            self.deliveries.received.insert(command.request, (consumer, stored.sequence));
            let (sequence, command) = (stored.sequence, Box::new((**command).clone()));
            self.tell(ground, Event::Mesh(dispatcher::Event::CommandSeen { sequence, command }));
        }
    }

    /// A call was answered.
    pub(in crate::sim) fn answered(&mut self, ground: &mut Ground, tag: Tag, answer: Answer) {
        if tag.generation.is_some_and(|generation| generation != self.generation) {
            return;
        }
        let event = if let Some(publication) = tag.publication {
            let Answer::Written(written) = answer else { return };
            match publication.answered(written, Record::number) {
                Progress::Again(publication) => return self.publish_again(ground, tag, publication),
                Progress::Stored { number, sequence } => published(&tag.effect, number, sequence),
            }
        } else if let Effect::Follow(_) = &*tag.effect {
            return self.received(ground, &answer);
        } else if let Effect::AskHolder { holder } = &*tag.effect {
            let heard = if let Answer::Presence(presence) = answer { presence } else { Presence::Unknown };
            let presence = self.heard(ground, heard);
            Some(Event::HolderAsked { holder: holder.clone(), presence, connection: self.connection })
        } else if let Effect::ReadClock = &*tag.effect {
            let (asked, answered) = (tag.asked, self.moment(ground));
            Some(Event::ClockRead(told(answer.clock().map(|server| Reading { asked, server, answered }))))
        } else {
            answer_to(&tag.effect, answer)
        };
        self.ended(ground, Some(tag.effect.priority()), event);
    }

    /// What the process hears of the holder of the lease: now and then, that it is gone when it is not.
    fn heard(&mut self, ground: &mut Ground, presence: Presence) -> Presence {
        if presence == Presence::Answers && ground.now > self.deaf_until && ground.mishap(Fault::HolderUnheard) {
            self.deaf_until = ground.now + DEAF_FOR;
        }
        if ground.now < self.deaf_until { Presence::Gone } else { presence }
    }

    fn received(&mut self, ground: &mut Ground, answer: &Answer) {
        if let Answer::Sequence(consumer) = answer
            && ground.net.queue.consumer != *consumer
        {
            self.superseded(ground, *consumer);
        }
    }
}

fn published(effect: &Effect, number: u64, sequence: u64) -> Option<Event> {
    if let Effect::PublishTick { tick, .. } = effect {
        return Some(Event::Mesh(dispatcher::Event::TickStored { app: tick.app.clone(), number, sequence }));
    }
    let Effect::PublishHistory { summary, .. } = effect else { return None };
    Some(Event::Mesh(dispatcher::Event::HistoryStored { app: summary.app.clone(), number, sequence }))
}

/// What the process makes of an answer; `None`: the effect has ended, and there is nothing to tell.
fn answer_to(effect: &Effect, answer: Answer) -> Option<Event> {
    let mesh = MeshId::from_random([7; 16]);
    Some(match effect {
        Effect::OpenMesh | Effect::MakeMissingStreams { .. } => Event::MeshFound(told(answer.sequence().map(|_| mesh))),
        Effect::CheckStreams => Event::StreamsChecked(told(answer.sequence().map(|_| ()))),
        Effect::ReadLease => {
            let record = |stored: Stored| stored.record.lease().map(|lease| Box::new((**lease).clone()));
            Event::LeaseRead(told(answer.last().map(|last| last.and_then(record))))
        }
        Effect::WriteLease { record, .. } => {
            let answer = told(answer.written().map(|cas| Box::new(lease_of(cas))));
            Event::LeaseWritten(LeaseWritten { renewal: record.renewal, answer })
        }
        Effect::ReadMarks => Event::MarksRead(told(if let Answer::Ends(marks) = answer { Some(marks) } else { None })),
        Effect::ReadEnds => Event::EndsRead(told(if let Answer::State(ends) = answer { Some(ends) } else { None })),
        Effect::ReadCatchUpEnd => Event::CatchUpEndRead(told(answer.sequence())),
        Effect::WriteLedger { app, .. } => Event::Mesh(match answer.written()? {
            Cas::Stored { sequence } => dispatcher::Event::LedgerWritten { app: app.clone(), revision: sequence },
            Cas::Refused { .. } => dispatcher::Event::LedgerRefused { app: app.clone() },
        }),
        Effect::ReadCommandsBegin => Event::Mesh(dispatcher::Event::CommandsBegin { sequence: answer.sequence()? }),
        Effect::ConfirmCommand { app, request } => {
            let Answer::Done = answer else { return None };
            Event::Mesh(dispatcher::Event::CommandConfirmed { app: app.clone(), request: *request })
        }
        Effect::ReadResultsEnd { agent } => {
            Event::Mesh(dispatcher::Event::ResultsEnd { agent: agent.clone(), sequence: answer.sequence()? })
        }
        Effect::ReadAgent { agent } => {
            let revision = answer.last()?.map_or(0, |last| last.sequence);
            Event::Mesh(dispatcher::Event::AgentRead { agent: agent.clone(), revision })
        }
        Effect::ReadLedger { app, attempt, agent } => {
            let epoch = answer.last()?.and_then(|last| last.record.ledger().map(|ledger| ledger.write.epoch));
            let (app, attempt, agent) = (app.clone(), attempt.clone(), agent.clone());
            Event::Mesh(dispatcher::Event::LedgerRead { app, epoch, attempt, agent })
        }
        Effect::ReadSummary { app, request, run } => {
            let Answer::Messages(messages) = answer else { return None };
            let mut summaries = messages.iter().filter_map(|stored| stored.record.history());
            let summary = summaries.find(|summary| summary.run == *run);
            let summary = summary.map(|summary| Box::new((**summary).clone()));
            Event::Mesh(dispatcher::Event::SummaryRead { app: app.clone(), request: *request, summary })
        }
        Effect::Act(_)
        | Effect::PublishTick { .. }
        | Effect::PublishHistory { .. }
        | Effect::PurgeResults { .. }
        | Effect::Announce(_)
        | Effect::AskHolder { .. }
        | Effect::ReadClock
        | Effect::Follow(_)
        | Effect::ShowRole(_)
        | Effect::Abandon
        | Effect::End => return None,
    })
}

fn told<T>(answer: Option<T>) -> Result<T, Failure> {
    let unavailable = || Error::Unavailable { action: "ask the server".to_owned(), source: "no answer".into() };
    answer.ok_or_else(|| Failure::new(unavailable()))
}

fn lease_of(written: Cas<Record>) -> Cas<LeaseRecord> {
    match written {
        Cas::Stored { sequence } => Cas::Stored { sequence },
        Cas::Refused { current } => {
            let entry = |current: Entry<Record>| {
                let value = (**current.value.lease()?).clone();
                Some(Entry { key: current.key, sequence: current.sequence, at: current.at, value })
            };
            Cas::Refused { current: current.and_then(entry) }
        }
    }
}

/// What a message of a stream is for a scheduler that follows it.
fn event_of(stored: &Stored) -> Option<Event> {
    let (revision, at) = (stored.sequence, stored.at);
    Some(match &stored.record {
        Record::Lease(record) => Event::LeaseSeen { revision, record: Box::new((**record).clone()) },
        Record::Ledger(ledger) => {
            let app = AppName::new(&*stored.subject).ok()?;
            Event::Changed(StateChange::Ledger { app, revision, ledger: Box::new((**ledger).clone()) })
        }
        Record::Agent(record) => {
            Event::Changed(StateChange::Agent { revision, at, record: Box::new((**record).clone()) })
        }
        Record::App(edition) => {
            let (app, content) = (edition.app.clone(), edition.content.clone());
            Event::Changed(StateChange::App { app, revision, at, content })
        }
        Record::Report(report) => {
            let report = Some(Box::new((**report).clone()));
            Event::Mesh(dispatcher::Event::ReportSeen { sequence: revision, report })
        }
        Record::Command(_) | Record::Order(_) | Record::Tick(_) | Record::History(_) => return None,
    })
}
