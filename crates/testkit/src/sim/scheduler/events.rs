//! What a scheduler is told: messages of the streams that it follows, and answers to its calls.

use std::{borrow::Cow, time::Duration};

use tickmesh_core::{
    decide::Action,
    id::MeshId,
    message::AttemptReport,
    name::{AgentName, AppName},
};
use tickmesh_messaging::{Cas, Entry, Error, LEASE_KEY, LeaseRecord, StreamKind, Unreadable, lease::Presence};
use tickmesh_scheduler::{
    Failure,
    dispatcher::{self, StateChange, UnreadableLedger},
    effect::Effect,
    process::{Event, LeaseWritten, Reading},
    publication::Progress,
};

use super::{Scheduler, effects::Tag};
use crate::sim::{
    context::SimContext,
    faults::Fault,
    net::{Answer, Kind, Record, Stored},
    releases,
};

/// How long a standby takes a holder that answers for gone: longer than it takes to believe it.
const DEAF_FOR: Duration = Duration::from_millis(800);

impl Scheduler {
    /// A message of a stream that it follows.
    pub(in crate::sim) fn hear(&mut self, context: &mut SimContext, kind: Kind, stored: &Stored) {
        let stored = &self.understood(stored);
        if let Some(event) = event_of(kind, stored) {
            self.tell(context, event);
        } else if kind != Kind::Lease {
            self.tell(context, Event::Passed { stream: kind.production(), sequence: stored.sequence });
        }
    }

    /// A message as its release sees it.
    fn understood<'a>(&self, stored: &'a Stored) -> Cow<'a, Stored> {
        if self.is_earlier { Cow::Owned(releases::seen_before(stored)) } else { Cow::Borrowed(stored) }
    }

    /// All that was stored when it began to follow a stream has been told.
    pub(in crate::sim) fn snapshot_ended(&mut self, context: &mut SimContext, kind: Kind, sequence: u64) {
        let event = match kind.production() {
            StreamKind::Results => Event::Mesh(dispatcher::Event::ReportSeen { sequence, report: None }),
            stream => Event::SnapshotEnd { stream, sequence },
        };
        self.tell(context, event);
    }

    /// The streams that it follows are not there any more.
    pub(in crate::sim) fn lost_streams(&mut self, context: &mut SimContext) {
        if context.follows(self.place) {
            self.tell(context, Event::FollowEnded(Failure::new(gone())));
        }
    }

    /// Somebody else receives the commands: there may be another leader.
    pub(in crate::sim) fn superseded(&mut self, context: &mut SimContext, consumer: u64) {
        if self.deliveries.are_from(consumer) {
            self.deliveries.after = None;
            let error = Error::Superseded { stream: "commands".to_owned() };
            self.tell(context, Event::FollowEnded(Failure::new(error)));
        }
    }

    /// Commands are delivered.
    pub(in crate::sim) fn take_commands(&mut self, context: &mut SimContext, consumer: u64, commands: &[Stored]) {
        if !self.deliveries.are_from(consumer) {
            return;
        }
        for stored in commands {
            let stored = self.understood(stored);
            let Record::Command(command) = &stored.record else { continue };
            self.deliveries.received.insert(command.request, (consumer, stored.sequence));
            let (sequence, command) = (stored.sequence, Box::new((**command).clone()));
            self.tell(context, Event::Mesh(dispatcher::Event::CommandSeen { sequence, command }));
        }
    }

    /// A call was answered.
    pub(in crate::sim) fn answered(&mut self, context: &mut SimContext, tag: Tag, answer: Answer) {
        if self.has_given_up(&tag) {
            return;
        }
        if let Some(work) = tag.wish.clone() {
            return self.step_done(context, tag, *work, answer);
        }
        let event = if let Some(publication) = tag.publication {
            let Answer::Written(written) = answer else { return };
            match publication.answered(written, Record::number) {
                Progress::Again(publication) => return self.publish_again(context, tag, publication),
                Progress::Stored { number, sequence } => published(&tag.effect, number, sequence),
            }
        } else if let Effect::Follow(_) = &*tag.effect {
            return self.received(context, &answer);
        } else if let Effect::AskHolder { holder } = &*tag.effect {
            let heard = if let Answer::Presence(presence) = answer { presence } else { Presence::Unknown };
            let presence = self.heard(context, heard);
            Some(Event::HolderAsked { holder: holder.clone(), presence, connection: self.connection })
        } else if let Effect::SeekSuccessor = &*tag.effect {
            let is_there = matches!(answer, Answer::Successor(true));
            if is_there {
                context.count(Fault::SuccessorFound);
            }
            Some(Event::SuccessorSought { is_there })
        } else if let Effect::ReadClock = &*tag.effect {
            let (asked, answered) = (tag.asked, self.moment(context));
            let reading = answer.clock().map(|server| Reading { asked, server, answered });
            Some(Event::ClockRead(told(failure(&answer), reading)))
        } else {
            answer_to(&tag.effect, answer)
        };
        self.ended(context, Some(tag.effect.priority()), event);
    }

    /// What the process hears of the holder of the lease: now and then, that it is gone when it is not.
    fn heard(&mut self, context: &mut SimContext, presence: Presence) -> Presence {
        if presence == Presence::Answers && context.now > self.deaf_until && context.mishap(Fault::HolderUnheard) {
            self.deaf_until = context.now + DEAF_FOR;
        }
        if context.now < self.deaf_until { Presence::Gone } else { presence }
    }

    fn received(&mut self, context: &mut SimContext, answer: &Answer) {
        if let Answer::Sequence(consumer) = answer
            && context.net.queue.consumer != *consumer
        {
            self.superseded(context, *consumer);
        }
    }
}

