//! Effects are carried out, each by a call that goes on until it is answered.

use std::sync::Arc;

use rand::RngExt as _;
use tickmesh_core::{
    decide::Action,
    id::{AttemptId, RequestId, RunNumber},
    ledger::Ledger,
    name::{AgentName, AppName},
};
use tickmesh_messaging::Cas;
use tickmesh_scheduler::{
    dispatcher::Event,
    effect::Effect,
    publication::{Progress, Publication},
};

use super::{
    Scheduler,
    tenure::{Ends, Part},
};
use crate::sim::{
    checkers::Decided,
    faults::Fault,
    ground::Ground,
    happening,
    net::{Answer, Call, Kind, Record, Stored, Write},
};

/// Of so many ledgers the core is asked again about one: each costs as much as some inputs.
const CHECKED_ONE_IN: u32 = 4;
/// Newest messages about attempts that are folded again then.
const REPORTS_CHECKED: usize = 8;

/// What a call of a scheduler was for.
#[derive(Debug, Clone)]
pub(in crate::sim) enum Tag {
    LeaseEnd,
    CheckStreams,
    Take,
    Renew,
    Release,
    Note,
    Load(Part, Ends),
    LoadEnd(Ends),
    Receive,
    CommandsBegin,
    Purged,
    Confirm(AppName, RequestId),
    Ledger(AppName),
    Order,
    Report,
    Publish { app: AppName, record: Record, publication: Publication },
    ResultsEnd(AgentName),
    Agent(AgentName),
    Stranger { app: AppName, attempt: Box<AttemptId>, agent: AgentName },
    Summary { app: AppName, request: RequestId, run: RunNumber },
}

impl From<Tag> for happening::Tag {
    fn from(tag: Tag) -> Self {
        Self::Scheduler(tag)
    }
}

impl Scheduler {
    pub(super) fn perform(&mut self, ground: &mut Ground, effect: Effect) {
        let (tag, call) = match effect {
            Effect::WriteLedger { app, ledger, expected, .. } => {
                self.check_decisions(ground, &app, &ledger);
                let write = write(Kind::Ledger, app.as_str(), Record::Ledger(Arc::new(*ledger)), expected);
                (Tag::Ledger(app), write)
            }
            Effect::Act(Action::Send(order)) => {
                let subject: Arc<str> = order.agent.as_str().into();
                let publish = Call::Publish { kind: Kind::Orders, subject, record: Record::Order(Arc::new(order)) };
                if ground.mishap(Fault::OrderTwice) {
                    ground.call(self.address, Tag::Order.into(), publish.clone());
                }
                (Tag::Order, publish)
            }
            Effect::Act(Action::StoreReport { report, expected }) => {
                let subject = ground.net.result_subject(&report.attempt, &report.agent);
                let record = Record::Report(Arc::new(report));
                (Tag::Report, Call::Write(Write { kind: Kind::Results, subject, record, expected }))
            }
            Effect::PublishTick { tick, expected } => {
                let (app, publication) = (tick.app.clone(), Publication::new(tick.number, expected));
                return self.publish(ground, app, Record::Tick(Arc::new(tick)), publication);
            }
            Effect::PublishHistory { summary, expected } => {
                let (app, publication) = (summary.app.clone(), Publication::new(summary.number, expected));
                return self.publish(ground, app, Record::History(Arc::new(*summary)), publication);
            }
            Effect::ReadResultsEnd { agent } => (Tag::ResultsEnd(agent), Call::End(Kind::Results)),
            Effect::ReadAgent { agent } => {
                let subject = agent.as_str().into();
                (Tag::Agent(agent), Call::Last { kind: Kind::Agents, subject })
            }
            Effect::ReadLedger { app, attempt, agent } => {
                let subject = app.as_str().into();
                (Tag::Stranger { app, attempt, agent }, Call::Last { kind: Kind::Ledger, subject })
            }
            Effect::ReadSummary { app, request, run } => {
                let subject = app.as_str().into();
                (Tag::Summary { app, request, run }, Call::OnSubject { kind: Kind::History, subject })
            }
            Effect::ConfirmCommand { app, request } => return self.confirm(ground, app, request),
            Effect::ReadCommandsBegin => (Tag::CommandsBegin, Call::CommandsBegin),
            Effect::PurgeResults { below } => (Tag::Purged, Call::PurgeResults { below }),
            // Monitors hear of it, and nothing depends on it.
            Effect::Announce(_) => return,
        };
        ground.call(self.address, tag.into(), call);
    }

