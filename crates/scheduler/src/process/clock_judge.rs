//! The judge of what the wall clock says: by the server's clock whenever that is read, and in between by
//! the clock that nobody can set. It also tells the time by which instants are decided: the server's.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tickmesh_core::time;

use crate::clock::Moment;

/// A wall clock may differ by this much from the server's, or from what it should have come to, before no instant is decided
/// by it any more.
pub const DEVIATION_MAX: SignedDuration = SignedDuration::from_secs(1);

/// An answer that took longer shows no agreement: the server's clock was read at any moment of it.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(500);
/// The wall clock may gain or lose this much on uptime while an answer is under way: far more than a clock that is being slewed.
const JUMP_MAX: SignedDuration = SignedDuration::from_millis(50);

/// What the server's clock said, and when it was asked.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// Before the question.
    pub asked: Moment,
    /// The server's clock.
    pub server: Timestamp,
    /// After the answer.
    pub answered: Moment,
}

impl Reading {
    /// How far the wall clock is certainly ahead of the server's (or, negative, behind it): what the way of the question and
    /// of the answer cannot explain.
    fn deviation(&self) -> SignedDuration {
        let ahead = self.asked.wall.duration_since(self.server);
        let behind = self.answered.wall.duration_since(self.server);
        if ahead.is_positive() {
            ahead
        } else if behind.is_negative() {
            behind
        } else {
            SignedDuration::ZERO
        }
    }

    /// What the wall clock has gained on the time that really passed while the answer was under way.
    fn jump(&self) -> SignedDuration {
        offset(self.answered) - offset(self.asked)
    }

    fn round_trip(&self) -> Duration {
        self.answered.uptime.saturating_sub(self.asked.uptime)
    }

    /// Whether it can show that the clocks agree: the answer came soon, and nobody set the wall clock meanwhile.
    fn is_conclusive(&self) -> bool {
        self.round_trip() <= ROUND_TRIP_MAX && self.jump().abs() <= JUMP_MAX
    }

    /// What the server's clock says at the answer, if `estimate` is believed as far as it can be true: at least what it said when
    /// it was read, and at most a round trip more.
    fn narrow(&self, estimate: Timestamp) -> Timestamp {
        estimate.clamp(self.server, time::after(self.server, self.round_trip()))
    }
}

/// Judges a wall clock: by the server's whenever that is read, and in between by the clock that nobody can set.
#[derive(Debug, Default)]
pub(super) struct ClockJudge {
    /// Wall clock less uptime, when the server agreed last.
    agreed: Option<SignedDuration>,
    /// The server's clock less uptime, as far as readings tell.
    server: Option<SignedDuration>,
    doubt: Option<String>,
}

impl ClockJudge {
    /// Why the clock is not trusted, if it is not.
    pub(super) fn doubt(&self) -> Option<&str> {
        self.doubt.as_deref()
    }

    /// The server's clock, by the readings and the time that has passed since; this host's before the first one. Unlike the wall
    /// clock it does not move when somebody sets that.
    pub(super) fn server_time(&self, now: Moment) -> Timestamp {
        let Some(server) = self.server else { return now.wall };
        time::after(Timestamp::UNIX_EPOCH, now.uptime).checked_add(server).unwrap_or(Timestamp::MAX)
    }

    /// Each reading narrows down what is known of the server's clock. The first one believes the wall clock, as far as it can be
    /// right, or if its answer was slow nothing but what the server said: that is late, and never early. A clock of the
    /// server's that contradicts everything else was set, and tells the time when this host's agrees with it.
    fn narrow(&mut self, reading: &Reading) {
        let answered = reading.answered;
        let estimate = match self.server {
            Some(_) => self.server_time(answered),
            None if reading.round_trip() <= ROUND_TRIP_MAX => answered.wall,
            None => reading.server,
        };
        let wall = reading.narrow(estimate);
        let moved = wall.duration_since(estimate).abs();
        let was_set = self.server.is_some() && moved > DEVIATION_MAX && reading.deviation().abs() > DEVIATION_MAX;
        if !was_set {
            self.server = Some(offset(Moment { wall, ..answered }));
        }
    }

