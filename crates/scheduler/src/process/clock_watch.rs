//! When the clock is judged, by a leader and by whoever could lead.

use std::time::Duration;

use tracing::warn;

use super::{
    clock_judge::{ClockJudge, Reading},
    io::Answer,
};
use crate::{clock::Moment, effect::Effect};

/// Why a clock is not trusted that nobody has compared.
const NOT_COMPARED: &str = "this host's clock has not been compared with the NATS server's yet";

/// Reads the server's clock every so often, and judges this host's by it. Until it has been read, the clock is in doubt.
#[derive(Debug)]
pub(super) struct ClockWatch {
    judge: ClockJudge,
    /// Whether the server's clock was ever read.
    is_compared: bool,
    every: Duration,
    /// When the server's clock is read next; `None`: it is being read.
    read_at: Option<Duration>,
}

/// What a look has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The clock is in doubt from now on.
    Doubted,
    /// The clock is trusted again.
    Trusted,
}

impl ClockWatch {
    /// That of a standby, whose first reading is under way.
    pub(super) fn of_standby(every: Duration) -> Self {
        Self { judge: ClockJudge::default(), is_compared: false, every, read_at: None }
    }

    /// That of a leader, who begins with a reading and wants the next one at that uptime.
    pub(super) fn of_leader(every: Duration, read_at: Duration) -> Self {
        Self { judge: ClockJudge::default(), is_compared: true, every, read_at: Some(read_at) }
    }

    /// Why the clock is not trusted, if it is not.
    pub(super) fn doubt(&self) -> Option<&str> {
        if self.is_compared { self.judge.doubt() } else { Some(NOT_COMPARED) }
    }

    /// The moment by the server's clock.
    pub(super) fn by_server(&self, moment: Moment) -> Moment {
        Moment { wall: self.judge.server_time(moment), ..moment }
    }

    /// When the server's clock is to be read.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        self.read_at
    }

    /// Reads the server's clock, if that is due.
    pub(super) fn woken(&mut self, now: Duration) -> Option<Effect> {
        self.read_at.take_if(|at| *at <= now).map(|_| Effect::ReadClock)
    }

    /// Takes an answer to [`Self::woken`].
    pub(super) fn answered(&mut self, answer: Answer<Reading>, moment: Moment) -> Option<Change> {
        self.read_at = Some(moment.uptime + self.every);
        match answer {
            Ok(reading) => self.judge(&reading, moment),
            Err(error) => {
                warn!(error = &*error as &dyn std::error::Error, "the server's clock was not read");
                None
            }
        }
    }

    /// Judges by a reading. It may have waited: a clock that was set since is noticed now, and not after something was decided
    /// by it.
    pub(super) fn judge(&mut self, reading: &Reading, moment: Moment) -> Option<Change> {
        let doubted = self.doubt().is_some();
        self.is_compared = true;
        self.judge.server_read(reading);
        self.judge.looked(moment);
        self.changed(doubted)
    }

    /// Compares this host's two clocks.
    pub(super) fn look(&mut self, moment: Moment) -> Option<Change> {
        let doubted = self.doubt().is_some();
        self.judge.looked(moment);
        self.changed(doubted)
    }

    fn changed(&self, doubted: bool) -> Option<Change> {
        match (doubted, self.doubt().is_some()) {
            (false, true) => Some(Change::Doubted),
            (true, false) => Some(Change::Trusted),
            (true, true) | (false, false) => None,
        }
    }
}
