//! Effects are carried out, each by a call that goes on until it is answered.

use std::{collections::BTreeMap, sync::Arc};

use tickmesh_core::{agent_wish::WishWork, decide::Action, id::RequestId, ledger::Ledger, name::AppName};
use tickmesh_messaging::{LEASE_KEY, SchedulerRole};
use tickmesh_scheduler::{
    clock::Moment,
    effect::{Effect, Priority, Source},
    publication::Publication,
};

use super::Scheduler;
use crate::sim::{
    checkers::{Decided, Witness},
    context::SimContext,
    event::{self, SimEvent},
    fault_injection::Relief,
    faults::Fault,
    net::{Call, Kind, Record, Stored, Write},
    releases,
};

/// Of so many ledgers the core is asked again about one: each costs as much as some inputs.
const CHECKED_ONE_IN: u32 = 4;
/// Newest messages about attempts that are folded again then.
const REPORTS_CHECKED: usize = 8;
/// Of so many ledgers, one is stored as it comes out of the store: what production does not store is not
/// there.
const ENCODED_ONE_IN: u32 = 4;

/// The generation of answers that nobody waits for.
const NOBODY: u32 = 0;

/// What a call of a scheduler was for.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Tag {
    /// `None`: the answer counts whatever is abandoned meanwhile.
    pub(super) generation: Option<u32>,
    pub(super) asked: Moment,
    pub(super) effect: Arc<Effect>,
    /// How far the publication of a numbered message has come.
    pub(super) publication: Option<Publication>,
    /// How far a wish about an agent has been carried out.
    pub(super) wish: Option<Box<WishWork>>,
}

impl From<Tag> for event::Tag {
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
    pub(super) fn perform(&mut self, context: &mut SimContext, effect: Effect) {
        if let Effect::Follow(source) = &effect {
            return self.follow(context, effect.clone(), source);
        }
        if let Effect::CarryOutWish { .. } = effect {
            return self.begin_wish(context, effect);
        }
        if let Effect::AnswerWish { id, answer } = effect {
            return self.answer_wish(context, id, answer);
        }
        if let Effect::Abandon = effect {
            self.abandon(context);
        }
        if let Effect::End = effect {
            context.later(super::RESTART, SimEvent::Relief(Relief::of(self.place)));
            self.kill(context);
        }
        if let Effect::ShowRole(role) = &effect {
            context.processes.show(self.place, matches!(role, SchedulerRole::StandingBy { doubt: None }));
        }
        if let Effect::ShowRole(SchedulerRole::Leading { doubt: Some(_), .. }) = effect {
            context.count(Fault::ClockDoubted);
        }
        if let Effect::ShowRole(SchedulerRole::Refusing { store: Some(_), .. }) = effect {
            context.count(Fault::StoreLossShown);
        }
        if let Effect::WriteLedger { app, ledger, .. } = &effect {
            self.check_decisions(context, app, ledger);
        }
        if matches!(effect, Effect::Act(Action::Send(_))) && context.mishap(Fault::OrderTwice) {
            let repeated = Tag { generation: Some(NOBODY), ..self.tag(context, effect.clone()) };
            let call = self.call_of(context, &effect);
            call.into_iter().for_each(|call| context.call(self.address, repeated.clone().into(), call));
        }
        match self.call_of(context, &effect) {
            Some(call) => self.call(context, effect, call),
            None if effect.priority() == Priority::Immediate => {}
            None => self.ended(context, Some(effect.priority()), None),
        }
    }

    pub(super) fn tag(&self, context: &SimContext, effect: Effect) -> Tag {
        let publication = if let Effect::PublishTick { tick, expected } = &effect {
            Some(Publication::new(tick.number, *expected))
        } else if let Effect::PublishHistory { summary, expected } = &effect {
            Some(Publication::new(summary.number, *expected))
        } else if let Effect::PublishNotice { notice, expected } = &effect {
            Some(Publication::new(notice.number, *expected))
        } else {
            None
        };
        let is_lease_write = matches!(effect, Effect::WriteLease { .. });
        let generation = (!is_lease_write).then_some(self.generation);
        Tag { generation, asked: self.moment(context), effect: Arc::new(effect), publication, wish: None }
    }