    /// The server's clock was read.
    pub(super) fn server_read(&mut self, reading: &Reading) {
        self.narrow(reading);
        let deviation = reading.deviation();
        if deviation.abs() > DEVIATION_MAX {
            let direction = if deviation.is_positive() { "ahead of" } else { "behind" };
            self.doubt = Some(format!("this host's clock is {:#} {direction} the NATS server's", rounded(deviation)));
        } else if reading.is_conclusive() {
            self.doubt = None;
            self.agreed = Some(offset(reading.answered));
        } else if self.agreed.is_none() {
            // It shows no agreement, but from here on, or since the question, a clock that is set is noticed.
            self.agreed = Some(offset(reading.asked));
            self.looked(reading.answered);
        }
    }

    /// The clocks were read. What went wrong since the server agreed stays wrong until it agrees again.
    pub(super) fn looked(&mut self, now: Moment) {
        let Some(agreed) = self.agreed.filter(|_| self.doubt.is_none()) else { return };
        let jump = offset(now) - agreed;
        if jump.abs() > DEVIATION_MAX {
            let direction = if jump.is_positive() { "forward" } else { "back" };
            self.doubt = Some(format!("this host's clock was set {direction} by {:#}", rounded(jump)));
        }
    }
}

fn offset(moment: Moment) -> SignedDuration {
    let uptime = SignedDuration::try_from(moment.uptime).unwrap_or(SignedDuration::MAX);
    moment.wall.duration_since(Timestamp::UNIX_EPOCH).saturating_sub(uptime)
}

