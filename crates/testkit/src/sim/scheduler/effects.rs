//! Effects are carried out, each by a call that goes on until it is answered.

use std::{collections::BTreeMap, sync::Arc};

use tickmesh_core::{
    decide::Action,
    id::{AttemptId, RequestId, RunNumber},
    ledger::Ledger,
    name::{AgentName, AppName},
};
use tickmesh_messaging::SchedulerRole;
use tickmesh_scheduler::{
    clock::Moment,
    effect::{Effect, Priority, Source},
    publication::Publication,
};

use super::Scheduler;
use crate::sim::{
    checkers::{Decided, Witness},
    faults::Fault,
    ground::Ground,
    happening,
    net::{Call, Kind, Record, Stored, Write},
};

/// Of so many ledgers the core is asked again about one: each costs as much as some inputs.
const CHECKED_ONE_IN: u32 = 4;
/// Newest messages about attempts that are folded again then.
const REPORTS_CHECKED: usize = 8;
/// Of so many ledgers, one is stored as it comes out of the store: what production does not store is not
/// there.
const ENCODED_ONE_IN: u32 = 4;

/// What a call of a scheduler was for.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Tag {
    /// `None`: the answer counts whatever is abandoned meanwhile.
    pub(super) generation: Option<u32>,
    pub(super) priority: Priority,
    pub(super) asked: Asked,
}

/// What was asked for.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    Mesh,
    Streams,
    Lease,
    LeaseWrite,
    Holder(String),
    Marks,
    Ends,
    CatchUpEnd,
    Clock(Moment),
    Receive,
    CommandsBegin,
    Purge,
    Confirm(AppName, RequestId),
    Ledger(AppName),
    Order,
    Report,
    Publish { app: AppName, record: Record, publication: Publication },
    ResultsEnd(AgentName),
    Agent(AgentName),
    Orphan { app: AppName, attempt: Box<AttemptId>, agent: AgentName },
    Summary { app: AppName, request: RequestId, run: RunNumber },
}

impl From<Tag> for happening::Tag {
    fn from(tag: Tag) -> Self {
        Self::Scheduler(tag)
    }
}

/// What confirms commands, and whom they are delivered to.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    /// Its own consumers have numbers above this one; `None`: it does not receive commands.
    pub(super) after: Option<u64>,
    /// Consumer and sequence of what it has received and not confirmed.
    pub(super) received: BTreeMap<RequestId, (u64, u64)>,
}

impl Deliveries {
    /// Whether a consumer is one of those that the process has now.
    pub(super) fn are_from(&self, consumer: u64) -> bool {
        self.after.is_some_and(|after| consumer > after)
    }
}

