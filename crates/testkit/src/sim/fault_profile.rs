//! What a history is made of. Each has its own mix: some have no crash, some one after the other. With one mix for all, what
//! needs calm to build up, such as a full queue or a replica's last retry, would hardly ever meet a fault.

use std::{collections::BTreeMap, time::Duration};

use rand::{RngExt as _, rngs::StdRng};

use super::{fault_injection::Trouble, faults::Fault};

/// Faults that may happen whenever there is an occasion, at a medium rate one in so many times.
const MISHAPS: [(Fault, u32); 27] = [
    (Fault::RequestLost, 90),
    (Fault::AcknowledgementLost, 60),
    (Fault::ActDelayed, 90),
    (Fault::WatchStalled, 400),
    (Fault::CrashBetweenEffects, 250),
    (Fault::StoodStillBeforeActing, 250),
    (Fault::HolderUnheard, 40),
    (Fault::OrderTwice, 9),
    (Fault::IdForgotten, 2),
    (Fault::CommandRepeated, 5),
    (Fault::CommandOutdated, 6),
    (Fault::CommandOvertaken, 2),
    (Fault::ConfirmationLost, 6),
    (Fault::CreateSlow, 24),
    (Fault::StartSlow, 24),
    (Fault::PullFailed, 30),
    (Fault::StartFailed, 30),
    (Fault::HostRefused, 8),
    (Fault::ContainerFailed, 5),
    (Fault::ClockSkewed, 6),
    (Fault::HostClockSkewed, 4),
    (Fault::HostCopied, 2),
    (Fault::HostStopping, 3),
    (Fault::EarlierRelease, 4),
    (Fault::WishLost, 8),
    (Fault::WishAnswerLost, 8),
    (Fault::WishMisdirected, 6),
];

/// Faults that begin at some moment, with their weight at a medium rate.
const TROUBLES: [(Trouble, u32); 22] = [
    (Trouble::KillScheduler, 4),
    (Trouble::PauseScheduler, 3),
    (Trouble::CutOffScheduler, 3),
    (Trouble::StepClock, 2),
    (Trouble::StepDown, 2),
    (Trouble::StopScheduler, 2),
    (Trouble::StreamLags, 2),
    (Trouble::DamageRecord, 3),
    (Trouble::ForgeOrder, 2),
    (Trouble::KillAgent, 4),
    (Trouble::StopAgent, 2),
    (Trouble::PauseAgent, 4),
    (Trouble::CutOffAgent, 5),
    (Trouble::KillGuard, 3),
    (Trouble::PauseGuard, 2),
    (Trouble::TakeName, 2),
    (Trouble::RebootHost, 1),
    (Trouble::FreezeEngine, 2),
    (Trouble::RestartEngine, 1),
    (Trouble::RemoveContainer, 2),
    (Trouble::ServerDown, 1),
    (Trouble::LoseStore, 1),
];

#[derive(Debug)]
pub(super) struct FaultProfile {
    odds: BTreeMap<Fault, u32>,
    troubles: Vec<(Trouble, u32)>,
    trouble_pause: Duration,
    turn_max: Duration,
}

impl FaultProfile {
    /// Each kind of fault never happens, or at a medium rate, or at a high one.
    pub(super) fn of(random: &mut StdRng) -> Self {
        let odds = |(fault, odds): (Fault, u32)| (fault, [0, odds, odds.div_ceil(3).max(2)][random.random_range(0..3)]);
        let odds = MISHAPS.map(odds).into();
        let troubles = TROUBLES.map(|(trouble, weight)| (trouble, weight * [0, 1, 3][random.random_range(0..3)]));
        let trouble_pause = Duration::from_secs([3, 8, 20][random.random_range(0..3)]);
        // In most histories a turn of a scheduler takes no time.
        let turn_max = Duration::from_millis([0, 0, 0, 60][random.random_range(0..4)]);
        Self { odds, troubles: troubles.into(), trouble_pause, turn_max }
    }

    /// One in how many times a fault happens; 0: it does not.
    pub(super) fn odds(&self, fault: Fault) -> u32 {
        self.odds.get(&fault).copied().unwrap_or(0)
    }

    /// How long it takes on average until the next trouble.
    pub(super) fn trouble_pause(&self) -> Duration {
        self.trouble_pause
    }

    /// How long a turn of a scheduler takes at most.
    pub(super) fn turn_max(&self) -> Duration {
        self.turn_max
    }

    pub(super) fn pick(&self, random: &mut StdRng) -> Option<Trouble> {
        let total: u32 = self.troubles.iter().map(|(_, weight)| weight).sum();
        let mut left = if total == 0 { return None } else { random.random_range(0..total) };
        for (trouble, weight) in &self.troubles {
            if left < *weight {
                return Some(*trouble);
            }
            left -= weight;
        }
        None
    }
}