/// For people: nobody asks for the nanoseconds of a wrong clock.
fn rounded(duration: SignedDuration) -> SignedDuration {
    SignedDuration::from_millis_i128(duration.abs().as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host whose wall clock says `wall` when it has been up for `uptime`, in milliseconds.
    fn at(wall: i64, uptime: u64) -> Moment {
        Moment { wall: Timestamp::from_millisecond(wall).unwrap(), uptime: Duration::from_millis(uptime) }
    }

    enum Seen {
        /// The server's clock, read between two moments.
        Server(Moment, i64, Moment),
        Looked(Moment),
    }
    use Seen::{Looked, Server};

    #[track_caller]
    fn check(seen: &[Seen], doubt: Option<&str>) {
        let mut judge = ClockJudge::default();
        for event in seen {
            match *event {
                Server(asked, server, answered) => {
                    let server = Timestamp::from_millisecond(server).unwrap();
                    judge.server_read(&Reading { asked, server, answered });
                }
                Looked(now) => judge.looked(now),
            }
        }
        assert_eq!(judge.doubt(), doubt);
    }

    #[test]
    fn a_clock_may_differ_from_the_servers_by_a_second() {
        check(&[Server(at(10_000, 50), 9_000, at(10_002, 52))], None);
        check(&[Server(at(10_000, 50), 11_002, at(10_002, 52))], None);
        check(
            &[Server(at(10_000, 50), 8_999, at(10_002, 52))],
            Some("this host's clock is 1s 1ms ahead of the NATS server's"),
        );
        check(
            &[Server(at(10_000, 50), 11_003, at(10_002, 52))],
            Some("this host's clock is 1s 1ms behind the NATS server's"),
        );
    }

    #[test]
    fn a_slow_answer_is_no_deviation() {
        check(&[Server(at(10_000, 50), 11_500, at(14_000, 4_050))], None);
    }

    #[test]
    fn an_answer_that_shows_nothing_does_not_end_a_doubt() {
        let doubt = || [Server(at(10_000, 50), 10_000, at(10_000, 50)), Looked(at(18_000, 5_050))];
        let forward = Some("this host's clock was set forward by 3s");
        let [agrees, jumps] = doubt();
        check(&[agrees, jumps, Server(at(18_000, 5_050), 18_500, at(22_000, 9_050))], forward);
        // Set while the answer was under way: neither end of it can be believed.
        let [agrees, jumps] = doubt();
        check(&[agrees, jumps, Server(at(16_000, 5_050), 17_000, at(3_616_000, 5_060))], forward);
    }

    #[test]
    fn a_clock_set_during_the_first_answer_is_doubted() {
        let set = Server(at(10_000, 50), 10_500, at(3_611_000, 1_050));
        check(&[set], Some("this host's clock was set forward by 1h"));
        let slow = || Server(at(10_000, 50), 10_500, at(11_000, 1_050));
        check(&[slow()], None);
        check(&[slow(), Looked(at(15_000, 2_050))], Some("this host's clock was set forward by 3s"));
    }

    #[test]
    fn a_clock_that_is_set_is_doubted_until_the_server_agrees() {
        let agrees = || Server(at(10_000, 50), 10_000, at(10_000, 50));
        check(&[agrees(), Looked(at(15_000, 5_050))], None);
        let forward = Some("this host's clock was set forward by 3s");
        check(&[agrees(), Looked(at(18_000, 5_050))], forward);
        check(&[agrees(), Looked(at(18_000, 5_050)), Looked(at(16_000, 6_050))], forward);
        check(&[agrees(), Looked(at(12_000, 5_050))], Some("this host's clock was set back by 3s"));
        let right_again = Server(at(16_000, 6_050), 16_000, at(16_000, 6_050));
        check(&[agrees(), Looked(at(18_000, 5_050)), right_again], None);
    }

    /// What the server's clock says by these readings when the host's clocks say `now`.
    fn server_time(readings: &[(Moment, i64, Moment)], now: Moment) -> i64 {
        let mut judge = ClockJudge::default();
        for &(asked, server, answered) in readings {
            judge.server_read(&Reading { asked, server: Timestamp::from_millisecond(server).unwrap(), answered });
        }
        judge.server_time(now).as_millisecond()
    }

    /// Asked and answered within 2 ms when the host has been up for `uptime`.
    fn quick(wall: i64, uptime: u64, server: i64) -> (Moment, i64, Moment) {
        (at(wall, uptime), server, at(wall + 2, uptime + 2))
    }

    #[test]
    fn the_time_is_the_servers() {
        // Ahead by 800 ms, behind by 700 ms, and within what the round trip leaves open.
        assert_eq!(server_time(&[quick(10_800, 50, 10_000)], at(11_800, 1_050)), 11_000);
        assert_eq!(server_time(&[quick(10_000, 50, 10_700)], at(11_002, 1_052)), 11_700);
        assert_eq!(server_time(&[quick(10_000, 50, 10_001)], at(11_002, 1_052)), 11_002);
        // Even where the host's clock is doubted.
        assert_eq!(server_time(&[quick(3_610_000, 50, 10_000)], at(3_611_002, 1_052)), 11_002);
    }

    #[test]
    fn a_clock_that_is_set_moves_no_time() {
        let right = quick(10_000, 50, 10_000);
        assert_eq!(server_time(&[right], at(11_902, 1_052)), 11_002);
        assert_eq!(server_time(&[right, quick(3_611_000, 1_050, 11_000)], at(3_612_002, 2_052)), 12_002);
    }

    #[test]
    fn a_servers_jump_counts_once_the_host_agrees() {
        let jumps = quick(11_000, 1_050, 3_611_000);
        assert_eq!(server_time(&[quick(10_000, 50, 10_000), jumps], at(12_002, 2_052)), 12_002);
        let agrees = quick(3_613_000, 3_050, 3_613_000);
        assert_eq!(server_time(&[quick(10_000, 50, 10_000), jumps, agrees], at(3_614_002, 4_052)), 3_614_000);
    }

    #[test]
    fn each_reading_narrows_down_what_the_time_is() {
        let slow = |server| (at(10_000, 50), server, at(14_000, 4_050));
        // By the first one it is at least what the server said.
        assert_eq!(server_time(&[slow(11_500)], at(15_000, 5_050)), 12_500);
        assert_eq!(server_time(&[slow(11_500), quick(15_000, 5_050, 14_990)], at(16_000, 6_050)), 15_988);
        // A slow one does not change what is known already.
        assert_eq!(server_time(&[quick(9_000, 40, 9_000), slow(11_500)], at(15_000, 5_050)), 14_010);
        assert_eq!(server_time(&[], at(15_000, 5_050)), 15_000);
    }

    #[test]
    fn nothing_is_known_before_the_server_was_asked() {
        check(&[Looked(at(0, 5_000)), Looked(at(99_000, 6_000))], None);
    }
}