impl Scheduler {
    pub(super) fn perform(&mut self, ground: &mut Ground, effect: Effect) {
        let priority = effect.priority();
        match effect {
            Effect::Act(Action::Send(order)) => {
                let subject: Arc<str> = order.agent.as_str().into();
                let publish = Call::Publish { kind: Kind::Orders, subject, record: Record::Order(Arc::new(order)) };
                if ground.mishap(Fault::OrderTwice) {
                    let tag = self.tag(Priority::Immediate, Asked::Order);
                    ground.call(self.address, tag.into(), publish.clone());
                }
                self.call(ground, priority, Asked::Order, publish);
            }
            Effect::Act(Action::StoreReport { report, expected }) => {
                let subject = ground.net.result_subject(&report.attempt, &report.agent);
                let record = Record::Report(Arc::new(report));
                self.call(ground, priority, Asked::Report, write(Kind::Results, subject, record, expected));
            }
            Effect::WriteLedger { app, ledger, expected, .. } => {
                self.check_decisions(ground, &app, &ledger);
                let seen = Witness::decides_in_time(&ledger, ground.server_time());
                ground.judge(seen);
                let record = Record::Ledger(Arc::new(as_stored(ground, *ledger)));
                let write = write(Kind::Ledger, app.as_str().into(), record, expected);
                self.call(ground, priority, Asked::Ledger(app), write);
            }
            Effect::PublishTick { tick, expected } => {
                let (app, publication) = (tick.app.clone(), Publication::new(tick.number, expected));
                self.publish(ground, app, Record::Tick(Arc::new(tick)), publication);
            }
            Effect::PublishHistory { summary, expected } => {
                let (app, publication) = (summary.app.clone(), Publication::new(summary.number, expected));
                self.publish(ground, app, Record::History(Arc::new(*summary)), publication);
            }
            Effect::ConfirmCommand { app, request } => self.confirm(ground, priority, app, request),
            Effect::ReadResultsEnd { agent } => {
                self.call(ground, priority, Asked::ResultsEnd(agent), Call::End(Kind::Results));
            }
            Effect::ReadAgent { agent } => {
                let last = Call::Last { kind: Kind::Agents, subject: agent.as_str().into() };
                self.call(ground, priority, Asked::Agent(agent), last);
            }
            Effect::ReadLedger { app, attempt, agent } => {
                let last = Call::Last { kind: Kind::Ledger, subject: app.as_str().into() };
                self.call(ground, priority, Asked::Orphan { app, attempt, agent }, last);
            }
            Effect::ReadSummary { app, request, run } => {
                let history = Call::OnSubject { kind: Kind::History, subject: app.as_str().into() };
                self.call(ground, priority, Asked::Summary { app, request, run }, history);
            }
            Effect::ReadCommandsBegin => self.call(ground, priority, Asked::CommandsBegin, Call::CommandsBegin),
            Effect::PurgeResults { below } => {
                self.call(ground, priority, Asked::Purge, Call::PurgeResults { below });
            }
            // Monitors hear of it, and nothing depends on it.
            Effect::Announce(_) => self.ended(ground, Some(priority), None),
            Effect::OpenMesh | Effect::MakeMissingStreams { .. } => {
                self.ask(ground, Asked::Mesh, Call::End(Kind::Lease))
            }
            Effect::CheckStreams => self.ask(ground, Asked::Streams, Call::End(Kind::Lease)),
            Effect::ReadLease => {
                self.ask(ground, Asked::Lease, Call::Last { kind: Kind::Lease, subject: "leader".into() });
            }
            Effect::WriteLease { record, expected } => {
                let write = write(Kind::Lease, "leader".into(), Record::Lease(Arc::new(*record)), expected);
                let tag = Tag { generation: None, priority, asked: Asked::LeaseWrite };
                ground.call_for(ground.timing.lease, self.address, tag.into(), write);
            }
            Effect::AskHolder { holder } => {
                self.ask(ground, Asked::Holder(holder.clone()), Call::AskHolder { holder });
            }
            Effect::ReadMarks => self.ask(ground, Asked::Marks, Call::Ends),
            Effect::ReadEnds => self.ask(ground, Asked::Ends, Call::StateEnds),
            Effect::ReadCatchUpEnd => self.ask(ground, Asked::CatchUpEnd, Call::End(Kind::Results)),
            Effect::ReadClock => {
                let asked = self.moment(ground);
                self.ask(ground, Asked::Clock(asked), Call::Clock);
            }
            Effect::Follow(source) => self.follow(ground, source),
            Effect::ShowRole(SchedulerRole::Leading { doubt: Some(_), .. }) => ground.count(Fault::ClockDoubted),
            Effect::ShowRole(_) | Effect::End => {}
            Effect::Abandon => self.abandon(ground),
        }
    }

    fn tag(&self, priority: Priority, asked: Asked) -> Tag {
        Tag { generation: Some(self.generation), priority, asked }
    }

    /// Asks for a leader: until it is done.
    fn call(&self, ground: &mut Ground, priority: Priority, asked: Asked, call: Call) {
        ground.call(self.address, self.tag(priority, asked).into(), call);
    }