fn published(effect: &Effect, number: u64, sequence: u64) -> Option<Event> {
    if let Effect::PublishTick { tick, .. } = effect {
        return Some(Event::Mesh(dispatcher::Event::TickStored { app: tick.app.clone(), number, sequence }));
    }
    if let Effect::PublishNotice { notice, .. } = effect {
        return Some(Event::Mesh(dispatcher::Event::NoticeStored { app: notice.app.clone(), number, sequence }));
    }
    let Effect::PublishHistory { summary, .. } = effect else { return None };
    Some(Event::Mesh(dispatcher::Event::HistoryStored { app: summary.app.clone(), number, sequence }))
}

/// What the process makes of an answer; `None`: the effect has ended, and there is nothing to tell.
fn answer_to(effect: &Effect, answer: Answer) -> Option<Event> {
    let mesh = MeshId::from_random([7; 16]);
    Some(match effect {
        Effect::OpenMesh | Effect::MakeMissingStreams { .. } => Event::MeshFound(match answer {
            Answer::NoMesh => Err(Failure::new(Error::NotProvisioned { namespace: "mesh".to_owned() })),
            Answer::Done => Ok(mesh),
            answer => told(failure(&answer), None),
        }),
        Effect::FindStreams => {
            let failed = failure(&answer);
            Event::StreamsFound(told(failed, if let Answer::Missing(missing) = answer { Some(missing) } else { None }))
        }
        Effect::CheckStreams => Event::StreamsChecked(told(failure(&answer), answer.sequence().map(|_| ()))),
        Effect::ReadLease => {
            let record = |stored: Stored| stored.record.lease().map(|lease| Box::new((**lease).clone()));
            let lease = told(failure(&answer), answer.last()).and_then(|last| match last {
                Some(last) if !last.record.is_readable() => Err(unreadable_at(LEASE_KEY.to_owned(), last.sequence)),
                last => Ok(last.and_then(record)),
            });
            Event::LeaseRead(lease)
        }
        Effect::WriteLease { record, .. } => {
            let answer = told(failure(&answer), answer.written()).and_then(lease_of).map(Box::new);
            Event::LeaseWritten(LeaseWritten { renewal: record.renewal, answer })
        }
        Effect::ReadMarks => {
            let failed = failure(&answer);
            Event::MarksRead(told(failed, if let Answer::Ends(marks) = answer { Some(marks) } else { None }))
        }
        Effect::ReadEnds => {
            let failed = failure(&answer);
            Event::EndsRead(told(failed, if let Answer::State(ends) = answer { Some(ends) } else { None }))
        }
        Effect::ReadCatchUpEnd => Event::CatchUpEndRead(told(failure(&answer), answer.sequence())),
        Effect::WriteLedger { app, .. } => Event::Mesh(match answer.written()? {
            Cas::Stored { sequence } => dispatcher::Event::LedgerWritten { app: app.clone(), revision: sequence },
            Cas::Refused { current: Some(Entry { sequence, value: Record::Unreadable(_), .. }) } => {
                ledger_unreadable(app.clone(), sequence)
            }
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
            let last = answer.last()?;
            let unreadable = last.as_ref().filter(|last| !last.record.is_readable()).map(|last| last.sequence);
            let epoch = last.and_then(|last| last.record.ledger().map(|ledger| ledger.write.epoch));
            let (app, attempt, agent) = (app.clone(), attempt.clone(), agent.clone());
            Event::Mesh(match unreadable {
                Some(revision) => ledger_unreadable(app, revision),
                None => dispatcher::Event::LedgerRead { app, epoch, attempt, agent },
            })
        }
        Effect::ReadSummary { app, request, run } => {
            let Answer::Messages(messages) = answer else { return None };
            let mut summaries = messages.iter().filter_map(|stored| stored.record.history());
            let summary = summaries.find(|summary| summary.run == *run);
            let summary = summary.map(|summary| Box::new((**summary).clone()));
            Event::Mesh(dispatcher::Event::SummaryRead { app: app.clone(), request: *request, summary })
        }
        Effect::Act(Action::StoreReport { report, .. }) => {
            Event::Mesh(dispatcher::Event::of_answer(report.clone(), report_of(answer.written()?)?)?)
        }
        Effect::Act(Action::Send(_))
        | Effect::PublishTick { .. }
        | Effect::PublishHistory { .. }
        | Effect::PublishNotice { .. }
        | Effect::PurgeResults { .. }
        | Effect::Announce(_)
        | Effect::AskHolder { .. }
        | Effect::SeekSuccessor
        | Effect::ReadClock
        | Effect::Follow(_)
        | Effect::ShowRole(_)
        | Effect::CarryOutWish { .. }
        | Effect::AnswerWish { .. }
        | Effect::Abandon
        | Effect::End => return None,
    })
}

fn told<T>(failure: Failure, answer: Option<T>) -> Result<T, Failure> {
    answer.ok_or(failure)
}

/// What an answer stands for that is not the one hoped for.
fn failure(answer: &Answer) -> Failure {
    let unavailable = || Error::Unavailable { action: "ask the server".to_owned(), source: "no answer".into() };
    Failure::new(if matches!(answer, Answer::Gone) { gone() } else { unavailable() })
}

fn gone() -> Error {
    Error::StreamGone { stream: "mesh_ledger".to_owned() }
}

/// What was found on an attempt's subject; `None`: a message that cannot be read, which stands for nothing.
fn report_of(written: Cas<Record>) -> Option<Cas<AttemptReport>> {
    Some(match written {
        Cas::Stored { sequence } => Cas::Stored { sequence },
        Cas::Refused { current: None } => Cas::Refused { current: None },
        Cas::Refused { current: Some(current) } => {
            let value = (**current.value.report()?).clone();
            let entry = Entry { key: current.key, sequence: current.sequence, at: current.at, value };
            Cas::Refused { current: Some(entry) }
        }
    })
}

fn lease_of(written: Cas<Record>) -> Result<Cas<LeaseRecord>, Failure> {
    Ok(match written {
        Cas::Stored { sequence } => Cas::Stored { sequence },
        Cas::Refused { current: Some(Entry { key, sequence, value: Record::Unreadable(_), .. }) } => {
            return Err(unreadable_at(key, sequence));
        }
        Cas::Refused { current } => {
            let entry = |current: Entry<Record>| {
                let value = (**current.value.lease()?).clone();
                Some(Entry { key: current.key, sequence: current.sequence, at: current.at, value })
            };
            Cas::Refused { current: current.and_then(entry) }
        }
    })
}

fn unreadable_at(key: String, sequence: u64) -> Failure {
    Failure::new(Error::Unreadable { key, sequence, source: Unreadable::Deleted })
}

/// What a leader makes of a ledger that it cannot read. To it, a later release wrote it: then nothing of it is given up.
fn ledger_unreadable(app: AppName, revision: u64) -> dispatcher::Event {
    dispatcher::Event::LedgerUnreadable { app, revision, problem: unreadable_ledger() }
}

fn unreadable_ledger() -> UnreadableLedger {
    UnreadableLedger { reason: "schema 2 is newer than 1".to_owned(), is_newer: true }
}

/// What a message that nobody can read is for a scheduler that follows its stream.
fn unreadable(kind: Kind, stored: &Stored) -> Option<Event> {
    let (key, revision) = (&*stored.subject, stored.sequence);
    Some(match kind {
        Kind::Lease => Event::LeaseDamaged { revision },
        Kind::Ledger => {
            let (app, ledger) = (AppName::new(key).ok()?, Err(unreadable_ledger()));
            Event::Changed(StateChange::Ledger { app, revision, ledger })
        }
        Kind::Agents => Event::Changed(StateChange::UnreadableAgent { agent: AgentName::new(key).ok()?, revision }),
        Kind::Results => Event::Mesh(dispatcher::Event::ReportSeen { sequence: revision, report: None }),
        Kind::Apps | Kind::Commands | Kind::Orders | Kind::Ticks | Kind::History | Kind::Notices => return None,
    })
}

/// What a message of a stream is for a scheduler that follows it.
fn event_of(kind: Kind, stored: &Stored) -> Option<Event> {
    let (revision, at) = (stored.sequence, stored.at);
    Some(match &stored.record {
        Record::Lease(record) => Event::LeaseSeen { revision, record: Box::new((**record).clone()) },
        Record::Ledger(ledger) => {
            let app = AppName::new(&*stored.subject).ok()?;
            Event::Changed(StateChange::Ledger { app, revision, ledger: Ok(Box::new((**ledger).clone())) })
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
        Record::Unreadable(_) => return unreadable(kind, stored),
        Record::Command(_) | Record::Order(_) | Record::Tick(_) | Record::History(_) | Record::Notice(_) => {
            return None;
        }
    })
}
