//! The life of an attempt on its agent: order, claim, container, end.

use rand::RngExt as _;
use tickmesh_core::{
    id::{AttemptId, Nonce},
    message::{AttemptEvent, AttemptReport, OrderKind, Revoker, SCHEMA},
    outcome::LostReason,
};

use super::{
    super::{bus::Bus, faults::Fault, subject::Refused},
    Agent, Condition, Container, Deadline, Held,
    engine::{exit_code, exited, lost},
};

impl Agent {
    /// The agent does one thing, chosen by chance.
    pub(in crate::core_driver) fn act(&mut self, bus: &mut Bus) -> anyhow::Result<()> {
        if self.condition == Condition::Dead {
            return Ok(());
        }
        let attempts: Vec<_> = self.held.keys().cloned().collect();
        match bus.random.random_range(0..10) {
            0..4 if !self.inbox.is_empty() => self.take_order(bus),
            4..9 if !attempts.is_empty() => {
                let index = bus.random.random_range(0..attempts.len());
                self.advance(bus, &attempts[index])
            }
            _ => {
                self.beat(bus);
                Ok(())
            }
        }
    }

    /// Everything that the agent can do, once.
    pub(in crate::core_driver) fn act_on_all(&mut self, bus: &mut Bus) -> anyhow::Result<()> {
        while !self.inbox.is_empty() {
            self.take_order(bus)?;
        }
        for id in self.held.keys().cloned().collect::<Vec<_>>() {
            self.advance(bus, &id)?;
        }
        self.beat(bus);
        self.beat(bus);
        Ok(())
    }

    fn take_order(&mut self, bus: &mut Bus) -> anyhow::Result<()> {
        if self.condition != Condition::Well {
            return Ok(());
        }
        let index = bus.random.random_range(0..self.inbox.len());
        if index > 0 {
            bus.count(Fault::OrderOvertook);
        }
        let order = self.inbox.remove(index);
        if order.epoch < self.newest_epoch {
            bus.count(Fault::OrderStale);
            return Ok(());
        }
        self.newest_epoch = order.epoch;
        match order.kind {
            OrderKind::Start(_) => self.take_on(bus, order.attempt),
            OrderKind::Stop => self.stop(bus, order.attempt),
        }
    }

    fn take_on(&mut self, bus: &mut Bus, id: AttemptId) -> anyhow::Result<()> {
        if self.held.contains_key(&id) {
            return Ok(());
        }
        if self.draining || self.held.len() >= self.slots as usize {
            bus.count(Fault::AttemptRefused);
            let event = AttemptEvent::Revoked { by: Revoker::Agent, reason: "no slot".to_owned() };
            return self.report(bus, &id, event, 0).map(|_| ());
        }
        let nonce = Nonce::from_random(bus.random_bytes());
        self.held.insert(id, Held::Claiming { nonce, deadline: Deadline::Ahead });
        Ok(())
    }

    /// A stop for an unclaimed attempt claims it as cancelled; one for a container stops it.
    fn stop(&mut self, bus: &mut Bus, id: AttemptId) -> anyhow::Result<()> {
        let end = |exit_code| AttemptEvent::Cancelled { exit_code };
        let held = match self.held.get(&id) {
            None | Some(Held::Claiming { .. }) => {
                // Refused: the claim was stored, and another stop will find it.
                if self.report(bus, &id, end(None), 0)?.is_ok() {
                    self.held.remove(&id);
                }
                return Ok(());
            }
            Some(Held::Over { .. }) => return Ok(()),
            Some(Held::Claimed { claim, .. }) => Held::Over { claim: *claim, end: end(None) },
            Some(Held::Running { claim }) => {
                let held = Held::Over { claim: *claim, end: end(Some(143)) };
                self.exit_container(bus, &id, 143);
                held
            }
        };
        self.held.insert(id, held);
        Ok(())
    }