    /// Every few ledgers, the core is asked again about one.
    fn check_decisions(&self, ground: &mut Ground, app: &AppName, ledger: &Ledger) {
        let Some(tenure) = self.tenure().filter(|_| ground.random.random_ratio(1, CHECKED_ONE_IN)) else { return };
        let edition = ground.witness.edition(app, ledger.app_revision);
        let decided = Decided {
            app,
            spec: edition.and_then(|edition| edition.spec.as_ref()),
            ledger,
            now: self.moment(ground).wall,
            tenure: tenure.office,
            results_through: tenure.results_through(),
            timing: &ground.timing,
        };
        let of_app = |stored: &Stored| Some((stored.sequence, stored.record.report()?.clone()));
        let reports = ground.net.stream(Kind::Results).newest().take(REPORTS_CHECKED).filter_map(of_app);
        let reports: Vec<_> = reports.filter(|(_, report)| report.attempt.app == *app).collect();
        let seen = decided.check(&reports, &ground.witness.commands_for(app));
        ground.judge(seen);
    }

    fn publish(&mut self, ground: &mut Ground, app: AppName, record: Record, publication: Publication) {
        let kind = if matches!(record, Record::Tick(_)) { Kind::Ticks } else { Kind::History };
        let write = write(kind, app.as_str(), record.clone(), publication.expected());
        ground.call(self.address, Tag::Publish { app, record, publication }.into(), write);
    }

    /// A call of the present tenure was answered.
    pub(super) fn tenure_answered(&mut self, ground: &mut Ground, tag: Tag, answer: Answer) {
        let event = match (tag, answer) {
            (Tag::Renew, answer) => return self.renewed(ground, answer),
            (Tag::Note, answer) => return self.noted(ground, answer),
            (Tag::Load(part, ends), answer) => return self.loaded(ground, part, ends, answer),
            (Tag::LoadEnd(ends), Answer::Sequence(end)) => return self.take_over(ground, ends, end),
            (Tag::Receive, Answer::Sequence(consumer)) => return self.receive_from(ground, consumer),
            (Tag::CommandsBegin, Answer::Sequence(sequence)) => Event::CommandsBegin { sequence },
            (Tag::Confirm(app, request), Answer::Done) => Event::CommandConfirmed { app, request },
            (Tag::Ledger(app), Answer::Written(Cas::Stored { sequence })) => {
                Event::LedgerWritten { app, revision: sequence }
            }
            (Tag::Ledger(app), Answer::Written(Cas::Refused { .. })) => Event::LedgerRefused { app },
            (Tag::Publish { app, record, publication }, Answer::Written(written)) => {
                return self.published(ground, app, record, publication.answered(written, Record::number));
            }
            (Tag::ResultsEnd(agent), Answer::Sequence(sequence)) => Event::ResultsEnd { agent, sequence },
            (Tag::Agent(agent), Answer::Last(last)) => {
                Event::AgentRead { agent, revision: last.map_or(0, |last| last.sequence) }
            }
            (Tag::Stranger { app, attempt, agent }, Answer::Last(last)) => {
                let epoch = last.and_then(|last| last.record.ledger().map(|ledger| ledger.write.epoch));
                Event::LedgerRead { app, epoch, attempt, agent }
            }
            (Tag::Summary { app, request, run }, Answer::Messages(messages, _)) => {
                let summaries = messages.iter().filter_map(|stored| stored.record.history());
                let summary = summaries.into_iter().find(|summary| summary.run == run);
                Event::SummaryRead { app, request, summary: summary.map(|summary| Box::new((**summary).clone())) }
            }
            (_, _) => return,
        };
        self.handle(ground, Some(event));
    }

    fn published(&mut self, ground: &mut Ground, app: AppName, record: Record, progress: Progress) {
        match progress {
            Progress::Again(publication) => self.publish(ground, app, record, publication),
            Progress::Stored { number, sequence } => {
                let is_tick = matches!(record, Record::Tick(_));
                let event = if is_tick {
                    Event::TickStored { app, number, sequence }
                } else {
                    Event::HistoryStored { app, number, sequence }
                };
                self.handle(ground, Some(event));
            }
        }
    }
}

fn write(kind: Kind, subject: &str, record: Record, expected: u64) -> Call {
    Call::Write(Write { kind, subject: subject.into(), record, expected })
}
