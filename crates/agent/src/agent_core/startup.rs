//! From the lock of the name to the first heartbeat.

use std::time::Duration;

use tickmesh_core::id::Nonce;

use super::{
    AgentCore, Stage,
    io::{Effect, KeyState, Moment},
    name_claim::{Finding, NameClaim},
};
use crate::{
    adopt::Inventory,
    attempt::LastReport,
    engine::{self, ContainerView},
    error::Error,
};

impl AgentCore {
    pub(super) fn name_locked(&mut self, remembered: Vec<Nonce>) -> Vec<Effect> {
        let Stage::Locking = self.stage else { return Vec::new() };
        self.stage = Stage::ClaimingName(NameClaim::begin(remembered));
        vec![Effect::ReadKey]
    }

    pub(super) fn key_read(&mut self, current: Option<KeyState>, now: Moment) -> Vec<Effect> {
        let Stage::ClaimingName(name_claim) = &mut self.stage else { return Vec::new() };
        match name_claim.read(current, self.heartbeat.record(), &self.timing, now.uptime) {
            Finding::Open => Vec::new(),
            Finding::InUse(error) => self.end(Err(error)),
            Finding::Free(predecessor) => {
                let intake = predecessor.intake;
                let known_as = self.heartbeat.record().machine.clone();
                self.heartbeat.succeed(predecessor);
                let machine = self.heartbeat.record().machine.clone();
                let mut effects = Vec::new();
                if machine != known_as {
                    effects.push(Effect::GoBy { machine });
                }
                // It has been told already, to whoever listens.
                let _ = self.obey(intake, now);
                effects.extend(self.arm());
                effects
            }
        }
    }

    pub(super) fn key_unread(&mut self, now: Duration) -> Vec<Effect> {
        if let Stage::ClaimingName(name_claim) = &mut self.stage {
            name_claim.unread(&self.timing, now);
        }
        Vec::new()
    }

    /// The guard has to listen before anything can be claimed.
    pub(super) fn arm(&mut self) -> Vec<Effect> {
        if self.guard_client.is_guarded() {
            self.stage = Stage::Arming;
            return vec![Effect::StartGuard];
        }
        self.stage = Stage::Listing;
        vec![Effect::List]
    }

    pub(super) fn listed(&mut self, containers: Vec<ContainerView>, now: Duration) -> Vec<Effect> {
        match &mut self.stage {
            Stage::Listing => {
                self.stage = Stage::Adopting(Inventory::of(containers, &self.ownership));
                self.look_into_next()
            }
            Stage::Deposed(deposition) => {
                let next = deposition.listed(containers, &self.ownership, now);
                self.follow(next)
            }
            Stage::Locking
            | Stage::ClaimingName(_)
            | Stage::Arming
            | Stage::Adopting(_)
            | Stage::Subscribing
            | Stage::Appearing
            | Stage::Serving { .. }
            | Stage::Finishing { .. }
            | Stage::Leaving { .. }
            | Stage::Ended => Vec::new(),
        }
    }

    /// An engine that does not answer at the start ends the process, for somebody has to start it; a process that gives up what
    /// it has asks again.
    pub(super) fn unlisted(&mut self, error: engine::Error, now: Duration) -> Vec<Effect> {
        if let Stage::Listing = self.stage {
            return self.end(Err(Error::Engine(error)));
        }
        self.own_not_removed(&error, now)
    }

    pub(super) fn report_read(&mut self, last: Option<&LastReport>) -> Vec<Effect> {
        let Stage::Adopting(inventory) = &mut self.stage else { return Vec::new() };
        let adopted = inventory.look_into(last);
        let tasks = adopted.map(|(attempt, step)| self.attempts.adopt(attempt, step)).unwrap_or_default();
        let mut effects = self.for_attempts(tasks);
        effects.extend(self.look_into_next());
        effects
    }

    pub(super) fn look_into_next(&mut self) -> Vec<Effect> {
        let Stage::Adopting(inventory) = &self.stage else { return Vec::new() };
        if let Some(attempt) = inventory.next() {
            return vec![Effect::ReadReport { attempt: attempt.clone() }];
        }
        self.stage = Stage::Subscribing;
        vec![Effect::FollowOrders]
    }

    /// Everything that an earlier process left is in the table of attempts: only now is a sign of life shown (rule P2). Later on, what is
    /// believed of tenures ends.
    pub(super) fn orders_followed(&mut self, now: Duration) -> Vec<Effect> {
        let Stage::Subscribing = self.stage else {
            self.tenures.doubt();
            return if self.is_serving() { vec![Effect::ReadLease] } else { Vec::new() };
        };
        self.stage = Stage::Appearing;
        // The first order is believed once the lease has been renewed since: the earlier it is read, the better.
        let mut effects = vec![self.heartbeat.begin(now), Effect::ReadLease];
        effects.extend(self.health.probe(now));
        effects
    }
}
