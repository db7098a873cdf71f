//! What a scheduler is told: messages of the streams that it follows, and answers to its calls.

use std::time::Duration;

use tickmesh_core::{id::MeshId, name::AppName};
use tickmesh_messaging::{Cas, Entry, Error, LeaseRecord, StreamKind, lease::Presence};
use tickmesh_scheduler::{
    Failure, dispatcher,
    effect::Priority,
    process::{Event, Reading, StateChange},
    publication::Progress,
};

use super::{
    Scheduler,
    effects::{Asked, Tag},
};
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
        let Tag { generation, priority, asked } = tag;
        if generation.is_some_and(|generation| generation != self.generation) {
            return;
        }
        let event = match asked {
            Asked::Publish { app, record, publication } => {
                let Answer::Written(written) = answer else { return };
                match publication.answered(written, Record::number) {
                    Progress::Again(publication) => return self.publish(ground, app, record, publication),
                    Progress::Stored { number, sequence } if matches!(record, Record::Tick(_)) => {
                        Some(Event::Mesh(dispatcher::Event::TickStored { app, number, sequence }))
                    }
                    Progress::Stored { number, sequence } => {
                        Some(Event::Mesh(dispatcher::Event::HistoryStored { app, number, sequence }))
                    }
                }
            }
            Asked::Receive => return self.received(ground, &answer),
            Asked::Holder(holder) => {
                let heard = if let Answer::Presence(presence) = answer { presence } else { Presence::Unknown };
                let presence = self.heard(ground, heard);
                Some(Event::HolderAsked { holder, presence, connection: 0 })
            }
            Asked::Clock(asked) => {
                let answered = self.moment(ground);
                let reading = |server| Reading { asked, server, answered };
                Some(Event::ClockRead(told(answer.clock().map(reading))))
            }
            asked => answer_to(asked, answer),
        };
        let ended = (priority != Priority::Immediate).then_some(priority);
        self.ended(ground, ended, event);
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

/// What the process makes of an answer; `None`: the effect has ended, and there is nothing to tell.
fn answer_to(asked: Asked, answer: Answer) -> Option<Event> {
    let mesh = MeshId::from_random([7; 16]);
    Some(match asked {
        Asked::Mesh => Event::MeshFound(told(answer.sequence().map(|_| mesh))),
        Asked::Streams => Event::StreamsChecked(told(answer.sequence().map(|_| ()))),
        Asked::Lease => {
            let record = |stored: Stored| stored.record.lease().map(|lease| Box::new((**lease).clone()));
            Event::LeaseRead(told(answer.last().map(|last| last.and_then(record))))
        }
        Asked::LeaseWrite => Event::LeaseWritten(told(answer.written().map(|cas| Box::new(lease_of(cas))))),
        Asked::Marks => Event::MarksRead(told(if let Answer::Ends(marks) = answer { Some(marks) } else { None })),
        Asked::Ends => Event::EndsRead(told(if let Answer::State(ends) = answer { Some(ends) } else { None })),
        Asked::CatchUpEnd => Event::CatchUpEndRead(told(answer.sequence())),
        Asked::Ledger(app) => Event::Mesh(match answer.written()? {
            Cas::Stored { sequence } => dispatcher::Event::LedgerWritten { app, revision: sequence },
            Cas::Refused { .. } => dispatcher::Event::LedgerRefused { app },
        }),
        Asked::CommandsBegin => Event::Mesh(dispatcher::Event::CommandsBegin { sequence: answer.sequence()? }),
        Asked::Confirm(app, request) => {
            let Answer::Done = answer else { return None };
            Event::Mesh(dispatcher::Event::CommandConfirmed { app, request })
        }
        Asked::ResultsEnd(agent) => Event::Mesh(dispatcher::Event::ResultsEnd { agent, sequence: answer.sequence()? }),
        Asked::Agent(agent) => {
            let revision = answer.last()?.map_or(0, |last| last.sequence);
            Event::Mesh(dispatcher::Event::AgentRead { agent, revision })
        }
        Asked::Orphan { app, attempt, agent } => {
            let epoch = answer.last()?.and_then(|last| last.record.ledger().map(|ledger| ledger.write.epoch));
            Event::Mesh(dispatcher::Event::LedgerRead { app, epoch, attempt, agent })
        }
        Asked::Summary { app, request, run } => {
            let Answer::Messages(messages) = answer else { return None };
            let summaries = messages.iter().filter_map(|stored| stored.record.history());
            let summary = summaries.into_iter().find(|summary| summary.run == run);
            let summary = summary.map(|summary| Box::new((**summary).clone()));
            Event::Mesh(dispatcher::Event::SummaryRead { app, request, summary })
        }
        Asked::Order
        | Asked::Report
        | Asked::Purge
        | Asked::Publish { .. }
        | Asked::Receive
        | Asked::Holder(_)
        | Asked::Clock(_) => return None,
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