    /// Whether an effect was abandoned since it was begun.
    pub(in crate::sim) fn has_given_up(&self, tag: &Tag) -> bool {
        tag.generation.is_some_and(|generation| generation != self.generation)
    }

    /// What the server is asked for; `None`: nothing.
    fn call_of(&mut self, context: &mut SimContext, effect: &Effect) -> Option<Call> {
        let last = |kind, subject: &str| Call::Last { kind, subject: subject.into() };
        Some(match effect {
            Effect::Act(Action::Send(order)) => {
                let subject = order.agent.as_str().into();
                Call::Publish { kind: Kind::Orders, subject, record: Record::Order(Arc::new(order.clone())) }
            }
            Effect::Act(Action::StoreReport { report, expected }) => {
                let subject = context.net.result_subject(&report.attempt, &report.agent);
                write(Kind::Results, subject, Record::Report(Arc::new(report.clone())), *expected)
            }
            Effect::WriteLedger { app, ledger, expected, .. } => {
                let record = Record::Ledger(Arc::new(as_stored(context, ledger)));
                write(Kind::Ledger, app.as_str().into(), record, *expected)
            }
            Effect::PublishTick { tick, expected } => {
                write(Kind::Ticks, tick.app.as_str().into(), Record::Tick(Arc::new(tick.clone())), *expected)
            }
            Effect::PublishHistory { summary, expected } => {
                let record = Record::History(Arc::new((**summary).clone()));
                write(Kind::History, summary.app.as_str().into(), record, *expected)
            }
            // The release before tells nobody anything.
            Effect::PublishNotice { .. } if self.is_earlier => return None,
            Effect::PublishNotice { notice, expected } => {
                let record = Record::Notice(Arc::new((**notice).clone()));
                write(Kind::Notices, notice.app.as_str().into(), record, *expected)
            }
            Effect::ConfirmCommand { request, .. } => {
                let (consumer, sequence) = self.deliveries.received.remove(request)?;
                Call::Confirm { consumer, sequence }
            }
            Effect::ReadAgent { agent } => last(Kind::Agents, agent.as_str()),
            Effect::ReadLedger { app, .. } => last(Kind::Ledger, app.as_str()),
            Effect::ReadSummary { app, .. } => Call::OnSubject { kind: Kind::History, subject: app.as_str().into() },
            Effect::ReadCommandsBegin => Call::CommandsBegin,
            Effect::PurgeResults { below } => Call::PurgeResults { below: *below },
            Effect::ReadResultsEnd { .. } | Effect::ReadCatchUpEnd => Call::End(Kind::Results),
            Effect::OpenMesh => Call::OpenMesh,
            Effect::FindStreams => Call::FindStreams,
            Effect::MakeMissingStreams { .. } => Call::MakeStreams,
            Effect::CheckStreams => Call::End(Kind::Lease),
            Effect::ReadLease => last(Kind::Lease, LEASE_KEY),
            Effect::WriteLease { record, expected } => {
                write(Kind::Lease, LEASE_KEY.into(), Record::Lease(Arc::new((**record).clone())), *expected)
            }
            Effect::AskHolder { holder } => Call::AskHolder { holder: holder.clone() },
            Effect::SeekSuccessor => Call::SeekSuccessor,
            Effect::ReadMarks => Call::Ends,
            Effect::ReadEnds => Call::StateEnds,
            Effect::ReadClock => Call::Clock,
            Effect::Follow(_) => Call::ReceiveCommands,
            // Monitors hear of it, and nothing depends on it.
            Effect::Announce(_) | Effect::ShowRole(_) | Effect::Abandon | Effect::End => return None,
            // Several calls, one after the other, and none.
            Effect::CarryOutWish { .. } | Effect::AnswerWish { .. } => return None,
        })
    }

