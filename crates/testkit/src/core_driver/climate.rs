//! What a history is made of. Each has its own mix: some have no crash, some one after the other. With one mix for all,
//! what needs calm to build up, such as a full queue or a replica's last retry, would hardly ever meet a fault.

use rand::{RngExt as _, rngs::StdRng};

/// Something that happens next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Time,
    Agent,
    Results,
    Heartbeat,
    SendCommand,
    DeliverCommand,
    Edit,
    DeliverEdit,
    Act,
    Publish,
    Crash,
    Trouble,
    Relief,
    Silence,
    StaleLeader,
    Forgery,
    ClockBack,
}

/// How often what must happen for work to be done happens.
const WORK: [(Step, u32); 10] = [
    (Step::Time, 18),
    (Step::Agent, 40),
    (Step::Results, 14),
    (Step::Heartbeat, 5),
    (Step::DeliverCommand, 5),
    (Step::DeliverEdit, 3),
    (Step::Act, 12),
    (Step::Publish, 5),
    (Step::Relief, 3),
    (Step::Silence, 2),
];

/// How often, at a medium rate, the rest happens.
const FAULTS: [(Step, u32); 7] = [
    (Step::SendCommand, 3),
    (Step::Edit, 1),
    (Step::Crash, 2),
    (Step::Trouble, 2),
    (Step::StaleLeader, 3),
    (Step::Forgery, 1),
    (Step::ClockBack, 1),
];

#[derive(Debug)]
pub(super) struct Climate {
    weights: Vec<(Step, u32)>,
}

impl Climate {
    /// Each kind of fault never happens, or at a medium rate, or at a high one.
    pub(super) fn of(random: &mut StdRng) -> Self {
        let faults = FAULTS.map(|(step, weight)| (step, weight * [0, 1, 3][random.random_range(0..3)]));
        Self { weights: WORK.into_iter().chain(faults).collect() }
    }

    pub(super) fn pick(&self, random: &mut StdRng) -> Step {
        let total: u32 = self.weights.iter().map(|(_, weight)| weight).sum();
        let mut left = random.random_range(0..total);
        for (step, weight) in &self.weights {
            if left < *weight {
                return *step;
            }
            left -= weight;
        }
        Step::Time
    }
}