    /// Asks for the process itself: for a while.
    fn ask(&self, ground: &mut Ground, asked: Asked, call: Call) {
        ground.call_for(ground.timing.lease, self.address, self.tag(Priority::Immediate, asked).into(), call);
    }

    fn follow(&mut self, ground: &mut Ground, source: Source) {
        let (kind, after) = match source {
            Source::Ledgers => (Kind::Ledger, 0),
            Source::LedgerWrites { after } => {
                ground.forget_followers_of(self.place, Kind::Ledger);
                (Kind::Ledger, after)
            }
            Source::Agents => (Kind::Agents, 0),
            Source::Apps { .. } => (Kind::Apps, 0),
            Source::Lease => (Kind::Lease, 0),
            Source::Results { after } => (Kind::Results, after),
            Source::Commands => {
                self.deliveries.after = Some(ground.net.queue.consumer);
                return self.call(ground, Priority::Immediate, Asked::Receive, Call::ReceiveCommands);
            }
        };
        ground.follow(self.address, kind, None, after);
    }

    pub(super) fn abandon(&mut self, ground: &mut Ground) {
        ground.forget_followers(self.place);
        self.generation += 1;
        self.inbox = super::Inbox::default();
        self.deliveries = Deliveries::default();
    }

    fn confirm(&mut self, ground: &mut Ground, priority: Priority, app: AppName, request: RequestId) {
        match self.deliveries.received.remove(&request) {
            Some((consumer, sequence)) => {
                self.call(ground, priority, Asked::Confirm(app, request), Call::Confirm { consumer, sequence });
            }
            None => self.ended(ground, Some(priority), None),
        }
    }

    pub(super) fn publish(&self, ground: &mut Ground, app: AppName, record: Record, publication: Publication) {
        let kind = if matches!(record, Record::Tick(_)) { Kind::Ticks } else { Kind::History };
        let write = write(kind, app.as_str().into(), record.clone(), publication.expected());
        self.call(ground, Priority::Background, Asked::Publish { app, record, publication }, write);
    }

    /// Every few ledgers, the core is asked again about one.
    fn check_decisions(&self, ground: &mut Ground, app: &AppName, ledger: &Ledger) {
        let Some(dispatcher) = self.process.as_ref().and_then(|process| process.dispatcher()) else { return };
        // A write that had to let others pass may be older than what its leader knows by now.
        if dispatcher.ledger(app) != Some(ledger) || !ground.random_ratio(CHECKED_ONE_IN) {
            return;
        }
        let edition = ground.witness.edition(app, ledger.app_revision);
        let decided = Decided {
            app,
            spec: edition.and_then(|edition| edition.spec.as_ref()),
            ledger,
            now: self.moment(ground).wall,
            tenure: dispatcher.tenure(),
            results_through: dispatcher.results_through(),
            timing: &ground.timing,
        };
        let of_app = |stored: &Stored| Some((stored.sequence, stored.record.report()?.clone()));
        let reports = ground.net.stream(Kind::Results).newest().take(REPORTS_CHECKED).filter_map(of_app);
        let reports: Vec<_> = reports.filter(|(_, report)| report.attempt.app == *app).collect();
        let seen = decided.check(&reports, &ground.witness.commands_for(app));
        ground.judge(seen);
    }
}

fn write(kind: Kind, subject: Arc<str>, record: Record, expected: u64) -> Call {
    Call::Write(Write { kind, subject, record, expected })
}

/// Now and then, the ledger as it comes out of the store.
fn as_stored(ground: &mut Ground, ledger: Ledger) -> Ledger {
    if !ground.random_ratio(ENCODED_ONE_IN) {
        return ledger;
    }
    let decoded = serde_json::to_string(&ledger).and_then(|json| serde_json::from_str(&json));
    decoded.unwrap_or(ledger)
}