    /// Asks the server: for a leader until it is done, for the process itself for a while.
    fn call(&self, context: &mut SimContext, effect: Effect, mut call: Call) {
        if let Call::Write(write) = &mut call
            && self.is_earlier
        {
            write.record = releases::as_before(&write.record);
        }
        let is_tried_once = effect.priority() == Priority::Immediate && !matches!(effect, Effect::Follow(_));
        let tag = self.tag(context, effect);
        if is_tried_once {
            context.call_for(context.timing.lease, self.address, tag.into(), call);
        } else {
            context.call(self.address, tag.into(), call);
        }
    }

    /// Publishes a message behind another one than was expected.
    pub(super) fn publish_again(&mut self, context: &mut SimContext, tag: Tag, publication: Publication) {
        let Some(Call::Write(before)) = self.call_of(context, &tag.effect) else { return };
        let write = Call::Write(Write { expected: publication.expected(), ..before });
        context.call(self.address, Tag { publication: Some(publication), ..tag }.into(), write);
    }

    fn follow(&mut self, context: &mut SimContext, effect: Effect, source: &Source) {
        let (kind, after) = match source {
            Source::Ledgers => (Kind::Ledger, 0),
            Source::LedgerWrites { after } => {
                context.forget_followers_of(self.place, Kind::Ledger);
                (Kind::Ledger, *after)
            }
            Source::Agents => (Kind::Agents, 0),
            Source::Apps { .. } => (Kind::Apps, 0),
            Source::Lease => (Kind::Lease, 0),
            Source::Results { after } => (Kind::Results, *after),
            Source::Commands => {
                self.deliveries.after = Some(context.net.queue.consumer);
                return self.call(context, effect, Call::ReceiveCommands);
            }
        };
        context.follow(self.address, kind, None, after);
    }

    pub(super) fn abandon(&mut self, context: &mut SimContext) {
        context.forget_followers(self.place);
        self.generation += 1;
        self.inbox = super::Inbox::default();
        self.deliveries = Deliveries::default();
    }

    /// No instant is decided too early; and every few ledgers, the core is asked again about one.
    fn check_decisions(&self, context: &mut SimContext, app: &AppName, ledger: &Ledger) {
        let seen = Witness::decides_in_time(ledger, context.server_time());
        context.judge(seen);
        let Some(process) = &self.process else { return };
        let Some(dispatcher) = process.dispatcher() else { return };
        // A write that had to let others pass may be older than what its leader knows by now.
        if dispatcher.ledger(app) != Some(ledger) || !context.random_ratio(CHECKED_ONE_IN) {
            return;
        }
        let edition = context.witness.edition(app, ledger.app_revision);
        let decided = Decided {
            app,
            spec: edition.and_then(|edition| edition.spec.as_ref()),
            ledger,
            now: process.decides_at(self.moment(context)).wall,
            tenure: dispatcher.tenure(),
            results_through: dispatcher.results_through(),
            timing: &context.timing,
        };
        let of_app = |stored: &Stored| Some((stored.sequence, stored.record.report()?.clone()));
        let reports = context.net.stream(Kind::Results).newest().take(REPORTS_CHECKED).filter_map(of_app);
        let reports: Vec<_> = reports.filter(|(_, report)| report.attempt.app == *app).collect();
        let seen = decided.check(&reports, &context.witness.commands_for(app));
        context.judge(seen);
    }
}

fn write(kind: Kind, subject: Arc<str>, record: Record, expected: u64) -> Call {
    Call::Write(Write { kind, subject, record, expected })
}

/// Now and then, the ledger as it comes out of the store.
fn as_stored(context: &mut SimContext, ledger: &Ledger) -> Ledger {
    if !context.random_ratio(ENCODED_ONE_IN) {
        return ledger.clone();
    }
    let decoded = serde_json::to_string(ledger).and_then(|json| serde_json::from_str(&json));
    decoded.unwrap_or_else(|_| ledger.clone())
}