    /// One step of an attempt's life.
    fn advance(&mut self, bus: &mut Bus, id: &AttemptId) -> anyhow::Result<()> {
        let Some(held) = self.held.get(id).cloned() else { return Ok(()) };
        let next = match held {
            Held::Claiming { nonce, deadline } => self.claim(bus, id, nonce, deadline)?,
            Held::Claimed { claim, deadline: Deadline::Passed } => {
                Some(Held::Over { claim, end: lost(LostReason::Fenced) })
            }
            Held::Claimed { claim, deadline: Deadline::Ahead } => Some(self.start(bus, id, claim)?),
            Held::Running { claim } => Some(self.wait(bus, id, claim)),
            Held::Over { claim, end } => self.end(bus, id, claim, end)?,
        };
        match next {
            Some(next) => _ = self.held.insert(id.clone(), next),
            None => _ = self.held.remove(id),
        }
        Ok(())
    }

    fn claim(
        &mut self,
        bus: &mut Bus,
        id: &AttemptId,
        nonce: Nonce,
        deadline: Deadline,
    ) -> anyhow::Result<Option<Held>> {
        let claiming = Held::Claiming { nonce, deadline };
        if self.condition == Condition::CutOff {
            return Ok(Some(claiming));
        }
        let event = AttemptEvent::Claimed { nonce, machine: self.machine() };
        let claim = match self.report(bus, id, event, 0)? {
            Ok(_) if bus.mishap(12) => {
                bus.count(Fault::ClaimAcknowledgementLost);
                return Ok(Some(claiming));
            }
            Ok(claim) => Some(claim),
            // Read back: a win only if it shows this try's nonce (protocol rule P7).
            Err(_) => bus.results.last(id, &self.name).and_then(|(sequence, last)| match &last.event {
                AttemptEvent::Claimed { nonce: winner, .. } if *winner == nonce => Some(sequence),
                AttemptEvent::Claimed { .. }
                | AttemptEvent::Revoked { .. }
                | AttemptEvent::Cancelled { .. }
                | AttemptEvent::Exited { .. }
                | AttemptEvent::TimedOut { .. }
                | AttemptEvent::CouldNotStart { .. }
                | AttemptEvent::Lost { .. } => None,
            }),
        };
        Ok(claim.map(|claim| Held::Claimed { claim, deadline }))
    }

    fn start(&mut self, bus: &mut Bus, id: &AttemptId, claim: u64) -> anyhow::Result<Held> {
        if bus.mishap(20) {
            bus.count(Fault::CouldNotStart);
            let permanent = bus.random.random_ratio(1, 3);
            let end = AttemptEvent::CouldNotStart { reason: "no image".to_owned(), permanent };
            return Ok(Held::Over { claim, end });
        }
        bus.witness.started(id)?;
        self.containers.insert(id.clone(), Container::Running);
        Ok(Held::Running { claim })
    }

    fn wait(&mut self, bus: &mut Bus, id: &AttemptId, claim: u64) -> Held {
        if bus.mishap(bus.loss_odds) {
            bus.count(Fault::ContainerRemoved);
            self.remove_container(bus, id);
            return Held::Over { claim, end: lost(LostReason::ContainerRemoved) };
        }
        let code = exit_code(bus);
        self.exit_container(bus, id, code);
        Held::Over { claim, end: exited(code) }
    }

    fn end(&mut self, bus: &mut Bus, id: &AttemptId, claim: u64, end: AttemptEvent) -> anyhow::Result<Option<Held>> {
        if self.condition == Condition::CutOff {
            return Ok(Some(Held::Over { claim, end }));
        }
        // Refused: the leader has declared it lost.
        let _ = self.report(bus, id, end, claim)?;
        self.remove_container(bus, id);
        Ok(None)
    }

    fn report(
        &self,
        bus: &mut Bus,
        id: &AttemptId,
        event: AttemptEvent,
        expected: u64,
    ) -> anyhow::Result<Result<u64, Refused>> {
        let report =
            AttemptReport { schema: SCHEMA, attempt: id.clone(), agent: self.name.clone(), at: bus.now, event };
        bus.report(report, expected)
    }
}
